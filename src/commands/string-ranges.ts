// APPEND, SETRANGE and GETRANGE: strings in part. string.ts lists them.
import type { Call } from '../core/call.ts';
import { STRING_CHANGED } from '../core/database.ts';
import { keyModified, readString, WRONG, writeString } from '../core/lookup.ts';
import { NOTIFY_STRING } from '../core/notify-flags.ts';
import { copyBytes } from '../data/bytes.ts';

const STRING_TOO_LONG = 'ERR string exceeds maximum allowed size (proto-max-bulk-len)';

/** Whether a string may have that length; false after an error reply. */
function lengthAllowed(call: Call, length: number): boolean {
  if (length <= call.server.config.protoMaxBulkLen) return true;
  call.reply.error(STRING_TOO_LONG);
  return false;
}

/** Bytes to leave behind a string that grows: as much again, at most a MiB. */
function roomFor(length: number): number {
  return Math.min(length, 1 << 20);
}

export function append(call: Call): void {
  const { bytes, offsets, lengths, db } = call;
  let entry = writeString(call, 1);
  if (entry === WRONG) return;
  const extra = lengths[2];
  if (entry === 0) {
    entry = db.setString(bytes, offsets[1], lengths[1], bytes, offsets[2], extra);
    keyModified(call, 1, NOTIFY_STRING, 'append');
    call.reply.integer(extra);
    return;
  }
  const old = db.valueLength(entry);
  if (!lengthAllowed(call, old + extra)) return;
  entry = db.resizeString(entry, old + extra, roomFor(old + extra));
  db.setStringKind(entry, STRING_CHANGED);
  copyBytes(db.bytesOf(entry), db.valueOffset(entry) + old, bytes, offsets[2], extra);
  keyModified(call, 1, NOTIFY_STRING, 'append');
  call.reply.integer(old + extra);
}

export function setrange(call: Call): void {
  const { bytes, offsets, lengths, db } = call;
  const start = call.integer(2);
  if (Number.isNaN(start)) return;
  if (start < 0) {
    call.reply.error('ERR offset is out of range');
    return;
  }
  let entry = writeString(call, 1);
  if (entry === WRONG) return;
  const patch = lengths[3];
  const old = entry === 0 ? 0 : db.valueLength(entry);
  if (patch === 0) {
    call.reply.integer(old);
    return;
  }
  if (!lengthAllowed(call, start + patch)) return;
  const length = Math.max(old, start + patch);
  if (entry === 0) entry = db.addString(bytes, offsets[1], lengths[1], length);
  else entry = db.resizeString(entry, length, roomFor(length));
  db.setStringKind(entry, STRING_CHANGED);
  const value = db.valueOffset(entry);
  if (start > old) db.bytesOf(entry).fill(0, value + old, value + start);
  else db.beforeWrite(entry, start, start + patch);
  copyBytes(db.bytesOf(entry), value + start, bytes, offsets[3], patch);
  keyModified(call, 1, NOTIFY_STRING, 'setrange');
  call.reply.integer(length);
}

export function getrange(call: Call): void {
  let start = call.integer(2);
  if (Number.isNaN(start)) return;
  let end = call.integer(3);
  if (Number.isNaN(end)) return;
  const { db } = call;
  const entry = readString(call, 1);
  if (entry === WRONG) return;
  const length = entry === 0 ? 0 : db.valueLength(entry);
  const reversed = start < 0 && end < 0 && call.isGreater(2, 3);
  if (start < 0) start = Math.max(0, length + start);
  if (end < 0) end = Math.max(0, length + end);
  if (end >= length) end = length - 1;
  if (reversed || start > end || length === 0) call.reply.bulk(call.bytes, 0, 0);
  else call.reply.bulk(db.bytesOf(entry), db.valueOffset(entry) + start, end - start + 1);
}
