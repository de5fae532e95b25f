// OBJECT: how a key's value is kept and when it was used. generic.ts lists it.
import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { TYPE_STRING } from '../data/value-type.ts';

/** Redis shares the integers below this number between keys, and says so in OBJECT REFCOUNT. */
const SHARED_INTEGERS = 10_000;
const SHARED_REFCOUNT = 2147483647;

const POLICY_NOTE =
  'Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.';

/** The entry of word 2, or 0 after null was replied. */
function entryOrNull(call: Call): number {
  const entry = call.db.peek(call.bytes, call.offsets[2], call.lengths[2]);
  if (entry === 0) call.reply.null();
  return entry;
}

function encoding(call: Call): void {
  const entry = entryOrNull(call);
  if (entry !== 0) call.reply.bulkLatin1(call.db.encodingOf(entry));
}

function refcount(call: Call): void {
  const { db } = call;
  const entry = entryOrNull(call);
  if (entry === 0) return;
  call.reply.integer(isShared(call, entry) ? SHARED_REFCOUNT : 1);

  function isShared(call: Call, entry: number): boolean {
    if (db.typeOf(entry) !== TYPE_STRING || db.encodingOf(entry) !== 'int') return false;
    const bytes = db.bytesOf(entry);
    const start = db.valueOffset(entry);
    const value = Number(Buffer.from(bytes.slice(start, start + db.valueLength(entry))).toString('latin1'));
    const { maxmemory, maxmemoryPolicy } = call.server.config;
    // With an LRU or LFU policy each key needs access bits of its own, so nothing is shared.
    const sharing = maxmemory === 0 || !/l[rf]u/.test(maxmemoryPolicy);
    return sharing && value >= 0 && value < SHARED_INTEGERS;
  }
}

function idletime(call: Call): void {
  const entry = entryOrNull(call);
  if (entry === 0) return;
  const { keyspace } = call.db;
  if (keyspace.lfu) {
    call.reply.error(`ERR An LFU maxmemory policy is selected, idle time not tracked. ${POLICY_NOTE}`);
  } else call.reply.integer(keyspace.idleSeconds(call.db.accessOf(entry)));
}

function freq(call: Call): void {
  const entry = entryOrNull(call);
  if (entry === 0) return;
  const { keyspace } = call.db;
  if (!keyspace.lfu) {
    call.reply.error(`ERR An LFU maxmemory policy is not selected, access frequency not tracked. ${POLICY_NOTE}`);
  } else call.reply.integer(keyspace.decayed(call.db.accessOf(entry)));
}

const HELP = [
  'OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:',
  'ENCODING <key>',
  '    Return the kind of internal representation used in order to store the value',
  '    associated with a <key>.',
  'FREQ <key>',
  '    Return the access frequency index of the <key>. The returned integer is',
  '    proportional to the logarithm of the recent access frequency of the key.',
  'IDLETIME <key>',
  '    Return the idle time of the <key>, that is the approximated number of',
  '    seconds elapsed since the last access to the key.',
  'REFCOUNT <key>',
  '    Return the number of references of the value associated with the specified',
  '    <key>.',
  'HELP',
  '    Prints this help.',
];

function help(call: Call): void {
  call.reply.array(HELP.length);
  for (const line of HELP) call.reply.simple(line);
}

const onKey = { arity: 3, flags: ['readonly'], keys: [2, 2, 1], group: 'generic' } as const;

export const objectCommand: CommandSpec = {
  name: 'object',
  arity: -2,
  flags: [],
  keys: [0, 0, 0],
  group: 'generic',
  since: '2.2.3',
  summary: 'Commands that look at how a value is kept.',
  subcommands: [
    {
      ...onKey,
      name: 'object|encoding',
      since: '2.2.3',
      run: encoding,
      summary: 'Names the representation of a value.',
    },
    {
      ...onKey,
      name: 'object|freq',
      since: '4.0.0',
      run: freq,
      summary: 'Gives the access frequency counter of a key.',
    },
    {
      ...onKey,
      name: 'object|idletime',
      since: '2.2.3',
      run: idletime,
      summary: 'Tells for how long a key was not used.',
    },
    {
      ...onKey,
      name: 'object|refcount',
      since: '2.2.3',
      run: refcount,
      summary: 'Tells how many references a value has.',
    },
    {
      name: 'object|help',
      arity: 2,
      flags: ['loading', 'stale'],
      keys: [0, 0, 0],
      group: 'generic',
      since: '6.2.0',
      run: help,
      summary: 'Lists the subcommands of OBJECT.',
    },
  ],
};
