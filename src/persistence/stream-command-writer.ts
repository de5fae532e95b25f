// A stream as the commands that make it: its entries, its counters, its groups, and each pending entry by an XCLAIM that
// forces it. Only command-writer.ts imports this file.
import { type Consumer, type ConsumerGroup, IdCursor } from '../data/consumer-group.ts';
import { Counter64 } from '../data/counter64.ts';
import { type Stream, StreamWalker } from '../data/stream.ts';
import { StreamId } from '../data/stream-id.ts';
import { bulk, header, text } from './command-words.ts';
import type { Slices } from './dataset-format.ts';
import type { RdbOutput } from './rdb-output.ts';

/** Commands between two pauses. */
const SLICE_COMMANDS = 64;

export function* streamSlices(out: RdbOutput, key: Uint8Array, stream: Stream): Slices {
  const walk = new StreamWalker().begin(stream, null, null, false);
  const sink = { bulk: (bytes: Uint8Array, offset: number, length: number) => bulk(out, bytes, offset, length) };
  for (let written = 1; walk.next(); written++) {
    begin(out, 'XADD', key, 1 + walk.fields * 2);
    text(out, walk.id.toString());
    walk.emit(sink);
    if (written % SLICE_COMMANDS === 0) yield;
  }
  // An empty stream is one whose only entry is trimmed at once.
  if (stream.length === 0) {
    begin(out, 'XADD', key, 5);
    for (const word of ['MAXLEN', '0', '0-1', 'x', 'y']) text(out, word);
  }
  begin(out, 'XSETID', key, 5);
  text(out, stream.lastId.toString());
  text(out, 'ENTRIESADDED');
  text(out, String(stream.entriesAdded.big));
  text(out, 'MAXDELETEDID');
  text(out, stream.maxDeletedId.toString());
  for (const group of stream.groups.items) yield* groupSlices(out, key, group);
}

function* groupSlices(out: RdbOutput, key: Uint8Array, group: ConsumerGroup): Slices {
  header(out, 7);
  text(out, 'XGROUP');
  text(out, 'CREATE');
  bulk(out, key, 0, key.length);
  bulk(out, group.name, 0, group.name.length);
  text(out, group.lastId.toString());
  text(out, 'ENTRIESREAD');
  text(out, String(group.entriesRead.big));
  for (const consumer of group.consumers.items) {
    if (consumer.pending.size > 0) yield* claimSlices(out, key, group, consumer);
    else {
      header(out, 5);
      text(out, 'XGROUP');
      text(out, 'CREATECONSUMER');
      bulk(out, key, 0, key.length);
      bulk(out, group.name, 0, group.name.length);
      bulk(out, consumer.name, 0, consumer.name.length);
    }
    yield;
  }
}

function* claimSlices(out: RdbOutput, key: Uint8Array, group: ConsumerGroup, consumer: Consumer): Slices {
  const { pending } = consumer;
  const own = new IdCursor();
  const inGroup = new IdCursor();
  const id = new StreamId();
  const counter = new Counter64();
  let written = 0;
  for (let more = pending.seekFirst(own); more; more = pending.next(own)) {
    pending.readId(own, id);
    group.pending.seek(id, inGroup);
    begin(out, 'XCLAIM', key, 10);
    bulk(out, group.name, 0, group.name.length);
    bulk(out, consumer.name, 0, consumer.name.length);
    text(out, '0');
    text(out, id.toString());
    text(out, 'TIME');
    group.deliveryTimeTo(inGroup, counter);
    text(out, String(counter.big));
    text(out, 'RETRYCOUNT');
    group.deliveriesTo(inGroup, counter);
    text(out, String(counter.big));
    text(out, 'JUSTID');
    text(out, 'FORCE');
    if (++written % SLICE_COMMANDS === 0) yield;
  }
}

/** Command, key, and as many words to come. */
function begin(out: RdbOutput, command: string, key: Uint8Array, words: number): void {
  header(out, words + 2);
  text(out, command);
  bulk(out, key, 0, key.length);
}
