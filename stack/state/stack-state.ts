// A whole stack as bytes, so that another one goes on in its place and peers notice nothing: every connection, half-open
// and TIME-WAIT ones, the secrets behind sequence numbers and cookies, neighbours, leases. Times are told by the
// writer's clock, whose offset to the reader's is taken out, so that the time in between counts as none: timers and
// timestamps go on where they stood. Sections are found by name, columns too, so that versions may differ. Between two
// ticks only. Used by stack.ts.
import type { Lease } from '../dhcp.ts';
import type { Ip } from '../ip.ts';
import { isIpv6 } from '../ipv6-book.ts';
import { type Connection, ESTABLISHED, FLOW_CONNECTION, FLOW_HANDSHAKE } from '../tcp/connection.ts';
import {
  readConnections,
  readHandshakes,
  readTimeWaits,
  writeConnections,
  writeHandshakes,
  writeTimeWaits,
} from '../tcp/connection-state.ts';
import type { Handshake } from '../tcp/listener.ts';
import type { Tcp } from '../tcp/tcp.ts';
import type { TimeWait } from '../tcp/time-wait.ts';
import { IPV6_ADDRESS_LENGTH } from '../wire/ipv6.ts';
import { StackStateError, StateReader, StateWriter } from './state-bytes.ts';
import type { Translation } from './state-table.ts';

const MAGIC = 0x77697265;
const VERSION = 1;
/** In place of a gateway that there is not. */
const NO_GATEWAY = 0;

/** What a stack took over. */
export interface TakenState {
  readonly connections: number;
  /** Connections that could not go on here: their address is not ours, or there is no way to the peer. */
  readonly refused: number;
}

/** @param owner a number that stands for whoever holds a connection. */
export function writeStack(tcp: Tcp, owner: (c: Connection) => number): Uint8Array {
  const out = new StateWriter();
  const { ip } = tcp;
  const connections: Connection[] = [];
  const handshakes: Handshake[] = [];
  const timeWaits: TimeWait[] = [];
  const addresses = new Set<number>();
  tcp.flows.forEach((flow) => {
    // A connection that we are opening is opened anew by whoever wants it.
    if (flow.kind === FLOW_HANDSHAKE) handshakes.push(flow as Handshake);
    else if (flow.kind !== FLOW_CONNECTION) timeWaits.push(flow as TimeWait);
    else if ((flow as Connection).state >= ESTABLISHED) connections.push(flow as Connection);
    addresses.add(flow.localIp).add(flow.remoteIp);
  });
  for (const neighbor of ip.neighbors.list()) addresses.add(neighbor.ip);
  for (const one of ip.ipv6?.ndp.advertised.addresses ?? []) addresses.add(one.ip);
  addresses.add(ip.ipv6?.routes.router ?? 0);
  for (const listener of tcp.listListeners()) addresses.add(listener.ip);
  out.int(MAGIC);
  out.int(VERSION);
  out.section('clock', () => {
    out.int(tcp.nowMs);
    out.int(tcp.nowUs);
    out.int(tcp.iss.shiftMs);
  });
  out.section('secrets', () => {
    for (const { secret } of [ip.book, tcp.iss, tcp.cookies]) out.ints(secret);
    out.ints(tcp.portCounters);
  });
  out.section('addresses', () => writeAddresses(out, ip, addresses));
  out.section('neighbors', () => writeNeighbors(out, ip));
  out.section('leases', () => writeLeases(out, ip));
  out.section('cookies', () => writeCookieTimes(out, tcp));
  out.section('connections', () => writeConnections(out, connections, owner));
  out.section('handshakes', () => writeHandshakes(out, handshakes));
  out.section('time-waits', () => writeTimeWaits(out, timeWaits));
  return out.finish();
}

/**
 * Takes over what another stack wrote. This one has its listeners open, has started nothing and has no connections.
 * @param adopt called with each connection and its owner's number. @throws StackStateError
 */
export function readStack(tcp: Tcp, bytes: Uint8Array, adopt: (c: Connection, owner: number) => void): TakenState {
  const reader = new StateReader(bytes);
  if (reader.int() !== MAGIC || reader.int() !== VERSION)
    throw new StackStateError('not the state of a stack, or of another version');
  const sections = reader.sections();
  const section = (name: string): StateReader => {
    const found = sections.get(name);
    if (found === undefined) throw new StackStateError(`the state has no '${name}'`);
    return found;
  };
  tcp.readClock();
  const clock = section('clock');
  const shiftMs = (tcp.nowMs - clock.int()) | 0;
  const shiftUs = (tcp.nowUs - clock.int()) | 0;
  tcp.iss.shiftMs = tcp.cookies.shiftMs = (clock.int() - shiftMs) | 0;
  const secrets = section('secrets');
  for (const place of [tcp.ip.book, tcp.iss, tcp.cookies]) place.secret = [...secrets.ints()];
  tcp.portCounters.set(secrets.ints().subarray(0, tcp.portCounters.length));
  const translation = { shiftMs, shiftUs, address: readAddresses(section('addresses'), tcp.ip) };
  readNeighbors(section('neighbors'), tcp.ip, translation);
  readLeases(section('leases'), tcp.ip, translation);
  readCookieTimes(section('cookies'), tcp, translation);
  const refused = readConnections(tcp, section('connections'), translation, adopt);
  readHandshakes(tcp, section('handshakes'), translation);
  readTimeWaits(tcp, section('time-waits'), translation);
  return { connections: tcp.connections, refused };
}

// --- addresses: what the numbers of IPv6 ones stand for ---

function writeAddresses(out: StateWriter, ip: Ip, all: ReadonlySet<number>): void {
  const numbers = [...all].filter(isIpv6);
  out.int(numbers.length);
  for (const number of numbers) {
    out.int(number);
    out.range(ip.book.bytesOf(number), 0, IPV6_ADDRESS_LENGTH);
  }
}

function readAddresses(from: StateReader, ip: Ip): Translation['address'] {
  const ours = new Map<number, number>();
  for (let left = from.int(); left > 0; left--) {
    const number = from.int();
    const bytes = from.range();
    ours.set(number, ip.ipv6 === null ? 0 : ip.book.intern(bytes, 0));
  }
  return (number) => (isIpv6(number) ? (ours.get(number) ?? 0) : number);
}

// --- neighbours ---

function writeNeighbors(out: StateWriter, ip: Ip): void {
  const known = ip.neighbors.list().filter(({ state }) => state === 'reachable' || state === 'probing');
  out.int(known.length);
  for (const neighbor of known) {
    out.int(neighbor.ip);
    out.range(neighbor.mac, 0, neighbor.mac.length);
  }
}

function readNeighbors(from: StateReader, ip: Ip, { address }: Translation): void {
  for (let left = from.int(); left > 0; left--) {
    const neighbor = address(from.int());
    const mac = from.range();
    if (neighbor !== 0) ip.neighbors.learn(neighbor, mac, 0, true);
  }
}

// --- leases: of DHCP and of router advertisements ---

function writeLeases(out: StateWriter, ip: Ip): void {
  const held = ip.dhcp?.lease ?? null;
  out.flag(held !== null);
  if (held !== null) {
    const { lease, ageMs } = held;
    out.float(ageMs);
    for (const value of [lease.ip, lease.prefixLength, lease.gateway ?? NO_GATEWAY, lease.server, lease.seconds])
      out.int(value);
    out.int(lease.routes.length);
    for (const route of lease.routes)
      for (const value of [route.network, route.prefixLength, route.gateway ?? NO_GATEWAY]) out.int(value);
  }
  const { addresses, routerLeftMs } = ip.ipv6?.ndp.advertised ?? { addresses: [], routerLeftMs: 0 };
  out.int(addresses.length);
  for (const one of addresses) {
    out.int(one.ip);
    out.int(one.leftMs);
  }
  out.int(ip.ipv6?.routes.router ?? 0);
  out.int(routerLeftMs);
}

function readLeases(from: StateReader, ip: Ip, { address }: Translation): void {
  if (from.flag()) {
    const ageMs = from.float();
    const [own, prefixLength, gateway, server, seconds] = [from.int(), from.int(), from.int(), from.int(), from.int()];
    const routes = Array.from({ length: from.int() }, () => {
      const route = { network: from.int(), prefixLength: from.int(), gateway: from.int() };
      return { ...route, gateway: route.gateway === NO_GATEWAY ? null : route.gateway };
    });
    const lease: Lease = {
      ip: own,
      prefixLength,
      gateway: gateway === NO_GATEWAY ? null : gateway,
      routes,
      server,
      seconds,
    };
    ip.dhcp?.goOn(lease, ageMs);
  }
  const ndp = ip.ipv6?.ndp;
  for (let left = from.int(); left > 0; left--) {
    const own = address(from.int());
    const leftMs = from.int();
    if (own !== 0) ndp?.goOnWithAddress(own, leftMs);
  }
  const router = address(from.int());
  const leftMs = from.int();
  if (router !== 0) ndp?.goOnWithRouter(router, leftMs);
}

// --- listeners that have given cookies out ---

function writeCookieTimes(out: StateWriter, tcp: Tcp): void {
  const all = tcp.listListeners().filter(({ hasSentCookies }) => hasSentCookies);
  out.int(all.length);
  for (const { ip, port, cookieSentMs } of all) {
    out.int(ip);
    out.int(port);
    out.int(cookieSentMs);
  }
}

function readCookieTimes(from: StateReader, tcp: Tcp, { shiftMs, address }: Translation): void {
  for (let left = from.int(); left > 0; left--) {
    const ip = address(from.int());
    const port = from.int();
    const sentMs = from.int();
    const listener = tcp.listListeners().find((one) => one.port === port && one.ip === ip);
    if (listener === undefined) continue;
    listener.hasSentCookies = true;
    listener.cookieSentMs = (sentMs + shiftMs) | 0;
  }
}
