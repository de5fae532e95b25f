// A TCP connection as bytes, to go on in another stack: sequence space, windows, options, timers, what is unsent,
// unacknowledged and unread, and the scoreboard of what is in flight. Half-open connections and those in TIME-WAIT too.
// Between two ticks only. Used by stack/state.
import type { NextHop } from '../neighbors.ts';
import { StackStateError, type StateReader, type StateWriter } from '../state/state-bytes.ts';
import {
  type Column,
  columns,
  namesOf,
  RowReader,
  type Translation,
  writeColumns,
  writeRow,
} from '../state/state-table.ts';
import {
  type Connection,
  ESTABLISHED,
  EVENT_END,
  EVENT_OPEN,
  EVENT_READABLE,
  EVENT_WRITABLE,
  OPTION_TIMESTAMPS,
} from './connection.ts';
import { Flight } from './flight.ts';
import type { Handshake, Listener } from './listener.ts';
import { keep } from './receive.ts';
import type { Tcp } from './tcp.ts';
import type { TimeWait } from './time-wait.ts';
import { rearm } from './timers.ts';

const ENDS: readonly Column[] = [...columns('a', 'localIp remoteIp'), ...columns('i', 'localPort remotePort')];

const CONNECTION: readonly Column[] = [
  ...ENDS,
  ...columns(
    'i',
    `state iss sndUna sndNxt sndWnd sndWl1 sndWl2 sndWndMax mss provenMss sndWindShift irs rcvNxt rcvWindShift rcvSpace
     rcvRoundSeq rcvAdv lastAckSent rcvMss rcvFin options ecn tsRecent tsFloor tsFloorNext srtt rttvar rtoMs backoff minRttUs cwnd ssthresh
     dsackStart dsackLength quickAcks events timers retries retransmitted keepaliveProbes keepaliveMs userTimeoutMs`,
  ),
  ...columns('m', 'tsRecentAtMs lastChallengeMs retransmitAt lossAt delayedAckAt lastReceivedMs lastSentMs progressMs'),
  ...columns('u', 'rcvRoundEndUs'),
  ...columns('o', 'tsOffset'),
  ...columns('b', 'finQueued finSent finReceived finAhead ackNow noDelay paused orphan writeBlocked forceSend'),
];

const FLIGHT: readonly Column[] = [
  ...columns(
    'i',
    `end fack phase recover dupAcks undoAgain undoFrom undoCwnd undoSsthresh undoTotal undoLate prrDelivered prrOut
     prrFlight rackEnd rackRttUs reoWndMult reoWndPersist dsackRound probeEnd rttSeq usageEnd usageMost mssLimit
     claimedMss mssHigh pathProbeStart pathProbeSize slowedUntil hystart roundEnd roundRttUs lastRoundRttUs
     roundSamples cssBaselineUs cssRounds`,
  ),
  ...columns('m', 'mssLoweredMs epochMs'),
  ...columns('u', 'rackUs minRttAtUs roundStartUs trainUs'),
  ...columns('f', 'wMax k wEst cwndPrior fraction undoWMax undoK undoWEst undoCwndPrior'),
  ...columns(
    'b',
    `forced frto newDataFirst mayUndo rackValid reordering inDsackRound probeOut probeAgain pathProbing limited isSlowed keeps
     inEpoch undoInEpoch`,
  ),
];

const HANDSHAKE: readonly Column[] = [
  ...ENDS,
  ...columns('i', 'iss irs mss windowShift options tsRecent retries'),
  ...columns('m', 'timerAt'),
  ...columns('u', 'sentUs'),
  ...columns('o', 'tsOffset'),
  ...columns('b', 'isTimed'),
];

const TIME_WAIT: readonly Column[] = [
  ...ENDS,
  ...columns('i', 'sndNxt rcvNxt window tsRecent'),
  ...columns('m', 'timerAt'),
  ...columns('o', 'tsOffset'),
  ...columns('b', 'hasTimestamps'),
];

/** Names of everything that is carried: a field that is not must be one that another stack makes anew. */
export const CARRIED: ReadonlySet<string> = namesOf([...CONNECTION, ...FLIGHT]);
const CONNECTION_NAMES = namesOf(CONNECTION);
const FLIGHT_NAMES = namesOf(FLIGHT);
// `timerAt` is the wheel's to set.
const HANDSHAKE_NAMES = namesOf(HANDSHAKE.filter(([name]) => name !== 'timerAt'));
const TIME_WAIT_NAMES = namesOf(TIME_WAIT.filter(([name]) => name !== 'timerAt'));

// ---- Connections ---------------------------------------------------------------------------------------------------

/** @param owner a number that stands for whoever holds the connection. */
export function writeConnections(out: StateWriter, all: readonly Connection[], owner: (c: Connection) => number): void {
  writeColumns(out, CONNECTION);
  writeColumns(out, FLIGHT);
  out.int(all.length);
  for (const c of all) {
    out.int(owner(c));
    // Not yet told to the application that accepts it.
    out.flag(c.listener !== null);
    writeConnection(out, c);
  }
}

function writeConnection(out: StateWriter, c: Connection): void {
  if (!keep(c.tcp, c)) throw new StackStateError('no memory for what was received');
  writeRow(out, CONNECTION, c);
  writeSendRing(out, c);
  const { receiveBuffer: buffer, outOfOrder } = c;
  out.range(buffer.bytes, buffer.start, buffer.unread);
  // The range that grew last comes last, so that adding them again leaves them in the same order.
  const order: number[] = [];
  if (outOfOrder !== null) {
    for (let i = outOfOrder.mostRecent(0x7fffffff); i >= 0; i = outOfOrder.mostRecent(outOfOrder.turnOf(i)))
      order.unshift(i);
  }
  out.int(order.length);
  for (const i of order) {
    const start = outOfOrder!.starts[i];
    out.int(start);
    out.range(buffer.bytes, buffer.end + ((start - c.rcvNxt) | 0), (outOfOrder!.ends[i] - start) | 0);
  }
  out.flag(c.flight !== null);
  if (c.flight !== null) writeFlight(out, c.flight);
}

function writeSendRing(out: StateWriter, { sendRing: ring }: Connection): void {
  const first = Math.min(ring.length, ring.bytes.length - ring.head);
  out.range(ring.bytes, ring.head, first);
  out.range(ring.bytes, 0, ring.length - first);
}

function writeFlight(out: StateWriter, f: Flight): void {
  writeRow(out, FLIGHT, f);
  out.int(f.next - f.first);
  for (let n = f.first; n < f.next; n++) {
    out.int(f.startOf(n));
    out.int(f.sentUs[n & f.mask]);
    out.int(f.markOf(n));
  }
  out.int(f.blocks);
  for (let i = 0; i < f.blocks; i++) {
    out.int(f.blockStarts[i]);
    out.int(f.blockEnds[i]);
  }
}

/**
 * Puts connections into a stack whose listeners are open.
 * @param adopt called with each and its owner's number; sets who hears of it.
 * @returns how many could not be taken: their address is not ours, or there is no way to the peer.
 */
export function readConnections(
  tcp: Tcp,
  from: StateReader,
  translation: Translation,
  adopt: (c: Connection, owner: number) => void,
): number {
  const rows = new RowReader(from, CONNECTION_NAMES, translation);
  const flights = new RowReader(from, FLIGHT_NAMES, translation);
  let refused = 0;
  for (let left = from.int(); left > 0; left--) {
    const owner = from.int();
    const isUnaccepted = from.flag();
    const ends = endsOf(rows.next());
    const sent = [from.range(), from.range()];
    const unread = from.range();
    const ahead = Array.from({ length: from.int() }, () => ({ start: from.int(), bytes: from.range() }));
    const flight = from.flag() ? readFlight(from, flights, translation) : null;
    const made = restore(tcp, rows, ends, sent, unread, ahead, flight);
    if (made === null) refused++;
    else if (!isUnaccepted) adopt(made, owner);
    else offer(tcp, made);
  }
  return refused;
}

interface Ends {
  readonly localIp: number;
  readonly localPort: number;
  readonly remoteIp: number;
  readonly remotePort: number;
}

function endsOf(row: RowReader): Ends {
  return {
    localIp: row.number('localIp'),
    localPort: row.number('localPort'),
    remoteIp: row.number('remoteIp'),
    remotePort: row.number('remotePort'),
  };
}

function restore(
  tcp: Tcp,
  row: RowReader,
  ends: Ends,
  sent: readonly Uint8Array[],
  unread: Uint8Array,
  ahead: readonly { readonly start: number; readonly bytes: Uint8Array }[],
  flight: Flight | null,
): Connection | null {
  const { localIp, localPort, remoteIp, remotePort } = ends;
  const place = placeFor(tcp, ends);
  if (place === null) return null;
  const c = tcp.takeConnection(place.hop);
  row.fill(c);
  const taken = sent.every(
    (bytes) => c.sendRing.append(tcp.blocks, 0x7fffffff, bytes, 0, bytes.length) === bytes.length,
  );
  if (!taken || !restoreReceived(tcp, c, unread, ahead))
    throw new StackStateError('buffer-memory is too small for what connections hold');
  if (flight !== null) c.flight = flight;
  fitPath(tcp, c);
  tcp.flows.set(remoteIp, remotePort, localPort, localIp, c);
  if (c.state >= ESTABLISHED) tcp.stats.tcpCurrEstab++;
  rearm(tcp, c, tcp.nowMs);
  // Whoever was refused room may try again: the pool is another one.
  let events = c.events | (c.writeBlocked ? EVENT_WRITABLE : 0);
  c.writeBlocked = false;
  if (c.unread > 0 && !c.paused) events |= EVENT_READABLE;
  c.events = 0;
  if (events !== 0) tcp.markReady(c, events);
  tcp.markDirty(c);
  return c;
}

function restoreReceived(
  tcp: Tcp,
  c: Connection,
  unread: Uint8Array,
  ahead: readonly { readonly start: number; readonly bytes: Uint8Array }[],
): boolean {
  const { receiveBuffer: buffer } = c;
  if (unread.length > 0) {
    if (!buffer.write(tcp.blocks, 0, unread, 0, unread.length)) return false;
    buffer.advance(unread.length);
  }
  if (ahead.length === 0) return true;
  const ranges = tcp.takeAssembler();
  if (ranges === null) return false;
  c.outOfOrder = ranges;
  for (const { start, bytes } of ahead) {
    if (!buffer.write(tcp.blocks, (start - c.rcvNxt) | 0, bytes, 0, bytes.length)) return false;
    ranges.add(start, (start + bytes.length) | 0);
  }
  return true;
}

/** The new interface may carry less. */
function fitPath(tcp: Tcp, c: Connection): void {
  const room = tcp.mssFor(c.remoteIp) - ((c.options & OPTION_TIMESTAMPS) !== 0 ? 12 : 0);
  if (c.mss <= room) return;
  c.mss = room;
  c.flight?.cut(room, c.finSent);
}

/** A connection that its listener has yet to hand over. */
function offer(tcp: Tcp, c: Connection): void {
  const listener = tcp.findListener(c.localPort, c.localIp);
  if (listener === null) {
    tcp.end(c, 0);
    return;
  }
  c.listener = listener;
  listener.waiting++;
  tcp.markReady(c, EVENT_OPEN | (c.finReceived ? EVENT_END : 0));
}

function readFlight(from: StateReader, rows: RowReader, translation: Translation): Flight {
  const f = new Flight();
  rows.next().fill(f);
  const { end } = f;
  const count = from.int();
  const segments = Array.from({ length: count }, () => ({
    start: from.int(),
    sentUs: (from.int() + translation.shiftUs) | 0,
    mark: from.int(),
  }));
  f.restore(segments, end);
  f.blocks = 0;
  for (let left = from.int(); left > 0; left--) {
    f.blockStarts[f.blocks] = from.int();
    f.blockEnds[f.blocks++] = from.int();
  }
  return f;
}

// ---- Short forms ---------------------------------------------------------------------------------------------------

export function writeHandshakes(out: StateWriter, all: readonly Handshake[]): void {
  writeColumns(out, HANDSHAKE);
  out.int(all.length);
  for (const h of all) writeRow(out, HANDSHAKE, h);
}

export function readHandshakes(tcp: Tcp, from: StateReader, translation: Translation): void {
  const rows = new RowReader(from, HANDSHAKE_NAMES, translation);
  for (let left = from.int(); left > 0; left--) {
    const place = placeFor(tcp, endsOf(rows.next()));
    if (place === null || place.listener === null || tcp.handshakesAreFull) continue;
    const h = tcp.takeHandshake(place.listener, place.hop);
    rows.fill(h);
    place.listener.handshakes++;
    tcp.flows.set(h.remoteIp, h.remotePort, h.localPort, h.localIp, h);
    tcp.wheel.arm(h, rows.number('timerAt'));
  }
}

export function writeTimeWaits(out: StateWriter, all: readonly TimeWait[]): void {
  writeColumns(out, TIME_WAIT);
  out.int(all.length);
  for (const w of all) writeRow(out, TIME_WAIT, w);
}

export function readTimeWaits(tcp: Tcp, from: StateReader, translation: Translation): void {
  const rows = new RowReader(from, TIME_WAIT_NAMES, translation);
  for (let left = from.int(); left > 0; left--) {
    const place = placeFor(tcp, endsOf(rows.next()));
    if (place === null) continue;
    const w = tcp.takeTimeWait(place.hop);
    rows.fill(w);
    tcp.flows.set(w.remoteIp, w.remotePort, w.localPort, w.localIp, w);
    tcp.wheel.arm(w, rows.number('timerAt'));
  }
}

/** The way to a peer and who listens at our end; null: the address is not ours, or there is a connection already. */
function placeFor(
  tcp: Tcp,
  { localIp, localPort, remoteIp, remotePort }: Ends,
): { readonly hop: NextHop; readonly listener: Listener | null } | null {
  const hop = tcp.ip.isLocal(localIp) ? tcp.ip.nextHop(remoteIp) : null;
  if (hop === null || tcp.flows.find(remoteIp, remotePort, localPort, localIp) !== null) return null;
  return { hop, listener: tcp.findListener(localPort, localIp) };
}
