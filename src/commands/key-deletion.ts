// Deleting the key of a word and telling everyone: DEL, and the commands that delete instead of expiring. For
// string.ts, generic.ts and their like.
import type { Call } from '../core/call.ts';
import { keyModified } from '../core/lookup.ts';
import { NOTIFY_GENERIC } from '../core/notify-flags.ts';

/** @param lazy a large value is freed later. @returns whether the key was there. */
export function deleteWord(call: Call, i: number, event: string, lazy = false): boolean {
  if (!call.db.delete(call.bytes, call.offsets[i], call.lengths[i], lazy)) return false;
  keyModified(call, i, NOTIFY_GENERIC, event);
  return true;
}

/** In place of storing an empty result. */
export function discardWord(call: Call, i: number): void {
  if (call.db.discard(call.bytes, call.offsets[i], call.lengths[i])) keyModified(call, i, NOTIFY_GENERIC, 'del');
}

/** The command is told as a deletion of word 1. @param lazy as the `lazyfree-lazy-*` directive that rules it says. */
export function propagateDeletion(call: Call, lazy: boolean): void {
  if (call.propagates) call.propagateAs(lazy ? 'UNLINK' : 'DEL', call.word(1));
}
