// TIME-WAIT without a connection: a small record that answers late segments for a while and makes way for a new SYN
// (RFC 9293 3.6.1, RFC 6191), deaf to RST (RFC 1337). Pooled. Used by stack/tcp and stack/state only.
import type { NextHop } from '../neighbors.ts';
import { DROP_TCP_NOT_ACCEPTABLE } from '../stats.ts';
import type { TimerNode } from '../timer-wheel.ts';
import { ACK, FIN, RST, SYN, type TcpSegment } from '../wire/tcp.ts';
import { type Connection, FLOW_TIME_WAIT, OPTION_TIMESTAMPS } from './connection.ts';
import { arrivesForListener, mayReplace } from './listener.ts';
import { emitAck } from './segment-out.ts';
import type { Tcp } from './tcp.ts';

/** How far beyond the old connection a reused pair starts (RFC 9293 3.4.3: no old segment may be in its window). */
const ISS_STEP = 65536 + 2;

export class TimeWait implements TimerNode {
  readonly kind: number = FLOW_TIME_WAIT;
  readonly tcp: Tcp;
  hop: NextHop;
  localIp = 0;
  localPort = 0;
  remoteIp = 0;
  remotePort = 0;
  sndNxt = 0;
  rcvNxt = 0;
  window = 0;
  hasTimestamps = false;
  tsRecent = 0;
  tsOffset = 0;
  timerNext: TimerNode | null = null;
  timerPrevious: TimerNode | null = null;
  timerSlot = -1;
  timerAt = 0;

  constructor(tcp: Tcp, hop: NextHop) {
    this.tcp = tcp;
    this.hop = hop;
  }

  onTimer(): void {
    this.tcp.endTimeWait(this);
  }
}

/** The least initial sequence number of a connection that takes its place. */
export function beyond(w: TimeWait): number {
  return (w.sndNxt + ISS_STEP) | 0;
}

/** Puts a record in the place of a connection that both sides have closed. */
export function enterTimeWait(tcp: Tcp, c: Connection): void {
  const w = tcp.takeTimeWait(c.hop);
  w.localIp = c.localIp;
  w.localPort = c.localPort;
  w.remoteIp = c.remoteIp;
  w.remotePort = c.remotePort;
  w.sndNxt = c.sndNxt;
  w.rcvNxt = c.rcvNxt;
  w.window = Math.min(tcp.receiveBufferMax >> c.rcvWindShift, 0xffff);
  w.hasTimestamps = (c.options & OPTION_TIMESTAMPS) !== 0;
  w.tsRecent = c.tsRecent;
  w.tsOffset = c.tsOffset;
  tcp.flows.set(w.remoteIp, w.remotePort, w.localPort, w.localIp, w);
  tcp.wheel.arm(w, (tcp.nowMs + tcp.config.timeWaitMs) | 0);
}

export function arrivesInTimeWait(tcp: Tcp, w: TimeWait, segment: TcpSegment, bytes: Uint8Array): void {
  const { flags } = segment;
  if ((flags & RST) !== 0) {
    tcp.stats.drop(DROP_TCP_NOT_ACCEPTABLE);
    return;
  }
  if ((flags & (SYN | ACK)) === SYN && mayReplace(segment, w.rcvNxt, w.hasTimestamps, w.tsRecent)) {
    const listener = tcp.findListener(w.localPort, w.localIp);
    if (listener !== null) {
      const { localIp, remoteIp } = w;
      const issMin = beyond(w) || 1;
      tcp.endTimeWait(w);
      arrivesForListener(tcp, listener, segment, localIp, remoteIp, issMin, bytes);
      return;
    }
  }
  // The peer's FIN again: our ACK was lost, the wait starts anew. Anything else is old.
  if ((flags & FIN) !== 0) tcp.wheel.arm(w, (tcp.nowMs + tcp.config.timeWaitMs) | 0);
  else tcp.stats.drop(DROP_TCP_NOT_ACCEPTABLE);
  if (segment.segLen > 0 || segment.seq !== w.rcvNxt) emitAck(tcp, w, w.sndNxt, w.rcvNxt, w.window, w.hasTimestamps);
}
