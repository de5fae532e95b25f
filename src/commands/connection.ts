// Commands about the connection itself: AUTH, HELLO, PING, SELECT and the CLIENT family (its larger subcommands are
// in client-commands.ts).
import type { Call } from '../core/call.ts';
import { GATE_SUBSCRIBED, REPLY_ON, REPLY_SKIPPING } from '../core/client.ts';
import type { CommandSpec } from '../core/command.ts';
import { REDIS_VERSION } from '../core/server.ts';
import { clientSubcommands } from './client-commands.ts';
import { moduleList } from './module.ts';

const WRONG_PASSWORD = 'WRONGPASS invalid username-password pair or user is disabled.';
const NO_PASSWORD_SET =
  'ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?';

function auth(call: Call): void {
  if (call.argc > 3) {
    call.syntaxError();
    return;
  }
  for (let i = 1; i < call.argc; i++) call.redact(i);
  const { acl } = call.server;
  if (call.argc === 2 && acl.defaultUser.noPassword) {
    call.reply.error(NO_PASSWORD_SET);
    return;
  }
  const name = call.argc === 3 ? call.latin1(1) : acl.defaultUser.name;
  if (!acl.authenticate(call.client, name, call.word(call.argc - 1), call.latin1(0))) {
    call.reply.error(WRONG_PASSWORD);
    return;
  }
  call.reply.ok();
}

function hello(call: Call): void {
  const { client, reply } = call;
  let protocol: number = client.protocol;
  if (call.argc > 1) {
    protocol = call.integer(1, 'ERR Protocol version is not an integer or out of range');
    if (Number.isNaN(protocol)) return;
    if (protocol !== 2 && protocol !== 3) {
      reply.error('NOPROTO unsupported protocol version');
      return;
    }
  }
  if (!helloOptions(call)) return;
  if (!client.authenticated) {
    reply.error(
      'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time',
    );
    return;
  }
  client.protocol = protocol === 3 ? 3 : 2;
  client.updateGate();
  reply.protocol = client.protocol;
  helloReply(call);
}

/** AUTH and SETNAME take effect one by one. @returns false after an error was replied. */
function helloOptions(call: Call): boolean {
  const { client, reply, server } = call;
  for (let i = 2; i < call.argc; i++) {
    if (call.is(i, 'auth') && i + 2 < call.argc) {
      call.redact(i + 1);
      call.redact(i + 2);
      if (!server.acl.authenticate(client, call.latin1(i + 1), call.word(i + 2), call.latin1(0))) {
        reply.error(WRONG_PASSWORD);
        return false;
      }
      i += 2;
    } else if (call.is(i, 'setname') && i + 1 < call.argc) {
      const name = call.latin1(++i);
      if (!/^[!-~]*$/.test(name)) {
        reply.error('ERR Client names cannot contain spaces, newlines or special characters.');
        return false;
      }
      client.name = name;
    } else {
      reply.error(`ERR Syntax error in HELLO option '${call.cText(i)}'`);
      return false;
    }
  }
  return true;
}

function helloReply(call: Call): void {
  const { client, reply } = call;
  reply.map(7);
  reply.bulkLatin1('server');
  reply.bulkLatin1('redis');
  reply.bulkLatin1('version');
  reply.bulkLatin1(REDIS_VERSION);
  reply.bulkLatin1('proto');
  reply.integer(client.protocol);
  reply.bulkLatin1('id');
  reply.integer(client.id);
  reply.bulkLatin1('mode');
  reply.bulkLatin1('standalone');
  reply.bulkLatin1('role');
  reply.bulkLatin1(call.server.replication.isReplica ? 'replica' : 'master');
  reply.bulkLatin1('modules');
  moduleList(call, false);
}

function ping(call: Call): void {
  if (call.argc > 2) {
    call.reply.error("ERR wrong number of arguments for 'ping' command");
    return;
  }
  if ((call.client.gate & GATE_SUBSCRIBED) !== 0) {
    // What a subscriber gets looks like a message.
    call.reply.array(2);
    call.reply.bulkLatin1('pong');
    call.reply.bulk(call.bytes, call.argc === 1 ? 0 : call.offsets[1], call.argc === 1 ? 0 : call.lengths[1]);
  } else if (call.argc === 1) call.reply.raw(PONG);
  else call.reply.bulk(call.bytes, call.offsets[1], call.lengths[1]);
}

const PONG = Buffer.from('+PONG\r\n', 'latin1');

function echo(call: Call): void {
  call.reply.bulk(call.bytes, call.offsets[1], call.lengths[1]);
}

function quit(call: Call): void {
  call.reply.ok();
  call.client.closeAfterReply();
}

function select(call: Call): void {
  const index = call.integer(1);
  if (Number.isNaN(index)) return;
  if (index !== (index | 0)) {
    call.reply.error('ERR value is out of range, value must between -2147483648 and 2147483647');
    return;
  }
  const db = call.server.databases[index];
  if (db === undefined) {
    call.reply.error('ERR DB index is out of range');
    return;
  }
  call.client.db = db;
  call.reply.ok();
}

function reset(call: Call): void {
  const { client, server } = call;
  if (client.transaction !== null) server.watches.unwatch(client.transaction);
  client.transaction = null;
  server.stopMonitor(client);
  server.pubsub.forget(client);
  server.tracking.disable(client);
  client.db = server.databases[0];
  client.protocol = 2;
  client.name = '';
  client.noEvict = false;
  // Behind CLIENT REPLY SKIP this very reply is the one that is not sent.
  if (client.replyMode !== REPLY_SKIPPING) client.replyMode = REPLY_ON;
  client.user = server.acl.defaultUser;
  client.authenticated = !server.authRequired;
  client.updateGate();
  call.reply.protocol = 2;
  call.reply.simple('RESET');
}

const session = ['noscript', 'loading', 'stale', 'fast', 'no_auth', 'allow_busy'] as const;
const none = [0, 0, 0] as const;

export const connectionCommands: readonly CommandSpec[] = [
  {
    name: 'auth',
    arity: -2,
    flags: session,
    keys: none,
    group: 'connection',
    since: '1.0.0',
    summary: 'Proves who the client is.',
    run: auth,
  },
  {
    name: 'client',
    arity: -2,
    flags: [],
    keys: none,
    group: 'connection',
    since: '2.4.0',
    summary: 'Holds the commands about clients.',
    subcommands: clientSubcommands,
  },
  {
    name: 'echo',
    arity: 2,
    flags: ['loading', 'stale', 'fast'],
    keys: none,
    group: 'connection',
    since: '1.0.0',
    summary: 'Answers with the word it was given.',
    run: echo,
  },
  {
    name: 'hello',
    arity: -1,
    flags: session,
    keys: none,
    group: 'connection',
    since: '6.0.0',
    summary: 'Agrees on the protocol, and may authenticate and name the client.',
    run: hello,
  },
  {
    name: 'ping',
    arity: -1,
    flags: ['fast'],
    keys: none,
    group: 'connection',
    since: '1.0.0',
    summary: 'Tells that the server is alive.',
    run: ping,
  },
  {
    name: 'quit',
    arity: -1,
    flags: session,
    keys: none,
    group: 'connection',
    since: '1.0.0',
    summary: 'Closes the connection.',
    run: quit,
  },
  {
    name: 'reset',
    arity: 1,
    flags: session,
    keys: none,
    group: 'connection',
    since: '6.2.0',
    summary: 'Puts the connection back to how it began.',
    run: reset,
  },
  {
    name: 'select',
    arity: 2,
    flags: ['loading', 'stale', 'fast'],
    keys: none,
    group: 'connection',
    since: '1.0.0',
    summary: 'Chooses the database.',
    run: select,
  },
];
