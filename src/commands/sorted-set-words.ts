// What the three files of sorted set commands share. Only they import it.
import type { Call } from '../core/call.ts';
import type { Element } from '../data/element.ts';
import { formatDouble } from '../data/number-format.ts';
import { SortedSet } from '../data/sorted-set.ts';

export const createSortedSet = (call: Call): SortedSet => new SortedSet(call.server.arena);

/** Adds a member that is absent, converting first when it is one too many or too long for a listpack. */
export function addMember(
  call: Call,
  zset: SortedSet,
  bytes: Uint8Array,
  offset: number,
  length: number,
  score: number,
): void {
  if (zset.isPacked) {
    const { zsetMaxListpackEntries, zsetMaxListpackValue } = call.server.config;
    if (length > zsetMaxListpackValue || zset.length >= zsetMaxListpackEntries) zset.toSkiplist();
  }
  zset.insert(bytes, offset, length, score);
}

/** A member, with its score as a pair of its own in RESP3 and flat in RESP2. */
export function replyMember(call: Call, member: Element, score: number, withScores: boolean): void {
  const { reply } = call;
  if (withScores && reply.protocol > 2) reply.array(2);
  reply.bulk(member.bytes, member.offset, member.length);
  if (withScores) reply.double(formatDouble(score));
}

/** Header of an array of `count` such members. */
export function openMembers(call: Call, count: number, withScores: boolean): void {
  call.reply.array(withScores && call.reply.protocol === 2 ? count * 2 : count);
}
