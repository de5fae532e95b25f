// One host below TCP on a memory wire, and the other end of the wire as raw frames, for the tests beside this file.
import { type MemoryEndOptions, MemoryWire } from '../../../io-engine/memory-wire.ts';
import { SeededRandom } from '../../../src/platform/random.ts';
import { parseNetdevConf, type StackConfig } from '../../../stack/config.ts';
import { Ip, type TcpHandler } from '../../../stack/ip.ts';
import { DROP_NAMES, Stats } from '../../../stack/stats.ts';
import { TimerWheel } from '../../../stack/timer-wheel.ts';
import { ARP_LENGTH, writeArp } from '../../../stack/wire/arp.ts';
import { finish, sum } from '../../../stack/wire/checksum.ts';
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, parseMac, writeEthernetHeader } from '../../../stack/wire/ethernet.ts';
import { parseIpv4Address, writeIpv4Header } from '../../../stack/wire/ipv4.ts';
import { describeFrame } from '../../../stack/wire/printer.ts';

export const HOST_MAC = '02:00:00:00:00:01';
export const PEER_MAC = '02:00:00:00:00:02';
export const HOST_IP = '10.0.0.1';
export const PEER_IP = '10.0.0.2';

export const ip = (text: string): number => parseIpv4Address(text)!;
export const mac = (text: string): Uint8Array => parseMac(text)!;

/** What reached TCP, as text. */
class RecordingTcp implements TcpHandler {
  readonly segments: { payload: Uint8Array; sourceIp: number; destinationIp: number; isChecksumTrusted: boolean }[] =
    [];
  readonly errors: number[][] = [];

  input(
    bytes: Uint8Array,
    offset: number,
    length: number,
    sourceIp: number,
    destinationIp: number,
    isChecksumTrusted: boolean,
  ): void {
    this.segments.push({ payload: bytes.slice(offset, offset + length), sourceIp, destinationIp, isChecksumTrusted });
  }

  onIcmpError(...error: number[]): void {
    this.errors.push(error);
  }
}

export class LowerHost {
  readonly clock = { nowMs: 0, nowUs: 0 };
  readonly wire: MemoryWire;
  readonly stats = new Stats();
  readonly tcp = new RecordingTcp();
  readonly timers = new TimerWheel(0);
  readonly config: StackConfig;
  readonly ip: Ip;
  readonly #engine;
  readonly #peer;

  constructor(settings = '', end: MemoryEndOptions = {}, address = `address = ${HOST_IP}/24\n`) {
    this.config = parseNetdevConf(`interface = test0\n${address}${settings}`, 'test.conf');
    this.wire = new MemoryWire({ ends: [end, { medium: end.medium ?? 'ethernet', rxRing: 1024 }], wake: 'advance' });
    [this.#engine, this.#peer] = this.wire.ends;
    this.ip = new Ip(this.#engine, this.config, this.clock, new SeededRandom(1), this.timers, this.stats);
    this.ip.setTcp(this.tcp);
  }

  /** Moves time on, running every timer on its way; frames that timers sent are on the wire afterwards. */
  advance(ms: number): void {
    for (let i = 0; i < ms; i++) {
      this.clock.nowMs = (this.clock.nowMs + 1) | 0;
      this.timers.advance(this.clock.nowMs);
    }
    this.#engine.flush();
  }

  /** Puts frames on the wire and has the host take them; the names of what it answered for each. */
  receive(...frames: Uint8Array[]): string[] {
    for (const frame of frames) {
      const at = this.#peer.reserve();
      this.#peer.memory.set(frame, at);
      this.#peer.commit(frame.length, 0);
    }
    this.#peer.flush();
    const names: string[] = [];
    for (let count = this.#engine.receive(); count > 0; count = this.#engine.receive()) {
      const { offset, length, flags } = this.#engine.batch;
      for (let i = 0; i < count; i++) {
        names.push(DROP_NAMES[this.ip.input(this.#engine.memory, offset[i], length[i], flags[i])]);
      }
    }
    this.#engine.flush();
    return names;
  }

  /** The frames that the host has sent since the last call. */
  sent(): Uint8Array[] {
    const frames: Uint8Array[] = [];
    for (let count = this.#peer.receive(); count > 0; count = this.#peer.receive()) {
      const { offset, length } = this.#peer.batch;
      for (let i = 0; i < count; i++) frames.push(this.#peer.memory.slice(offset[i], offset[i] + length[i]));
    }
    return frames;
  }

  /** The same, a line each. */
  sentLines(): string[] {
    return this.sent().map((frame) => describeFrame(frame, 0, frame.length, this.#engine.link.medium));
  }

  /** Sends one packet as TCP would; false when no slot was free. */
  send(destination: string, payload: Uint8Array, hop = this.ip.nextHop(ip(destination)), protocol = 6): boolean {
    if (hop === null) throw new Error(`no route to ${destination}`);
    const at = this.ip.beginPacket(hop, ip(HOST_IP), ip(destination), protocol);
    if (at < 0) return false;
    this.#engine.memory.set(payload, at);
    this.ip.finishPacket(payload.length, 0);
    this.#engine.flush();
    return true;
  }

  /** Drops by name, those that are not zero. */
  drops(): Record<string, number> {
    const entries = DROP_NAMES.map((name, i) => [name, this.stats.drops[i]] as const);
    return Object.fromEntries(entries.filter(([, count]) => count > 0));
  }
}

export function ethernet(type: number, payload: Uint8Array, to = HOST_MAC, from = PEER_MAC): Uint8Array {
  const frame = new Uint8Array(14 + payload.length);
  writeEthernetHeader(frame, 0, mac(to), mac(from), type);
  frame.set(payload, 14);
  return frame;
}

export interface ArpFields {
  operation: number;
  senderIp: string;
  targetIp: string;
  senderMac?: string;
  targetMac?: string;
  to?: string;
}

export function arpFrame({ operation, senderIp, targetIp, senderMac, targetMac, to }: ArpFields): Uint8Array {
  const packet = new Uint8Array(ARP_LENGTH);
  const sender = senderMac ?? PEER_MAC;
  writeArp(packet, 0, operation, mac(sender), ip(senderIp), mac(targetMac ?? '00:00:00:00:00:00'), ip(targetIp));
  return ethernet(ETHERTYPE_ARP, packet, to ?? 'ff:ff:ff:ff:ff:ff', sender);
}

export interface Ipv4Fields {
  from?: string;
  to?: string;
  protocol?: number;
  /** Flags and fragment offset, as they stand in the header. */
  fragment?: number;
  options?: readonly number[];
  payload?: Uint8Array;
}

export function ipv4Packet(fields: Ipv4Fields = {}): Uint8Array {
  const { from = PEER_IP, to = HOST_IP, protocol = 6, fragment, options = [], payload = new Uint8Array(20) } = fields;
  const headerLength = 20 + options.length;
  const packet = new Uint8Array(headerLength + payload.length);
  writeIpv4Header(packet, 0, packet.length, 7, false, 64, protocol, ip(from), ip(to));
  packet[0] = 0x40 | (headerLength >> 2);
  if (fragment !== undefined) packet.set([fragment >> 8, fragment & 255], 6);
  packet.set(options, 20);
  packet.set(payload, headerLength);
  fixIpv4Checksum(packet, 0);
  return packet;
}

/** Makes the header checksum right again after a field has been changed. */
export function fixIpv4Checksum(bytes: Uint8Array, offset: number): Uint8Array {
  const headerLength = Math.min((bytes[offset] & 15) * 4, bytes.length - offset);
  bytes.set([0, 0], offset + 10);
  const checksum = finish(sum(bytes, offset, headerLength, 0));
  bytes.set([checksum >> 8, checksum & 255], offset + 10);
  return bytes;
}

export function ipv4Frame(fields: Ipv4Fields = {}, toMac = HOST_MAC): Uint8Array {
  return ethernet(ETHERTYPE_IPV4, ipv4Packet(fields), toMac);
}

/** An ICMP message with its checksum. */
export function icmpMessage(type: number, code: number, rest: number, payload: Uint8Array): Uint8Array {
  const message = new Uint8Array(8 + payload.length);
  new DataView(message.buffer).setInt32(4, rest);
  message.set([type, code]);
  message.set(payload, 8);
  const checksum = finish(sum(message, 0, message.length, 0));
  message.set([checksum >> 8, checksum & 255], 2);
  return message;
}
