// A stream as RDB carries it: its nodes as they are, its counters, and each group with what is pending, in order of
// ids for the group with time and count, for each consumer the ids alone. Only rdb-value-writer.ts imports it.
import { type ConsumerGroup, IdCursor } from '../data/consumer-group.ts';
import { Counter64 } from '../data/counter64.ts';
import type { IdTree } from '../data/id-tree.ts';
import * as listpack from '../data/listpack.ts';
import type { Stream } from '../data/stream.ts';
import { STREAM_ID_BYTES, StreamId } from '../data/stream-id.ts';
import type { Slices } from './dataset-format.ts';
import type { RdbOutput } from './rdb-output.ts';

/** Pending entries between two pauses. */
const SLICE_ENTRIES = 1024;

const id = new StreamId();
const idBytes = new Uint8Array(STREAM_ID_BYTES);
const counter = new Counter64();

/** Writes a stream with a pause now and then; it must not change meanwhile. */
export function* streamSlices(out: RdbOutput, stream: Stream): Slices {
  const { nodes, arena } = stream;
  const cursor = new IdCursor();
  out.size(nodes.size);
  for (let more = nodes.seekFirst(cursor); more; more = nodes.next(cursor)) {
    nodes.readId(cursor, id);
    id.encode(idBytes, 0);
    out.string(idBytes, 0, STREAM_ID_BYTES);
    const block = stream.nodeBlock(cursor);
    const bytes = arena.bytesOf(block);
    const base = arena.offsetOf(block);
    out.string(bytes, base, listpack.totalBytes(bytes, base));
    yield;
  }
  out.size(stream.length);
  writeId(out, stream.lastId);
  writeId(out, stream.firstId);
  writeId(out, stream.maxDeletedId);
  out.size64(stream.entriesAdded.high, stream.entriesAdded.low);
  out.size(stream.groups.size);
  for (const group of stream.groups.items) yield* groupSlices(out, group);
}

function writeId(out: RdbOutput, written: StreamId): void {
  out.size64(written.msHigh, written.msLow);
  out.size64(written.seqHigh, written.seqLow);
}

function* groupSlices(out: RdbOutput, group: ConsumerGroup): Slices {
  out.string(group.name, 0, group.name.length);
  writeId(out, group.lastId);
  out.size64(group.entriesRead.high, group.entriesRead.low);
  yield* pendingSlices(out, group.pending, group);
  out.size(group.consumers.size);
  for (const consumer of group.consumers.items) {
    out.string(consumer.name, 0, consumer.name.length);
    out.int64(consumer.seenTime);
    yield* pendingSlices(out, consumer.pending, null);
  }
}

/** @param group also write what the group knows of each entry. */
function* pendingSlices(out: RdbOutput, pending: IdTree, group: ConsumerGroup | null): Slices {
  const cursor = new IdCursor();
  let written = 0;
  out.size(pending.size);
  for (let more = pending.seekFirst(cursor); more; more = pending.next(cursor)) {
    pending.readId(cursor, id);
    id.encode(idBytes, 0);
    out.raw(idBytes, 0, STREAM_ID_BYTES);
    if (group !== null) {
      group.deliveryTimeTo(cursor, counter);
      out.int64Halves(counter.high, counter.low);
      group.deliveriesTo(cursor, counter);
      out.size64(counter.high, counter.low);
    }
    if (++written % SLICE_ENTRIES === 0) yield;
  }
}
