// Payload and FIN of an acceptable segment (RFC 9293 3.10.7.4, seventh and eighth check). The first in-order payload of
// a batch stays in the frame it came in, to be read there; a second one, or one out of order, goes to the
// connection's receive buffer, where out-of-order bytes already lie in their place. Used by stack/tcp only.
import { atOrAfter, distance } from '../sequence.ts';
import { DROP_TCP_NO_BUFFER } from '../stats.ts';
import { FIN, type TcpSegment } from '../wire/tcp.ts';
import {
  ACKNOWLEDGED_ALONE,
  CLOSE_WAIT,
  CLOSING,
  type Connection,
  ESTABLISHED,
  EVENT_END,
  EVENT_READABLE,
  FIN_WAIT_1,
  FIN_WAIT_2,
  OPTION_SACK,
  QUICK_ACKS,
} from './connection.ts';
import { sendAck } from './output.ts';
import { tuneSpace } from './receive-space.ts';
import type { Tcp } from './tcp.ts';

export function receive(tcp: Tcp, c: Connection, segment: TcpSegment, bytes: Uint8Array): void {
  if (c.finReceived) return;
  let { seq, payloadOffset: offset, payloadLength: length } = segment;
  let fin = (segment.flags & FIN) !== 0;
  const window = distance(c.rcvAdv, c.rcvNxt);
  const skip = distance(c.rcvNxt, seq);
  if (skip > 0) {
    // What we have already; it was acceptable, so something new follows, if only the FIN.
    tcp.stats.tcpInDuplicates++;
    c.ackNow = true;
    const known = Math.min(skip, length);
    if (known > 0) noteTwice(tcp, c, seq, known);
    seq = (seq + skip) | 0;
    offset += known;
    length -= known;
  }
  const gap = distance(seq, c.rcvNxt);
  if (gap + length > window) {
    length = window - gap;
    fin = false;
    c.ackNow = true;
  }
  if (length > c.rcvMss) c.rcvMss = Math.min(length, tcp.mssMax);
  else if (length > 0 && isHeldUp(c, length)) c.ackNow = true;
  tcp.markDirty(c);
  if (gap > 0) {
    outOfOrder(tcp, c, seq, gap, bytes, offset, length, fin);
    return;
  }
  if (length > 0) {
    if (!inOrder(tcp, c, bytes, offset, length)) return;
    tuneSpace(tcp, c, segment);
  }
  if (fin || (c.finAhead && c.rcvFin === c.rcvNxt)) onFin(tcp, c);
}

/**
 * A short segment behind others that were acknowledged without an answer: our window may have cut it, and its sender keeps the
 * rest of what he writes until it is acknowledged (Nagle, RFC 9293 3.7.4), while the reader waits for just that. An answer that
 * is written now takes the acknowledgement along.
 */
function isHeldUp(c: Connection, length: number): boolean {
  return length < c.rcvMss && (c.options & ACKNOWLEDGED_ALONE) !== 0;
}

/** RFC 2883 4: `length` bytes at `seq` came before; the next segment says so. */
export function noteTwice(tcp: Tcp, c: Connection, seq: number, length: number): void {
  if ((c.options & OPTION_SACK) === 0) return;
  if (c.dsackLength === 0) tcp.stats.tcpOutDsacks++;
  c.dsackStart = seq;
  c.dsackLength = length;
}

/** @returns false when there was no memory for it: not received. */
function inOrder(tcp: Tcp, c: Connection, bytes: Uint8Array, offset: number, length: number): boolean {
  const { receiveBuffer: buffer, outOfOrder: ahead } = c;
  if (c.inPlaceLength === 0 && buffer.bytes.length === 0 && ahead === null && bytes === tcp.memory) {
    c.inPlaceOffset = offset;
    c.inPlaceLength = length;
  } else {
    if (!keep(tcp, c) || !buffer.write(tcp.blocks, 0, bytes, offset, length)) {
      tcp.stats.drop(DROP_TCP_NO_BUFFER);
      return false;
    }
    buffer.advance(length);
  }
  c.rcvNxt = (c.rcvNxt + length) | 0;
  tcp.stats.tcpInBytes += length;
  if (ahead !== null) joinAhead(tcp, c);
  tcp.markReady(c, EVENT_READABLE);
  return true;
}

/** In-order data has reached what came before its time. */
function joinAhead(tcp: Tcp, c: Connection): void {
  const ahead = c.outOfOrder!;
  const end = ahead.endOfRangeAt(c.rcvNxt);
  const joined = distance(end, c.rcvNxt);
  c.receiveBuffer.advance(joined);
  c.rcvNxt = end;
  tcp.stats.tcpInBytes += joined;
  ahead.removeBefore(end);
  if (ahead.count === 0) {
    tcp.giveAssembler(ahead);
    c.outOfOrder = null;
  }
  // RFC 5681 4.2: at once when a gap is filled, in part or whole.
  c.ackNow = true;
}

/** Keeps what came too early where it belongs, and says so at once (RFC 5681 4.2). */
function outOfOrder(
  tcp: Tcp,
  c: Connection,
  seq: number,
  gap: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  fin: boolean,
): void {
  tcp.stats.tcpInOutOfOrder++;
  // A sender in recovery steers by acknowledgements: for a while every segment gets its own (RFC 5681 4.2 allows it).
  c.quickAcks = QUICK_ACKS;
  if (length > 0) {
    c.outOfOrder ??= tcp.takeAssembler();
    const ahead = c.outOfOrder;
    if (ahead !== null && ahead.covered(seq, (seq + length) | 0) === length) noteTwice(tcp, c, seq, length);
    const kept =
      ahead !== null &&
      keep(tcp, c) &&
      c.receiveBuffer.write(tcp.blocks, gap, bytes, offset, length) &&
      ahead.add(seq, (seq + length) | 0);
    if (!kept) {
      tcp.stats.drop(DROP_TCP_NO_BUFFER);
      fin = false;
      if (ahead !== null && ahead.count === 0) {
        tcp.giveAssembler(ahead);
        c.outOfOrder = null;
      }
    }
  }
  if (fin) {
    c.finAhead = true;
    c.rcvFin = (seq + length) | 0;
  }
  sendAck(tcp, c);
}

/**
 * Moves what would be read in its frame to the receive buffer, because the frame goes or more has come.
 * @returns false when there is no memory: it stays where it is.
 */
export function keep(tcp: Tcp, c: Connection): boolean {
  if (c.inPlaceLength === 0) return true;
  if (!c.receiveBuffer.write(tcp.blocks, 0, tcp.memory, c.inPlaceOffset, c.inPlaceLength)) return false;
  c.receiveBuffer.advance(c.inPlaceLength);
  c.inPlaceLength = 0;
  return true;
}

function onFin(tcp: Tcp, c: Connection): void {
  c.finReceived = true;
  c.finAhead = false;
  c.rcvNxt = (c.rcvNxt + 1) | 0;
  if (atOrAfter(c.rcvNxt, c.rcvAdv)) c.rcvAdv = c.rcvNxt;
  c.ackNow = true;
  tcp.markReady(c, EVENT_END);
  if (c.state === ESTABLISHED) {
    c.state = CLOSE_WAIT;
  } else if (c.state === FIN_WAIT_1) {
    // Ours is not acknowledged yet, or the state would be FIN-WAIT-2.
    c.state = CLOSING;
  } else if (c.state === FIN_WAIT_2) {
    sendAck(tcp, c);
    tcp.timeWait(c);
  }
}
