// Active open (RFC 9293 3.10.1): picks a local port that an outsider cannot guess (RFC 6056 3.3.4) and puts a connection
// in SYN-SENT; output sends the SYN. Used by stack.ts.
import type { Connection } from './connection.ts';
import { SYN_SENT, setIss } from './connection.ts';
import { RTO_INITIAL_MS } from './rtt.ts';
import type { Tcp } from './tcp.ts';

const PORT_MIN = 32768;
const PORT_COUNT = 60999 - PORT_MIN + 1;

/** A call that the stack cannot do; `code` is the errno name Node would use. */
export class StackError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'StackError';
    this.code = code;
  }
}

/** @param from one of our addresses; 0: as the route says. @throws StackError */
export function openConnection(tcp: Tcp, remoteIp: number, remotePort: number, from: number): Connection {
  const hop = tcp.ip.nextHop(remoteIp);
  const localIp = from === 0 ? tcp.ip.sourceFor(remoteIp) : from;
  if (hop === null || localIp === 0) throw new StackError('ENETUNREACH', 'no route to the address');
  if (tcp.isFull) throw new StackError('ENOBUFS', 'as many connections as max-connections allows');
  tcp.readClock();
  const localPort = freePort(tcp, localIp, remoteIp, remotePort);
  if (localPort === 0) throw new StackError('EADDRNOTAVAIL', 'every local port to that address is in use');
  const c = tcp.takeConnection(hop);
  c.localIp = localIp;
  c.localPort = localPort;
  c.remoteIp = remoteIp;
  c.remotePort = remotePort;
  c.rcvNxt = c.lastAckSent = c.rcvAdv = 0;
  setIss(c, tcp.iss.sequence(localIp, localPort, remoteIp, remotePort));
  c.tsOffset = tcp.iss.timestampOffset(localIp, remoteIp);
  c.rtoMs = RTO_INITIAL_MS;
  c.state = SYN_SENT;
  tcp.flows.set(remoteIp, remotePort, localPort, localIp, c);
  tcp.stats.tcpActiveOpens++;
  tcp.markDirty(c);
  return c;
}

/** 0: none. */
function freePort(tcp: Tcp, localIp: number, remoteIp: number, remotePort: number): number {
  const { portCounters } = tcp;
  const offset = tcp.iss.portOffset(localIp, remoteIp, remotePort);
  const counter = tcp.iss.portIndex(localIp, remoteIp, remotePort) & (portCounters.length - 1);
  for (let i = 0; i < PORT_COUNT; i++) {
    const port = PORT_MIN + ((offset + portCounters[counter]++) % PORT_COUNT);
    if (tcp.flows.find(remoteIp, remotePort, port, localIp) !== null) continue;
    if (tcp.findListener(port, localIp) === null) return port;
  }
  return 0;
}
