// ACL and its subcommands: users, what they may do, what they were denied. The rules themselves are in src/core/acl.
// Reply texts are Redis 7.0's. Only table.ts imports this file.
import { describeChannels, describeCommands, describeKeys } from '../core/acl/describe.ts';
import { ALLOWED } from '../core/acl/permission.ts';
import { refusalOfTrial } from '../core/acl/refusals.ts';
import { CATEGORIES } from '../core/acl/rule-commands.ts';
import { hasSpaces, type Selector } from '../core/acl/selector.ts';
import type { Call } from '../core/call.ts';
import type { CommandFlag, CommandSpec } from '../core/command.ts';
import { WordList } from '../core/nested-call.ts';
import { subcommandError } from './help.ts';
import { helpRow, rowsOf } from './rows.ts';

const GENPASS_BITS = 256;
const GENPASS_BITS_MAX = 4096;
const LOG_ENTRIES = 10;
const NO_FILE =
  'ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER ' +
  'command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users ' +
  'in the Redis configuration.';

function setUser(call: Call): void {
  for (let i = 2; i < call.argc; i++) call.redact(i);
  const name = call.latin1(2);
  if (hasSpaces(name)) {
    call.reply.error("ERR Usernames can't contain spaces or null characters");
    return;
  }
  const rules = Array.from({ length: call.argc - 3 }, (_, i) => call.latin1(i + 3));
  const problem = call.server.acl.setUser(name, rules);
  if (problem === null) call.reply.ok();
  else call.reply.error(`ERR ${problem.replace(/[\r\n]/g, ' ')}`);
}

function delUser(call: Call): void {
  const names = Array.from({ length: call.argc - 2 }, (_, i) => call.latin1(i + 2));
  if (names.includes(call.server.acl.defaultUser.name)) {
    call.reply.error("ERR The 'default' user cannot be removed");
    return;
  }
  call.reply.integer(names.filter((name) => call.server.acl.deleteUser(name)).length);
}

function getUser(call: Call): void {
  const { reply, server } = call;
  const user = server.acl.find(call.latin1(2));
  if (user === null) {
    reply.null();
    return;
  }
  reply.map(6);
  reply.bulkLatin1('flags');
  reply.set(user.flags.length);
  for (const flag of user.flags) reply.bulkLatin1(flag);
  reply.bulkLatin1('passwords');
  reply.array(user.passwords.length);
  for (const hash of user.passwords) reply.bulkLatin1(hash);
  selectorReply(call, user.root);
  reply.bulkLatin1('selectors');
  reply.array(user.selectors.length - 1);
  for (const selector of user.selectors.slice(1)) {
    reply.map(3);
    selectorReply(call, selector);
  }
}

function selectorReply(call: Call, selector: Selector): void {
  const { reply, server } = call;
  reply.bulkLatin1('commands');
  reply.bulkLatin1(describeCommands(selector, server.acl.commands));
  reply.bulkLatin1('keys');
  reply.bulkLatin1(describeKeys(selector).join(' '));
  reply.bulkLatin1('channels');
  reply.bulkLatin1(describeChannels(selector).join(' '));
}

function bulkList(call: Call, texts: readonly string[]): void {
  call.reply.array(texts.length);
  for (const text of texts) call.reply.bulkLatin1(text);
}

function cat(call: Call): void {
  if (call.argc > 3) subcommandError(call);
  else if (call.argc === 2) bulkList(call, CATEGORIES);
  else {
    const commands = call.server.acl.commands.inCategory(call.latin1(2));
    if (commands === null) call.reply.error(`ERR Unknown category '${call.latin1(2).slice(0, 128)}'`);
    else
      bulkList(
        call,
        commands.map(({ name }) => name),
      );
  }
}

function genPass(call: Call): void {
  const { reply, server } = call;
  if (call.argc > 3) {
    subcommandError(call);
    return;
  }
  const bits = call.argc === 3 ? call.integer(2) : GENPASS_BITS;
  if (Number.isNaN(bits)) return;
  if (bits <= 0 || bits > GENPASS_BITS_MAX) {
    reply.error(
      `ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to ${GENPASS_BITS_MAX}`,
    );
    return;
  }
  const digits = Math.ceil(bits / 4);
  let password = '';
  while (password.length < digits) password += (server.random.int32() >>> 0).toString(16).padStart(8, '0');
  reply.bulkLatin1(password.slice(0, digits));
}

function log(call: Call): void {
  const { reply, server } = call;
  const { acl } = server;
  if (call.argc > 3) {
    subcommandError(call);
    return;
  }
  if (call.argc === 3 && call.is(2, 'reset')) {
    acl.log.reset();
    reply.ok();
    return;
  }
  const count = call.argc === 3 ? call.integer(2) : LOG_ENTRIES;
  if (Number.isNaN(count)) return;
  const entries = acl.log.entries.slice(0, Math.max(0, count));
  reply.array(entries.length);
  for (const entry of entries) {
    reply.map(7);
    reply.bulkLatin1('count');
    reply.integer(entry.count);
    for (const field of ['reason', 'context', 'object', 'username'] as const) {
      reply.bulkLatin1(field);
      reply.bulkLatin1(entry[field]);
    }
    reply.bulkLatin1('age-seconds');
    reply.double(String((server.clock.unixMs - entry.time) / 1000));
    reply.bulkLatin1('client-info');
    reply.bulkLatin1(entry.clientInfo);
  }
}

function load(call: Call): void {
  const { reply, server } = call;
  const { aclfile } = server.config;
  const problem = aclfile === '' ? NO_FILE.slice(4) : server.acl.load(aclfile);
  if (problem === null) reply.ok();
  else reply.error(`ERR ${problem}`);
}

function save(call: Call): void {
  const { reply, server } = call;
  const { aclfile } = server.config;
  if (aclfile === '') {
    reply.error(NO_FILE);
    return;
  }
  const problem = server.acl.save(aclfile);
  if (problem === null) reply.ok();
  else {
    server.log.warning(`The ACL file '${aclfile}' could not be written: ${problem}`);
    reply.error('ERR There was an error trying to save the ACLs. Please check the server logs for more information');
  }
}

function dryRun(call: Call): void {
  const { reply, server } = call;
  const user = server.acl.find(call.latin1(2));
  if (user === null) {
    reply.error(`ERR User '${call.latin1(2)}' not found`);
    return;
  }
  const words = new WordList();
  for (let i = 3; i < call.argc; i++) words.addBytes(call.bytes, call.offsets[i], call.lengths[i]);
  const command = server.nested.find(words);
  if (command === null) {
    reply.error(`ERR Command '${call.latin1(3)}' not found`);
    return;
  }
  const { arity, spec } = command;
  if (arity > 0 ? words.argc !== arity : words.argc < -arity) {
    reply.error(`ERR wrong number of arguments for '${spec.name}' command`);
    return;
  }
  const denied = server.acl.check(user, spec, words);
  if (denied === ALLOWED) reply.ok();
  else reply.bulkLatin1(refusalOfTrial(denied, spec.name, call.latin1(3 + server.acl.deniedWord)));
}

const HELP = [
  'CAT [<category>]',
  '    Categories of commands, or the commands of one.',
  'DELUSER <username> [<username> ...]',
  '    Removes users, and closes their connections.',
  'DRYRUN <username> <command> [<arg> ...]',
  '    Whether a user may run a command, which is not run.',
  'GENPASS [<bits>]',
  '    A random password of so many bits (default: 256).',
  'GETUSER <username>',
  '    Facts about a user.',
  'LIST',
  '    The users as lines of an ACL file.',
  'LOAD',
  '    Reads the users from the ACL file.',
  'LOG [<count> | RESET]',
  '    What was denied latest, or an end to it.',
  'SAVE',
  '    Writes the users to the ACL file.',
  'SETUSER <username> [<rule> ...]',
  '    Makes or changes a user.',
  'USERS',
  '    The names of the users.',
  'WHOAMI',
  '    The user of this connection.',
];

const own: readonly CommandFlag[] = ['noscript', 'loading', 'stale'];
const admin: readonly CommandFlag[] = ['admin', ...own];
const row = rowsOf('server', 'acl|');

export const aclCommands: readonly CommandSpec[] = [
  {
    name: 'acl',
    arity: -2,
    flags: [],
    keys: [0, 0, 0],
    group: 'server',
    since: '6.0.0',
    summary: 'Holds the commands about users.',
    subcommands: [
      row('cat', -2, own, '6.0.0', 'Lists categories, or the commands of one.', cat),
      row('deluser', -3, admin, '6.0.0', 'Removes users and closes their connections.', delUser),
      row('dryrun', -4, admin, '7.0.0', 'Tells whether a user may run a command.', dryRun),
      row('genpass', -2, own, '6.0.0', 'Makes up a password.', genPass),
      row('getuser', 3, admin, '6.0.0', 'Tells the rules of a user.', getUser),
      helpRow(row, '6.0.0', HELP),
      row('list', 2, admin, '6.0.0', 'Lists the rules of all users.', (call) => bulkList(call, call.server.acl.lines)),
      row('load', 2, admin, '6.0.0', 'Reads the users from their file.', load),
      row('log', -2, admin, '6.0.0', 'Tells what was denied latest.', log),
      row('save', 2, admin, '6.0.0', 'Writes the users to their file.', save),
      row('setuser', -3, admin, '6.0.0', 'Makes or changes a user.', setUser),
      row('users', 2, admin, '6.0.0', 'Lists the names of all users.', (call) =>
        bulkList(
          call,
          call.server.acl.users.map(({ name }) => name),
        ),
      ),
      row('whoami', 2, own, '6.0.0', 'Tells the user of the connection.', (call) =>
        call.reply.bulkLatin1(call.client.user.name),
      ),
    ],
  },
];
