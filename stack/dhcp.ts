// A DHCP client (RFC 2131): gets an address, its network and a gateway from a server, looks whether somebody else has the
// address (RFC 5227), and renews the lease for as long as the server agrees. There only with `address = dhcp`.
// Started by whoever opens the stack, with ip.ts.
import type { Arp } from './arp.ts';
import type { Clock, RandomSource } from './clock.ts';
import type { EthernetLink } from './ethernet-link.ts';
import type { PacketOutput } from './icmp.ts';
import type { Route, Routes } from './routes.ts';
import type { Stats } from './stats.ts';
import { DROP_OUTPUT_FULL } from './stats.ts';
import { Timer, type TimerWheel } from './timer-wheel.ts';
import { readUint16 } from './wire/bytes.ts';
import {
  buildDhcpRequest,
  DHCP_ACK,
  DHCP_CLIENT_PORT,
  DHCP_DECLINE,
  DHCP_DISCOVER,
  DHCP_NAK,
  DHCP_OFFER,
  DHCP_RELEASE,
  DHCP_REQUEST,
  DHCP_SERVER_PORT,
  type DhcpReply,
  isUdpValid,
  parseDhcpReply,
  UDP_HEADER_LENGTH,
  writeUdpHeader,
} from './wire/dhcp.ts';
import { BROADCAST_MAC, ETHERTYPE_IPV4 } from './wire/ethernet.ts';
import {
  IPV4_HEADER_LENGTH,
  type Ipv4Header,
  LIMITED_BROADCAST_IP,
  PROTOCOL_UDP,
  writeIpv4Header,
} from './wire/ipv4.ts';

/** Delay after each question; the last one goes on. RFC 2131 4.1 begins with 4 s, which is long for a person to wait. */
const RETRY_MS: readonly number[] = [1000, 2000, 4000, 8000, 16_000, 32_000, 64_000];
/** Questions for an address that was offered before we look for another server. */
const REQUESTS_MAX = 4;
/** RFC 2131 3.1 (5): after a declined offer. */
const DECLINE_WAIT_MS = 10_000;
/** RFC 2131 4.4.5: between questions for a renewal. */
const RENEW_RETRY_SECONDS_MIN = 60;
/** A server that says less than this is asked to renew no more often all the same. */
const LEASE_SECONDS_MIN = 30;
/** As long as the wheel carries; longer deadlines are looked at again. */
const SLEEP_MS_MAX = 3_600_000;

export type DhcpState = 'stopped' | 'selecting' | 'requesting' | 'checking' | 'bound' | 'renewing' | 'rebinding';

/** What the server has given us. */
export interface Lease {
  readonly ip: number;
  readonly prefixLength: number;
  readonly gateway: number | null;
  readonly routes: readonly Route[];
  readonly server: number;
  readonly seconds: number;
}

export interface DhcpParts {
  readonly link: EthernetLink;
  readonly output: PacketOutput;
  readonly routes: Routes;
  readonly arp: Arp;
  readonly clock: Clock;
  readonly timers: TimerWheel;
  readonly random: RandomSource;
  readonly stats: Stats;
  readonly addressCheckMs: number;
  readonly hostName: string;
}

export class Dhcp {
  /** We have an address, a new one or the old one again. */
  onBound: (lease: Lease) => void = () => {};
  /** The address is not ours any more; `why` in words. */
  onLost: (ip: number, why: string) => void = () => {};
  state: DhcpState = 'stopped';

  readonly #parts: DhcpParts;
  readonly #timer = new Timer(() => this.#onTimer());
  #transaction = 0;
  /** Times of the clock as doubles that do not wrap: seconds since the first message. */
  #elapsedMs = 0;
  #lastMs = 0;
  #deadlineMs = 0;
  #begunMs = 0;
  #tries = 0;
  #offer: DhcpReply | null = null;
  #lease: Lease | null = null;
  #renewAtMs = 0;
  #rebindAtMs = 0;
  #expireAtMs = 0;

  constructor(parts: DhcpParts) {
    this.#parts = parts;
    this.#lastMs = parts.clock.nowMs;
  }

  /** Asks for an address. */
  start(): void {
    this.#begin();
  }

  /** Gives the address back; the message leaves with the next flush. */
  close(): void {
    if (this.#lease !== null) this.#sendRelease(this.#lease);
    this.#parts.timers.cancel(this.#timer);
    this.#lease = null;
    this.state = 'stopped';
  }

  /** What the server has given us and how old it is; null: nothing yet. */
  get lease(): { readonly lease: Lease; readonly ageMs: number } | null {
    const lease = this.#lease;
    return lease === null ? null : { lease, ageMs: this.#now() - (this.#expireAtMs - lease.seconds * 1000) };
  }

  /** Goes on with a lease that another had, without a question to anyone. Instead of `start`. */
  goOn(lease: Lease, ageMs: number): void {
    const begun = this.#now() - ageMs;
    const milliseconds = lease.seconds * 1000;
    this.#lease = lease;
    this.state = 'bound';
    this.#renewAtMs = begun + milliseconds / 2;
    this.#rebindAtMs = begun + (milliseconds * 7) / 8;
    this.#expireAtMs = begun + milliseconds;
    this.#parts.routes.setAddresses([lease], lease.gateway, lease.routes);
    this.#sleepUntil(this.#renewAtMs);
  }

  /**
   * A UDP datagram at us or at everybody.
   * @param isTrusted its checksum need not be verified.
   * @returns whether it was one of DHCP.
   */
  input(bytes: Uint8Array, ip: Ipv4Header, isTrusted: boolean): boolean {
    const { payloadOffset: at, payloadLength: length } = ip;
    const isDhcp =
      length >= UDP_HEADER_LENGTH &&
      readUint16(bytes, at) === DHCP_SERVER_PORT &&
      readUint16(bytes, at + 2) === DHCP_CLIENT_PORT;
    if (!isDhcp || !isUdpValid(bytes, at, length, ip.sourceIp, ip.destinationIp, isTrusted)) return false;
    const body = readUint16(bytes, at + 4) - UDP_HEADER_LENGTH;
    const reply = parseDhcpReply(bytes, at + UDP_HEADER_LENGTH, body, this.#parts.link.mac);
    if (reply !== null && reply.transaction === this.#transaction) this.#hear(reply);
    return true;
  }

  // --- the exchange ---

  #begin(): void {
    this.state = 'selecting';
    this.#transaction = this.#parts.random.int32();
    this.#begunMs = this.#now();
    this.#tries = 0;
    this.#offer = null;
    this.#ask();
  }

  #hear(reply: DhcpReply): void {
    if (this.state === 'selecting') {
      // The first acceptable offer will do (RFC 2131 4.4.1).
      if (reply.type !== DHCP_OFFER || reply.ip === 0 || reply.server === 0 || reply.mask === 0) return;
      this.#offer = reply;
      this.state = 'requesting';
      this.#tries = 0;
      this.#ask();
      return;
    }
    const isWaiting = this.state === 'requesting' || this.state === 'renewing' || this.state === 'rebinding';
    if (!isWaiting) return;
    if (reply.type === DHCP_NAK) this.#refused(reply.message);
    else if (reply.type === DHCP_ACK && reply.ip !== 0) this.#granted(reply);
  }

  #refused(message: string): void {
    this.#lose(message === '' ? 'the server refuses it' : `the server refuses it: ${message}`);
    this.#begin();
  }

  #granted(reply: DhcpReply): void {
    const lease = leaseFrom(reply, this.#offer, this.#lease);
    if (lease.ip === this.#lease?.ip) {
      this.#bind(lease);
      return;
    }
    const { arp, addressCheckMs } = this.#parts;
    if (addressCheckMs === 0) {
      this.#bind(lease);
      return;
    }
    this.state = 'checking';
    this.#parts.timers.cancel(this.#timer);
    arp.claim([lease.ip], addressCheckMs, (conflict) => {
      if (conflict === null) this.#bind(lease);
      else this.#decline(lease);
    });
  }

  #bind(lease: Lease): void {
    const isNew = this.#lease?.ip !== lease.ip;
    this.goOn(lease, 0);
    if (isNew) this.#parts.arp.announce();
    this.onBound(lease);
  }

  /** Somebody has the address already: the server should know (RFC 2131 3.1 (5)). */
  #decline(lease: Lease): void {
    this.#send(DHCP_DECLINE, { ip: 0, requestedIp: lease.ip, server: lease.server }, null);
    this.state = 'selecting';
    this.#offer = null;
    this.#tries = 0;
    this.#sleepUntil(this.#now() + DECLINE_WAIT_MS);
  }

  #lose(why: string): void {
    const lease = this.#lease;
    this.#lease = null;
    if (lease === null) return;
    this.#parts.routes.setAddresses([], null, []);
    this.onLost(lease.ip, why);
  }

  // --- time ---

  #onTimer(): void {
    const now = this.#now();
    if (now < this.#deadlineMs) {
      this.#sleepUntil(this.#deadlineMs);
      return;
    }
    if (this.state === 'requesting' && this.#tries >= REQUESTS_MAX) this.#begin();
    else if (this.state === 'selecting' || this.state === 'requesting') this.#ask();
    else this.#keep(now);
  }

  /** The lease's own times (RFC 2131 4.4.5): renew from its server at half, from anyone at seven eighths, then go. */
  #keep(now: number): void {
    if (now >= this.#expireAtMs) {
      this.#lose('the lease has ended and no server renews it');
      this.#begin();
      return;
    }
    const isRebinding = now >= this.#rebindAtMs;
    if (this.state === 'bound') this.#transaction = this.#parts.random.int32();
    if (this.state === 'bound' || (isRebinding && this.state === 'renewing')) this.#begunMs = now;
    this.state = isRebinding ? 'rebinding' : 'renewing';
    const lease = this.#lease as Lease;
    this.#send(DHCP_REQUEST, { ip: lease.ip, requestedIp: 0, server: 0 }, isRebinding ? null : lease.server);
    const next = isRebinding ? this.#expireAtMs : this.#rebindAtMs;
    const pause = Math.max(RENEW_RETRY_SECONDS_MIN * 1000, (next - now) / 2);
    this.#sleepUntil(Math.min(next, now + pause));
  }

  #ask(): void {
    const offer = this.#offer;
    if (offer === null) this.#send(DHCP_DISCOVER, { ip: 0, requestedIp: 0, server: 0 }, null);
    else this.#send(DHCP_REQUEST, { ip: 0, requestedIp: offer.ip, server: offer.server }, null);
    const delay = RETRY_MS[Math.min(this.#tries, RETRY_MS.length - 1)];
    this.#tries++;
    // A little off the beat, so that hosts which woke together do not ask together.
    this.#sleepUntil(this.#now() + delay + ((this.#parts.random.int32() >>> 0) % (delay / 4)));
  }

  #now(): number {
    const { nowMs } = this.#parts.clock;
    this.#elapsedMs += Math.max(0, (nowMs - this.#lastMs) | 0);
    this.#lastMs = nowMs;
    return this.#elapsedMs;
  }

  #sleepUntil(deadlineMs: number): void {
    this.#deadlineMs = deadlineMs;
    const delay = Math.min(SLEEP_MS_MAX, Math.max(1, Math.ceil(deadlineMs - this.#now())));
    this.#parts.timers.arm(this.#timer, (this.#parts.clock.nowMs + delay) | 0);
  }

  // --- sending ---

  #sendRelease(lease: Lease): void {
    this.#send(DHCP_RELEASE, { ip: lease.ip, requestedIp: 0, server: lease.server }, lease.server);
  }

  /** @param to a server's address; null: everybody. */
  #send(
    type: number,
    fields: { readonly ip: number; readonly requestedIp: number; readonly server: number },
    to: number | null,
  ): void {
    const { link, hostName } = this.#parts;
    const seconds = Math.floor((this.#now() - this.#begunMs) / 1000);
    const common = { type, transaction: this.#transaction, seconds, mac: link.mac, hostName };
    const message = buildDhcpRequest({ ...common, ...fields });
    const isSent = to === null ? this.#broadcast(message, fields.ip) : this.#unicast(message, fields.ip, to);
    if (!isSent) this.#parts.stats.drop(DROP_OUTPUT_FULL);
  }

  #broadcast(message: Uint8Array, sourceIp: number): boolean {
    const { link } = this.#parts;
    const packet = link.begin(BROADCAST_MAC, ETHERTYPE_IPV4);
    if (packet < 0) return false;
    const { memory } = link.engine;
    const length = IPV4_HEADER_LENGTH + UDP_HEADER_LENGTH + message.length;
    writeIpv4Header(memory, packet, length, 0, false, 64, PROTOCOL_UDP, sourceIp, LIMITED_BROADCAST_IP, 0);
    this.#writeUdp(packet + IPV4_HEADER_LENGTH, message, sourceIp, LIMITED_BROADCAST_IP);
    link.commit(length, 0);
    return true;
  }

  #unicast(message: Uint8Array, sourceIp: number, to: number): boolean {
    const { output } = this.#parts;
    const hop = output.nextHop(to);
    if (hop === null) return false;
    const at = output.beginPacket(hop, sourceIp, to, PROTOCOL_UDP);
    if (at < 0) return false;
    this.#writeUdp(at, message, sourceIp, to);
    output.finishPacket(UDP_HEADER_LENGTH + message.length, 0);
    return true;
  }

  #writeUdp(at: number, message: Uint8Array, sourceIp: number, destinationIp: number): void {
    const { memory } = this.#parts.link.engine;
    memory.set(message, at + UDP_HEADER_LENGTH);
    writeUdpHeader(memory, at, DHCP_CLIENT_PORT, DHCP_SERVER_PORT, message.length, sourceIp, destinationIp);
  }
}

/** What an ACK leaves out was in the offer, or is as before. */
function leaseFrom(ack: DhcpReply, offer: DhcpReply | null, before: Lease | null): Lease {
  const mask = ack.mask !== 0 ? ack.mask : (offer?.mask ?? 0);
  const prefixLength = mask !== 0 ? Math.clz32(~mask) : (before?.prefixLength ?? 32);
  // RFC 3442: with classless routes the router option does not count; the default route is one of them.
  const fallback = ack.router !== 0 ? ack.router : null;
  const isDefault = (route: { readonly prefixLength: number }): boolean => route.prefixLength === 0;
  const gateway = ack.routes.length > 0 ? (ack.routes.find(isDefault)?.gateway ?? null) : fallback;
  const routes = ack.routes
    .filter((route) => !isDefault(route))
    .map((route) => ({ ...route, gateway: route.gateway === 0 ? null : route.gateway }));
  const server = ack.server !== 0 ? ack.server : (before?.server ?? 0);
  return { ip: ack.ip, prefixLength, gateway, routes, server, seconds: Math.max(LEASE_SECONDS_MIN, ack.leaseSeconds) };
}
