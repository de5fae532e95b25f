// Bitmap commands: strings seen as rows of bits. BITFIELD has a file of its own. Reply texts are Redis 7.0's. Only
// table.ts imports this file.
import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { STRING_CHANGED } from '../core/database.ts';
import { keyModified, readString, WRONG } from '../core/lookup.ts';
import { NOTIFY_STRING } from '../core/notify-flags.ts';
import { countBits, findBit } from '../data/bits.ts';
import { bitfield, bitfieldReadOnly } from './bitfield.ts';
import { bitOffset, stringWithBit } from './bitmap-strings.ts';
import { discardWord } from './key-deletion.ts';

const NOT_A_BIT = 'ERR bit is not an integer or out of range';

function setbit(call: Call): void {
  const { db, reply } = call;
  const position = bitOffset(call, 2, 0);
  if (Number.isNaN(position)) return;
  const on = call.integer(3, NOT_A_BIT);
  if (Number.isNaN(on)) return;
  if (on !== 0 && on !== 1) {
    reply.error(NOT_A_BIT);
    return;
  }
  const string = stringWithBit(call, position);
  if (string === null) return;
  const { entry, changed } = string;
  const bytes = db.bytesOf(entry);
  const byte = Math.floor(position / 8);
  const at = db.valueOffset(entry) + byte;
  const mask = 128 >> (position & 7);
  const was = (bytes[at] & mask) === 0 ? 0 : 1;
  if (changed || was !== on) {
    db.beforeWrite(entry, byte, byte + 1);
    bytes[at] = on === 1 ? bytes[at] | mask : bytes[at] & ~mask;
    keyModified(call, 1, NOTIFY_STRING, 'setbit');
  }
  reply.integer(was);
}

function getbit(call: Call): void {
  const { db, reply } = call;
  const position = bitOffset(call, 2, 0);
  if (Number.isNaN(position)) return;
  const entry = readString(call, 1);
  if (entry === WRONG) return;
  const byte = Math.floor(position / 8);
  const inside = entry !== 0 && byte < db.valueLength(entry);
  reply.integer(inside && (db.bytesOf(entry)[db.valueOffset(entry) + byte] & (128 >> (position & 7))) !== 0 ? 1 : 0);
}

/** First and last bit or byte a command is about; read from here after `parseRange`. */
const range = { start: 0, end: 0, bits: false };

/** BIT or BYTE of word `i`. @returns false after a syntax error was replied. */
function parseUnit(call: Call, i: number): boolean {
  range.bits = call.is(i, 'bit');
  if (range.bits || call.is(i, 'byte')) return true;
  call.syntaxError();
  return false;
}

/** Counts negative places from the end and keeps `range` within `length` units. */
function clampRange(length: number): void {
  if (range.start < 0) range.start = Math.max(0, range.start + length);
  if (range.end < 0) range.end = Math.max(0, range.end + length);
  if (range.end >= length) range.end = length - 1;
}

function bitcount(call: Call): void {
  const { argc, db, reply } = call;
  const entry = readString(call, 1);
  if (entry === WRONG) return;
  if (entry === 0) {
    reply.integer(0);
    return;
  }
  const length = db.valueLength(entry);
  const bytes = db.bytesOf(entry);
  const base = db.valueOffset(entry);
  if (argc === 2) {
    reply.integer(countBits(bytes, base, length));
    return;
  }
  if (argc !== 4 && argc !== 5) {
    call.syntaxError();
    return;
  }
  range.start = call.integer(2);
  if (Number.isNaN(range.start)) return;
  range.end = call.integer(3);
  if (Number.isNaN(range.end)) return;
  range.bits = false;
  if (range.start < 0 && range.end < 0 && call.isGreater(2, 3)) {
    reply.integer(0);
    return;
  }
  if (argc === 5 && !parseUnit(call, 4)) return;
  clampRange(range.bits ? length * 8 : length);
  const { start, end, bits } = range;
  if (start > end) reply.integer(0);
  else if (bits) reply.integer(countBitRange(bytes, base, start, end));
  else reply.integer(countBits(bytes, base + start, end - start + 1));
}

function countBitRange(bytes: Uint8Array, base: number, from: number, to: number): number {
  const first = Math.floor(from / 8);
  const last = Math.floor(to / 8);
  const before = bytes[base + first] & ~(255 >> (from & 7)) & 255;
  const behind = bytes[base + last] & (127 >> (to & 7));
  const outside = Uint8Array.of(before, behind);
  return countBits(bytes, base + first, last - first + 1) - countBits(outside, 0, 2);
}

/** Words of BITPOS behind the bit, into `range`. @returns false after an error was replied. */
function parseSearch(call: Call, length: number): boolean {
  const { argc } = call;
  range.bits = false;
  range.start = 0;
  range.end = length - 1;
  if (argc > 6) {
    call.syntaxError();
    return false;
  }
  if (argc === 3) return true;
  range.start = call.integer(3);
  if (Number.isNaN(range.start)) return false;
  if (argc === 6 && !parseUnit(call, 5)) return false;
  if (argc >= 5) {
    range.end = call.integer(4);
    if (Number.isNaN(range.end)) return false;
  }
  clampRange(range.bits ? length * 8 : length);
  return true;
}

function bitpos(call: Call): void {
  const { argc, db, reply } = call;
  const bit = call.integer(2);
  if (Number.isNaN(bit)) return;
  if (bit !== 0 && bit !== 1) {
    reply.error('ERR The bit argument must be 1 or 0.');
    return;
  }
  const entry = readString(call, 1);
  if (entry === WRONG) return;
  if (entry === 0) {
    reply.integer(bit === 1 ? -1 : 0);
    return;
  }
  if (!parseSearch(call, db.valueLength(entry))) return;
  const { start, end, bits } = range;
  if (start > end) {
    reply.integer(-1);
    return;
  }
  const from = bits ? start : start * 8;
  const to = bits ? end : end * 8 + 7;
  const found = findBit(db.bytesOf(entry), db.valueOffset(entry), from, to, bit);
  // Without an end the string counts as followed by zeros.
  reply.integer(found === -1 && bit === 0 && argc < 5 ? to + 1 : found);
}

type Operation = 'and' | 'or' | 'xor' | 'not';

function operationOf(call: Call): Operation | null {
  for (const name of ['and', 'or', 'xor', 'not'] as const) if (call.is(1, name)) return name;
  return null;
}

function bitop(call: Call): void {
  const { argc, db, reply } = call;
  const operation = operationOf(call);
  if (operation === null) {
    call.syntaxError();
    return;
  }
  if (operation === 'not' && argc !== 4) {
    reply.error('ERR BITOP NOT must be called with a single source key.');
    return;
  }
  let longest = 0;
  for (let i = 3; i < argc; i++) {
    const entry = readString(call, i);
    if (entry === WRONG) return;
    if (entry !== 0) longest = Math.max(longest, db.valueLength(entry));
  }
  if (longest === 0) {
    discardWord(call, 2);
  } else {
    const result = new Uint8Array(longest);
    for (let i = 3; i < argc; i++) combine(call, operation, i, result);
    const { bytes, offsets, lengths } = call;
    db.setString(bytes, offsets[2], lengths[2], result, 0, longest, false, STRING_CHANGED);
    keyModified(call, 2, NOTIFY_STRING, 'set');
  }
  reply.integer(longest);
}

/** Brings the string of word `i` into the result; what it is shorter than the longest counts as zero. */
function combine(call: Call, operation: Operation, i: number, result: Uint8Array): void {
  const { db } = call;
  const entry = db.peek(call.bytes, call.offsets[i], call.lengths[i]);
  const length = entry === 0 ? 0 : db.valueLength(entry);
  const bytes = db.bytesOf(entry);
  const base = entry === 0 ? 0 : db.valueOffset(entry);
  if (i === 3) {
    if (length > 0) result.set(bytes.subarray(base, base + length));
    if (operation === 'not') for (let k = 0; k < result.length; k++) result[k] = ~result[k];
  } else if (operation === 'and') {
    for (let k = 0; k < length; k++) result[k] &= bytes[base + k];
    result.fill(0, length);
  } else if (operation === 'or') for (let k = 0; k < length; k++) result[k] |= bytes[base + k];
  else for (let k = 0; k < length; k++) result[k] ^= bytes[base + k];
}

const base = { keys: [1, 1, 1], group: 'bitmap' } as const;

export const bitmapCommands: readonly CommandSpec[] = [
  {
    ...base,
    name: 'bitcount',
    arity: -2,
    flags: ['readonly'],
    since: '2.6.0',
    run: bitcount,
    summary: 'Counts the bits of a string that are set.',
  },
  {
    ...base,
    name: 'bitfield',
    arity: -2,
    flags: ['write', 'denyoom'],
    since: '3.2.0',
    run: bitfield,
    summary: 'Reads, sets and increments integers of any width within a string.',
  },
  {
    ...base,
    name: 'bitfield_ro',
    arity: -2,
    flags: ['readonly', 'fast'],
    since: '6.0.0',
    run: bitfieldReadOnly,
    summary: 'Reads integers of any width within a string.',
  },
  {
    ...base,
    name: 'bitop',
    arity: -4,
    flags: ['write', 'denyoom'],
    keys: [2, -1, 1],
    since: '2.6.0',
    run: bitop,
    summary: 'Combines strings bit by bit and stores the result.',
  },
  {
    ...base,
    name: 'bitpos',
    arity: -3,
    flags: ['readonly'],
    since: '2.8.7',
    run: bitpos,
    summary: 'Finds the first bit of a string that is set or clear.',
  },
  {
    ...base,
    name: 'getbit',
    arity: 3,
    flags: ['readonly', 'fast'],
    since: '2.2.0',
    run: getbit,
    summary: 'Gives one bit of a string.',
  },
  {
    ...base,
    name: 'setbit',
    arity: 4,
    flags: ['write', 'denyoom'],
    since: '2.2.0',
    run: setbit,
    summary: 'Sets or clears one bit of a string, which grows as needed.',
  },
];
