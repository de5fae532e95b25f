// XCLAIM and XAUTOCLAIM: pending entries change hands. What they did is told to replicas and files entry by entry.
// stream.ts lists them.
import type { Call } from '../core/call.ts';
import { toChange } from '../core/lookup.ts';
import { type Consumer, type ConsumerGroup, IdCursor } from '../data/consumer-group.ts';
import { Counter64 } from '../data/counter64.ts';
import { parseBigInteger } from '../data/integer.ts';
import type { Stream } from '../data/stream.ts';
import { StreamId } from '../data/stream-id.ts';
import { TYPE_STREAM } from '../data/value-type.ts';
import { integerFrom } from './collection-words.ts';
import { groupOf, readGroup, seenConsumer } from './stream-groups.ts';
import { propagateClaim, propagateGroupId } from './stream-propagation.ts';
import { IdList, isId, parseId, parseRangeStart, replyEntryAt, replyId } from './stream-words.ts';

/** Entries looked at for each one asked for. */
const ATTEMPTS = 10;
const COUNT_DEFAULT = 100;
/** LONG_MAX divided by the bytes of an id; counts are below. */
const COUNT_LIMIT = 2 ** 59;
/** Redis makes room for so many ids before it begins, and no machine has room for more. */
const COUNT_MEMORY_MAX = 2 ** 42;

const cursor = new IdCursor();
const ids = new IdList();
const start = new StreamId();
const claimed = new IdList();
const deleted = new IdList();

/** What XCLAIM's words behind the ids say. */
class ClaimOptions {
  minIdle = 0;
  /** Unix time, milliseconds, that the entries count as delivered at. */
  deliveryTime = 0;
  force = false;
  justId = false;
  /** Deliveries that the entries count from now on, if given. */
  readonly deliveries = new Counter64();
  deliveriesGiven = false;
  readonly lastId = new StreamId();
  /** Words [5, behindIds) are ids. */
  behindIds = 0;

  /** @returns false after an error reply. */
  parse(call: Call): boolean {
    const now = call.server.clock.unixMs;
    this.minIdle = call.integer(4, 'ERR Invalid min-idle-time argument for XCLAIM');
    if (Number.isNaN(this.minIdle)) return false;
    this.deliveryTime = now;
    this.force = false;
    this.justId = false;
    this.deliveriesGiven = false;
    this.lastId.setMin();
    let i = 5;
    while (i < call.argc && isId(call, i, ids.at(i - 5))) i++;
    this.behindIds = i;
    for (; i < call.argc; i++) {
      if (call.is(i, 'force')) this.force = true;
      else if (call.is(i, 'justid')) this.justId = true;
      else if (i + 1 === call.argc) return refuse(call, i);
      else if (!this.#parseValue(call, i++, now)) return false;
    }
    // Clocks differ: a time that cannot be is no error.
    if (this.deliveryTime < 0 || this.deliveryTime > now) this.deliveryTime = now;
    return true;
  }

  #parseValue(call: Call, i: number, now: number): boolean {
    if (call.is(i, 'idle')) {
      const idle = call.integer(i + 1, 'ERR Invalid IDLE option argument for XCLAIM');
      this.deliveryTime = now - idle;
      return !Number.isNaN(idle);
    }
    if (call.is(i, 'time')) {
      this.deliveryTime = call.integer(i + 1, 'ERR Invalid TIME option argument for XCLAIM');
      return !Number.isNaN(this.deliveryTime);
    }
    if (call.is(i, 'retrycount')) {
      const count = call.integer(i + 1, 'ERR Invalid RETRYCOUNT option argument for XCLAIM');
      if (Number.isNaN(count)) return false;
      this.deliveriesGiven = count >= 0;
      this.deliveries.setBig(parseBigInteger(call.bytes, call.offsets[i + 1], call.lengths[i + 1]) as bigint);
      return true;
    }
    if (call.is(i, 'lastid')) return parseId(call, i + 1, this.lastId);
    return refuse(call, i);
  }
}

function refuse(call: Call, i: number): false {
  call.reply.error(`ERR Unrecognized XCLAIM option '${call.cText(i)}'`);
  return false;
}

const options = new ClaimOptions();

export function xclaim(call: Call): void {
  const found = readGroup(call, true);
  if (found === null || !options.parse(call)) return;
  const { stream, group } = found;
  const { reply, server } = call;
  call.dontPropagate();
  let lastIdChanged = options.lastId.compare(group.lastId) > 0;
  if (lastIdChanged) group.lastId.copy(options.lastId);
  let consumer: Consumer | null = null;
  const mark = reply.openDeferred();
  let replied = 0;
  for (let i = 5; i < options.behindIds; i++) {
    const id = ids.at(i - 5);
    let pending = group.pending.seek(id, cursor);
    if (!stream.has(id)) {
      if (pending) {
        dropPending(call, group, id, call.word(i));
        lastIdChanged = false;
      }
      continue;
    }
    if (pending) {
      if (options.minIdle > 0 && server.clock.unixMs - group.deliveryTime(cursor) < options.minIdle) continue;
    } else if (options.force) {
      pending = group.pending.insert(id, cursor);
      // Redis counts the making of the entry as a delivery.
      group.addDelivery(cursor);
    }
    if (!pending) continue;
    consumer ??= seenConsumer(call, group, 3, 1);
    group.assign(cursor, id, consumer);
    group.setDeliveryTime(cursor, options.deliveryTime);
    if (options.deliveriesGiven) group.setDeliveries(cursor, options.deliveries);
    else if (!options.justId) group.addDelivery(cursor);
    replyClaimed(call, stream, id, options.justId);
    propagateClaim(call, 1, group, cursor, call.word(i));
    replied++;
    server.dirty++;
    lastIdChanged = false;
  }
  if (lastIdChanged) {
    propagateGroupId(call, 1, group);
    server.dirty++;
  }
  reply.closeArray(mark, replied);
  ids.done();
}

/** The entry at `cursor` is no longer in the stream, so it is pending no more. */
function dropPending(call: Call, group: ConsumerGroup, id: StreamId, idWord: Uint8Array | null): void {
  propagateClaim(call, 1, group, cursor, idWord);
  group.removePending(cursor, id);
  call.server.dirty++;
}

function replyClaimed(call: Call, stream: Stream, id: StreamId, justId: boolean): void {
  if (justId) replyId(call.reply, id);
  else replyEntryAt(call.reply, stream, id);
}

/** Options of XAUTOCLAIM; NaN after an error reply. */
function parseAutoOptions(call: Call): { count: number; justId: boolean } | null {
  let count = COUNT_DEFAULT;
  let justId = false;
  for (let i = 6; i < call.argc; i++) {
    if (call.is(i, 'count') && i + 1 < call.argc) {
      count = integerFrom(call, ++i, 1, 'ERR COUNT must be > 0');
      if (Number.isNaN(count)) return null;
      if (count >= COUNT_LIMIT) {
        call.reply.error('ERR COUNT must be > 0');
        return null;
      }
    } else if (call.is(i, 'justid')) {
      justId = true;
    } else {
      call.syntaxError();
      return null;
    }
  }
  return { count, justId };
}

export function xautoclaim(call: Call): void {
  const { reply, server } = call;
  const now = server.clock.unixMs;
  // Before the options: a key that is missing counts as a miss whatever they are.
  const entry = call.db.findForRead(call.bytes, call.offsets[1], call.lengths[1]);
  const minIdle = call.integer(4, 'ERR Invalid min-idle-time argument for XAUTOCLAIM');
  if (Number.isNaN(minIdle) || !parseRangeStart(call, 5, start)) return;
  const asked = parseAutoOptions(call);
  if (asked === null) return;
  const found = groupOf(call, toChange<Stream>(call, entry, TYPE_STREAM));
  if (found === null) return;
  if (asked.count > COUNT_MEMORY_MAX) {
    reply.error('ERR Insufficient memory, failed allocating transient memory, COUNT too high.');
    return;
  }
  const { stream, group } = found;
  const { pending } = group;
  call.dontPropagate();
  let consumer: Consumer | null = null;
  let claims = 0;
  let gone = 0;
  pending.seek(start, cursor);
  for (let attempts = asked.count * ATTEMPTS; attempts > 0 && !pending.isEnd(cursor); attempts--) {
    if (claims + gone === asked.count) break;
    const id = claimed.at(claims);
    pending.readId(cursor, id);
    if (!stream.has(id)) {
      deleted.at(gone++).copy(id);
      dropPending(call, group, id, null);
      continue;
    }
    if (minIdle <= 0 || now - group.deliveryTime(cursor) >= minIdle) {
      consumer ??= seenConsumer(call, group, 3, 1);
      group.assign(cursor, id, consumer);
      group.setDeliveryTime(cursor, now);
      if (!asked.justId) group.addDelivery(cursor);
      propagateClaim(call, 1, group, cursor, null);
      server.dirty++;
      claims++;
    }
    pending.next(cursor);
  }
  reply.array(3);
  // where the next call goes on: 0-0 when all were looked at
  if (pending.isEnd(cursor)) start.setMin();
  else pending.readId(cursor, start);
  replyId(reply, start);
  reply.array(claims);
  for (let i = 0; i < claims; i++) replyClaimed(call, stream, claimed.at(i), asked.justId);
  reply.array(gone);
  for (let i = 0; i < gone; i++) replyId(reply, deleted.at(i));
  claimed.done();
  deleted.done();
}
