// What the stream commands share: ids as clients write them, ids and entries as they are replied, the options by which
// XADD and XTRIM trim. Only src/commands/ imports it.
import type { Call } from '../core/call.ts';
import { SYNTAX } from '../core/errors.ts';
import type { Counter64 } from '../data/counter64.ts';
import { int64 } from '../data/int64.ts';
import { Stream, StreamWalker, type TrimLimit } from '../data/stream.ts';
import { parseUint64, STREAM_ID_TEXT_MAX, StreamId } from '../data/stream-id.ts';
import type { ReplyWriter } from '../resp/reply-writer.ts';

const INVALID_ID = 'ERR Invalid stream ID specified as stream command argument';
/** Longer words are no ids. */
const ID_WORD_MAX = 127;

const DASH = 45;
const PLUS = 43;
const STAR = 42;
const OPENING = 40;

export const createStream = (call: Call): Stream => new Stream(call.server.arena);

export function wrongSubcommand(call: Call): void {
  const [container] = call.spec.name.split('|');
  const given = call.cText(1).slice(0, 128);
  call.reply.error(
    `ERR unknown subcommand or wrong number of arguments for '${given}'. Try ${container.toUpperCase()} HELP.`,
  );
}

// ---- ids as words ----

/** Whether the latest id that was parsed left its sequence to the server: `5-*`. */
export let sequenceOpen = false;

const STRICT = 1;
const OPEN_SEQUENCE = 2;
const MISSING_IS_MAX = 4;

/** Reads `ms` or `ms-sequence`. @returns whether it is an id. */
function readId(bytes: Uint8Array, offset: number, length: number, how: number, id: StreamId): boolean {
  sequenceOpen = false;
  if (length > ID_WORD_MAX) return false;
  let end = offset;
  while (end < offset + length && bytes[end] !== 0) end++;
  if (end - offset === 1 && (bytes[offset] === DASH || bytes[offset] === PLUS)) {
    if ((how & STRICT) !== 0) return false;
    if (bytes[offset] === DASH) id.setMin();
    else id.setMax();
    return true;
  }
  let dash = offset;
  while (dash < end && bytes[dash] !== DASH) dash++;
  if (!parseUint64(bytes, offset, dash - offset)) return false;
  id.set(int64.high, int64.low, 0, 0);
  if (dash === end) {
    if ((how & MISSING_IS_MAX) !== 0) id.endOfMs();
    return true;
  }
  if ((how & OPEN_SEQUENCE) !== 0 && end - dash === 2 && bytes[dash + 1] === STAR) {
    sequenceOpen = true;
    return true;
  }
  if (!parseUint64(bytes, dash + 1, end - dash - 1)) return false;
  id.seqHigh = int64.high;
  id.seqLow = int64.low;
  return true;
}

/** Word `i` as an id. @returns whether it is one; tells nobody. */
export function isId(call: Call, i: number, id: StreamId): boolean {
  return readId(call.bytes, call.offsets[i], call.lengths[i], STRICT, id);
}

/** Word `i` as an id. @returns false after an error reply. */
export function parseId(call: Call, i: number, id: StreamId): boolean {
  return isId(call, i, id) || refuseId(call);
}

/** As `parseId`; `-` and `+` are the least and the greatest id. */
export function parseAnyId(call: Call, i: number, id: StreamId): boolean {
  return readId(call.bytes, call.offsets[i], call.lengths[i], 0, id) || refuseId(call);
}

/** As `parseId`; the sequence may be `*`, then `sequenceOpen` is set. */
function parseNewId(call: Call, i: number, id: StreamId): boolean {
  return readId(call.bytes, call.offsets[i], call.lengths[i], STRICT | OPEN_SEQUENCE, id) || refuseId(call);
}

/** Word `i` as the start of a range: `(` excludes it. @returns false after an error reply. */
export function parseRangeStart(call: Call, i: number, id: StreamId): boolean {
  if (!parseRangeId(call, i, 0, id)) return false;
  if (!isExclusive(call, i) || id.increment()) return true;
  call.reply.error('ERR invalid start ID for the interval');
  return false;
}

/** Word `i` as the end of a range. @returns false after an error reply. */
export function parseRangeEnd(call: Call, i: number, id: StreamId): boolean {
  if (!parseRangeId(call, i, MISSING_IS_MAX, id)) return false;
  if (!isExclusive(call, i) || id.decrement()) return true;
  call.reply.error('ERR invalid end ID for the interval');
  return false;
}

function isExclusive(call: Call, i: number): boolean {
  return call.lengths[i] > 1 && call.bytes[call.offsets[i]] === OPENING;
}

function parseRangeId(call: Call, i: number, how: number, id: StreamId): boolean {
  const skipped = isExclusive(call, i) ? 1 : 0;
  const kind = skipped === 1 ? how | STRICT : how;
  return readId(call.bytes, call.offsets[i] + skipped, call.lengths[i] - skipped, kind, id) || refuseId(call);
}

function refuseId(call: Call): false {
  call.reply.error(INVALID_ID);
  return false;
}

/** Ids that one command names: kept and used again, however many there were. */
export class IdList {
  readonly #ids: StreamId[] = [];

  at(index: number): StreamId {
    while (this.#ids.length <= index) this.#ids.push(new StreamId());
    return this.#ids[index];
  }

  /** Words [first, last] as ids. @returns false after an error reply. */
  parse(call: Call, first: number, last: number): boolean {
    for (let i = first; i <= last; i++) if (!parseId(call, i, this.at(i - first))) return false;
    return true;
  }

  /** Gives the memory of a long list back. */
  done(): void {
    if (this.#ids.length > 1024) this.#ids.length = 0;
  }
}

// ---- replies ----

const idText = new Uint8Array(STREAM_ID_TEXT_MAX);

export function replyId(reply: ReplyWriter, id: StreamId): void {
  reply.bulk(idText, 0, id.write(idText, 0));
}

export function replyCounter(reply: ReplyWriter, counter: Counter64): void {
  if (counter.high === 0) reply.integer(counter.low >>> 0);
  else reply.bigInteger(counter.big);
}

/** A walk's current entry: its id, and names and values in turns. */
export function replyEntry(reply: ReplyWriter, walk: StreamWalker): void {
  reply.array(2);
  replyId(reply, walk.id);
  reply.array(walk.fields * 2);
  walk.emit(reply);
}

const entryWalk = new StreamWalker();

/** The entry with this id. @returns false, and nothing is replied, when there is none. */
export function replyEntryAt(reply: ReplyWriter, stream: Stream, id: StreamId): boolean {
  if (!entryWalk.begin(stream, id, id, false).next()) return false;
  replyEntry(reply, entryWalk);
  return true;
}

/** An array with up to `count` (0: all) entries of a range. @param start null: from the first. @param end null: to the last. */
export function replyRange(
  reply: ReplyWriter,
  stream: Stream,
  start: StreamId | null,
  end: StreamId | null,
  count: number,
  backwards: boolean,
): void {
  const mark = reply.openDeferred();
  let replied = 0;
  for (
    entryWalk.begin(stream, start, end, backwards);
    (count === 0 || replied < count) && entryWalk.next();
    replied++
  ) {
    replyEntry(reply, entryWalk);
  }
  reply.closeArray(mark, replied);
}

// ---- MAXLEN and MINID ----

const BOTH_STRATEGIES = 'ERR syntax error, MAXLEN and MINID options at the same time are not compatible';
const LIMIT_DEFAULT = 10_000;
const LIMIT_MOST = 1_000_000;

/** Options of XADD and XTRIM, of the call they were read from. */
export class TrimOptions implements TrimLimit {
  maxLength = -1;
  readonly minId = new StreamId();
  approximate = false;
  limit = 0;
  /** Word with the threshold, 0: nothing is to be trimmed. */
  thresholdAt = 0;
  noMakeStream = false;
  /** XADD's id. */
  readonly id = new StreamId();
  /** Whether XADD makes the id itself (`*`), or its sequence (`5-*`). */
  automatic = false;
  sequenceOpen = false;
  #limitGiven = false;

  get trims(): boolean {
    return this.thresholdAt !== 0;
  }

  /** @returns the word behind the options, XADD's id, or -1 after an error reply. */
  parse(call: Call, isAdd: boolean): number {
    this.maxLength = -1;
    this.approximate = false;
    this.limit = 0;
    this.thresholdAt = 0;
    this.noMakeStream = false;
    this.automatic = false;
    this.sequenceOpen = false;
    this.#limitGiven = false;
    let i = 2;
    for (; i < call.argc; i++) {
      const more = call.argc - 1 - i;
      if (isAdd && call.is(i, '*')) {
        this.automatic = true;
        break;
      }
      if (call.is(i, 'maxlen') && more > 0) i = this.#threshold(call, i, more, true);
      else if (call.is(i, 'minid') && more > 0) i = this.#threshold(call, i, more, false);
      else if (call.is(i, 'limit') && more > 0) i = this.#readLimit(call, i + 1);
      else if (isAdd && call.is(i, 'nomkstream')) this.noMakeStream = true;
      else if (isAdd) {
        if (!parseNewId(call, i, this.id)) return -1;
        this.sequenceOpen = sequenceOpen;
        break;
      } else return refuse(call, SYNTAX);
      if (i === -1) return -1;
    }
    const problem = this.#problem(isAdd, call.client?.obeyed);
    if (problem !== null) return refuse(call, problem);
    // What a master or a file says was made exact there.
    if (call.client?.obeyed) this.limit = 0;
    else if (!this.#limitGiven && this.approximate) this.limit = defaultLimit(call.server.config.streamNodeMaxEntries);
    return i;
  }

  /** @returns the word of the threshold, or -1 after an error reply. */
  #threshold(call: Call, i: number, more: number, byLength: boolean): number {
    if (this.trims) return refuse(call, BOTH_STRATEGIES);
    this.approximate = more >= 2 && call.is(i + 1, '~');
    const at = this.approximate || (more >= 2 && call.is(i + 1, '=')) ? i + 2 : i + 1;
    if (byLength) {
      this.maxLength = call.integer(at);
      if (Number.isNaN(this.maxLength)) return -1;
      if (this.maxLength < 0) return refuse(call, 'ERR The MAXLEN argument must be >= 0.');
    } else if (!parseId(call, at, this.minId)) return -1;
    this.thresholdAt = at;
    return at;
  }

  #readLimit(call: Call, i: number): number {
    this.limit = call.integer(i);
    if (Number.isNaN(this.limit)) return -1;
    if (this.limit < 0) return refuse(call, 'ERR The LIMIT argument must be >= 0.');
    this.#limitGiven = true;
    return i;
  }

  #problem(isAdd: boolean, obeyed: boolean): string | null {
    if (this.limit !== 0 && !this.trims) {
      return 'ERR syntax error, LIMIT cannot be used without specifying a trimming strategy';
    }
    if (!isAdd && !this.trims) return 'ERR syntax error, XTRIM must be called with a trimming strategy';
    if (this.#limitGiven && !this.approximate && !obeyed) {
      return 'ERR syntax error, LIMIT cannot be used without the special ~ option';
    }
    return null;
  }
}

function defaultLimit(nodeEntriesMax: number): number {
  const limit = 100 * nodeEntriesMax;
  return limit <= 0 ? LIMIT_DEFAULT : Math.min(limit, LIMIT_MOST);
}

function refuse(call: Call, message: string): -1 {
  call.reply.error(message);
  return -1;
}
