// HyperLogLog commands on strings in Redis's own format (data/hyperloglog.ts). Reply texts are Redis 7.0's. Only
// table.ts imports this file.
import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { STRING_CHANGED } from '../core/database.ts';
import { keyModified, readString, WRONG, writeString } from '../core/lookup.ts';
import { NOTIFY_STRING } from '../core/notify-flags.ts';
import {
  estimate,
  HLL_CHANGED,
  HLL_CORRUPT,
  HLL_REGISTERS,
  HLL_SPARSE,
  HyperLogLog,
  isHyperLogLog,
} from '../data/hyperloglog.ts';

const CORRUPT = 'INVALIDOBJ Corrupted HLL object detected';
const NOT_ONE = 'WRONGTYPE Key is not a valid HyperLogLog string value.';

/**
 * The value of word `i`, null when the key is missing, undefined after an error reply.
 * @param entry of `readString` or `writeString`.
 */
function valueAt(call: Call, entry: number): HyperLogLog | null | undefined {
  const { db } = call;
  if (entry === 0) return null;
  if (entry === WRONG) return undefined;
  const bytes = db.bytesOf(entry);
  const start = db.valueOffset(entry);
  const length = db.valueLength(entry);
  if (isHyperLogLog(bytes, start, length)) {
    return HyperLogLog.of(bytes, start, length, call.server.config.hllSparseMaxBytes);
  }
  call.reply.error(NOT_ONE);
  return undefined;
}

function store(call: Call, i: number, hll: HyperLogLog): void {
  const { bytes, offsets, lengths } = call;
  call.db.setString(bytes, offsets[i], lengths[i], hll.bytes, 0, hll.length, true, STRING_CHANGED);
}

function pfadd(call: Call): void {
  const found = valueAt(call, writeString(call, 1));
  if (found === undefined) return;
  const hll = found ?? new HyperLogLog(call.server.config.hllSparseMaxBytes);
  let updated = found === null ? 1 : 0;
  for (let i = 2; i < call.argc; i++) {
    const result = hll.add(call.bytes, call.offsets[i], call.lengths[i]);
    if (result === HLL_CORRUPT) {
      // What was added before the damage was met stays, untold, as in Redis.
      if (updated > 0) store(call, 1, hll);
      call.reply.error(CORRUPT);
      return;
    }
    if (result === HLL_CHANGED) updated++;
  }
  if (updated > 0) {
    hll.invalidate();
    store(call, 1, hll);
    keyModified(call, 1, NOTIFY_STRING, 'pfadd');
    call.server.dirty += updated - 1;
  }
  call.reply.integer(updated > 0 ? 1 : 0);
}

function pfcount(call: Call): void {
  if (call.argc === 2) countOne(call);
  else {
    const registers = new Uint8Array(HLL_REGISTERS);
    for (let i = 1; i < call.argc; i++) {
      const hll = valueAt(call, readString(call, i));
      if (hll === undefined) return;
      if (hll !== null && !hll.mergeInto(registers)) {
        call.reply.error(CORRUPT);
        return;
      }
    }
    call.reply.integer(estimate(registers));
  }
}

/** The count is kept in the string: reading it may change the key, which replicas have to follow. */
function countOne(call: Call): void {
  const { bytes, offsets, lengths, db, reply } = call;
  const hll = valueAt(call, readString(call, 1));
  if (hll === undefined) return;
  let count = hll === null ? 0 : hll.cachedCount;
  if (hll !== null && count < 0) {
    count = hll.count();
    if (count < 0) {
      reply.error(CORRUPT);
      return;
    }
    hll.cachedCount = count;
    store(call, 1, hll);
    db.keyspace.hooks.keyModified(db, bytes, offsets[1], lengths[1]);
    call.server.dirty++;
  }
  if (hll === null || Number.isSafeInteger(count)) reply.integer(count);
  else reply.bigInteger(hll.exactCount);
}

function pfmerge(call: Call): void {
  const registers = new Uint8Array(HLL_REGISTERS);
  let dense = false;
  let target: HyperLogLog | null = null;
  for (let i = 1; i < call.argc; i++) {
    const hll = valueAt(call, readString(call, i));
    if (hll === undefined) return;
    if (i === 1) target = hll;
    if (hll === null) continue;
    dense ||= hll.encoding !== HLL_SPARSE;
    if (!hll.mergeInto(registers)) {
      call.reply.error(CORRUPT);
      return;
    }
  }
  target ??= new HyperLogLog(call.server.config.hllSparseMaxBytes);
  if (dense) target.toDense();
  for (let i = 0; i < HLL_REGISTERS; i++) if (registers[i] !== 0) target.raise(i, registers[i]);
  target.invalidate();
  store(call, 1, target);
  keyModified(call, 1, NOTIFY_STRING, 'pfadd');
  call.reply.ok();
}

function pfdebug(call: Call): void {
  const { reply } = call;
  const entry = writeString(call, 2);
  const hll = valueAt(call, entry);
  if (hll === undefined) return;
  if (hll === null) reply.error('ERR The specified key does not exist');
  else if (call.is(1, 'getreg')) {
    if (!becomeDense(call, hll)) return;
    const registers = new Uint8Array(HLL_REGISTERS);
    hll.mergeInto(registers);
    reply.array(HLL_REGISTERS);
    for (const value of registers) reply.integer(value);
  } else if (call.is(1, 'decode')) {
    if (hll.encoding !== HLL_SPARSE) reply.error('ERR HLL encoding is not sparse');
    else reply.bulkLatin1(hll.describe());
  } else if (call.is(1, 'encoding')) {
    reply.simple(hll.encoding === HLL_SPARSE ? 'sparse' : 'dense');
  } else if (call.is(1, 'todense')) {
    const converts = hll.encoding === HLL_SPARSE;
    if (becomeDense(call, hll)) reply.integer(converts ? 1 : 0);
  } else reply.error(`ERR Unknown PFDEBUG subcommand '${call.cText(1)}'`);
}

/** @returns false after an error was replied. */
function becomeDense(call: Call, hll: HyperLogLog): boolean {
  if (hll.encoding !== HLL_SPARSE) return true;
  if (!hll.toDense()) {
    call.reply.error(CORRUPT);
    return false;
  }
  store(call, 2, hll);
  call.server.dirty++;
  return true;
}

const SELF_TEST_ELEMENTS = 1_000_000;

/** Dense and sparse agree, and the error stays within six times what theory says. */
function pfselftest(call: Call): void {
  const { random, config } = call.server;
  const dense = new HyperLogLog(config.hllSparseMaxBytes);
  const sparse = new HyperLogLog(config.hllSparseMaxBytes);
  dense.toDense();
  const element = new Uint8Array(8);
  const words = new Int32Array(element.buffer);
  const seed = random.int32();
  words[1] = random.int32();
  let checkpoint = 1;
  for (let i = 1; i <= SELF_TEST_ELEMENTS; i++) {
    words[0] = i ^ seed;
    dense.add(element, 0, 8);
    sparse.add(element, 0, 8);
    if (i !== checkpoint) continue;
    if (i < config.hllSparseMaxBytes / 2 && sparse.encoding !== HLL_SPARSE) {
      call.reply.error('ERR TESTFAILED sparse encoding not used');
      return;
    }
    const count = dense.count();
    if (count !== sparse.count()) {
      call.reply.error('ERR TESTFAILED dense/sparse disagree');
      return;
    }
    const errorMax = i === 10 ? 1 : Math.ceil((1.04 / Math.sqrt(HLL_REGISTERS)) * 6 * i);
    if (Math.abs(i - count) > errorMax) {
      call.reply.error(`ERR TESTFAILED Too big error. card:${i} abserr:${Math.abs(i - count)}`);
      return;
    }
    checkpoint *= 10;
  }
  call.reply.ok();
}

const base = { group: 'hyperloglog', since: '2.8.9' } as const;

export const hyperloglogCommands: readonly CommandSpec[] = [
  {
    ...base,
    name: 'pfadd',
    arity: -2,
    flags: ['write', 'denyoom', 'fast'],
    keys: [1, 1, 1],
    run: pfadd,
    summary: 'Counts elements in, each once.',
  },
  {
    ...base,
    name: 'pfcount',
    arity: -2,
    flags: ['readonly', 'may_replicate'],
    keys: [1, -1, 1],
    run: pfcount,
    summary: 'Tells about how many different elements were counted in by one or several keys.',
  },
  {
    ...base,
    name: 'pfdebug',
    arity: 3,
    flags: ['write', 'denyoom', 'admin'],
    keys: [2, 2, 1],
    run: pfdebug,
    summary: 'Looks into a HyperLogLog.',
  },
  {
    ...base,
    name: 'pfmerge',
    arity: -2,
    flags: ['write', 'denyoom'],
    keys: [1, -1, 1],
    run: pfmerge,
    summary: 'Joins what several keys have counted into the first.',
  },
  {
    ...base,
    name: 'pfselftest',
    arity: 1,
    flags: ['admin'],
    keys: [0, 0, 0],
    run: pfselftest,
    summary: 'Tests the implementation.',
  },
];
