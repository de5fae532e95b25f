// What SETBIT and BITFIELD share: places of bits, and strings that are long enough for them.
import type { Call } from '../core/call.ts';
import { STRING_CHANGED } from '../core/database.ts';
import { WRONG, writeString } from '../core/lookup.ts';
import { parseInteger } from '../data/integer.ts';

const BAD_OFFSET = 'ERR bit offset is not an integer or out of range';
const HASH = 35;

/**
 * Word `i` as the place of a bit.
 * @param width when above 0, `#N` means the Nth integer of that many bits. @returns NaN after an error was replied.
 */
export function bitOffset(call: Call, i: number, width: number): number {
  const { bytes } = call;
  const counted = width > 0 && call.lengths[i] > 0 && bytes[call.offsets[i]] === HASH ? 1 : 0;
  const given = parseInteger(bytes, call.offsets[i] + counted, call.lengths[i] - counted);
  const offset = counted === 1 ? given * width : given;
  if (offset >= 0 && Math.floor(offset / 8) < call.server.config.protoMaxBulkLen) return offset;
  call.reply.error(BAD_OFFSET);
  return Number.NaN;
}

export interface StringWithBit {
  readonly entry: number;
  /** Whether it was made or grew. */
  readonly changed: boolean;
}

/** The string of word 1, made or padded with zero bytes until it has that bit; null after WRONGTYPE. */
export function stringWithBit(call: Call, position: number): StringWithBit | null {
  const { bytes, offsets, lengths, db } = call;
  let entry = writeString(call, 1);
  if (entry === WRONG) return null;
  const needed = Math.floor(position / 8) + 1;
  const had = entry === 0 ? 0 : db.valueLength(entry);
  if (entry === 0) entry = db.addString(bytes, offsets[1], lengths[1], needed);
  // As APPEND: room for as much again, so that a bitmap written from its start on does not move each time.
  else if (needed > had) entry = db.resizeString(entry, needed, Math.min(needed, 1 << 20));
  db.setStringKind(entry, STRING_CHANGED);
  const value = db.valueOffset(entry);
  if (needed > had) db.bytesOf(entry).fill(0, value + had, value + needed);
  return { entry, changed: needed > had };
}
