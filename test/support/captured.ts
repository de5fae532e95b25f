// Captured packets by hand: TCP segments between a client and a server, for tests of what reads captures; and a classic pcap
// file of them, for tcpdump to read the same.
import { writeInt32, writeUint16 } from '../../stack/wire/bytes.ts';
import { finish, pseudoHeaderSum, sum } from '../../stack/wire/checksum.ts';

export const SYN = 2;
export const FIN = 1;
export const RST = 4;
export const ACK = 16;

const CLIENT = 0x0a000002;
const SERVER = 0x0a000001;
const LINK_ETHERNET = 1;

export interface Made {
  /** 0 the client's, 1 the server's. */
  readonly side?: 0 | 1;
  readonly seq?: number;
  readonly ack?: number;
  readonly flags?: number;
  readonly window?: number;
  readonly payload?: string;
  readonly ms?: number;
  readonly vlan?: number;
  readonly version?: 4 | 6;
  readonly clientPort?: number;
  readonly comment?: string;
  /** Bytes kept. */
  readonly snap?: number;
}

export interface MadePacket {
  readonly unixUs: number;
  readonly linkType: number;
  readonly bytes: Uint8Array;
  readonly originalLength: number;
  readonly direction: 'in' | 'out' | null;
  readonly comment: string;
}

export const START_US = 1_700_000_000_000_000;

export function made(spec: Made): MadePacket {
  const bytes = frameOf(spec);
  return {
    unixUs: START_US + (spec.ms ?? 0) * 1000,
    linkType: LINK_ETHERNET,
    bytes: bytes.slice(0, spec.snap ?? bytes.length),
    originalLength: bytes.length,
    direction: null,
    comment: spec.comment ?? '',
  };
}

function frameOf(spec: Made): Uint8Array {
  const { side = 0, flags = ACK, payload = '', vlan = 0, version = 4, clientPort = 40_000 } = spec;
  const header = 14 + (vlan > 0 ? 4 : 0);
  const tcp = header + (version === 4 ? 20 : 40);
  const length = 20 + payload.length;
  const bytes = new Uint8Array(tcp + length);
  bytes.set([2, 0, 0, 0, 0, 2 - side, 2, 0, 0, 0, 0, 1 + side]);
  if (vlan > 0) {
    writeUint16(bytes, 12, 0x8100);
    writeUint16(bytes, 14, vlan);
  }
  writeUint16(bytes, header - 2, version === 4 ? 0x0800 : 0x86dd);
  const [from, to] = side === 0 ? [CLIENT, SERVER] : [SERVER, CLIENT];
  if (version === 4) ipv4(bytes, header, 20 + length, from, to);
  else ipv6(bytes, header, length, from, to);
  const [source, destination] = side === 0 ? [clientPort, 6379] : [6379, clientPort];
  writeUint16(bytes, tcp, source);
  writeUint16(bytes, tcp + 2, destination);
  writeInt32(bytes, tcp + 4, (spec.seq ?? 0) | 0);
  writeInt32(bytes, tcp + 8, (spec.ack ?? 0) | 0);
  bytes[tcp + 12] = 0x50;
  bytes[tcp + 13] = flags;
  writeUint16(bytes, tcp + 14, spec.window ?? 65_535);
  for (let i = 0; i < payload.length; i++) bytes[tcp + 20 + i] = payload.charCodeAt(i);
  if (version === 4)
    writeUint16(bytes, tcp + 16, finish(sum(bytes, tcp, length, pseudoHeaderSum(from, to, 6, length))));
  return bytes;
}

function ipv4(bytes: Uint8Array, at: number, length: number, from: number, to: number): void {
  bytes[at] = 0x45;
  writeUint16(bytes, at + 2, length);
  bytes[at + 8] = 64;
  bytes[at + 9] = 6;
  writeInt32(bytes, at + 12, from);
  writeInt32(bytes, at + 16, to);
  writeUint16(bytes, at + 10, finish(sum(bytes, at, 20, 0)));
}

/** fd00::a00:1 is the server. */
function ipv6(bytes: Uint8Array, at: number, length: number, from: number, to: number): void {
  bytes[at] = 0x60;
  writeUint16(bytes, at + 4, length);
  bytes[at + 6] = 6;
  bytes[at + 7] = 64;
  bytes[at + 8] = bytes[at + 24] = 0xfd;
  writeInt32(bytes, at + 20, from);
  writeInt32(bytes, at + 36, to);
}

/** A classic capture file. @param isBig byte order. @param isNano nanoseconds in place of microseconds. */
export function classicFile(packets: readonly MadePacket[], isBig = false, isNano = false): Uint8Array {
  const pieces: Uint8Array[] = [];
  const words = (...values: readonly number[]): void => {
    const view = new DataView(new ArrayBuffer(values.length * 4));
    for (const [i, value] of values.entries()) view.setUint32(i * 4, value, !isBig);
    pieces.push(new Uint8Array(view.buffer));
  };
  words(isNano ? 0xa1b23c4d : 0xa1b2c3d4, isBig ? 0x00020004 : 0x00040002, 0, 0, 65_535, LINK_ETHERNET);
  for (const { unixUs, bytes, originalLength } of packets) {
    const fraction = (unixUs % 1e6) * (isNano ? 1000 : 1);
    words(Math.floor(unixUs / 1e6), fraction, bytes.length, originalLength);
    pieces.push(bytes);
  }
  return Uint8Array.from(Buffer.concat(pieces));
}
