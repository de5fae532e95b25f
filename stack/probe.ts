// Asks a host whether it is there, for tools: resolves its next hop, then sends echo requests of several sizes with "don't
// fragment" set (RFC 792, RFC 4443 4.1); the largest that comes back is what the path carries. Used by stack.ts.
import type { Clock } from './clock.ts';
import type { Ip } from './ip.ts';
import { isIpv6 } from './ipv6-book.ts';
import type { TimerNode, TimerWheel } from './timer-wheel.ts';
import { formatMac } from './wire/ethernet.ts';
import { ICMP_HEADER_LENGTH } from './wire/icmp.ts';
import { IPV4_HEADER_LENGTH } from './wire/ipv4.ts';
import { IPV6_HEADER_LENGTH } from './wire/ipv6.ts';

/** What is not answered is asked again after so long. */
const RETRY_MS = 250;
/** Identifier of our echo requests, the upper half of the header's last word. */
const IDENTIFIER = 0x5744 << 16;

export interface ProbeFacts {
  readonly address: string;
  /** Whom packets for it are handed to: itself, or a gateway. Null: there is no route. */
  readonly nextHop: string | null;
  /** Of the next hop; null: nobody has told. */
  readonly mac: string | null;
  /** Whether packets could be handed to the next hop. */
  readonly resolved: boolean;
  /** From the first request to the first reply, microseconds; null: none came. */
  readonly rttUs: number | null;
  /** Sizes of the IP packets that were sent, and of those that came back; bytes. */
  readonly sizes: readonly number[];
  readonly answered: readonly number[];
}

export interface ProbeParts {
  readonly ip: Ip;
  readonly clock: Clock;
  readonly timers: TimerWheel;
  /** A tick is needed soon. */
  readonly onWork: () => void;
}

export class Probe implements TimerNode {
  timerNext: TimerNode | null = null;
  timerPrevious: TimerNode | null = null;
  timerSlot = -1;
  timerAt = 0;
  readonly #parts: ProbeParts;
  readonly #destinationIp: number;
  readonly #sizes: readonly number[];
  readonly #answered = new Set<number>();
  #endMs: number;
  /** What one that is there and silent is given besides. */
  #graceMs: number;
  readonly #beganUs: number;
  readonly #done: (facts: ProbeFacts) => void;
  #rttUs: number | null = null;

  /** Begins at once. @param sizes of IP packets, bytes. @param timeoutMs twice as long for one that is there and says nothing. */
  constructor(
    parts: ProbeParts,
    destinationIp: number,
    sizes: readonly number[],
    timeoutMs: number,
    done: (facts: ProbeFacts) => void,
  ) {
    this.#parts = parts;
    this.#destinationIp = destinationIp;
    this.#sizes = sizes;
    this.#graceMs = timeoutMs;
    this.#endMs = (parts.clock.nowMs + timeoutMs) | 0;
    this.#beganUs = parts.clock.nowUs;
    this.#done = done;
    parts.ip.probes.add(this);
    this.onTimer();
  }

  onTimer(): void {
    const { clock, timers } = this.#parts;
    if (this.#answered.size === this.#sizes.length || this.#isTimeOver()) {
      this.#finish();
      return;
    }
    this.#ask();
    const leftMs = (this.#endMs - clock.nowMs) | 0;
    timers.arm(this, (clock.nowMs + Math.min(RETRY_MS, leftMs)) | 0);
  }

  #isTimeOver(): boolean {
    if (((this.#endMs - this.#parts.clock.nowMs) | 0) > 0) return false;
    const { ip, clock } = this.#parts;
    if (this.#graceMs === 0 || this.#answered.size > 0 || !ip.nextHop(this.#destinationIp)?.resolved) return true;
    // It is there: it may have held another hardware address for us until a moment ago, or be very busy.
    this.#endMs = (clock.nowMs + this.#graceMs) | 0;
    this.#graceMs = 0;
    return false;
  }

  #ask(): void {
    const { ip, onWork } = this.#parts;
    const source = ip.sourceFor(this.#destinationIp);
    const version6 = isIpv6(this.#destinationIp);
    const headers = (version6 ? IPV6_HEADER_LENGTH : IPV4_HEADER_LENGTH) + ICMP_HEADER_LENGTH;
    if (source === 0) return;
    // One that has to wait for the next hop's address is enough.
    const count = ip.nextHop(this.#destinationIp)?.resolved === true ? this.#sizes.length : 1;
    for (const [i, size] of this.#sizes.slice(0, count).entries()) {
      if (this.#answered.has(i)) continue;
      const payload = new Uint8Array(Math.max(0, size - headers));
      if (version6) ip.ipv6?.icmp.sendEcho(source, this.#destinationIp, IDENTIFIER | i, payload);
      else ip.icmp.sendEcho(source, this.#destinationIp, IDENTIFIER | i, payload);
    }
    onWork();
  }

  /** @param rest of the header: identifier and sequence number. @returns whether this is what was asked for. */
  onReply(sourceIp: number, rest: number): boolean {
    const i = rest & 0xffff;
    if (sourceIp !== this.#destinationIp || rest !== (IDENTIFIER | i) || i >= this.#sizes.length) return false;
    const { clock, timers } = this.#parts;
    this.#rttUs ??= (clock.nowUs - this.#beganUs) | 0;
    this.#answered.add(i);
    if (this.#answered.size === this.#sizes.length) timers.arm(this, clock.nowMs);
    return true;
  }

  #finish(): void {
    const { ip } = this.#parts;
    ip.probes.delete(this);
    const hop = ip.nextHop(this.#destinationIp);
    const known = hop?.resolved === true && hop.mac.some((byte) => byte !== 0);
    this.#done({
      address: ip.format(this.#destinationIp),
      nextHop: hop === null ? null : ip.format(hop.ip === 0 ? this.#destinationIp : hop.ip),
      mac: known ? formatMac(hop.mac, 0) : null,
      resolved: hop?.resolved === true,
      rttUs: this.#rttUs,
      sizes: this.#sizes,
      answered: this.#sizes.filter((_, i) => this.#answered.has(i)),
    });
  }

  cancel(): void {
    this.#parts.timers.cancel(this);
  }
}
