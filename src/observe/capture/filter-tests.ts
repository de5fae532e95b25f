// The conditions that a capture filter is made of, over a dissected frame. filter.ts puts them together.
import { isIP, isIPv6 } from 'node:net';
import { type Dissected, TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from './dissect.ts';

export interface Frame {
  bytes: Uint8Array;
  length: number;
  readonly fields: Dissected;
}

export type Test = (frame: Frame) => boolean;
/** Which of a frame's two ends. */
export type End = 'src' | 'dst' | 'either';

export const PROTOCOLS: Readonly<Record<string, Test>> = {
  ip: ({ fields }) => fields.type === TYPE_IPV4,
  ip6: ({ fields }) => fields.type === TYPE_IPV6,
  arp: ({ fields }) => fields.type === TYPE_ARP,
  tcp: ({ fields }) => fields.protocol === 6,
  udp: ({ fields }) => fields.protocol === 17,
  icmp: ({ fields }) => fields.protocol === 1,
  icmp6: ({ fields }) => fields.protocol === 58,
};

export const FLAGS: Readonly<Record<string, number>> = {
  'tcp-fin': 1,
  'tcp-syn': 2,
  'tcp-rst': 4,
  'tcp-push': 8,
  'tcp-ack': 16,
  'tcp-urg': 32,
  'tcp-ece': 64,
  'tcp-cwr': 128,
};

export function both(a: Test, b: Test): Test {
  return (frame) => a(frame) && b(frame);
}

export function either(a: Test, b: Test): Test {
  return (frame) => a(frame) || b(frame);
}

export function not(a: Test): Test {
  return (frame) => !a(frame);
}

/** Any of the flags in `mask`. */
export function hasFlags(mask: number): Test {
  return ({ fields }) => fields.isTcp && (fields.flags & mask) !== 0;
}

/** The flags in `mask` are `value`, or are not. */
export function flagsAre(mask: number, value: number, isWanted: boolean): Test {
  return ({ fields }) => fields.isTcp && ((fields.flags & mask) === value) === isWanted;
}

/** @param identifier -1: any. */
export function vlanTest(identifier: number): Test {
  return ({ fields }) => fields.vlan > 0 && (identifier < 0 || fields.vlan === identifier);
}

export function portTest(end: End, first: number, last: number): Test {
  const within = (port: number): boolean => port >= first && port <= last;
  return ({ fields }) =>
    (end !== 'dst' && within(fields.sourcePort)) || (end !== 'src' && within(fields.destinationPort));
}

/**
 * `10.0.0.1`, `10.0.0.0/24`, `10.1` (as tcpdump takes it: 10.1.0.0/16), `fd00::/8`.
 * @returns the test, or what is wrong.
 */
export function networkTest(end: End, text: string): Test | string {
  const [address, prefix] = text.split('/');
  const parts = address.split('.');
  const whole = isIPv6(address) ? address : [...parts, '0', '0', '0'].slice(0, Math.max(4, parts.length)).join('.');
  if (isIP(whole) === 0) return `'${text}' is neither an address nor a word of the language`;
  const wanted = bytesOf(whole);
  const bits = prefix === undefined ? (wanted.length === 16 ? 128 : parts.length * 8) : Number(prefix);
  if (!/^\d+$/.test(prefix ?? '0') || bits > wanted.length * 8) return `'${text}' has no such prefix`;
  const matches = (bytes: Uint8Array, at: number): boolean => {
    for (let i = 0; i * 8 < bits; i++) {
      const mask = bits - i * 8 >= 8 ? 0xff : (0xff00 >> (bits - i * 8)) & 0xff;
      if (((bytes[at + i] ^ wanted[i]) & mask) !== 0) return false;
    }
    return true;
  };
  return ({ bytes, fields }) =>
    fields.addressLength === wanted.length &&
    ((end !== 'dst' && matches(bytes, fields.sourceAt)) || (end !== 'src' && matches(bytes, fields.destinationAt)));
}

function bytesOf(address: string): Uint8Array {
  if (!isIPv6(address)) return Uint8Array.from(address.split('.').map(Number));
  // Without zones and embedded IPv4 notation.
  const [head, tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const words = (text: string | undefined): number[] =>
    text === undefined || text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16));
  const front = words(head);
  const back = words(tail);
  const zeros = new Array<number>(8 - front.length - back.length).fill(0);
  return Uint8Array.from([...front, ...zeros, ...back].flatMap((word) => [word >> 8, word & 0xff]));
}
