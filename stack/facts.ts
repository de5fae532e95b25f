// What a stack knows of itself, as plain data that JSON can carry: connections, listeners, neighbours, routes, counters.
// For tools; walks everything and allocates. The transport hands it on (src/transports/userspace.ts), src/observe shows it.
import type { EngineCounters, FrameEngine, LinkCondition, LinkState } from '../io-engine/frame-engine.ts';
import { isIpv6 } from './ipv6-book.ts';
import type { Stack } from './stack.ts';
import { DROP_NAMES, type Stats } from './stats.ts';
import { CWND_MAX } from './tcp/congestion.ts';
import {
  type Connection,
  FLOW_CONNECTION,
  FLOW_HANDSHAKE,
  OPTION_ECN,
  OPTION_SACK,
  OPTION_TIMESTAMPS,
} from './tcp/connection.ts';
import { PHASE_LOSS, PHASE_RECOVERY } from './tcp/flight.ts';
import { pipe } from './tcp/recovery.ts';
import { formatMac } from './wire/ethernet.ts';
import { formatIpv4 } from './wire/ipv4.ts';
import { formatIpv6 } from './wire/ipv6.ts';

/** RFC 9293 3.3.2, by the numbers of tcp/connection.ts. */
const STATE_NAMES = [
  'CLOSED',
  'LISTEN',
  'SYN-SENT',
  'SYN-RECEIVED',
  'ESTABLISHED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSE-WAIT',
  'CLOSING',
  'LAST-ACK',
] as const;

export type TcpState = (typeof STATE_NAMES)[number] | 'TIME-WAIT';

export interface ConnectionFacts {
  /** The server's own number for it (CLIENT LIST's id); 0: nobody's. */
  readonly id: number;
  readonly state: TcpState;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Received and unread; written and unacknowledged; of these in the network. Bytes. */
  readonly receiveQueue: number;
  readonly sendQueue: number;
  readonly inFlight: number;
  /** Of the stream, since the connection opened; modulo 2^32. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Microseconds; 0: no sample yet. */
  readonly rttUs: number;
  readonly rttvarUs: number;
  readonly minRttUs: number;
  readonly rtoMs: number;
  /** Bytes; `ssthresh` null: slow start has not ended yet. */
  readonly cwnd: number;
  readonly ssthresh: number | null;
  readonly mss: number;
  /** What the peer lets us send, and we it. Bytes. */
  readonly sendWindow: number;
  readonly receiveWindow: number;
  readonly retransmissions: number;
  /** Timeouts in a row without an answer. */
  readonly backoff: number;
  readonly recovery: 'open' | 'recovery' | 'loss';
  /** Segments the peer has reported behind a gap; ranges we hold behind one. */
  readonly sackedSegments: number;
  readonly outOfOrderRanges: number;
  readonly sack: boolean;
  readonly timestamps: boolean;
  readonly ecn: boolean;
  readonly congestion: string;
  /** Since anything came or went. */
  readonly idleMs: number;
}

export interface ListenerFacts {
  readonly address: string;
  readonly port: number;
  readonly backlog: number;
  /** Half-open connections, and established ones that wait to be accepted. */
  readonly handshakes: number;
  readonly waiting: number;
}

export interface NeighborFacts {
  readonly address: string;
  readonly family: 'ipv4' | 'ipv6';
  /** Null while nobody has told. */
  readonly mac: string | null;
  readonly state: string;
}

export interface RouteFacts {
  readonly family: 'ipv4' | 'ipv6';
  readonly destination: string;
  /** Null: on-link. */
  readonly gateway: string | null;
}

export interface StackFacts {
  readonly engine: string;
  /** How the engine uses the device; empty: there is one way only. */
  readonly engineMode: string;
  readonly interface: string;
  readonly link: LinkState;
  readonly mac: string;
  readonly mtu: number;
  readonly addresses: readonly string[];
  readonly connections: number;
  readonly handshakes: number;
  readonly timeWaits: number;
  readonly maxConnections: number;
  readonly bufferBytes: number;
  readonly bufferBytesMax: number;
  readonly listeners: readonly ListenerFacts[];
  readonly neighbors: readonly NeighborFacts[];
  readonly routes: readonly RouteFacts[];
  /** Frames and bytes, as the engine counts them. */
  readonly engineCounters: Readonly<EngineCounters>;
  /** By their names in RFC 4022 (TCP) and RFC 4293 (IP, ICMP) where they have one. */
  readonly counters: Readonly<Record<string, number>>;
  /** Packets dropped, by reason; reasons that never came are left out. */
  readonly drops: Readonly<Record<string, number>>;
}

/** The interface, and its frames as the engine counts them. */
export interface DeviceFacts {
  readonly name: string;
  readonly mtu: number;
  readonly link: LinkCondition;
  readonly counters: Readonly<EngineCounters>;
}

/** Everything but the connections, which may be many. */
export function stackFacts(stack: Stack, engine: FrameEngine, linkState: LinkState): StackFacts {
  const { ip, tcp, stats } = stack;
  const { link } = engine;
  return {
    engine: engine.name,
    engineMode: engine.mode ?? '',
    interface: link.name,
    link: linkState,
    mac: formatMac(link.mac, 0),
    mtu: link.mtu,
    addresses: ip.addressTexts(),
    connections: tcp.connections,
    handshakes: tcp.handshakes,
    timeWaits: tcp.timeWaits,
    maxConnections: tcp.config.maxConnections,
    bufferBytes: tcp.blocks.used,
    bufferBytesMax: tcp.blocks.limit,
    listeners: listenerFacts(stack),
    neighbors: neighborFacts(stack),
    routes: routeFacts(stack),
    engineCounters: { ...engine.counters },
    counters: counterFacts(stats),
    drops: dropFacts(stats),
  };
}

/** @param idOf the owner's number for what it has put into `socket.user`. @param limit at most so many. */
export function connectionFacts(stack: Stack, idOf: (user: unknown) => number, limit: number): ConnectionFacts[] {
  const list: ConnectionFacts[] = [];
  const { tcp, ip } = stack;
  tcp.readClock();
  tcp.flows.forEach((flow) => {
    if (list.length >= limit) return;
    if (flow.kind === FLOW_CONNECTION) list.push(oneConnection(stack, flow as Connection, idOf));
    else
      list.push({ ...BARE, ...endsOf(ip, flow), state: flow.kind === FLOW_HANDSHAKE ? 'SYN-RECEIVED' : 'TIME-WAIT' });
  });
  return list;
}

/** Of one that is not yet, or no longer, a connection of its own. */
const BARE: Omit<ConnectionFacts, 'state' | 'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort'> = {
  id: 0,
  receiveQueue: 0,
  sendQueue: 0,
  inFlight: 0,
  bytesIn: 0,
  bytesOut: 0,
  rttUs: 0,
  rttvarUs: 0,
  minRttUs: 0,
  rtoMs: 0,
  cwnd: 0,
  ssthresh: null,
  mss: 0,
  sendWindow: 0,
  receiveWindow: 0,
  retransmissions: 0,
  backoff: 0,
  recovery: 'open',
  sackedSegments: 0,
  outOfOrderRanges: 0,
  sack: false,
  timestamps: false,
  ecn: false,
  congestion: '',
  idleMs: 0,
};

type Ends = Pick<ConnectionFacts, 'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort'>;

function endsOf(ip: Stack['ip'], flow: Pick<Connection, 'localIp' | 'localPort' | 'remoteIp' | 'remotePort'>): Ends {
  return {
    localAddress: ip.format(flow.localIp),
    localPort: flow.localPort,
    remoteAddress: ip.format(flow.remoteIp),
    remotePort: flow.remotePort,
  };
}

/** As `connectionFacts`, of one. */
export function oneConnection(stack: Stack, c: Connection, idOf: (user: unknown) => number): ConnectionFacts {
  const { tcp } = stack;
  const f = c.flight;
  const lastMs = ((c.lastReceivedMs - c.lastSentMs) | 0) > 0 ? c.lastReceivedMs : c.lastSentMs;
  const phase = f?.phase ?? 0;
  return {
    ...endsOf(stack.ip, c),
    id: c.socket === null ? 0 : idOf(c.socket.user),
    state: STATE_NAMES[c.state],
    receiveQueue: c.unread,
    sendQueue: c.sendRing.length,
    inFlight: f === null ? 0 : pipe(c),
    bytesIn: streamBytes(c.rcvNxt, c.irs),
    bytesOut: streamBytes(c.sndUna, c.iss),
    rttUs: c.srtt >> 3,
    rttvarUs: c.rttvar >> 2,
    minRttUs: c.minRttUs,
    rtoMs: c.rtoMs,
    cwnd: c.cwnd,
    ssthresh: c.ssthresh >= CWND_MAX ? null : c.ssthresh,
    mss: c.mss,
    sendWindow: c.sndWnd,
    receiveWindow: Math.max(0, (c.rcvAdv - c.rcvNxt) | 0),
    retransmissions: c.retransmitted,
    backoff: c.backoff,
    recovery: phase === PHASE_LOSS ? 'loss' : phase === PHASE_RECOVERY ? 'recovery' : 'open',
    sackedSegments: f?.sackedSegments ?? 0,
    outOfOrderRanges: c.outOfOrder?.count ?? 0,
    sack: (c.options & OPTION_SACK) !== 0,
    timestamps: (c.options & OPTION_TIMESTAMPS) !== 0,
    ecn: (c.options & OPTION_ECN) !== 0,
    congestion: tcp.config.congestion,
    idleMs: Math.max(0, (tcp.nowMs - lastMs) | 0),
  };
}

/** Without the SYN. */
function streamBytes(now: number, initial: number): number {
  return Math.max(0, ((now - initial) >>> 0) - 1);
}

function listenerFacts({ ip, tcp }: Stack): ListenerFacts[] {
  return tcp.listListeners().map((listener) => ({
    address: listener.ip === 0 ? '*' : ip.format(listener.ip),
    port: listener.port,
    backlog: listener.backlog,
    handshakes: listener.handshakes,
    waiting: listener.waiting,
  }));
}

function neighborFacts({ ip }: Stack): NeighborFacts[] {
  return ip.neighbors.list().map((neighbor) => ({
    address: ip.format(neighbor.ip),
    family: isIpv6(neighbor.ip) ? 'ipv6' : 'ipv4',
    mac: neighbor.mac.some((byte) => byte !== 0) ? formatMac(neighbor.mac, 0) : null,
    state: neighbor.state,
  }));
}

function routeFacts({ ip }: Stack): RouteFacts[] {
  const rows: RouteFacts[] = ip.routes.table.map(({ network, prefixLength, gateway }) => ({
    family: 'ipv4',
    destination: `${formatIpv4(network)}/${prefixLength}`,
    gateway: gateway === null ? null : formatIpv4(gateway),
  }));
  for (const { bytes, prefixLength, gateway } of ip.ipv6?.routes.table ?? []) {
    const destination = `${formatIpv6(masked(bytes, prefixLength), 0)}/${prefixLength}`;
    rows.push({ family: 'ipv6', destination, gateway: gateway === null ? null : ip.format(gateway) });
  }
  return rows;
}

function masked(bytes: Uint8Array, prefixLength: number): Uint8Array {
  return bytes.map((byte, i) => byte & (0xff00 >> Math.max(0, Math.min(8, prefixLength - i * 8))));
}

function counterFacts(stats: Stats): Record<string, number> {
  return Object.fromEntries(Object.entries(stats).filter(([, value]) => typeof value === 'number'));
}

function dropFacts(stats: Stats): Record<string, number> {
  const rows: Record<string, number> = {};
  for (let reason = 1; reason < DROP_NAMES.length; reason++) {
    if (stats.drops[reason] > 0) rows[DROP_NAMES[reason]] = stats.drops[reason];
  }
  return rows;
}
