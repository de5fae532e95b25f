// What the stack decided about a TCP segment, in words, for the comments of a capture: which connection it belongs to and why
// it was sent again. Read off the connection at the moment the segment passes; costs nothing when nobody asks.
import type { Stack } from './stack.ts';
import { DROP_NAMES } from './stats.ts';
import { type Connection, FLOW_CONNECTION, FLOW_HANDSHAKE, TIMER_PERSIST } from './tcp/connection.ts';
import { PHASE_LOSS, PHASE_RECOVERY } from './tcp/flight.ts';
import type { Handshake } from './tcp/listener.ts';
import { readInt32, readUint16 } from './wire/bytes.ts';
import {
  ETHERNET_HEADER_LENGTH,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_VLAN,
  readEtherType,
  VLAN_TAG_LENGTH,
} from './wire/ethernet.ts';
import { PROTOCOL_TCP } from './wire/ipv4.ts';
import { IPV6_DESTINATION, IPV6_HEADER_LENGTH, IPV6_SOURCE } from './wire/ipv6.ts';
import { FIN, RST, SYN } from './wire/tcp.ts';

const IPV4_SOURCE = 12;
const IPV4_DESTINATION = 16;

/** A TCP segment in a frame; reused. */
class Found {
  tcp = 0;
  sourceIp = 0;
  destinationIp = 0;
  payload = 0;
}

const found = new Found();

/** Good until the tick ends. */
export interface PacketNote {
  /** Whose segment it is; null: nobody's, or not yet a connection. */
  readonly connection: Connection | null;
  /** Empty: nothing to say. */
  readonly words: string;
}

export function noteReceived(
  stack: Stack,
  bytes: Uint8Array,
  offset: number,
  length: number,
  isEthernet: boolean,
  drop: number,
): PacketNote {
  const words = drop === 0 ? '' : `dropped: ${DROP_NAMES[drop]}`;
  if (!findSegment(stack, bytes, offset, length, isEthernet)) return { connection: null, words };
  const { tcp, sourceIp, destinationIp } = found;
  const flow = stack.tcp.flows.find(sourceIp, readUint16(bytes, tcp), readUint16(bytes, tcp + 2), destinationIp);
  return { connection: flow?.kind === FLOW_CONNECTION ? (flow as Connection) : null, words };
}

/** As `noteReceived`, for a frame that leaves. */
export function noteSent(
  stack: Stack,
  bytes: Uint8Array,
  offset: number,
  length: number,
  isEthernet: boolean,
  segmentSize: number,
): PacketNote {
  const nobodys = (...notes: string[]): PacketNote => ({ connection: null, words: joined(...notes) });
  if (!findSegment(stack, bytes, offset, length, isEthernet)) return nobodys();
  const { tcp, sourceIp, destinationIp, payload } = found;
  const flow = stack.tcp.flows.find(destinationIp, readUint16(bytes, tcp + 2), readUint16(bytes, tcp), sourceIp);
  if (flow === null) return nobodys((bytes[tcp + 13] & RST) !== 0 ? 'reset: it belongs to no connection' : '');
  const cut = segmentSize > 0 ? `the device cuts it into segments of ${segmentSize}` : '';
  if (flow.kind === FLOW_HANDSHAKE) {
    const { retries } = flow as Handshake;
    return nobodys(retries > 0 ? `SYN,ACK again: no answer, ${retries} times` : '', cut);
  }
  if (flow.kind !== FLOW_CONNECTION) return nobodys('TIME-WAIT');
  const c = flow as Connection;
  const why = againBecause(c, readInt32(bytes, tcp + 4), payload, bytes[tcp + 13]);
  return { connection: c, words: joined(why, cut) };
}

/** Whether the connection will have a number when the tick is over: its listener's application has yet to hear of it. */
export function isUnnumbered({ connection }: PacketNote): boolean {
  return connection !== null && connection.listener !== null;
}

/** @param idOf the owner's number for what it has put into `socket.user`; 0: none. @returns words, or empty. */
export function noteText({ connection, words }: PacketNote, idOf: (user: unknown) => number): string {
  const socket = connection?.socket ?? null;
  const id = socket === null ? 0 : idOf(socket.user);
  return joined(id === 0 ? '' : `conn ${id}`, words);
}

function joined(...notes: string[]): string {
  return notes.filter((note) => note !== '').join('; ');
}

/** New data begins at SND.NXT, which moves on only after the segment has left. */
function againBecause(c: Connection, seq: number, payload: number, flags: number): string {
  if (((seq - c.sndNxt) | 0) >= 0) return '';
  const occupies = payload > 0 || (flags & (SYN | FIN)) !== 0;
  if (!occupies) {
    const asksForWindow = (c.timers & TIMER_PERSIST) !== 0 || c.sndWnd === 0;
    return asksForWindow ? 'window probe: the peer takes nothing' : 'keepalive probe';
  }
  // The first may have waited for the next hop's hardware address.
  if ((flags & SYN) !== 0) return c.retries > 0 ? 'SYN again: no answer' : '';
  const f = c.flight;
  if (f === null) return 'retransmission';
  if (f.phase === PHASE_LOSS) return `retransmission: timeout (rto ${c.rtoMs} ms, in a row ${Math.max(1, c.backoff)})`;
  if (f.phase === PHASE_RECOVERY) {
    const how =
      f.sackedSegments > 0
        ? `${f.sackedSegments} segments behind it were reported (SACK)`
        : `${f.dupAcks} duplicate ACKs`;
    return `retransmission: fast, ${how}, cwnd ${c.cwnd}`;
  }
  return 'retransmission: tail loss probe (RFC 8985 7)';
}

function findSegment(stack: Stack, bytes: Uint8Array, offset: number, length: number, isEthernet: boolean): boolean {
  const end = offset + length;
  let at = offset;
  if (isEthernet) {
    if (length < ETHERNET_HEADER_LENGTH) return false;
    let type = readEtherType(bytes, offset);
    at += ETHERNET_HEADER_LENGTH;
    if (type === ETHERTYPE_VLAN && length >= ETHERNET_HEADER_LENGTH + VLAN_TAG_LENGTH) {
      type = readUint16(bytes, at + 2);
      at += VLAN_TAG_LENGTH;
    }
    if (type !== ETHERTYPE_IPV4 && type !== ETHERTYPE_IPV6) return false;
  }
  return bytes[at] >>> 4 === 6 ? findIpv6(stack, bytes, at, end) : findIpv4(bytes, at, end);
}

function findIpv4(bytes: Uint8Array, at: number, end: number): boolean {
  const tcp = at + (bytes[at] & 15) * 4;
  if (tcp + 20 > end || bytes[at + 9] !== PROTOCOL_TCP || (readUint16(bytes, at + 6) & 0x1fff) !== 0) return false;
  found.tcp = tcp;
  found.sourceIp = readInt32(bytes, at + IPV4_SOURCE);
  found.destinationIp = readInt32(bytes, at + IPV4_DESTINATION);
  found.payload = at + readUint16(bytes, at + 2) - tcp - (bytes[tcp + 12] >>> 4) * 4;
  return true;
}

function findIpv6({ ip }: Stack, bytes: Uint8Array, at: number, end: number): boolean {
  const tcp = at + IPV6_HEADER_LENGTH;
  if (tcp + 20 > end || bytes[at + 6] !== PROTOCOL_TCP) return false;
  found.tcp = tcp;
  found.sourceIp = ip.book.find(bytes, at + IPV6_SOURCE);
  found.destinationIp = ip.book.find(bytes, at + IPV6_DESTINATION);
  found.payload = readUint16(bytes, at + 4) - (bytes[tcp + 12] >>> 4) * 4;
  return true;
}
