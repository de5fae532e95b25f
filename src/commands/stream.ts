// Stream commands on entries: XADD, XLEN, XRANGE, XDEL, XTRIM, XSETID. Groups are in stream-groups.ts, reading on in
// stream-read.ts, XINFO in stream-info.ts. Only table.ts imports this file.
import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { NO_SUCH_KEY, SYNTAX } from '../core/errors.ts';
import { keyModified, readCollection, writeCollection } from '../core/lookup.ts';
import { NOTIFY_STREAM } from '../core/notify-flags.ts';
import { Counter64 } from '../data/counter64.ts';
import { parseBigInteger } from '../data/integer.ts';
import type { Stream } from '../data/stream.ts';
import { StreamId } from '../data/stream-id.ts';
import { TYPE_STREAM } from '../data/value-type.ts';
import { keyChanged } from './collection-words.ts';
import { xautoclaim, xclaim } from './stream-claim.ts';
import { xack, xgroupCommand, xpending } from './stream-groups.ts';
import { xinfoCommand } from './stream-info.ts';
import { propagateAdd, propagateTrim } from './stream-propagation.ts';
import { xread, xreadgroup } from './stream-read.ts';
import {
  createStream,
  IdList,
  parseId,
  parseRangeEnd,
  parseRangeStart,
  replyId,
  replyRange,
  TrimOptions,
} from './stream-words.ts';

/** An entry's words may not be longer than this in all. */
const ENTRY_BYTES_MAX = 2 ** 30;

const options = new TrimOptions();
const newId = new StreamId();
const start = new StreamId();
const end = new StreamId();
const ids = new IdList();

// ---- XADD ----

function xadd(call: Call): void {
  const { reply } = call;
  const idAt = options.parse(call, true);
  if (idAt === -1) return;
  const words = call.argc - idAt - 1;
  if (words < 2 || words % 2 === 1) {
    reply.error("ERR wrong number of arguments for 'xadd' command");
    return;
  }
  if (!options.automatic && !options.sequenceOpen && options.id.isMin) {
    reply.error('ERR The ID specified in XADD must be greater than 0-0');
    return;
  }
  const stream = writeCollection<Stream>(call, 1, TYPE_STREAM, options.noMakeStream ? null : createStream);
  if (stream === undefined) return;
  if (stream === null) {
    reply.null();
    return;
  }
  const problem = chooseId(call, stream) ?? tooLarge(call, idAt + 1);
  if (problem !== null) {
    reply.error(problem);
    return;
  }
  const { streamNodeMaxBytes, streamNodeMaxEntries } = call.server.config;
  stream.append(newId, call, idAt + 1, words / 2, streamNodeMaxBytes, streamNodeMaxEntries);
  replyId(reply, newId);
  keyModified(call, 1, NOTIFY_STREAM, 'xadd');
  if (options.trims && stream.trim(options) > 0) notify(call, 'xtrim');
  if (options.automatic || options.sequenceOpen || options.approximate) {
    propagateAdd(call, stream, options, idAt, newId);
  }
  call.db.keyspace.hooks.keyReady(call.db, TYPE_STREAM, call.bytes, call.offsets[1], call.lengths[1]);
}

/** Puts the entry's id into `newId`. @returns an error, or null. */
function chooseId(call: Call, stream: Stream): string | null {
  const { lastId } = stream;
  if (lastId.isMax) return 'ERR The stream has exhausted the last possible ID, unable to add more items';
  if (options.automatic) {
    newId.setTime(call.server.clock.unixMs);
    if (newId.compare(lastId) > 0 && !newId.sameMs(lastId)) return null;
    newId.copy(lastId);
    newId.increment();
    return null;
  }
  newId.copy(options.id);
  if (options.sequenceOpen && newId.sameMs(lastId)) {
    newId.copy(lastId);
    newId.increment();
    // never into the next millisecond
    if (!newId.sameMs(lastId)) newId.copy(lastId);
  }
  if (newId.compare(lastId) > 0) return null;
  return 'ERR The ID specified in XADD is equal or smaller than the target stream top item';
}

function tooLarge(call: Call, first: number): string | null {
  let bytes = 0;
  for (let i = first; i < call.argc; i++) bytes += call.lengths[i];
  return bytes > ENTRY_BYTES_MAX ? 'ERR Elements are too large to be stored' : null;
}

function notify(call: Call, event: string): void {
  call.db.keyspace.event(NOTIFY_STREAM, event, call.db, call.bytes, call.offsets[1], call.lengths[1]);
}

// ---- the others ----

function xlen(call: Call): void {
  const stream = readCollection<Stream>(call, 1, TYPE_STREAM);
  if (stream !== undefined) call.reply.integer(stream === null ? 0 : stream.length);
}

function xrange(call: Call, backwards: boolean): void {
  const { reply } = call;
  if (!parseRangeStart(call, backwards ? 3 : 2, start)) return;
  if (!parseRangeEnd(call, backwards ? 2 : 3, end)) return;
  let count = -1;
  for (let i = 4; i < call.argc; i += 2) {
    if (!call.is(i, 'count') || i + 1 >= call.argc) {
      reply.error(SYNTAX);
      return;
    }
    count = call.integer(i + 1);
    if (Number.isNaN(count)) return;
    if (count < 0) count = 0;
  }
  const stream = readCollection<Stream>(call, 1, TYPE_STREAM);
  if (stream === undefined) return;
  if (stream === null) reply.emptyArray();
  else if (count === 0) reply.nullArray();
  else replyRange(reply, stream, start, end, count === -1 ? 0 : count, backwards);
}

function xdel(call: Call): void {
  const stream = writeCollection<Stream>(call, 1, TYPE_STREAM, null);
  if (stream === undefined) return;
  let deleted = 0;
  if (stream !== null) {
    if (!ids.parse(call, 2, call.argc - 1)) return;
    for (let i = 2; i < call.argc; i++) if (stream.delete(ids.at(i - 2))) deleted++;
    ids.done();
    if (deleted > 0) keyChanged(call, 1, NOTIFY_STREAM, 'xdel', deleted);
  }
  call.reply.integer(deleted);
}

function xtrim(call: Call): void {
  if (options.parse(call, false) === -1) return;
  const stream = writeCollection<Stream>(call, 1, TYPE_STREAM, null);
  if (stream === undefined) return;
  const deleted = stream === null ? 0 : stream.trim(options);
  if (stream !== null && deleted > 0) {
    keyChanged(call, 1, NOTIFY_STREAM, 'xtrim', deleted);
    propagateTrim(call, stream, options);
  }
  call.reply.integer(deleted);
}

const maxDeleted = new StreamId();
const added = new Counter64();

function xsetid(call: Call): void {
  const { reply } = call;
  if (!parseId(call, 2, newId)) return;
  let addedGiven = false;
  maxDeleted.setMin();
  for (let i = 3; i < call.argc; i += 2) {
    if (i + 1 < call.argc && call.is(i, 'entriesadded')) {
      if (!parseAdded(call, i + 1)) return;
      addedGiven = true;
    } else if (i + 1 < call.argc && call.is(i, 'maxdeletedid')) {
      if (!parseId(call, i + 1, maxDeleted)) return;
      if (newId.compare(maxDeleted) < 0) {
        reply.error('ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id');
        return;
      }
    } else {
      reply.error(SYNTAX);
      return;
    }
  }
  const stream = writeCollection<Stream>(call, 1, TYPE_STREAM, null);
  if (stream === undefined) return;
  const problem = stream === null ? NO_SUCH_KEY : wrongLastId(stream, addedGiven);
  if (stream === null || problem !== null) {
    reply.error(problem ?? NO_SUCH_KEY);
    return;
  }
  stream.lastId.copy(newId);
  if (addedGiven) stream.entriesAdded.copy(added);
  if (!maxDeleted.isMin) stream.maxDeletedId.copy(maxDeleted);
  reply.ok();
  call.server.dirty++;
  notify(call, 'xsetid');
}

function parseAdded(call: Call, i: number): boolean {
  const value = call.integer(i);
  if (Number.isNaN(value)) return false;
  if (value < 0) {
    call.reply.error('ERR entries_added must be positive');
    return false;
  }
  added.setBig(parseBigInteger(call.bytes, call.offsets[i], call.lengths[i]) as bigint);
  return true;
}

/** Why the stream cannot have `newId` for its last id, or null. */
function wrongLastId(stream: Stream, addedGiven: boolean): string | null {
  if (stream.length === 0) return null;
  stream.edge(false, true, end);
  if (newId.compare(end) < 0) {
    return 'ERR The ID specified in XSETID is smaller than the target stream top item';
  }
  if (addedGiven && added.big < BigInt(stream.length)) {
    return 'ERR The entries_added specified in XSETID is smaller than the target stream length';
  }
  return null;
}

// ---- rows ----

const one: CommandSpec['keys'] = [1, 1, 1];
const read = { flags: ['readonly'], keys: one, group: 'stream', since: '5.0.0' } as const;
const write = { flags: ['write'], keys: one, group: 'stream', since: '5.0.0' } as const;
const writeFast = { flags: ['write', 'fast'], keys: one, group: 'stream', since: '5.0.0' } as const;
const growFast = { flags: ['write', 'denyoom', 'fast'], keys: one, group: 'stream', since: '5.0.0' } as const;

export const streamCommands: readonly CommandSpec[] = [
  { ...growFast, name: 'xadd', arity: -5, summary: 'Adds an entry to a stream.', run: xadd },
  {
    ...read,
    flags: ['readonly', 'fast'],
    name: 'xlen',
    arity: 2,
    summary: 'Counts the entries of a stream.',
    run: xlen,
  },
  {
    ...read,
    name: 'xrange',
    arity: -4,
    summary: 'Gets the entries of a stream between two ids.',
    run: (call) => xrange(call, false),
  },
  {
    ...read,
    name: 'xrevrange',
    arity: -4,
    summary: 'Gets the entries of a stream between two ids, the last first.',
    run: (call) => xrange(call, true),
  },
  {
    ...read,
    flags: ['readonly', 'blocking', 'movablekeys'],
    keys: [0, 0, 0],
    name: 'xread',
    arity: -4,
    summary: 'Gets entries behind given ids from several streams; waits for them on request.',
    run: xread,
  },
  {
    ...write,
    flags: ['write', 'blocking', 'movablekeys'],
    keys: [0, 0, 0],
    name: 'xreadgroup',
    arity: -7,
    summary: 'Gets entries from several streams as a consumer of a group; waits for them on request.',
    run: xreadgroup,
  },
  { ...writeFast, name: 'xdel', arity: -3, summary: 'Deletes entries from a stream.', run: xdel },
  { ...write, name: 'xtrim', arity: -4, summary: 'Deletes the first entries of a stream.', run: xtrim },
  {
    ...growFast,
    name: 'xsetid',
    arity: -3,
    summary: 'Sets the last id of a stream; for replication.',
    run: xsetid,
  },
  { ...writeFast, name: 'xack', arity: -4, summary: 'Acknowledges entries that a group was given.', run: xack },
  {
    ...writeFast,
    name: 'xclaim',
    arity: -6,
    summary: 'Makes pending entries those of another consumer.',
    run: xclaim,
  },
  {
    ...writeFast,
    name: 'xautoclaim',
    arity: -6,
    since: '6.2.0',
    summary: 'Makes pending entries that nobody works on those of another consumer.',
    run: xautoclaim,
  },
  {
    ...read,
    name: 'xpending',
    arity: -3,
    summary: 'Tells which entries were given out and not acknowledged.',
    run: xpending,
  },
  xgroupCommand,
  xinfoCommand,
];
