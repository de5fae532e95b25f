// Consumer groups: XGROUP, XACK, XPENDING, and what the other group commands share. stream.ts lists the commands.
import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { readCollection, readToChange, writeCollection } from '../core/lookup.ts';
import { NOTIFY_STREAM } from '../core/notify-flags.ts';
import { type Consumer, type ConsumerGroup, IdCursor } from '../data/consumer-group.ts';
import { Counter64 } from '../data/counter64.ts';
import { parseBigInteger } from '../data/integer.ts';
import type { Stream } from '../data/stream.ts';
import { StreamId } from '../data/stream-id.ts';
import { TYPE_STREAM } from '../data/value-type.ts';
import { helpRow, rowsOf } from './rows.ts';
import {
  createStream,
  IdList,
  parseAnyId,
  parseId,
  parseRangeEnd,
  parseRangeStart,
  replyCounter,
  replyId,
  wrongSubcommand,
} from './stream-words.ts';

const id = new StreamId();
const start = new StreamId();
const end = new StreamId();
const cursor = new IdCursor();
const counter = new Counter64();
const ids = new IdList();

// ---- shared ----

export function findGroup(call: Call, stream: Stream, i: number): ConsumerGroup | null {
  return stream.groups.find(call.bytes, call.offsets[i], call.lengths[i]);
}

function findConsumer(call: Call, group: ConsumerGroup, i: number): Consumer | null {
  return group.consumers.find(call.bytes, call.offsets[i], call.lengths[i]);
}

/** The consumer that word `i` names, seen now; made if it is new. @param keyAt word of the stream's key. */
export function seenConsumer(call: Call, group: ConsumerGroup, i: number, keyAt: number): Consumer {
  const found = findConsumer(call, group, i);
  if (found === null) return createConsumer(call, group, i, keyAt) as Consumer;
  found.seenTime = call.server.clock.unixMs;
  return found;
}

/** @returns null when there is one of that name. */
function createConsumer(call: Call, group: ConsumerGroup, i: number, keyAt: number): Consumer | null {
  const consumer = group.addConsumer(call.copy(i), call.server.clock.unixMs);
  if (consumer !== null) changed(call, keyAt, 'xgroup-createconsumer');
  return consumer;
}

/** A change of groups only: watchers of the key are not told, as in Redis. */
function changed(call: Call, keyAt: number, event: string): void {
  call.server.dirty++;
  const { db } = call;
  db.keyspace.event(NOTIFY_STREAM, event, db, call.bytes, call.offsets[keyAt], call.lengths[keyAt]);
}

/** The group of words 1 and 2; null after an error reply. @param changes whether the command may change it. */
export function readGroup(call: Call, changes: boolean): { stream: Stream; group: ConsumerGroup } | null {
  const lookUp = changes ? readToChange : readCollection;
  return groupOf(call, lookUp<Stream>(call, 1, TYPE_STREAM));
}

/** As `readGroup`, of what a look-up found before. */
export function groupOf(
  call: Call,
  stream: Stream | null | undefined,
): { stream: Stream; group: ConsumerGroup } | null {
  if (stream === undefined) return null;
  const group = stream === null ? null : findGroup(call, stream, 2);
  if (stream !== null && group !== null) return { stream, group };
  call.reply.error(`NOGROUP No such key '${call.cText(1)}' or consumer group '${call.cText(2)}'`);
  return null;
}

// ---- XGROUP ----

const NO_KEY =
  'ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.';

/** Options of CREATE and SETID; `read` is the entries read, -1 when not given. */
const groupOptions = { makeStream: false, read: -1n };

/** @returns false after an error reply. */
function parseGroupOptions(call: Call, isCreate: boolean): boolean {
  groupOptions.makeStream = false;
  groupOptions.read = -1n;
  for (let i = 5; i < call.argc; i++) {
    if (isCreate && call.is(i, 'mkstream')) {
      groupOptions.makeStream = true;
    } else if (call.is(i, 'entriesread') && i + 1 < call.argc) {
      if (Number.isNaN(call.integer(++i))) return false;
      groupOptions.read = parseBigInteger(call.bytes, call.offsets[i], call.lengths[i]) as bigint;
      if (groupOptions.read < -1n) {
        call.reply.error('ERR value for ENTRIESREAD must be positive or -1');
        return false;
      }
    } else {
      wrongSubcommand(call);
      return false;
    }
  }
  return true;
}

/** The stream of word 2; undefined after an error reply. */
function existingStream(call: Call): Stream | undefined {
  const stream = writeCollection<Stream>(call, 2, TYPE_STREAM, null);
  if (stream === null) call.reply.error(NO_KEY);
  return stream ?? undefined;
}

/** The group of words 2 and 3; null after an error reply. */
function existingGroup(call: Call): { stream: Stream; group: ConsumerGroup } | null {
  const stream = existingStream(call);
  if (stream === undefined) return null;
  const group = findGroup(call, stream, 3);
  if (group !== null) return { stream, group };
  call.reply.error(`NOGROUP No such consumer group '${call.cText(3)}' for key name '${call.cText(2)}'`);
  return null;
}

function create(call: Call): void {
  if (!parseGroupOptions(call, true)) return;
  const found = groupOptions.makeStream ? writeCollection<Stream>(call, 2, TYPE_STREAM, null) : existingStream(call);
  if (found === undefined) return;
  if (call.argc > 8) {
    wrongSubcommand(call);
    return;
  }
  if (call.is(4, '$')) {
    if (found === null) id.setMin();
    else id.copy(found.lastId);
  } else if (!parseId(call, 4, id)) return;
  const stream = found ?? addStream(call);
  const group = stream.addGroup(call.copy(3));
  if (group === null) {
    call.reply.error('BUSYGROUP Consumer Group name already exists');
    return;
  }
  group.lastId.copy(id);
  group.entriesRead.setBig(groupOptions.read);
  call.reply.ok();
  changed(call, 2, 'xgroup-create');
}

function addStream(call: Call): Stream {
  const { db } = call;
  const stream = createStream(call);
  db.addCollection(call.bytes, call.offsets[2], call.lengths[2], stream);
  db.keyspace.hooks.keyModified(db, call.bytes, call.offsets[2], call.lengths[2]);
  return stream;
}

function setId(call: Call): void {
  if (!parseGroupOptions(call, false)) return;
  const found = existingGroup(call);
  if (found === null) return;
  if (call.argc > 7) {
    wrongSubcommand(call);
    return;
  }
  const { stream, group } = found;
  if (call.is(4, '$')) id.copy(stream.lastId);
  else if (!parseAnyId(call, 4, id)) return;
  group.lastId.copy(id);
  group.entriesRead.setBig(groupOptions.read);
  call.reply.ok();
  changed(call, 2, 'xgroup-setid');
}

function destroy(call: Call): void {
  const stream = existingStream(call);
  if (stream === undefined) return;
  const group = findGroup(call, stream, 3);
  call.reply.integer(group === null ? 0 : 1);
  if (group === null) return;
  stream.removeGroup(group);
  changed(call, 2, 'xgroup-destroy');
  // Who waits for entries of the group gets an error.
  call.db.keyspace.hooks.keyReady(call.db, TYPE_STREAM, call.bytes, call.offsets[2], call.lengths[2]);
}

function addConsumer(call: Call): void {
  const found = existingGroup(call);
  if (found === null) return;
  call.reply.integer(createConsumer(call, found.group, 4, 2) === null ? 0 : 1);
}

function removeConsumer(call: Call): void {
  const found = existingGroup(call);
  if (found === null) return;
  const { group } = found;
  const consumer = findConsumer(call, group, 4);
  call.reply.integer(consumer === null ? 0 : consumer.pending.size);
  if (consumer === null) return;
  group.removeConsumer(consumer);
  changed(call, 2, 'xgroup-delconsumer');
}

const GROUP_HELP = [
  'CREATE <key> <groupname> <id|$> [option]',
  '    Create a new consumer group. Options are:',
  '    * MKSTREAM',
  '      Create the empty stream if it does not exist.',
  '    * ENTRIESREAD entries_read',
  "      Set the group's entries_read counter (internal use).",
  'CREATECONSUMER <key> <groupname> <consumer>',
  '    Create a new consumer in the specified group.',
  'DELCONSUMER <key> <groupname> <consumer>',
  '    Remove the specified consumer.',
  'DESTROY <key> <groupname>',
  '    Remove the specified group.',
  'SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]',
  '    Set the current group ID and entries_read counter.',
];

// ---- XACK ----

export function xack(call: Call): void {
  const stream = readToChange<Stream>(call, 1, TYPE_STREAM);
  if (stream === undefined) return;
  const group = stream === null ? null : findGroup(call, stream, 2);
  let acknowledged = 0;
  if (group !== null) {
    if (!ids.parse(call, 3, call.argc - 1)) return;
    for (let i = 3; i < call.argc; i++) {
      const acked = ids.at(i - 3);
      if (!group.pending.seek(acked, cursor)) continue;
      group.removePending(cursor, acked);
      acknowledged++;
    }
    ids.done();
    call.server.dirty += acknowledged;
  }
  call.reply.integer(acknowledged);
}

// ---- XPENDING ----

/** Words of XPENDING's long form. */
const range = { minIdle: 0, count: 0, consumerAt: 0 };

/** @returns false after an error reply. */
function parsePendingRange(call: Call): boolean {
  let at = 3;
  range.minIdle = 0;
  if (call.is(3, 'idle')) {
    range.minIdle = call.integer(4);
    if (Number.isNaN(range.minIdle)) return false;
    if (call.argc < 8) {
      call.syntaxError();
      return false;
    }
    at = 5;
  }
  range.count = call.integer(at + 2);
  if (Number.isNaN(range.count)) return false;
  if (!parseRangeStart(call, at, start) || !parseRangeEnd(call, at + 1, end)) return false;
  range.consumerAt = at + 3 < call.argc ? at + 3 : 0;
  return true;
}

export function xpending(call: Call): void {
  const { argc } = call;
  if (argc !== 3 && (argc < 6 || argc > 9)) {
    call.syntaxError();
    return;
  }
  if (argc > 3 && !parsePendingRange(call)) return;
  const found = readGroup(call, false);
  if (found === null) return;
  if (argc === 3) replyPendingSummary(call, found.group);
  else replyPendingRange(call, found.group);
}

function replyPendingSummary(call: Call, group: ConsumerGroup): void {
  const { reply } = call;
  const { pending } = group;
  reply.array(4);
  reply.integer(pending.size);
  if (pending.size === 0) {
    reply.null();
    reply.null();
    reply.nullArray();
    return;
  }
  pending.seekFirst(cursor);
  pending.readId(cursor, id);
  replyId(reply, id);
  pending.seekLast(cursor);
  pending.readId(cursor, id);
  replyId(reply, id);
  const mark = reply.openDeferred();
  let consumers = 0;
  for (const consumer of group.consumers.items) {
    if (consumer.pending.size === 0) continue;
    reply.array(2);
    reply.bulk(consumer.name, 0, consumer.name.length);
    reply.bulkInteger(consumer.pending.size);
    consumers++;
  }
  reply.closeArray(mark, consumers);
}

const groupCursor = new IdCursor();

function replyPendingRange(call: Call, group: ConsumerGroup): void {
  const { reply } = call;
  const consumer = range.consumerAt === 0 ? null : findConsumer(call, group, range.consumerAt);
  if (range.consumerAt !== 0 && consumer === null) {
    reply.emptyArray();
    return;
  }
  const list = consumer === null ? group.pending : consumer.pending;
  const now = call.server.clock.unixMs;
  const mark = reply.openDeferred();
  let replied = 0;
  list.seek(start, cursor);
  for (let more = !list.isEnd(cursor); more && replied < range.count; more = list.next(cursor)) {
    list.readId(cursor, id);
    if (id.compare(end) > 0) break;
    let at = cursor;
    if (consumer !== null) {
      group.pending.seek(id, groupCursor);
      at = groupCursor;
    }
    const idle = now - group.deliveryTime(at);
    if (range.minIdle !== 0 && idle < range.minIdle) continue;
    const owner = group.ownerOf(at) as Consumer;
    reply.array(4);
    replyId(reply, id);
    reply.bulk(owner.name, 0, owner.name.length);
    reply.integer(Math.max(0, idle));
    group.deliveriesTo(at, counter);
    replyCounter(reply, counter);
    replied++;
  }
  reply.closeArray(mark, replied);
}

// ---- rows ----

const onGroup = { flags: ['write'], keys: [2, 2, 1], group: 'stream', since: '5.0.0' } as const;
const growing = { ...onGroup, flags: ['write', 'denyoom'] } as const;

export const xgroupCommand: CommandSpec = {
  name: 'xgroup',
  arity: -2,
  flags: [],
  keys: [0, 0, 0],
  group: 'stream',
  since: '5.0.0',
  summary: 'Commands on the consumer groups of a stream.',
  subcommands: [
    { ...growing, name: 'xgroup|create', arity: -5, run: create, summary: 'Makes a consumer group.' },
    {
      ...growing,
      name: 'xgroup|createconsumer',
      arity: 5,
      since: '6.2.0',
      run: addConsumer,
      summary: 'Makes a consumer in a group.',
    },
    {
      ...onGroup,
      name: 'xgroup|delconsumer',
      arity: 5,
      run: removeConsumer,
      summary: 'Removes a consumer from a group.',
    },
    { ...onGroup, name: 'xgroup|destroy', arity: 4, run: destroy, summary: 'Removes a consumer group.' },
    { ...onGroup, name: 'xgroup|setid', arity: -5, run: setId, summary: 'Sets the last id a group was given.' },
    helpRow(rowsOf('stream', 'xgroup|'), '5.0.0', GROUP_HELP),
  ],
};
