// What only the engines on a real Ethernet device do, against this host's kernel at the other end of a veth pair: whose
// checksums they vouch for, which frames they leave alone, how often they wake.
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { release } from 'node:os';
import koffi from 'koffi';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PLAIN_OPTIONS } from '../test/support/engine-options.ts';
import { openAfPacket } from './af-packet.ts';
import { carriesParts, openAfXdp } from './af-xdp.ts';
import { type FrameEngine, RX_CHECKSUM_TRUSTED } from './frame-engine.ts';
import { interfaceInfo } from './linux/interfaces.ts';
import { close } from './linux/libc.ts';
import { knowsBindFlags, openXskSocket, XDP_USE_SG } from './linux/xsk-socket.ts';
import type { EngineOptions } from './options.ts';

const CLONE_NEWNET = 0x40000000;
const NEAR = 'wiredis-near';
const FAR = 'wiredis-far';
const OUR_ADDRESS = '10.77.0.1';
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;
const FOREIGN_MAC = Uint8Array.of(2, 0, 0, 0, 0, 0x77);

const ip = (...words: string[]): string => execFileSync('ip', words, { encoding: 'utf8', stdio: 'pipe' });
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function whyNot(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux';
  if (koffi.load(null).func('int unshare(int flags)')(CLONE_NEWNET) !== 0) return 'needs a network namespace';
  try {
    // No router solicitations between our frames.
    writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1');
    createPair();
    openAfPacket(options({})).close();
    removePair();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

function whyNoXdp(): string | null {
  createPair();
  try {
    openAfXdp(options({ engine: 'afxdp' })).close();
    return null;
  } catch (error) {
    return (error as Error).message;
  } finally {
    removePair();
  }
}

function createPair(): void {
  ip('link', 'add', NEAR, 'type', 'veth', 'peer', 'name', FAR);
  ip('link', 'set', NEAR, 'up');
  ip('link', 'set', FAR, 'up');
  ip('address', 'add', '10.77.0.2/24', 'dev', FAR);
}

function removePair(): void {
  ip('link', 'del', NEAR);
}

function options(changes: Partial<EngineOptions>): EngineOptions {
  const addresses = [{ ip: 0x0a4d0001, prefixLength: 24 }];
  return { ...PLAIN_OPTIONS, engine: 'afpacket', interface: NEAR, addresses, ...changes };
}

/** Tells the kernel where we are, without ARP. */
function announce(mac: Uint8Array): void {
  const text = Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
  ip('neighbour', 'replace', OUR_ADDRESS, 'lladdr', text, 'dev', FAR, 'nud', 'permanent');
}

/** Has the kernel begin a TCP connection to us. */
function sendSyn(): void {
  const socket = connect(6379, OUR_ADDRESS);
  socket.on('error', () => {});
  setTimeout(() => socket.destroy(), 20);
}

async function sendDatagrams(count: number): Promise<void> {
  const socket = createSocket('udp4');
  for (let i = 0; i < count; i++) {
    await new Promise<void>((resolve, reject) =>
      socket.send('ten bytes.', 9, OUR_ADDRESS, (error) => (error ? reject(error) : resolve())),
    );
  }
  socket.close();
}

/** An IPv4 frame with a VLAN tag before its ethertype; the receiving kernel takes the tag out of the frame. */
function sendTagged(from: FrameEngine, mac: Uint8Array, tag: number): void {
  const frame = new Uint8Array(64);
  frame.set([...mac, ...from.link.mac, 0x81, 0x00, tag >> 8, tag & 255, 0x08, 0x00, 0x45]);
  frame[18 + 9] = PROTOCOL_UDP;
  from.memory.set(frame, from.reserve());
  from.commit(frame.length, 0);
  from.flush();
}

const HEADERS = 14 + 20 + 20;

/** A TCP segment, with its checksum; of a long one, which the device is to cut, with that of the pseudo-header alone. */
function sendSegment(from: FrameEngine, mac: Uint8Array, payload: number, segmentSize: number): void {
  const { memory } = from;
  const at = from.reserve(segmentSize > 0);
  const length = HEADERS + payload;
  memory.fill(0, at, at + length);
  memory.set([...mac, ...from.link.mac, 8, 0, 0x45, 0, (length - 14) >> 8, (length - 14) & 255], at);
  memory.set([64, PROTOCOL_TCP, 0, 0, 10, 77, 0, 1, 10, 77, 0, 2], at + 22);
  memory[at + 46] = 0x50;
  for (let i = 0; i < payload; i++) memory[at + HEADERS + i] = i;
  const sum = segmentSize > 0 ? ones(memory, at, HEADERS, length, true) : ~ones(memory, at, length) & 0xffff;
  memory[at + 50] = sum >> 8;
  memory[at + 51] = sum & 255;
  from.commit(length, segmentSize);
}

/** Ones' complement sum of a segment with its pseudo-header, or of that alone. */
function ones(memory: Uint8Array, at: number, end: number, length = end, pseudoOnly = false): number {
  let sum = PROTOCOL_TCP + length - 34;
  for (let i = 26; i < (pseudoOnly ? 34 : end); i++) sum += memory[at + i] << (i & 1 ? 0 : 8);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** The flags of each IPv4 frame of `protocol`, when `expected` of them have arrived and a moment has passed. */
async function listen(engine: FrameEngine, protocol: number, expected: number): Promise<number[]> {
  const flags: number[] = [];
  engine.wait(() => {
    const count = engine.receive();
    for (let i = 0; i < count; i++) {
      const start = engine.batch.offset[i];
      if (engine.memory[start + 12] === 8 && engine.memory[start + 23] === protocol) flags.push(engine.batch.flags[i]);
    }
  });
  await until(() => flags.length >= expected);
  await sleep(20);
  return flags;
}

/** Returns when `condition` holds, or after ten seconds all the same: the expectation that follows then says more. */
async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 2000 && !condition(); tries++) await sleep(5);
}

const unavailable = whyNot();
const withoutXdp = unavailable ?? whyNoXdp();
const skipped = unavailable === null ? '' : ` (skipped: ${unavailable})`;

const ENGINES = [
  ['afpacket', openAfPacket, null],
  ['afxdp', openAfXdp, withoutXdp],
] as const;

describe.skipIf(unavailable !== null)(`engines on a veth pair${skipped}`, () => {
  let engine: FrameEngine | null = null;
  beforeEach(createPair);
  afterEach(() => {
    engine?.close();
    engine = null;
    removePair();
  });

  it.each([
    ['auto', RX_CHECKSUM_TRUSTED],
    ['trust', RX_CHECKSUM_TRUSTED],
    ['verify', 0],
  ] as const)(
    'afpacket, rx-checksum = %s: a checksum that the sending kernel never filled in',
    async (rxChecksum, flag) => {
      engine = openAfPacket(options({ rxChecksum }));
      announce(engine.link.mac);
      sendSyn();
      expect(await listen(engine, PROTOCOL_TCP, 1)).toEqual([flag]);
    },
  );

  it('afpacket: leaves frames for other hardware addresses, and of VLANs, alone', async () => {
    engine = openAfPacket(options({}));
    announce(FOREIGN_MAC);
    await sendDatagrams(3);
    const peer = openAfPacket(options({ interface: FAR }));
    for (const tag of [5, 0x6005, 0xe000]) sendTagged(peer, engine.link.mac, tag);
    const seen = await listen(engine, PROTOCOL_UDP, 1);
    peer.close();
    // VLAN 0 is a priority, not a network.
    expect(seen).toHaveLength(1);
    expect(engine.counters.rxTruncated).toBe(0);
  });

  it.for(ENGINES)('%s: takes the frames of a hardware address of its own', async ([, open, reason], { skip }) => {
    if (reason !== null) skip(reason);
    engine = open(options({ mac: FOREIGN_MAC }));
    expect(engine.link.mac).toEqual(FOREIGN_MAC);
    announce(FOREIGN_MAC);
    await sendDatagrams(3);
    expect(await listen(engine, PROTOCOL_UDP, 3)).toHaveLength(3);
  });

  it.for(ENGINES)(
    '%s: sleeps when there is nothing, though the last batch is still in hand',
    async ([, open, reason], { skip }) => {
      if (reason !== null) skip(reason);
      engine = open(options({}));
      announce(engine.link.mac);
      const { memory, batch } = engine;
      await sendDatagrams(1);
      expect(await listen(engine, PROTOCOL_UDP, 1)).toHaveLength(1);
      const { wakeups } = engine.counters;
      await sleep(30);
      expect(engine.counters.wakeups).toBe(wakeups);
      expect(memory[batch.offset[0] + 23]).toBe(PROTOCOL_UDP);
      // And wakes again, ring after ring.
      for (let round = 0; round < 8; round++) {
        await sendDatagrams(20);
        await sleep(2);
      }
      await until(() => (engine as FrameEngine).counters.rxFrames >= 161);
      expect(engine.counters).toMatchObject({ rxDropped: 0, rxTruncated: 0 });
      expect(engine.counters.rxFrames).toBeGreaterThanOrEqual(161);
    },
  );

  it.for(ENGINES)('%s: goes on after its interface was down', async ([, open, reason], { skip }) => {
    if (reason !== null) skip(reason);
    engine = open(options({}));
    announce(engine.link.mac);
    await listen(engine, PROTOCOL_UDP, 0);
    ip('link', 'set', NEAR, 'down');
    engine.reserve();
    engine.commit(60, 0);
    engine.flush();
    await sleep(20);
    ip('link', 'set', NEAR, 'up');
    await sleep(150);
    announce(engine.link.mac);
    await sendDatagrams(2);
    expect(await listen(engine, PROTOCOL_UDP, 2)).toHaveLength(2);
  });

  it.skipIf(withoutXdp !== null)('afxdp: detaches its program and says who is in the way', () => {
    engine = openAfXdp(options({ engine: 'afxdp' }));
    expect(ip('link', 'show', NEAR)).toContain('xdp');
    expect(() => openAfXdp(options({ engine: 'afxdp' }))).toThrow(/another XDP program/);
    engine.close();
    expect(ip('link', 'show', NEAR)).not.toContain('xdp');
    expect(interfaceInfo(NEAR).isUp).toBe(true);
  });

  it.skipIf(withoutXdp !== null)(
    'afxdp: frames longer than the mtu are cut on their way, and stay in their order',
    async () => {
      engine = openAfXdp(options({ engine: 'afxdp' }));
      expect(engine.link.tsoPayloadMax).toBeGreaterThan(64_000);
      // Now the kernel does it in the device's place, so that the far end sees the segments.
      execFileSync('ethtool', ['-K', NEAR, 'tso', 'off', 'gso', 'off', 'tx', 'off'], { stdio: 'pipe' });
      const peer = openAfPacket(options({ interface: FAR }));
      for (let round = 0; round < 20; round++) {
        sendSegment(engine, peer.link.mac, 100, 0);
        sendSegment(engine, peer.link.mac, 5000, 1400);
        sendSegment(engine, peer.link.mac, 200, 0);
        engine.flush();
        const lengths: number[] = [];
        await until(() => {
          const count = peer.receive();
          for (let i = 0; i < count; i++) {
            const at = peer.batch.offset[i];
            if (peer.memory[at + 23] !== PROTOCOL_TCP) continue;
            lengths.push(peer.batch.length[i] - HEADERS);
            if (round === 0) expect(ones(peer.memory, at, peer.batch.length[i])).toBe(0xffff);
          }
          return lengths.length >= 6;
        });
        expect(lengths).toEqual([100, 1400, 1400, 1400, 800, 200]);
      }
      expect(engine.counters).toMatchObject({ txFrames: 60, txErrors: 0, txFull: 0 });
      peer.close();
    },
  );

  it.skipIf(withoutXdp !== null)(
    'afxdp: sends no such frames where the device does not cut them, or was not to',
    () => {
      engine = openAfXdp(options({ engine: 'afxdp', tso: 'off' }));
      expect(engine.link.tsoPayloadMax).toBe(0);
      engine.close();
      execFileSync('ethtool', ['-K', NEAR, 'tso', 'off'], { stdio: 'pipe' });
      engine = openAfXdp(options({ engine: 'afxdp' }));
      expect(engine.link.tsoPayloadMax).toBe(0);
    },
  );

  it('afxdp: names the mtu that it can carry before Linux 6.6', () => {
    ip('link', 'set', NEAR, 'mtu', '9000');
    const refused = /at most 3822 before Linux 6\.6, wiredis-near has 9000/;
    expect(() => openAfXdp(options({ engine: 'afxdp' }), () => false)).toThrow(refused);
    engine = openAfXdp(options({ engine: 'afxdp', mtu: 3822 }), () => false);
    expect(engine.link.mtu).toBe(3822);
  });

  it.skipIf(withoutXdp !== null)('afxdp: the kernel says which ways of binding it knows, and nothing is bound', () => {
    const fd = openXskSocket();
    expect(knowsBindFlags(fd, 0)).toBe(true);
    expect(knowsBindFlags(fd, 1 << 15)).toBe(false);
    const kernel = release().split('.').map(Number);
    expect(knowsBindFlags(fd, XDP_USE_SG)).toBe(kernel[0] > 6 || (kernel[0] === 6 && kernel[1] >= 6));
    close(fd);
  });

  it.skipIf(withoutXdp !== null || !carriesParts())(
    'afxdp: runs in the driver though the link has a larger mtu than we; what is too long is counted',
    async () => {
      for (const end of [NEAR, FAR]) ip('link', 'set', end, 'mtu', '9000');
      engine = openAfXdp(options({ engine: 'afxdp', mtu: 1500 }));
      expect(engine.mode).toContain('XDP in the driver');
      expect(engine.mode).not.toContain('in parts');
      announce(engine.link.mac);
      const socket = createSocket('udp4');
      for (const length of [5000, 9, 1400]) {
        await new Promise<unknown>((resolve) => socket.send(new Uint8Array(length), 9, OUR_ADDRESS, resolve));
      }
      socket.close();
      expect(await listen(engine, PROTOCOL_UDP, 2)).toHaveLength(2);
      expect(engine.counters).toMatchObject({ rxTruncated: 1, rxDropped: 0 });
    },
  );
});
