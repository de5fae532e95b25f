// XREAD and XREADGROUP: entries behind given ids from several streams, for a reader on its own or for a consumer of a
// group, whose entries then are pending. stream.ts lists them.
import type { Call } from '../core/call.ts';
import { readCollection, readToChange } from '../core/lookup.ts';
import { type Consumer, type ConsumerGroup, IdCursor } from '../data/consumer-group.ts';
import { Counter64 } from '../data/counter64.ts';
import { type Stream, StreamWalker } from '../data/stream.ts';
import { StreamId } from '../data/stream-id.ts';
import { TYPE_STREAM } from '../data/value-type.ts';
import { timeoutMilliseconds } from './blocking-words.ts';
import { findGroup, seenConsumer } from './stream-groups.ts';
import { propagateClaim, propagateConsumer, propagateGroupId } from './stream-propagation.ts';
import { IdList, parseId, replyEntry, replyEntryAt, replyId } from './stream-words.ts';

const DOLLAR_IN_GROUP =
  'ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.';

/** What the words of XREAD and XREADGROUP say; positions are of words, 0: not given. */
class ReadOptions {
  isGroup = false;
  /** Milliseconds, 0: for ever, -1: does not wait. */
  timeoutMs = -1;
  /** Entries a stream, 0: all. */
  count = 0;
  noAck = false;
  groupAt = 0;
  consumerAt = 0;
  /** The keys; behind them as many ids. */
  keysAt = 0;
  streams = 0;

  /** @returns false after an error reply. */
  parse(call: Call, isGroup: boolean): boolean {
    this.isGroup = isGroup;
    this.timeoutMs = -1;
    this.count = 0;
    this.noAck = false;
    this.groupAt = 0;
    this.keysAt = 0;
    for (let i = 1; i < call.argc && this.keysAt === 0; i++) {
      const more = call.argc - 1 - i;
      if (call.is(i, 'block') && more > 0) {
        if (call.client?.caller)
          return refuse(call, `ERR ${call.cText(0)} command is not allowed with BLOCK option from scripts`);
        this.timeoutMs = timeoutMilliseconds(call, ++i);
        if (Number.isNaN(this.timeoutMs)) return false;
      } else if (call.is(i, 'count') && more > 0) {
        this.count = call.integer(++i);
        if (Number.isNaN(this.count)) return false;
        this.count = Math.max(this.count, 0);
      } else if (call.is(i, 'streams') && more > 0) {
        if (more % 2 !== 0) return refuse(call, UNBALANCED);
        this.keysAt = i + 1;
        this.streams = more / 2;
      } else if (call.is(i, 'group') && more > 1) {
        if (!isGroup)
          return refuse(call, 'ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.');
        this.groupAt = i + 1;
        this.consumerAt = i + 2;
        i += 2;
      } else if (call.is(i, 'noack')) {
        if (!isGroup)
          return refuse(call, 'ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.');
        this.noAck = true;
      } else return refuse(call, 'ERR syntax error');
    }
    if (this.keysAt === 0) return refuse(call, 'ERR syntax error');
    return !isGroup || this.groupAt !== 0 || refuse(call, 'ERR Missing GROUP option for XREADGROUP');
  }
}

const UNBALANCED = "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.";

function refuse(call: Call, message: string): false {
  call.reply.error(message);
  return false;
}

const options = new ReadOptions();
/** For each stream: entries behind this id; the greatest one: those that the group was not given (`>`). */
const behind = new IdList();

/** Entries that a client gets which has waited, unless it said how many. */
const WAITED_COUNT = 1000;
const GONE = 'UNBLOCKED the stream key no longer exists';
const GROUP_GONE = 'NOGROUP the consumer group this client was blocked on no longer exists';

export function xread(call: Call): void {
  read(call, false);
}

export function xreadgroup(call: Call): void {
  read(call, true);
}

function read(call: Call, isGroup: boolean): void {
  if (!options.parse(call, isGroup)) return;
  // What the group gives out is told entry by entry.
  call.dontPropagate();
  for (let n = 0; n < options.streams; n++) if (!resolveId(call, n)) return;
  const { reply } = call;
  const mark = reply.openDeferred();
  let served = 0;
  for (let n = 0; n < options.streams; n++) {
    const lookUp = isGroup ? readToChange : readCollection;
    const stream = lookUp<Stream>(call, options.keysAt + n, TYPE_STREAM);
    if (stream && serve(call, stream, n)) served++;
  }
  if (served === 0) {
    if (options.timeoutMs >= 0) wait(call);
    else reply.nullArray();
  } else if (reply.protocol === 2) reply.closeArray(mark, served);
  else reply.closeMap(mark, served);
  behind.done();
}

/** The client waits until one of its streams has something for it. */
function wait(call: Call): void {
  const { isGroup, keysAt, streams, timeoutMs } = options;
  // As resolved now: `$` is where the stream ends today.
  const ids = Array.from({ length: isGroup ? 0 : streams }, (_, n) => {
    const resolved = new StreamId();
    resolved.copy(behind.at(n));
    return resolved;
  });
  call.block({
    kind: 'stream',
    timeoutMs,
    keys: { first: keysAt, last: keysAt + streams - 1, type: TYPE_STREAM },
    serve: (again, word) => serveWaiting(again, word, isGroup ? null : ids[word - keysAt]),
    ...(isGroup ? { goneError: GONE } : {}),
  });
}

/** @param after entries behind this id; null: a group's. @returns false, with nothing replied, when there is nothing. */
function serveWaiting(call: Call, word: number, after: StreamId | null): boolean {
  const { reply } = call;
  options.parse(call, after === null);
  if (options.count === 0) options.count = WAITED_COUNT;
  call.dontPropagate();
  const { bytes, db, lengths, offsets } = call;
  const stream = db.getCollection(bytes, offsets[word], lengths[word]) as Stream;
  const group = after === null ? findGroup(call, stream, options.groupAt) : null;
  if (after === null && group === null) {
    reply.error(GROUP_GONE);
    return true;
  }
  const last = group?.lastId ?? (after as StreamId);
  // The latest id counts, though its entry may be gone again.
  if (stream.lastId.compare(last) <= 0) return false;
  start.copy(last);
  start.increment();
  if (reply.protocol === 2) reply.array(1);
  else reply.map(1);
  replyStream(call, stream, word, group, false);
  return true;
}

/** Finds out where stream `n` is to be read from. @returns false after an error reply. */
function resolveId(call: Call, n: number): boolean {
  const { isGroup, groupAt, keysAt, streams } = options;
  const id = behind.at(n);
  const at = keysAt + streams + n;
  const stream = readCollection<Stream>(call, keysAt + n, TYPE_STREAM);
  if (stream === undefined) return false;
  if (isGroup && (stream === null || findGroup(call, stream, groupAt) === null)) {
    const key = call.cText(keysAt + n);
    const message = `NOGROUP No such key '${key}' or consumer group '${call.cText(groupAt)}' in XREADGROUP with GROUP option`;
    return refuse(call, message);
  }
  if (call.is(at, '$')) {
    if (isGroup) return refuse(call, DOLLAR_IN_GROUP);
    if (stream === null) id.setMin();
    else id.copy(stream.lastId);
    return true;
  }
  if (call.is(at, '>')) {
    id.setMax();
    return isGroup || refuse(call, GREATER_ALONE);
  }
  return parseId(call, at, id);
}

const GREATER_ALONE =
  'ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.';

/** Replies what stream `n` has for the reader. @returns whether it has anything. */
function serve(call: Call, stream: Stream, n: number): boolean {
  const id = behind.at(n);
  const group = options.isGroup ? findGroup(call, stream, options.groupAt) : null;
  const isHistory = group !== null && !id.isMax;
  if (!isHistory) {
    if (group !== null) id.copy(group.lastId);
    if (!stream.edge(false, true, start) || start.compare(id) <= 0) return false;
  }
  start.copy(id);
  start.increment();
  replyStream(call, stream, options.keysAt + n, group, isHistory);
  if (group !== null) call.server.dirty++;
  return true;
}

/** A stream's name and what it has from `start` on. @param keyAt word of its key. */
function replyStream(call: Call, stream: Stream, keyAt: number, group: ConsumerGroup | null, isHistory: boolean): void {
  const { reply } = call;
  if (reply.protocol === 2) reply.array(2);
  reply.bulk(call.bytes, call.offsets[keyAt], call.lengths[keyAt]);
  if (group === null) {
    readOn(call, stream);
    return;
  }
  const { size } = group.consumers;
  const consumer = seenConsumer(call, group, options.consumerAt, keyAt);
  if (options.noAck && group.consumers.size > size) propagateConsumer(call, keyAt, group, consumer.name);
  if (isHistory) replyHistory(call, stream, group, consumer);
  else deliver(call, stream, keyAt, group, consumer);
}

const start = new StreamId();
const id = new StreamId();
const walk = new StreamWalker();
const cursor = new IdCursor();
const pendingCursor = new IdCursor();
const one = new Counter64();
one.set(0, 1);

/** Entries from `start` on. */
function readOn(call: Call, stream: Stream): void {
  const { reply } = call;
  const mark = reply.openDeferred();
  let replied = 0;
  walk.begin(stream, start, null, false);
  for (; (options.count === 0 || replied < options.count) && walk.next(); replied++) replyEntry(reply, walk);
  reply.closeArray(mark, replied);
}

/** Entries from `start` on that the group was not given; the consumer's from now on. */
function deliver(call: Call, stream: Stream, keyAt: number, group: ConsumerGroup, consumer: Consumer): void {
  const { reply } = call;
  let advanced = false;
  const mark = reply.openDeferred();
  let replied = 0;
  walk.begin(stream, start, null, false);
  for (; (options.count === 0 || replied < options.count) && walk.next(); replied++) {
    if (walk.id.compare(group.lastId) > 0) {
      advance(stream, group, walk.id);
      advanced = true;
    }
    replyEntry(reply, walk);
    if (options.noAck) continue;
    // After XGROUP SETID to an earlier id the entry may be pending already, with whomever.
    group.pending.insert(walk.id, cursor);
    group.assign(cursor, walk.id, consumer);
    group.setDeliveryTime(cursor, call.server.clock.unixMs);
    group.setDeliveries(cursor, one);
    propagateClaim(call, keyAt, group, cursor, null);
  }
  if (advanced && options.noAck) propagateGroupId(call, keyAt, group);
  reply.closeArray(mark, replied);
}

/** The group has got as far as this id. */
function advance(stream: Stream, group: ConsumerGroup, reached: StreamId): void {
  if (group.entriesReadKnown && !stream.mayLackFrom(reached)) group.entriesRead.increment();
  else if (!stream.entriesAdded.isZero && !stream.countUpTo(reached, group.entriesRead)) group.entriesRead.set(-1, -1);
  group.lastId.copy(reached);
}

/** What is pending at the consumer from `start` on; entries that were deleted come without fields. */
function replyHistory(call: Call, stream: Stream, group: ConsumerGroup, consumer: Consumer): void {
  const { reply } = call;
  const { pending } = consumer;
  const mark = reply.openDeferred();
  let replied = 0;
  pending.seek(start, cursor);
  for (let more = !pending.isEnd(cursor); more && (options.count === 0 || replied < options.count); replied++) {
    pending.readId(cursor, id);
    if (replyEntryAt(reply, stream, id)) {
      group.pending.seek(id, pendingCursor);
      group.setDeliveryTime(pendingCursor, call.server.clock.unixMs);
      group.addDelivery(pendingCursor);
    } else {
      reply.array(2);
      replyId(reply, id);
      reply.nullArray();
    }
    more = pending.next(cursor);
  }
  reply.closeArray(mark, replied);
}
