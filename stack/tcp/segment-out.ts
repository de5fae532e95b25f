// Building segments straight into outgoing frames: options, header, payload copied and summed in one pass. Every
// function answers false when there is no outgoing slot, and then nothing has changed. Used by stack/tcp only.
import type { NextHop } from '../neighbors.ts';
import { distance } from '../sequence.ts';
import { copyBytes, writeUint16 } from '../wire/bytes.ts';
import { combine, copyAndSum, finish, finishPartial, sum } from '../wire/checksum.ts';
import { PROTOCOL_TCP } from '../wire/ipv4.ts';
import { ACK, RST, TCP_CHECKSUM, TCP_HEADER_LENGTH, type TcpSegment, writeTcpHeader } from '../wire/tcp.ts';
import {
  sackOptionLength,
  TIMESTAMPS_OPTION_LENGTH,
  writeMssOption,
  writeSackOption,
  writeSackPermittedOption,
  writeTimestampsOption,
  writeWindowScaleOption,
} from '../wire/tcp-options.ts';
import {
  ACKNOWLEDGED_ALONE,
  type Connection,
  OPTION_ECN,
  OPTION_SACK,
  OPTION_TIMESTAMPS,
  TIMER_DELAYED_ACK,
} from './connection.ts';
import { ECT_0, ecnFlags } from './ecn.ts';
import { TRACE_SENT, TRACE_SENT_AGAIN } from './segment-trace.ts';
import type { Tcp } from './tcp.ts';

/** The two ends of a segment that goes out. */
export interface Ends {
  readonly localIp: number;
  readonly localPort: number;
  readonly remoteIp: number;
  readonly remotePort: number;
  readonly hop: NextHop;
}

/** Those with timestamps of their own. */
export interface TimestampedEnds extends Ends {
  readonly tsOffset: number;
  readonly tsRecent: number;
}

const sackEdges = new Int32Array(8);

/** A segment of a synchronized connection: `length` bytes of the send ring that begin at `seq`. */
export function emit(tcp: Tcp, c: Connection, seq: number, flags: number, length: number): boolean {
  const isLong = length > c.mss;
  const at = tcp.ip.beginPacket(c.hop, c.localIp, c.remoteIp, PROTOCOL_TCP, isLong);
  if (at < 0) return false;
  const { memory } = tcp;
  const hasEcn = (c.options & OPTION_ECN) !== 0;
  // RFC 3168 6.1.4, 6.1.5: neither acknowledgements nor what is sent again are ECN-capable.
  const isNewData = length > 0 && seq === c.sndNxt;
  if (hasEcn) flags |= ecnFlags(tcp, c, isNewData);
  let options = at + TCP_HEADER_LENGTH;
  if ((c.options & OPTION_TIMESTAMPS) !== 0) {
    options += writeTimestampsOption(memory, options, (tcp.nowMs + c.tsOffset) | 0, c.tsRecent);
  }
  if (c.outOfOrder !== null || c.dsackLength !== 0) options += writeSack(c, memory, options, length);
  const optionsLength = options - at - TCP_HEADER_LENGTH;
  const window = offerWindow(tcp, c);
  writeTcpHeader(memory, at, c.localPort, c.remotePort, seq, c.rcvNxt, flags, window, optionsLength);
  const total = options - at + length;
  const pseudo = tcp.book.pseudoHeaderSum(c.localIp, c.remoteIp, PROTOCOL_TCP, total);
  if (isLong || tcp.txChecksumOffload) {
    writeUint16(memory, at + TCP_CHECKSUM, finishPartial(pseudo));
    if (length > 0) copyPayload(c, seq, length, memory, options);
  } else {
    let partial = sum(memory, at, options - at, pseudo);
    if (length > 0) partial = copyAndSumPayload(c, seq, length, memory, options, partial);
    writeUint16(memory, at + TCP_CHECKSUM, finish(partial));
  }
  tcp.ip.finishPacket(total, isLong ? c.mss : 0, hasEcn && isNewData ? ECT_0 : 0);
  acknowledged(tcp, c);
  tcp.stats.tcpOutSegs++;
  tcp.stats.tcpOutBytes += length;
  if (length === 0) c.options |= ACKNOWLEDGED_ALONE;
  else {
    c.options &= ~ACKNOWLEDGED_ALONE;
    c.lastSentMs = tcp.nowMs;
    if (c === tcp.traced) tcp.trace!.add(isNewData ? TRACE_SENT : TRACE_SENT_AGAIN, tcp.nowUs, seq, length);
  }
  return true;
}

/** What went out carried the acknowledgement of everything received. */
function acknowledged(tcp: Tcp, c: Connection): void {
  if (c.lastAckSent !== c.rcvNxt) {
    c.lastAckSent = c.rcvNxt;
    if (c.quickAcks > 0) c.quickAcks--;
  } else if (c.ackNow) {
    tcp.stats.tcpDuplicateAcks++;
  }
  c.ackNow = false;
  c.timers &= ~TIMER_DELAYED_ACK;
}

/** Bytes that the window may offer: what the buffer has room for, and the field can say. */
export function receiveRoom(c: Connection): number {
  return Math.min(Math.max(c.rcvSpace - c.unread, 0), 0xffff << c.rcvWindShift);
}

/**
 * The window field: as much as the buffer has room for, its right edge moved only by worthwhile steps and never
 * back (RFC 9293 3.8.6.2.2).
 */
function offerWindow(tcp: Tcp, c: Connection): number {
  const edge = (c.rcvNxt + receiveRoom(c)) | 0;
  const step = distance(edge, c.rcvAdv);
  if (step >= Math.min(c.rcvSpace >> 1, tcp.mssMax)) c.rcvAdv = edge;
  const window = distance(c.rcvAdv, c.rcvNxt) >> c.rcvWindShift;
  return Math.min(window, 0xffff);
}

/** SACK blocks, the latest first (RFC 2018 4), as many as fit beside the other options and the payload. */
function writeSack(c: Connection, memory: Uint8Array, at: number, length: number): number {
  if ((c.options & OPTION_SACK) === 0) return 0;
  const ranges = c.outOfOrder;
  // RFC 2883 4: what came twice goes before the others.
  const first = c.dsackLength !== 0 ? 1 : 0;
  let count = Math.min(first + (ranges === null ? 0 : ranges.count), (c.options & OPTION_TIMESTAMPS) !== 0 ? 3 : 4);
  while (count > 0 && length + sackOptionLength(count) > c.mss) count--;
  if (first === 1 && count > 0) {
    sackEdges[0] = c.dsackStart;
    sackEdges[1] = (c.dsackStart + c.dsackLength) | 0;
    c.dsackLength = 0;
  }
  let turn = 0x7fffffff;
  for (let i = first; i < count && ranges !== null; i++) {
    const index = ranges.mostRecent(turn);
    turn = ranges.turnOf(index);
    sackEdges[2 * i] = ranges.starts[index];
    sackEdges[2 * i + 1] = ranges.ends[index];
  }
  return writeSackOption(memory, at, sackEdges, count);
}

function copyPayload(c: Connection, seq: number, length: number, memory: Uint8Array, at: number): void {
  const ring = c.sendRing;
  const from = ring.indexOf(distance(seq, c.sndUna));
  const first = Math.min(length, ring.bytes.length - from);
  copyBytes(memory, at, ring.bytes, from, first);
  if (first < length) copyBytes(memory, at + first, ring.bytes, 0, length - first);
}

function copyAndSumPayload(
  c: Connection,
  seq: number,
  length: number,
  memory: Uint8Array,
  at: number,
  initial: number,
): number {
  const ring = c.sendRing;
  const from = ring.indexOf(distance(seq, c.sndUna));
  const first = Math.min(length, ring.bytes.length - from);
  const partial = copyAndSum(memory, at, ring.bytes, from, first, initial);
  if (first === length) return partial;
  return combine(partial, first, copyAndSum(memory, at + first, ring.bytes, 0, length - first, 0));
}

/** A SYN or SYN,ACK. @param shift window scale to offer; -1: none. */
export function emitSyn(
  tcp: Tcp,
  ends: TimestampedEnds,
  seq: number,
  ack: number,
  flags: number,
  shift: number,
  permitSack: boolean,
  hasTimestamps: boolean,
): boolean {
  const at = tcp.ip.beginPacket(ends.hop, ends.localIp, ends.remoteIp, PROTOCOL_TCP);
  if (at < 0) return false;
  const { memory } = tcp;
  let options = at + TCP_HEADER_LENGTH;
  options += writeMssOption(memory, options, tcp.mssFor(ends.remoteIp));
  if (permitSack) options += writeSackPermittedOption(memory, options);
  if (hasTimestamps) {
    const echo = (flags & ACK) !== 0 ? ends.tsRecent : 0;
    options += writeTimestampsOption(memory, options, (tcp.nowMs + ends.tsOffset) | 0, echo);
  }
  if (shift >= 0) options += writeWindowScaleOption(memory, options, shift);
  // RFC 7323 2.2: the window of a SYN is never scaled.
  const window = Math.min(tcp.receiveBufferMax, 0xffff);
  const optionsLength = options - at - TCP_HEADER_LENGTH;
  writeTcpHeader(memory, at, ends.localPort, ends.remotePort, seq, ack, flags, window, optionsLength);
  seal(tcp, ends, at, options - at);
  return true;
}

/** An acknowledgement by something that has no connection. @param window as it goes into the header. */
export function emitAck(
  tcp: Tcp,
  ends: TimestampedEnds,
  seq: number,
  ack: number,
  window: number,
  hasTimestamps: boolean,
): boolean {
  const at = tcp.ip.beginPacket(ends.hop, ends.localIp, ends.remoteIp, PROTOCOL_TCP);
  if (at < 0) return false;
  const { memory } = tcp;
  let length = TCP_HEADER_LENGTH;
  if (hasTimestamps) {
    writeTimestampsOption(memory, at + length, (tcp.nowMs + ends.tsOffset) | 0, ends.tsRecent);
    length += TIMESTAMPS_OPTION_LENGTH;
  }
  const optionsLength = length - TCP_HEADER_LENGTH;
  writeTcpHeader(memory, at, ends.localPort, ends.remotePort, seq, ack, ACK, window, optionsLength);
  seal(tcp, ends, at, length);
  return true;
}

/** RST of a connection that is given up: in sequence, so that the peer believes it. */
export function emitReset(tcp: Tcp, ends: Ends, seq: number, ack: number, flags: number): boolean {
  const at = tcp.ip.beginPacket(ends.hop, ends.localIp, ends.remoteIp, PROTOCOL_TCP);
  if (at < 0) return false;
  writeTcpHeader(tcp.memory, at, ends.localPort, ends.remotePort, seq, ack, flags, 0, 0);
  seal(tcp, ends, at, TCP_HEADER_LENGTH);
  tcp.stats.tcpOutRsts++;
  return true;
}

/** The answer to a segment that belongs to nobody (RFC 9293 3.10.7.1). */
export function answerWithReset(tcp: Tcp, segment: TcpSegment, localIp: number, remoteIp: number): void {
  if ((segment.flags & RST) !== 0) return;
  const hop = tcp.ip.replyHop(remoteIp);
  if (hop === null) return;
  const ends = { localIp, localPort: segment.destinationPort, remoteIp, remotePort: segment.sourcePort, hop };
  if ((segment.flags & ACK) !== 0) emitReset(tcp, ends, segment.ack, 0, RST);
  else emitReset(tcp, ends, 0, (segment.seq + segment.segLen) | 0, RST | ACK);
}

/** Checksum and departure of a segment without payload. */
function seal(tcp: Tcp, ends: Ends, at: number, length: number): void {
  const pseudo = tcp.book.pseudoHeaderSum(ends.localIp, ends.remoteIp, PROTOCOL_TCP, length);
  const checksum = tcp.txChecksumOffload ? finishPartial(pseudo) : finish(sum(tcp.memory, at, length, pseudo));
  writeUint16(tcp.memory, at + TCP_CHECKSUM, checksum);
  tcp.ip.finishPacket(length, 0);
  tcp.stats.tcpOutSegs++;
}
