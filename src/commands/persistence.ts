// Commands about the files of the dataset: SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE. Only server.ts imports this file.
import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { rowsOf } from './rows.ts';

const NO_FILES = 'ERR this server has no files';

function lastSave(call: Call): void {
  call.reply.integer(call.server.persistence.lastSaveTime);
}

function save(call: Call): void {
  const { reply, server } = call;
  if (server.persistence.job?.kind === 'rdb') {
    reply.error('ERR Background save already in progress');
    return;
  }
  const control = server.hooks.persistence;
  const problem = control === undefined ? NO_FILES : control.save();
  if (problem === null) reply.ok();
  else reply.error(`ERR ${problem}`);
}

function bgsave(call: Call): void {
  const { reply, server } = call;
  const { persistence } = server;
  const schedule = call.argc === 2 && call.is(1, 'schedule');
  if (call.argc > 1 && !schedule) {
    call.syntaxError();
    return;
  }
  if (server.hooks.persistence === undefined) reply.error(NO_FILES);
  else if (persistence.job?.kind === 'rdb') reply.error('ERR Background save already in progress');
  else if (call.client.inExec || (persistence.job !== null && schedule)) {
    persistence.saveScheduled = true;
    reply.simple('Background saving scheduled');
  } else if (persistence.job !== null) {
    reply.error(
      "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a " +
        'BGSAVE whenever possible.',
    );
  } else {
    server.hooks.persistence.startSave();
    reply.simple('Background saving started');
  }
}

function bgrewriteaof(call: Call): void {
  const { reply, server } = call;
  const { persistence } = server;
  if (persistence.job?.kind === 'aof') {
    reply.error('ERR Background append only file rewriting already in progress');
  } else if (persistence.job !== null || call.client.inExec) {
    persistence.rewriteScheduled = true;
    // Asked for by hand: what failed before does not hold it up.
    persistence.rewriteFailures = 0;
    reply.simple('Background append only file rewriting scheduled');
  } else if (server.hooks.persistence?.startRewrite() === true) {
    reply.simple('Background append only file rewriting started');
  } else {
    reply.error("ERR Can't execute an AOF background rewriting. Please check the server logs for more information.");
  }
}

const row = rowsOf('server');

export const persistenceCommands: readonly CommandSpec[] = [
  row(
    'bgrewriteaof',
    1,
    ['admin', 'noscript', 'no_async_loading'],
    '1.0.0',
    'Rewrites the append-only file in the background.',
    bgrewriteaof,
  ),
  row(
    'bgsave',
    -1,
    ['admin', 'noscript', 'no_async_loading'],
    '1.0.0',
    'Writes the dataset to disk in the background.',
    bgsave,
  ),
  row('lastsave', 1, ['loading', 'stale', 'fast'], '1.0.0', 'Tells when the dataset was last saved.', lastSave),
  row(
    'save',
    1,
    ['admin', 'noscript', 'no_async_loading', 'no_multi'],
    '1.0.0',
    'Writes the dataset to disk, now.',
    save,
  ),
];
