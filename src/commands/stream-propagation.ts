// What streams tell the append-only file and replicas in place of the commands that were sent: entries with the ids they
// got, trims that say exactly how far they went, and each entry that a consumer was given. Only the files of stream
// commands import it.
import type { Call } from '../core/call.ts';
import type { Word } from '../core/propagation.ts';
import type { ConsumerGroup, IdCursor } from '../data/consumer-group.ts';
import { Counter64 } from '../data/counter64.ts';
import type { Stream } from '../data/stream.ts';
import { StreamId } from '../data/stream-id.ts';
import type { TrimOptions } from './stream-words.ts';

const id = new StreamId();
const time = new Counter64();
const deliveries = new Counter64();

/** XADD with the id that the entry got, and its trim made exact. @param idAt word of the id. */
export function propagateAdd(call: Call, stream: Stream, options: TrimOptions, idAt: number, added: StreamId): void {
  if (!call.propagates) return;
  const words = wordsOf(call);
  words[idAt] = added.toString();
  if (options.trims && options.approximate) makeExact(words, stream, options);
  call.propagateAs(...words);
}

/** XTRIM made exact: what `~` leaves depends on how the nodes lie. */
export function propagateTrim(call: Call, stream: Stream, options: TrimOptions): void {
  if (!call.propagates || !options.approximate) return;
  const words = wordsOf(call);
  makeExact(words, stream, options);
  call.propagateAs(...words);
}

function wordsOf(call: Call): Word[] {
  return Array.from({ length: call.argc }, (_, i) => call.word(i));
}

function makeExact(words: Word[], stream: Stream, options: TrimOptions): void {
  words[options.thresholdAt - 1] = '=';
  if (options.maxLength >= 0) {
    words[options.thresholdAt] = stream.length;
  } else {
    stream.edge(true, false, id);
    words[options.thresholdAt] = id.toString();
  }
}

/**
 * A pending entry as it is now, in words that may be repeated.
 * @param idWord the id as it was given; null: written anew.
 */
export function propagateClaim(
  call: Call,
  keyAt: number,
  group: ConsumerGroup,
  cursor: IdCursor,
  idWord: Uint8Array | null,
): void {
  if (!call.propagates) return;
  group.pending.readId(cursor, id);
  group.deliveryTimeTo(cursor, time);
  group.deliveriesTo(cursor, deliveries);
  call.propagateAs(
    'XCLAIM',
    call.word(keyAt),
    group.name,
    group.ownerOf(cursor)?.name ?? '',
    0,
    idWord ?? id.toString(),
    'TIME',
    String(time.big),
    'RETRYCOUNT',
    String(deliveries.big),
    'FORCE',
    'JUSTID',
    'LASTID',
    group.lastId.toString(),
  );
}

/** How far a group has read, where no XCLAIM tells it. */
export function propagateGroupId(call: Call, keyAt: number, group: ConsumerGroup): void {
  if (!call.propagates) return;
  const read = String(group.entriesRead.big);
  call.propagateAs('XGROUP', 'SETID', call.word(keyAt), group.name, group.lastId.toString(), 'ENTRIESREAD', read);
}

/** A consumer that nothing is pending at, which no XCLAIM makes. */
export function propagateConsumer(call: Call, keyAt: number, group: ConsumerGroup, name: Uint8Array): void {
  if (call.propagates) call.propagateAs('XGROUP', 'CREATECONSUMER', call.word(keyAt), group.name, name);
}
