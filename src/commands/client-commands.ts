// CLIENT and its subcommands, as far as they need neither blocking commands nor tracking.
import type { User } from '../core/acl/user.ts';
import type { Call } from '../core/call.ts';
import { type Client, REPLY_OFF, REPLY_ON, REPLY_SKIP_NEXT } from '../core/client.ts';
import type { CommandFlag, CommandSpec } from '../core/command.ts';
import { subcommandError } from './help.ts';
import { helpRow, rowsOf } from './rows.ts';
import { clientCaching, clientGetRedir, clientTracking, clientTrackingInfo } from './tracking.ts';

function clientId(call: Call): void {
  call.reply.integer(call.client.id);
}

function clientInfo(call: Call): void {
  call.reply.verbatim(`${call.client.infoLine()}\n`, 'txt');
}

const TYPES = ['normal', 'master', 'replica', 'slave', 'pubsub'];

function clientList(call: Call): void {
  const { reply, server } = call;
  let chosen: Iterable<Client> = server.clients.values();
  if (call.argc === 4 && call.is(2, 'type')) {
    const type = call.latin1(3).toLowerCase();
    if (!TYPES.includes(type)) {
      reply.error(`ERR Unknown client type '${call.cText(3)}'`);
      return;
    }
    const wanted = type === 'slave' ? 'replica' : type;
    chosen = [...server.clients.values()].filter((client) => client.type === wanted);
  } else if (call.argc > 3 && call.is(2, 'id')) {
    const ids: Client[] = [];
    for (let i = 3; i < call.argc; i++) {
      const id = call.integer(i, 'ERR Invalid client ID');
      if (Number.isNaN(id)) return;
      const client = server.clients.get(id);
      if (client !== undefined) ids.push(client);
    }
    chosen = ids;
  } else if (call.argc !== 2) {
    call.syntaxError();
    return;
  }
  let text = '';
  for (const client of chosen) text += `${client.infoLine()}\n`;
  reply.verbatim(text, 'txt');
}

function clientSetName(call: Call): void {
  const name = call.latin1(2);
  if (!/^[!-~]*$/.test(name)) {
    call.reply.error('ERR Client names cannot contain spaces, newlines or special characters.');
    return;
  }
  call.client.name = name;
  call.reply.ok();
}

function clientGetName(call: Call): void {
  if (call.client.name === '') call.reply.null();
  else call.reply.bulkLatin1(call.client.name);
}

interface KillFilter {
  id: number | null;
  address: string | null;
  localAddress: string | null;
  type: string | null;
  user: User | null;
  skipMe: boolean;
}

function clientKill(call: Call): void {
  const { client, reply, server } = call;
  // The old form names one address, may be this client's own, and answers OK.
  const isOld = call.argc === 3;
  const filter = isOld ? { ...NO_FILTER, address: call.latin1(2), skipMe: false } : killFilter(call);
  if (filter === null) return;
  let killed = 0;
  for (const other of [...server.clients.values()]) {
    if (!matches(other, filter) || (filter.skipMe && other === client)) continue;
    if (other === client) client.closeAfterReply();
    else other.close();
    killed++;
  }
  if (!isOld) reply.integer(killed);
  else if (killed > 0) reply.ok();
  else reply.error('ERR No such client');
}

function killFilter(call: Call): KillFilter | null {
  const { reply } = call;
  const filter: KillFilter = { ...NO_FILTER };
  for (let i = 2; i < call.argc; i += 2) {
    if (i + 1 >= call.argc) {
      call.syntaxError();
      return null;
    }
    const value = call.latin1(i + 1);
    if (call.is(i, 'id')) {
      const id = call.integer(i + 1, 'ERR client-id should be greater than 0');
      if (Number.isNaN(id)) return null;
      if (id < 1) reply.error('ERR client-id should be greater than 0');
      if (id < 1) return null;
      filter.id = id;
    } else if (call.is(i, 'addr')) filter.address = value;
    else if (call.is(i, 'laddr')) filter.localAddress = value;
    else if (call.is(i, 'type')) {
      const type = value.toLowerCase();
      if (!TYPES.includes(type)) {
        reply.error(`ERR Unknown client type '${value}'`);
        return null;
      }
      filter.type = type === 'slave' ? 'replica' : type;
    } else if (call.is(i, 'user')) {
      filter.user = call.server.acl.find(value);
      if (filter.user === null) {
        reply.error(`ERR No such user '${value}'`);
        return null;
      }
    } else if (call.is(i, 'skipme') && (call.is(i + 1, 'yes') || call.is(i + 1, 'no'))) {
      filter.skipMe = call.is(i + 1, 'yes');
    } else {
      call.syntaxError();
      return null;
    }
  }
  return filter;
}

const NO_FILTER: KillFilter = {
  id: null,
  address: null,
  localAddress: null,
  type: null,
  user: null,
  skipMe: true,
};

function matches(client: Client, filter: KillFilter): boolean {
  if (filter.id !== null && client.id !== filter.id) return false;
  if (filter.address !== null && client.address !== filter.address) return false;
  if (filter.localAddress !== null && client.localAddress !== filter.localAddress) return false;
  if (filter.user !== null && filter.user !== client.user) return false;
  return filter.type === null || filter.type === client.type;
}

function clientPause(call: Call): void {
  let all = true;
  if (call.argc === 4) {
    if (call.is(3, 'write')) all = false;
    else if (!call.is(3, 'all')) {
      call.reply.error('ERR CLIENT PAUSE mode must be WRITE or ALL');
      return;
    }
  } else if (call.argc > 4) {
    subcommandError(call);
    return;
  }
  const duration = call.integer(2, 'ERR timeout is not an integer or out of range');
  if (Number.isNaN(duration)) return;
  if (duration < 0) {
    call.reply.error('ERR timeout is negative');
    return;
  }
  // An end that no 64-bit time can hold lies in the past, as in Redis: nobody waits.
  if (duration < 2 ** 63 - call.server.clock.unixMs) call.server.pauseClients(all, duration);
  call.reply.ok();
}

function clientUnpause(call: Call): void {
  call.server.unpauseClients();
  call.reply.ok();
}

function clientNoEvict(call: Call): void {
  if (!call.is(2, 'on') && !call.is(2, 'off')) {
    call.syntaxError();
    return;
  }
  call.client.noEvict = call.is(2, 'on');
  if (call.server.clientMemory.limit > 0) call.server.clientMemory.update(call.client);
  call.reply.ok();
}

function clientReply(call: Call): void {
  const { client } = call;
  if (call.is(2, 'on')) {
    // A SKIP before it in the same EXEC still counts for what comes after EXEC.
    if (client.replyMode !== REPLY_SKIP_NEXT) client.replyMode = REPLY_ON;
    call.reply.ok();
  } else if (call.is(2, 'off')) client.replyMode = REPLY_OFF;
  else if (!call.is(2, 'skip')) call.syntaxError();
  else if (client.replyMode !== REPLY_OFF) client.replyMode = REPLY_SKIP_NEXT;
}

function clientUnblock(call: Call): void {
  const { reply, server } = call;
  const byError = call.argc === 4 && call.is(3, 'error');
  if (call.argc > 4) {
    subcommandError(call);
    return;
  }
  if (call.argc === 4 && !byError && !call.is(3, 'timeout')) {
    reply.error('ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR');
    return;
  }
  const id = call.integer(2);
  if (Number.isNaN(id)) return;
  const target = server.clients.get(id);
  if (target === undefined || target.blocked === null || target.blocked.request.kind === 'module') {
    reply.integer(0);
    return;
  }
  if (byError) server.blocking.unblock(target, (other) => other.error(UNBLOCKED), 'failed');
  else server.blocking.timeOut(target, 'failed');
  reply.integer(1);
}

const UNBLOCKED = 'UNBLOCKED client unblocked via CLIENT UNBLOCK';

const HELP = [
  'CACHING (YES|NO)',
  '    Whether the keys of the next command are tracked (modes OPTIN and OPTOUT).',
  'GETNAME',
  '    The name of this connection.',
  'GETREDIR',
  '    The connection that gets the tracking messages of this one.',
  'ID',
  '    The number of this connection.',
  'INFO',
  '    Facts about this connection.',
  'KILL <ip:port>',
  '    Closes the connection from <ip:port>.',
  'KILL <option> <value> [<option> <value> ...]',
  '    Closes the connections that fit all options:',
  '    * ADDR <ip:port>, LADDR <ip:port>: the address at the other side, at ours.',
  '    * ID <client-id>, TYPE (NORMAL|MASTER|REPLICA|PUBSUB), USER <username>.',
  '    * SKIPME (YES|NO): whether to spare this connection (default: yes).',
  'LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)] [ID <client-id> ...]',
  '    Facts about connections.',
  'NO-EVICT (ON|OFF)',
  '    Protects this connection from being evicted.',
  'PAUSE <timeout> [WRITE|ALL]',
  '    Holds back all commands, or those that write, for <timeout> milliseconds.',
  'REPLY (ON|OFF|SKIP)',
  '    Which replies this connection gets.',
  'SETNAME <name>',
  '    Names this connection.',
  'TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]',
  '         [OPTIN] [OPTOUT] [NOLOOP]',
  '    Whether this connection is told when keys change that it may hold.',
  'TRACKINGINFO',
  '    How tracking is set for this connection.',
  'UNBLOCK <clientid> [TIMEOUT|ERROR]',
  '    Ends the waiting of a connection, as if its time were up or with an error.',
  'UNPAUSE',
  '    Ends a pause.',
];

const own: readonly CommandFlag[] = ['noscript', 'loading', 'stale'];
const admin: readonly CommandFlag[] = ['admin', ...own];
const row = rowsOf('connection', 'client|');

export const clientSubcommands: readonly CommandSpec[] = [
  row('caching', 3, own, '6.0.0', 'Tells whether the next command is tracked.', clientCaching),
  row('getname', 2, own, '2.6.9', 'Tells the name of the connection.', clientGetName),
  row('getredir', 2, own, '6.0.0', 'Tells who gets the tracking messages.', clientGetRedir),
  helpRow(row, '5.0.0', HELP),
  row('id', 2, own, '5.0.0', 'Tells the number of the connection.', clientId),
  row('info', 2, own, '6.2.0', 'Tells facts about the connection.', clientInfo),
  row('kill', -3, admin, '2.4.0', 'Closes connections.', clientKill),
  row('list', -2, admin, '2.4.0', 'Tells facts about all connections.', clientList),
  row('no-evict', 3, admin, '7.0.0', 'Protects the connection from eviction.', clientNoEvict),
  row('pause', -3, admin, '3.0.0', 'Holds commands back for a time.', clientPause),
  row('reply', 3, own, '3.2.0', 'Chooses which commands are answered.', clientReply),
  row('setname', 3, own, '2.6.9', 'Names the connection.', clientSetName),
  row('tracking', -3, own, '6.0.0', 'Turns tracking of keys on or off.', clientTracking),
  row('trackinginfo', 2, own, '6.2.0', 'Tells how tracking is set.', clientTrackingInfo),
  row('unblock', -3, admin, '5.0.0', 'Ends the waiting of a connection.', clientUnblock),
  row('unpause', 2, admin, '6.2.0', 'Ends CLIENT PAUSE.', clientUnpause),
];
