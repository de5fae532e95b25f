// LCS: longest common subsequence of two strings, its length, or where the parts of it lie. A table of lengths, as
// Redis computes it, so that the same one of several answers comes out. Only string.ts imports this file.

import type { Call } from '../core/call.ts';
import { TYPE_STRING } from '../data/value-type.ts';

interface Text {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly length: number;
}

interface Options {
  length: boolean;
  indexes: boolean;
  withMatchLength: boolean;
  matchLengthMin: number;
}

/** A run of bytes common to both: positions of its first and last byte in each. */
type Match = readonly [aStart: number, aEnd: number, bStart: number, bEnd: number];

export function lcs(call: Call): void {
  const a = textAt(call, 1);
  const b = textAt(call, 2);
  if (a === null || b === null) {
    call.reply.error('ERR The specified keys must contain string values');
    return;
  }
  const options = parseOptions(call);
  if (options === null) return;
  if (a.length >= 0xffff_ffff || b.length >= 0xffff_ffff) {
    call.reply.error('ERR String too long for LCS');
    return;
  }
  const tableBytes = (a.length + 1) * (b.length + 1) * 4;
  if (tableBytes > call.server.config.protoMaxBulkLen) {
    call.reply.error('ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len');
    return;
  }
  const table = lengths(a, b);
  const total = table[a.length * (b.length + 1) + b.length];
  if (options.length) call.reply.integer(total);
  else if (options.indexes) replyIndexes(call, a, b, table, options);
  else replyText(call, a, b, table);
}

function textAt(call: Call, i: number): Text | null {
  const { db } = call;
  const entry = db.findForRead(call.bytes, call.offsets[i], call.lengths[i]);
  if (entry === 0) return { bytes: call.bytes, offset: 0, length: 0 };
  if (db.typeOf(entry) !== TYPE_STRING) return null;
  return { bytes: db.bytesOf(entry), offset: db.valueOffset(entry), length: db.valueLength(entry) };
}

function parseOptions(call: Call): Options | null {
  const options: Options = { length: false, indexes: false, withMatchLength: false, matchLengthMin: 0 };
  for (let i = 3; i < call.argc; i++) {
    if (call.is(i, 'idx')) options.indexes = true;
    else if (call.is(i, 'len')) options.length = true;
    else if (call.is(i, 'withmatchlen')) options.withMatchLength = true;
    else if (call.is(i, 'minmatchlen') && i + 1 < call.argc) {
      const minimum = call.integer(++i);
      if (Number.isNaN(minimum)) return null;
      options.matchLengthMin = Math.max(0, minimum);
    } else {
      call.syntaxError();
      return null;
    }
  }
  if (options.indexes && options.length) {
    call.reply.error('ERR If you want both the length and indexes, please just use IDX.');
    return null;
  }
  return options;
}

/** Entry i * (b.length + 1) + j: length of the longest common subsequence of the first i and j bytes. */
function lengths(a: Text, b: Text): Uint32Array {
  const width = b.length + 1;
  const table = new Uint32Array((a.length + 1) * width);
  for (let i = 1; i <= a.length; i++) {
    const byte = a.bytes[a.offset + i - 1];
    for (let j = 1; j <= b.length; j++) {
      const at = i * width + j;
      if (byte === b.bytes[b.offset + j - 1]) table[at] = table[at - width - 1] + 1;
      else table[at] = Math.max(table[at - width], table[at - 1]);
    }
  }
  return table;
}

/** Walks the table backwards and calls for each pair of equal bytes, last first. */
function walk(a: Text, b: Text, table: Uint32Array, onEqual: (i: number, j: number) => void): void {
  const width = b.length + 1;
  let i = a.length;
  let j = b.length;
  while (i > 0 && j > 0) {
    if (a.bytes[a.offset + i - 1] === b.bytes[b.offset + j - 1]) {
      i--;
      j--;
      onEqual(i, j);
    } else if (table[(i - 1) * width + j] > table[i * width + j - 1]) i--;
    else j--;
  }
}

function replyText(call: Call, a: Text, b: Text, table: Uint32Array): void {
  let at = table[a.length * (b.length + 1) + b.length];
  const text = new Uint8Array(at);
  walk(a, b, table, (i) => {
    text[--at] = a.bytes[a.offset + i];
  });
  call.reply.bulk(text, 0, text.length);
}

function replyIndexes(call: Call, a: Text, b: Text, table: Uint32Array, options: Options): void {
  const matches = collectMatches(a, b, table).filter(([start, end]) => end - start + 1 >= options.matchLengthMin);
  const { reply } = call;
  reply.map(2);
  reply.bulkLatin1('matches');
  reply.array(matches.length);
  for (const [aStart, aEnd, bStart, bEnd] of matches) {
    reply.array(options.withMatchLength ? 3 : 2);
    reply.array(2);
    reply.integer(aStart);
    reply.integer(aEnd);
    reply.array(2);
    reply.integer(bStart);
    reply.integer(bEnd);
    if (options.withMatchLength) reply.integer(aEnd - aStart + 1);
  }
  reply.bulkLatin1('len');
  reply.integer(table[a.length * (b.length + 1) + b.length]);
}

function collectMatches(a: Text, b: Text, table: Uint32Array): Match[] {
  const matches: Match[] = [];
  walk(a, b, table, (i, j) => {
    const latest = matches.at(-1);
    if (latest !== undefined && latest[0] === i + 1 && latest[2] === j + 1) {
      matches[matches.length - 1] = [i, latest[1], j, latest[3]];
    } else matches.push([i, i, j, j]);
  });
  return matches;
}
