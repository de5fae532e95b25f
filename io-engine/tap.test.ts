// What only tap does: the kernel at the other end completes our checksums, cuts our long segments up, and hands us its
// own without checksums. A kernel TCP socket is the peer; this file plays just enough of a TCP server by hand.
import { execFileSync } from 'node:child_process';
import { connect } from 'node:net';
import koffi from 'koffi';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PLAIN_OPTIONS } from '../test/support/engine-options.ts';
import { type FrameEngine, RX_CHECKSUM_TRUSTED } from './frame-engine.ts';
import type { EngineOptions } from './options.ts';
import { openTap } from './tap.ts';

const CLONE_NEWNET = 0x40000000;
const OUR_IP = [10, 77, 0, 1];
const KERNEL_IP = [10, 77, 0, 2];
const PORT = 6379;
const SYN = 0x02;
const ACK = 0x10;
const IP_AT = 14;
const TCP_AT = 34;

const options: EngineOptions = {
  ...PLAIN_OPTIONS,
  engine: 'tap',
  interface: 'wiredis-test',
  addresses: [{ ip: 0x0a4d0001, prefixLength: 24 }],
};

/** Opening needs root, a tun driver and a network namespace of our own. */
function whyNot(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux';
  if (koffi.load(null).func('int unshare(int flags)')(CLONE_NEWNET) !== 0) return 'needs a network namespace';
  try {
    openTap(options).close();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

const unavailable = whyNot();

function foldedSum(bytes: Uint8Array, initial: number): number {
  let sum = initial;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** A server that answers ARP, accepts one connection and sends one long segment, which the device has to cut. */
class HandMadeServer {
  readonly engine: FrameEngine;
  readonly payload: Uint8Array;
  /** Whether each TCP segment came with a vouched-for checksum. */
  readonly trusted: boolean[] = [];
  #sent = false;

  constructor(engine: FrameEngine, payload: Uint8Array) {
    this.engine = engine;
    this.payload = payload;
    engine.wait(() => this.#tick());
  }

  #tick(): void {
    const { engine } = this;
    const count = engine.receive();
    for (let i = 0; i < count; i++) {
      const start = engine.batch.offset[i];
      const frame = engine.memory.slice(start, start + engine.batch.length[i]);
      if (frame[12] === 8 && frame[13] === 6) this.#answerArp(frame);
      else if (frame[12] === 8 && frame[13] === 0 && frame[IP_AT + 9] === 6)
        this.#answerTcp(frame, engine.batch.flags[i]);
    }
    engine.flush();
  }

  #send(frame: number[] | Uint8Array, segmentSize: number): void {
    const { engine } = this;
    engine.memory.set(frame, engine.reserve());
    engine.commit(frame.length, segmentSize);
  }

  #answerArp(frame: Uint8Array): void {
    if (frame.slice(38, 42).join() !== OUR_IP.join()) return;
    const [kernelMac, mac] = [frame.slice(6, 12), this.engine.link.mac];
    const body = [0, 1, 8, 0, 6, 4, 0, 2, ...mac, ...OUR_IP, ...kernelMac, ...KERNEL_IP];
    this.#send([...kernelMac, ...mac, 8, 6, ...body], 0);
  }

  #answerTcp(frame: Uint8Array, flags: number): void {
    this.trusted.push((flags & RX_CHECKSUM_TRUSTED) !== 0);
    const isSyn = (frame[TCP_AT + 13] & SYN) !== 0;
    if (!isSyn && this.#sent) return;
    this.#sent = !isSyn;
    this.#segment(frame, isSyn ? SYN | ACK : ACK, isSyn ? 0 : 1, isSyn ? new Uint8Array(0) : this.payload);
  }

  #segment(request: Uint8Array, flags: number, seq: number, payload: Uint8Array): void {
    const ask = new DataView(request.buffer);
    const frame = new Uint8Array(TCP_AT + 20 + payload.length);
    const view = new DataView(frame.buffer);
    frame.set([...request.slice(6, 12), ...this.engine.link.mac, 8, 0, 0x45]);
    view.setUint16(IP_AT + 2, frame.length - IP_AT);
    frame.set([64, 6], IP_AT + 8);
    frame.set([...OUR_IP, ...KERNEL_IP], IP_AT + 12);
    view.setUint16(IP_AT + 10, ~foldedSum(frame.subarray(IP_AT, TCP_AT), 0));
    view.setUint16(TCP_AT, PORT);
    view.setUint16(TCP_AT + 2, ask.getUint16(TCP_AT));
    view.setUint32(TCP_AT + 4, seq);
    view.setUint32(TCP_AT + 8, flags & SYN ? ask.getUint32(TCP_AT + 4) + 1 : ask.getUint32(TCP_AT + 4));
    frame.set([0x50, flags, 0xff, 0xff], TCP_AT + 12);
    // The pseudo-header's sum alone: the rest is the device's work.
    view.setUint16(TCP_AT + 16, foldedSum(frame.subarray(IP_AT + 12, TCP_AT), 6 + 20 + payload.length));
    frame.set(payload, TCP_AT + 20);
    this.#send(frame, payload.length > 0 ? 1000 : 0);
  }
}

describe.skipIf(unavailable !== null)(`tap${unavailable === null ? '' : ` (skipped: ${unavailable})`}`, () => {
  let engine: FrameEngine;

  beforeAll(() => {
    engine = openTap(options);
    execFileSync('ip', ['address', 'add', '10.77.0.2/24', 'dev', options.interface]);
  });
  afterAll(() => engine.close());

  it('offers checksum and segmentation offload, on an address of its own', () => {
    expect(engine.link).toMatchObject({ medium: 'ethernet', mtu: 1500, txChecksumOffload: true });
    expect(engine.link.tsoPayloadMax).toBeGreaterThan(60_000);
    expect(engine.link.mac[0] & 3).toBe(2);
  });

  it('exchanges TCP with the kernel: no checksum computed, one segment of 20,000 bytes', async () => {
    const payload = Uint8Array.from({ length: 20_000 }, (_, i) => i * 7);
    const server = new HandMadeServer(engine, payload);
    const chunks: Buffer[] = [];
    await new Promise<void>((resolve, reject) => {
      const socket = connect(PORT, OUR_IP.join('.'));
      let length = 0;
      socket.on('error', reject);
      socket.on('data', (chunk) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length < payload.length) return;
        socket.destroy();
        resolve();
      });
    });
    expect(Buffer.concat(chunks).equals(payload)).toBe(true);
    expect(server.trusted.every(Boolean)).toBe(true);
    expect(engine.counters.txErrors).toBe(0);
  });
});
