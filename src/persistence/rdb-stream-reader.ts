// Streams out of RDB, in the three forms since Redis 5.0. Nodes are taken over as they are after a check that
// leaves nothing to chance: no later command can walk out of one. Only rdb-value-reader.ts imports it.
import { type Consumer, type ConsumerGroup, IdCursor } from '../data/consumer-group.ts';
import { Counter64 } from '../data/counter64.ts';
import { Element } from '../data/element.ts';
import type { Stream } from '../data/stream.ts';
import { STREAM_ID_BYTES, StreamId } from '../data/stream-id.ts';
import { isValid } from '../data/stream-node.ts';
import { RDB_STREAM_LISTPACKS, RDB_STREAM_LISTPACKS_3 } from './rdb-format.ts';
import type { RdbInput } from './rdb-input.ts';

const element = new Element();
const cursor = new IdCursor();
const id = new StreamId();
const counter = new Counter64();

/** Reads an empty stream's contents. @throws RdbError */
export function fillStream(input: RdbInput, type: number, stream: Stream): void {
  for (let rest = input.count(); rest > 0; rest--) readNode(input, stream);
  // The nodes know better how many entries there are.
  input.count64(counter);
  readId(input, stream.lastId);
  if (type === RDB_STREAM_LISTPACKS) {
    stream.entriesAdded.set(0, stream.length);
    if (!stream.edge(true, true, stream.firstId)) stream.firstId.setMin();
  } else {
    readId(input, stream.firstId);
    readId(input, stream.maxDeletedId);
    input.count64(stream.entriesAdded);
  }
  if (!counter.isZero && stream.nodes.size === 0) input.fail('Stream length inconsistent with its nodes');
  for (let rest = input.count(); rest > 0; rest--) readGroup(input, type, stream);
}

function readNode(input: RdbInput, stream: Stream): void {
  input.string(element);
  if (element.length !== STREAM_ID_BYTES) input.fail('Stream node key is not the size of a stream ID');
  id.decode(element.bytes, element.offset);
  input.string(element);
  const { bytes, offset, length } = element;
  if (!isValid(bytes, offset, length)) input.fail('Stream listpack integrity check failed');
  if (!stream.addNode(id, bytes, offset, length)) input.fail('Stream node re-added with existing key');
}

function readId(input: RdbInput, read: StreamId): void {
  input.count64(half);
  const { high, low } = half;
  input.count64(half);
  read.set(high, low, half.high, half.low);
}

const half = new Counter64();

function readGroup(input: RdbInput, type: number, stream: Stream): void {
  input.string(element);
  const group = stream.addGroup(element.copy());
  if (group === null) input.fail('Duplicate consumer group name');
  readId(input, group.lastId);
  if (type !== RDB_STREAM_LISTPACKS) input.count64(group.entriesRead);
  else if (!stream.countUpTo(group.lastId, group.entriesRead)) group.entriesRead.set(-1, -1);
  readPending(input, group);
  for (let rest = input.count(); rest > 0; rest--) readConsumer(input, type, group);
  const { pending } = group;
  for (let more = pending.seekFirst(cursor); more; more = pending.next(cursor)) {
    if (group.ownerOf(cursor) === null) input.fail('Pending entry of a group without a consumer');
  }
}

function readRawId(input: RdbInput): void {
  const at = input.take(STREAM_ID_BYTES);
  id.decode(input.bytes, at);
}

function readPending(input: RdbInput, group: ConsumerGroup): void {
  for (let rest = input.count(); rest > 0; rest--) {
    readRawId(input);
    if (!group.pending.insert(id, cursor)) input.fail('Duplicate pending entry of a consumer group');
    input.int64To(counter);
    group.setDeliveryTimeHalves(cursor, counter.high, counter.low);
    input.count64(counter);
    group.setDeliveries(cursor, counter);
  }
}

function readConsumer(input: RdbInput, type: number, group: ConsumerGroup): void {
  input.string(element);
  const name = element.copy();
  const consumer: Consumer | null = group.addConsumer(name, 0);
  if (consumer === null) input.fail('Duplicate stream consumer detected');
  consumer.seenTime = input.int64();
  if (type === RDB_STREAM_LISTPACKS_3) input.int64();
  for (let rest = input.count(); rest > 0; rest--) {
    readRawId(input);
    if (!group.pending.seek(id, cursor)) input.fail('Pending entry of a consumer is not pending in its group');
    if (group.ownerOf(cursor) !== null) input.fail('Stream consumer PEL entry already has a consumer assigned');
    group.assign(cursor, id, consumer);
  }
}
