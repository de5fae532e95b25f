// MULTI, EXEC, DISCARD, WATCH, UNWATCH. The dispatcher queues; here the queue is run.
import { ALLOWED } from '../core/acl/permission.ts';
import { refusalInExec } from '../core/acl/refusals.ts';
import type { Call } from '../core/call.ts';
import { GATE_ACL, REPLY_OFF } from '../core/client.ts';
import type { CommandSpec } from '../core/command.ts';
import type { Command } from '../core/command-table.ts';
import { REFUSED } from '../core/nested-call.ts';
import { Transaction } from '../core/transaction.ts';

function multi(call: Call): void {
  const { client } = call;
  if (client.transaction?.active === true) {
    call.reply.error('ERR MULTI calls can not be nested');
    return;
  }
  client.transaction ??= new Transaction();
  client.transaction.active = true;
  call.reply.ok();
}

function discard(call: Call): void {
  if (call.client.transaction?.active !== true) {
    call.reply.error('ERR DISCARD without MULTI');
    return;
  }
  forget(call);
  call.reply.ok();
}

function forget(call: Call): void {
  const { client, server } = call;
  if (client.transaction !== null) server.watches.unwatch(client.transaction);
  client.transaction = null;
}

function exec(call: Call): void {
  const { client, reply, server } = call;
  const { transaction } = client;
  if (transaction?.active !== true) {
    reply.error('ERR EXEC without MULTI');
    return;
  }
  const expired = server.watches.anyExpired(transaction, server.databases);
  const { broken, queue, touched } = transaction;
  forget(call);
  if (broken) {
    reply.error('EXECABORT Transaction discarded because of previous errors.');
    return;
  }
  if (touched || expired) {
    reply.nullArray();
    return;
  }
  reply.array(queue.length);
  client.inExec = true;
  for (const { command, words } of queue) {
    const mark = reply.length;
    const muted = client.replyMode === REPLY_OFF;
    // Rights may have changed since the command was queued, and may change in between.
    const check = (client.gate & GATE_ACL) === 0 ? null : mayStillRun;
    if (server.nested.runCommand(client, command, words, reply, check) === REFUSED) {
      reply.error(server.nested.refusal);
      server.stats.countError(server.nested.refusal);
      reply.countedErrors = reply.errors;
    }
    if (muted && client.replyMode === REPLY_OFF) reply.length = mark;
  }
  client.inExec = false;
  // Its commands are told, between MULTI and EXEC when they are several.
  call.dontPropagate();
}

function mayStillRun(call: Call, command: Command): string | null {
  const denied = call.server.acl.admit(call.client, command.spec, call, 'multi');
  return denied === ALLOWED ? null : refusalInExec(denied);
}

function watch(call: Call): void {
  const { client, server } = call;
  if (client.transaction?.active === true) {
    call.reply.error('ERR WATCH inside MULTI is not allowed');
    return;
  }
  client.transaction ??= new Transaction();
  for (let i = 1; i < call.argc; i++) {
    server.watches.watch(client.transaction, call.db, call.bytes, call.offsets[i], call.lengths[i]);
  }
  call.reply.ok();
}

function unwatch(call: Call): void {
  const { transaction } = call.client;
  if (transaction !== null) {
    call.server.watches.unwatch(transaction);
    transaction.touched = false;
  }
  call.reply.ok();
}

const begin = ['noscript', 'loading', 'stale', 'fast', 'allow_busy'] as const;
const none = [0, 0, 0] as const;

export const transactionCommands: readonly CommandSpec[] = [
  {
    name: 'discard',
    arity: 1,
    flags: begin,
    keys: none,
    group: 'transactions',
    since: '2.0.0',
    summary: 'Drops the queued commands.',
    run: discard,
  },
  {
    name: 'exec',
    arity: 1,
    flags: ['noscript', 'loading', 'stale', 'skip_slowlog'],
    keys: none,
    group: 'transactions',
    since: '1.2.0',
    summary: 'Runs the queued commands as one.',
    run: exec,
  },
  {
    name: 'multi',
    arity: 1,
    flags: begin,
    keys: none,
    group: 'transactions',
    since: '1.2.0',
    summary: 'Starts to queue commands.',
    run: multi,
  },
  {
    name: 'unwatch',
    arity: 1,
    flags: begin,
    keys: none,
    group: 'transactions',
    since: '2.2.0',
    summary: 'Forgets all watched keys.',
    run: unwatch,
  },
  {
    name: 'watch',
    arity: -2,
    flags: begin,
    keys: [1, -1, 1],
    group: 'transactions',
    since: '2.2.0',
    summary: 'Makes EXEC depend on keys staying as they are.',
    run: watch,
  },
];
