// MEMORY: what keys and the server take. Figures of keys are exact where they lie in the arena. Only table.ts imports
// this file.
import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { memoryFacts } from '../core/memory-facts.ts';
import { TYPE_STRING } from '../data/value-type.ts';
import { helpRow, rowsOf } from './rows.ts';

function usage(call: Call): void {
  const { argc, db, reply } = call;
  // Nothing is sampled, so that the number does not matter; it must be one all the same.
  for (let i = 3; i < argc; i += 2) {
    const samples = i + 1 < argc && call.is(i, 'samples') ? call.integer(i + 1) : -1;
    if (Number.isNaN(samples)) return;
    if (samples >= 0) continue;
    call.syntaxError();
    return;
  }
  const entry = db.findForRead(call.bytes, call.offsets[2], call.lengths[2], false);
  if (entry === 0) {
    reply.null();
    return;
  }
  const value = db.typeOf(entry) === TYPE_STRING ? 0 : db.collectionOf(entry).memoryBytes();
  reply.integer(db.keyspace.arena.capacityOf(entry) + value);
}

const FIELDS_BEHIND_DATABASES = 17;

function stats(call: Call): void {
  const { reply, server } = call;
  const facts = memoryFacts(server);
  const full = server.databases.filter((db) => db.size > 0);
  const numbers: readonly (readonly [name: string, value: number])[] = [
    ['peak.allocated', facts.peak],
    ['total.allocated', facts.used],
    ['startup.allocated', facts.startup],
    ['replication.backlog', facts.replicationBacklog],
    ['clients.slaves', facts.replicas],
    ['clients.normal', facts.clients],
    ['cluster.links', 0],
    ['aof.buffer', facts.aofBuffer],
    ['lua.caches', 0],
    ['functions.caches', 0],
  ];
  reply.map(numbers.length + full.length + FIELDS_BEHIND_DATABASES);
  for (const [name, value] of numbers) field(call, name, value);
  for (const db of full) {
    reply.bulkLatin1(`db.${db.index}`);
    reply.map(3);
    field(call, 'overhead.hashtable.main', db.tableBytes);
    field(call, 'overhead.hashtable.expires', db.expiries.memory);
    field(call, 'overhead.hashtable.slot-to-keys', 0);
  }
  field(call, 'overhead.total', facts.overhead);
  field(call, 'keys.count', facts.keys);
  field(call, 'keys.bytes-per-key', facts.keys === 0 ? 0 : Math.floor(facts.netUsed / facts.keys));
  field(call, 'dataset.bytes', facts.dataset);
  decimal(call, 'dataset.percentage', facts.netUsed === 0 ? 0 : (facts.dataset / facts.netUsed) * 100);
  decimal(call, 'peak.percentage', (facts.used / facts.peak) * 100);
  field(call, 'allocator.allocated', facts.allocated);
  field(call, 'allocator.active', facts.active);
  field(call, 'allocator.resident', facts.resident);
  decimal(call, 'allocator-fragmentation.ratio', facts.active / facts.allocated);
  field(call, 'allocator-fragmentation.bytes', facts.active - facts.allocated);
  decimal(call, 'allocator-rss.ratio', facts.resident / facts.active);
  field(call, 'allocator-rss.bytes', facts.resident - facts.active);
  decimal(call, 'rss-overhead.ratio', 1);
  field(call, 'rss-overhead.bytes', 0);
  decimal(call, 'fragmentation', facts.resident / facts.used);
  field(call, 'fragmentation.bytes', facts.resident - facts.used);
}

function field(call: Call, name: string, value: number): void {
  call.reply.bulkLatin1(name);
  call.reply.integer(Math.round(value));
}

function decimal(call: Call, name: string, value: number): void {
  call.reply.bulkLatin1(name);
  call.reply.double(String(value));
}

const SMALL_BYTES = 5 * 1024 * 1024;

function doctor(call: Call): void {
  const { used, peak, resident, active, clients, connected } = memoryFacts(call.server);
  const found: string[] = [];
  if (used < SMALL_BYTES) found.push('There is hardly any data: nothing to be said yet.');
  else {
    if (peak / used > 1.5) {
      found.push('Peak memory: in the past more than one and a half times as much was used; the process may keep it.');
    }
    if (resident / active > 1.4 && resident - active > 10 * 1024 * 1024) {
      found.push('Resident memory is far above what is in use: mostly V8 that has not given its heap back yet.');
    }
    if (connected > 0 && clients / connected > 200 * 1024) {
      found.push('Clients use over 200 kB each: some do not read their replies, or send huge requests.');
    }
  }
  call.reply.verbatim(found.length === 0 ? 'No problem was found.' : `${found.join('\n')}\n`, 'txt');
}

function mallocStats(call: Call): void {
  const { arena } = call.server;
  const { resident, heapUsed } = memoryFacts(call.server);
  call.reply.verbatim(
    `Arena: ${arena.used} bytes in use, ${arena.reserved} reserved.\nV8's heap: ${heapUsed} bytes. ` +
      `Resident: ${resident} bytes.\n`,
    'txt',
  );
}

const HELP = [
  'DOCTOR',
  '    Says what is wrong with the use of memory.',
  'MALLOC-STATS',
  '    What the allocator says of itself.',
  'PURGE',
  '    Gives free memory back to the system.',
  'STATS',
  '    How much memory is used for what.',
  'USAGE <key> [SAMPLES <count>]',
  '    Bytes that a key and its value take. Nothing is estimated: <count> has no effect.',
];

const sub = rowsOf('server', 'memory|');

export const memoryCommands: readonly CommandSpec[] = [
  {
    name: 'memory',
    arity: -2,
    flags: [],
    keys: [0, 0, 0],
    group: 'server',
    since: '4.0.0',
    summary: 'Holds the commands about memory.',
    subcommands: [
      sub('doctor', 2, [], '4.0.0', 'Says what is wrong with the use of memory.', doctor),
      helpRow(sub, '4.0.0', HELP),
      sub('malloc-stats', 2, [], '4.0.0', 'Gives figures of the allocator.', mallocStats),
      sub('purge', 2, [], '4.0.0', 'Gives free memory back to the system.', (call) => {
        call.server.arena.trim();
        call.reply.ok();
      }),
      sub('stats', 2, [], '4.0.0', 'Tells how much memory is used for what.', stats),
      sub('usage', -3, ['readonly'], '4.0.0', 'Tells how many bytes a key takes.', usage, [2, 2, 1]),
    ],
  },
];
