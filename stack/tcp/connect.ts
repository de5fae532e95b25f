// Active open (RFC 9293 3.10.1): picks a local port that an outsider cannot guess (RFC 6056 3.3.4) and puts a connection
// in SYN-SENT; output sends the SYN. Used by stack.ts.
import { distance, later } from '../sequence.ts';
import { type Connection, FLOW_TIME_WAIT, SYN_SENT, setIss } from './connection.ts';
import { RTO_INITIAL_MS } from './rtt.ts';
import type { Tcp } from './tcp.ts';
import { beyond, type TimeWait } from './time-wait.ts';

const PORT_MIN = 32768;
const PORT_COUNT = 60999 - PORT_MIN + 1;
/** The peer's clock may tick but once a second (RFC 7323 5.4). */
const REUSE_AFTER_MS = 1000;

/** A call that the stack cannot do; `code` is the errno name Node would use. */
export class StackError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'StackError';
    this.code = code;
  }
}

/**
 * @param from one of our addresses; 0: as the route says.
 * @param fromPort 0: any that is free.
 * @throws StackError
 */
export function openConnection(
  tcp: Tcp,
  remoteIp: number,
  remotePort: number,
  from: number,
  fromPort: number,
): Connection {
  const hop = tcp.ip.nextHop(remoteIp);
  const localIp = from === 0 ? tcp.ip.sourceFor(remoteIp) : from;
  if (hop === null || localIp === 0) throw new StackError('ENETUNREACH', 'no route to the address');
  if (tcp.isFull) throw new StackError('ENOBUFS', 'as many connections as max-connections allows');
  tcp.readClock();
  const localPort = fromPort === 0 ? freePort(tcp, localIp, remoteIp, remotePort) : fromPort;
  if (localPort === 0) throw new StackError('EADDRNOTAVAIL', 'every local port to that address is in use');
  const before = tcp.flows.find(remoteIp, remotePort, localPort, localIp);
  if (before !== null && !isReusable(tcp, before)) {
    throw new StackError('EADDRINUSE', 'the local port has a connection to that address');
  }
  let iss = tcp.iss.sequence(localIp, localPort, remoteIp, remotePort);
  if (before !== null) {
    iss = later(iss, beyond(before as TimeWait));
    tcp.endTimeWait(before as TimeWait);
  }
  const c = tcp.takeConnection(hop);
  c.localIp = localIp;
  c.localPort = localPort;
  c.remoteIp = remoteIp;
  c.remotePort = remotePort;
  c.rcvNxt = c.lastAckSent = c.rcvAdv = 0;
  setIss(c, iss);
  c.tsOffset = tcp.iss.timestampOffset(localIp, remoteIp);
  c.rtoMs = RTO_INITIAL_MS;
  c.state = SYN_SENT;
  tcp.flows.set(remoteIp, remotePort, localPort, localIp, c);
  tcp.stats.tcpActiveOpens++;
  tcp.markDirty(c);
  return c;
}

/** 0: none. One that nobody has is better than one in TIME-WAIT. */
function freePort(tcp: Tcp, localIp: number, remoteIp: number, remotePort: number): number {
  const { portCounters } = tcp;
  const offset = tcp.iss.portOffset(localIp, remoteIp, remotePort);
  const counter = tcp.iss.portIndex(localIp, remoteIp, remotePort) & (portCounters.length - 1);
  let reusable = 0;
  for (let i = 0; i < PORT_COUNT; i++) {
    const port = PORT_MIN + ((offset + portCounters[counter]++) % PORT_COUNT);
    const flow = tcp.flows.find(remoteIp, remotePort, port, localIp);
    if (flow !== null && (reusable !== 0 || !isReusable(tcp, flow))) continue;
    if (tcp.findListener(port, localIp) !== null) continue;
    if (flow === null) return port;
    reusable = port;
  }
  return reusable;
}

/**
 * RFC 6191's idea for the side that opens: with timestamps a new connection's segments are newer than all of the old one's,
 * for the peer too, once the clock in them has moved on.
 */
function isReusable(tcp: Tcp, flow: { readonly kind: number }): boolean {
  if (flow.kind !== FLOW_TIME_WAIT) return false;
  const w = flow as TimeWait;
  return w.hasTimestamps && distance((tcp.nowMs + tcp.config.timeWaitMs) | 0, w.timerAt) >= REUSE_AFTER_MS;
}
