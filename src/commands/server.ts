// Commands about the server: INFO, SAVE, SHUTDOWN, SLOWLOG, TIME, MONITOR, DEBUG and the like. CONFIG and COMMAND have
// files of their own.
import type { Call } from '../core/call.ts';
import type { CommandFlag, CommandSpec } from '../core/command.ts';
import { infoText } from '../core/info.ts';
import { REDIS_VERSION } from '../core/server.ts';
import { commandCommand } from './command.ts';
import { configCommand } from './config-commands.ts';
import { debug } from './debug.ts';
import { subcommandError } from './help.ts';
import { latencyCommand } from './latency.ts';
import { persistenceCommands } from './persistence.ts';
import { helpRow, rowsOf } from './rows.ts';

function info(call: Call): void {
  const sections: string[] = [];
  for (let i = 1; i < call.argc; i++) sections.push(call.latin1(i).toLowerCase());
  call.reply.verbatim(infoText(call.server, sections), 'txt');
}

function time(call: Call): void {
  const { unixMs } = call.server.clock;
  call.reply.array(2);
  call.reply.bulkInteger(Math.floor(unixMs / 1000));
  call.reply.bulkInteger((unixMs % 1000) * 1000);
}

function monitor(call: Call): void {
  if (call.client.inExec) {
    call.reply.error("ERR MONITOR isn't allowed for DENY BLOCKING client");
    return;
  }
  call.server.startMonitor(call.client);
  call.reply.ok();
}

/** A shutdown that has not begun yet, or waits for replicas, is called off. */
function abortShutdown(call: Call): void {
  const { reply, server } = call;
  if (server.scheduledShutdown === null && !server.pendingShutdown.active) {
    reply.error('ERR No shutdown in progress.');
    return;
  }
  server.scheduledShutdown = null;
  server.pendingShutdown.cancel();
  server.log.notice('Shutdown manually aborted.');
  reply.ok();
}

function shutdown(call: Call): void {
  const { reply, server } = call;
  let saving: 'default' | 'save' | 'nosave' = 'default';
  let now = false;
  let force = false;
  let abort = false;
  for (let i = 1; i < call.argc; i++) {
    if (call.is(i, 'nosave') && saving !== 'save') saving = 'nosave';
    else if (call.is(i, 'save') && saving !== 'nosave') saving = 'save';
    else if (call.is(i, 'now')) now = true;
    else if (call.is(i, 'force')) force = true;
    else if (call.is(i, 'abort')) abort = true;
    else {
      call.syntaxError();
      return;
    }
  }
  if (abort && call.argc > 2) call.syntaxError();
  else if (abort) abortShutdown(call);
  else if (server.busyError !== '' && saving !== 'nosave') reply.error(server.busyError);
  else {
    const problem = server.hooks.shutdown?.({ save: saving, now, force }) ?? null;
    if (problem !== null) reply.error(problem);
    else if (server.pendingShutdown.active) server.pendingShutdown.wait(call);
    else server.scripting?.endRun();
  }
}

// --- SLOWLOG ---

function slowlogGet(call: Call): void {
  const { reply, server } = call;
  let count = 10;
  if (call.argc > 3) {
    subcommandError(call);
    return;
  }
  if (call.argc === 3) {
    count = call.integer(2, 'ERR count should be greater than or equal to -1');
    if (Number.isNaN(count)) return;
    if (count < -1) {
      reply.error('ERR count should be greater than or equal to -1');
      return;
    }
  }
  const entries = count < 0 ? server.slowlog.entries : server.slowlog.entries.slice(0, count);
  reply.array(entries.length);
  for (const entry of entries) {
    reply.array(6);
    reply.integer(entry.id);
    reply.integer(entry.time);
    reply.integer(entry.durationUs);
    reply.array(entry.words.length);
    for (const word of entry.words) reply.bulkLatin1(word);
    reply.bulkLatin1(entry.peer);
    reply.bulkLatin1(entry.clientName);
  }
}

const SLOWLOG_HELP = [
  'GET [<count>]',
  '    The latest <count> entries (default: 10, -1 means all): number, time, duration, words, client.',
  'LEN',
  '    How many entries there are.',
  'RESET',
  '    Drops all entries.',
];

// --- LOLWUT ---

/** Every cable of a patch panel, drawn from the run id: the same server draws the same picture. */
function lolwut(call: Call): void {
  // There is one version of the drawing; its number must be one.
  if (call.argc > 2 && call.is(1, 'version') && Number.isNaN(call.integer(2))) return;
  const { runId } = call.server;
  let text = '';
  for (const digit of runId.slice(0, 8)) {
    const position = Number.parseInt(digit, 16);
    text += `o${'-'.repeat(position)}+${'-'.repeat(15 - position)}o\n`;
  }
  call.reply.verbatim(`${text}\nRedis ver. ${REDIS_VERSION}\n`, 'txt');
}

const none = [0, 0, 0] as const;
const row = rowsOf('server');
const adminFlags: readonly CommandFlag[] = ['admin', 'loading', 'stale'];

const slowlog: CommandSpec = {
  name: 'slowlog',
  arity: -2,
  flags: [],
  keys: none,
  group: 'server',
  since: '2.2.12',
  summary: 'Holds the commands about the slow log.',
  subcommands: [
    row('slowlog|get', -2, adminFlags, '2.2.12', 'Tells the latest slow commands.', slowlogGet),
    helpRow(rowsOf('server', 'slowlog|'), '6.2.0', SLOWLOG_HELP),
    row('slowlog|len', 2, adminFlags, '2.2.12', 'Counts the entries.', (call) =>
      call.reply.integer(call.server.slowlog.entries.length),
    ),
    row('slowlog|reset', 2, adminFlags, '2.2.12', 'Drops all entries.', (call) => {
      call.server.slowlog.reset();
      call.reply.ok();
    }),
  ],
};

export const serverCommands: readonly CommandSpec[] = [
  commandCommand,
  configCommand,
  row('debug', -2, ['admin', 'noscript', 'loading', 'stale'], '1.0.0', 'Helps those who test the server.', debug),
  row('info', -1, ['loading', 'stale'], '1.0.0', 'Tells facts and figures about the server.', info),
  latencyCommand,
  row('lolwut', -1, ['readonly', 'fast'], '5.0.0', 'Draws something.', lolwut),
  row(
    'monitor',
    1,
    ['admin', 'noscript', 'loading', 'stale'],
    '1.0.0',
    'Shows every command the server runs.',
    monitor,
  ),
  row(
    'shutdown',
    -1,
    ['admin', 'noscript', 'loading', 'stale', 'no_multi', 'allow_busy'],
    '1.0.0',
    'Saves if so configured and exits.',
    shutdown,
  ),
  ...persistenceCommands,
  slowlog,
  row('time', 1, ['loading', 'stale', 'fast'], '2.6.0', 'Tells the server\u2019s time.', time),
];
