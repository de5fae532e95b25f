// XINFO: what a stream, its groups and their consumers hold. stream.ts lists it.
import type { Call } from '../core/call.ts';
import type { CommandSpec } from '../core/command.ts';
import { NO_SUCH_KEY } from '../core/errors.ts';
import { readCollection } from '../core/lookup.ts';
import { type Consumer, type ConsumerGroup, IdCursor } from '../data/consumer-group.ts';
import { Counter64 } from '../data/counter64.ts';
import { type Stream, StreamWalker } from '../data/stream.ts';
import { StreamId } from '../data/stream-id.ts';
import { TYPE_STREAM } from '../data/value-type.ts';
import { helpRow, rowsOf } from './rows.ts';
import { findGroup } from './stream-groups.ts';
import { replyCounter, replyEntry, replyId, replyRange, wrongSubcommand } from './stream-words.ts';

const FULL_COUNT_DEFAULT = 10;

const id = new StreamId();
const counter = new Counter64();
const walk = new StreamWalker();
const cursor = new IdCursor();
const groupCursor = new IdCursor();

/** The stream of word 2; null after an error reply. */
function existingStream(call: Call): Stream | null {
  const stream = readCollection<Stream>(call, 2, TYPE_STREAM);
  if (stream === null) call.reply.error(NO_SUCH_KEY);
  return stream ?? null;
}

// ---- XINFO STREAM ----

function stream(call: Call): void {
  const found = existingStream(call);
  if (found === null) return;
  const { argc, reply } = call;
  if (argc === 3) {
    reply.map(10);
    replyState(call, found);
    reply.bulkLatin1('groups');
    reply.integer(found.groups.size);
    replyEdge(call, found, 'first-entry', false);
    replyEdge(call, found, 'last-entry', true);
    return;
  }
  if ((argc !== 4 && argc !== 6) || !call.is(3, 'full') || (argc === 6 && !call.is(4, 'count'))) {
    wrongSubcommand(call);
    return;
  }
  let count = argc === 6 ? call.integer(5) : FULL_COUNT_DEFAULT;
  if (Number.isNaN(count)) return;
  if (count < 0) count = FULL_COUNT_DEFAULT;
  reply.map(9);
  replyState(call, found);
  reply.bulkLatin1('entries');
  replyRange(reply, found, null, null, count, false);
  reply.bulkLatin1('groups');
  reply.array(found.groups.size);
  for (const group of found.groups.items) replyFullGroup(call, found, group, count);
}

/** The seven pairs that both forms begin with. */
function replyState(call: Call, found: Stream): void {
  const { reply } = call;
  reply.bulkLatin1('length');
  reply.integer(found.length);
  reply.bulkLatin1('radix-tree-keys');
  reply.integer(found.nodes.size);
  reply.bulkLatin1('radix-tree-nodes');
  reply.integer(found.radixNodes());
  reply.bulkLatin1('last-generated-id');
  replyId(reply, found.lastId);
  reply.bulkLatin1('max-deleted-entry-id');
  replyId(reply, found.maxDeletedId);
  reply.bulkLatin1('entries-added');
  replyCounter(reply, found.entriesAdded);
  reply.bulkLatin1('recorded-first-entry-id');
  replyId(reply, found.firstId);
}

function replyEdge(call: Call, found: Stream, name: string, last: boolean): void {
  call.reply.bulkLatin1(name);
  if (walk.begin(found, null, null, last).next()) replyEntry(call.reply, walk);
  else call.reply.null();
}

function replyFullGroup(call: Call, found: Stream, group: ConsumerGroup, count: number): void {
  const { reply } = call;
  reply.map(7);
  replyName(call, group.name);
  replyGroupState(call, found, group);
  reply.bulkLatin1('pel-count');
  reply.integer(group.pending.size);
  replyPending(call, group, null, count);
  reply.bulkLatin1('consumers');
  reply.array(group.consumers.size);
  for (const consumer of group.consumers.items) {
    reply.map(4);
    replyName(call, consumer.name);
    reply.bulkLatin1('seen-time');
    reply.integer(consumer.seenTime);
    reply.bulkLatin1('pel-count');
    reply.integer(consumer.pending.size);
    replyPending(call, group, consumer, count);
  }
}

function replyName(call: Call, name: Uint8Array): void {
  call.reply.bulkLatin1('name');
  call.reply.bulk(name, 0, name.length);
}

/** Up to `count` (0: all) pending entries of a consumer, or of the group, with their owners. */
function replyPending(call: Call, group: ConsumerGroup, consumer: Consumer | null, count: number): void {
  const { reply } = call;
  const list = consumer === null ? group.pending : consumer.pending;
  const entries = count === 0 ? list.size : Math.min(count, list.size);
  reply.bulkLatin1('pending');
  reply.array(entries);
  list.seekFirst(cursor);
  for (let i = 0; i < entries; i++, list.next(cursor)) {
    list.readId(cursor, id);
    group.pending.seek(id, groupCursor);
    reply.array(consumer === null ? 4 : 3);
    replyId(reply, id);
    if (consumer === null) {
      const owner = group.ownerOf(groupCursor) as Consumer;
      reply.bulk(owner.name, 0, owner.name.length);
    }
    group.deliveryTimeTo(groupCursor, counter);
    reply.integer(Number(counter.big));
    group.deliveriesTo(groupCursor, counter);
    replyCounter(reply, counter);
  }
}

// ---- XINFO GROUPS and CONSUMERS ----

/** The pairs last-delivered-id, entries-read and lag. */
function replyGroupState(call: Call, found: Stream, group: ConsumerGroup): void {
  const { reply } = call;
  reply.bulkLatin1('last-delivered-id');
  replyId(reply, group.lastId);
  reply.bulkLatin1('entries-read');
  if (group.entriesReadKnown) replyCounter(reply, group.entriesRead);
  else reply.null();
  reply.bulkLatin1('lag');
  const lag = lagOf(found, group);
  if (lag === null) reply.null();
  else reply.bigInteger(lag);
}

/** Entries that the group was not given yet; null when deleted ones make it unknown. */
function lagOf(found: Stream, group: ConsumerGroup): bigint | null {
  if (found.entriesAdded.isZero) return 0n;
  if (group.entriesReadKnown && !found.mayLackFrom(group.lastId)) {
    return BigInt.asIntN(64, found.entriesAdded.big - group.entriesRead.big);
  }
  return found.countUpTo(group.lastId, counter) ? BigInt.asIntN(64, found.entriesAdded.big - counter.big) : null;
}

function groups(call: Call): void {
  const found = existingStream(call);
  if (found === null) return;
  const { reply } = call;
  reply.array(found.groups.size);
  for (const group of found.groups.items) {
    reply.map(6);
    replyName(call, group.name);
    reply.bulkLatin1('consumers');
    reply.integer(group.consumers.size);
    reply.bulkLatin1('pending');
    reply.integer(group.pending.size);
    replyGroupState(call, found, group);
  }
}

function consumers(call: Call): void {
  const found = existingStream(call);
  if (found === null) return;
  const { reply } = call;
  const group = findGroup(call, found, 3);
  if (group === null) {
    reply.error(`NOGROUP No such consumer group '${call.cText(3)}' for key name '${call.cText(2)}'`);
    return;
  }
  const now = call.server.clock.unixMs;
  reply.array(group.consumers.size);
  for (const consumer of group.consumers.items) {
    reply.map(3);
    replyName(call, consumer.name);
    reply.bulkLatin1('pending');
    reply.integer(consumer.pending.size);
    reply.bulkLatin1('idle');
    reply.integer(Math.max(0, now - consumer.seenTime));
  }
}

const HELP = [
  'CONSUMERS <key> <groupname>',
  '    Show consumers of <groupname>.',
  'GROUPS <key>',
  '    Show the stream consumer groups.',
  'STREAM <key> [FULL [COUNT <count>]',
  '    Show information about the stream.',
];

const onStream = { flags: ['readonly'], keys: [2, 2, 1], group: 'stream', since: '5.0.0' } as const;

export const xinfoCommand: CommandSpec = {
  name: 'xinfo',
  arity: -2,
  flags: [],
  keys: [0, 0, 0],
  group: 'stream',
  since: '5.0.0',
  summary: 'Commands that tell about streams and their groups.',
  subcommands: [
    {
      ...onStream,
      name: 'xinfo|consumers',
      arity: 4,
      run: consumers,
      summary: 'Lists the consumers of a group.',
    },
    { ...onStream, name: 'xinfo|groups', arity: 3, run: groups, summary: 'Lists the groups of a stream.' },
    { ...onStream, name: 'xinfo|stream', arity: -3, run: stream, summary: 'Tells about a stream.' },
    helpRow(rowsOf('stream', 'xinfo|'), '5.0.0', HELP),
  ],
};
