// Deleting the key of a word and telling everyone: DEL, and the commands that delete instead of expiring. For
// string.ts and generic.ts.
import type { Call } from '../core/call.ts';
import { keyModified } from '../core/lookup.ts';
import { NOTIFY_GENERIC } from '../core/notify-flags.ts';

/** @returns whether the key was there. */
export function deleteWord(call: Call, i: number, event: string): boolean {
  if (!call.db.delete(call.bytes, call.offsets[i], call.lengths[i])) return false;
  keyModified(call, i, NOTIFY_GENERIC, event);
  return true;
}
