// The io-engine contract, over every implementation; and what each of them refuses to open. Devices are made in a
// network namespace of this process's own.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { carriesParts } from '../../io-engine/af-xdp.ts';
import { queueFrame, receiveAll, receiveBatch, sendFrame } from '../../io-engine/frame-copies.ts';
import { EngineError, type EngineErrorCode, type FrameEngine } from '../../io-engine/frame-engine.ts';
import { loadCap, openLibpcap } from '../../io-engine/libpcap.ts';
import { findInterface } from '../../io-engine/linux/interfaces.ts';
import { findQueue, InterruptHold } from '../../io-engine/linux/interrupt-hold.ts';
import { MemoryWire } from '../../io-engine/memory-wire.ts';
import { openEngine } from '../../io-engine/open.ts';
import type { EngineChoice, EngineOptions } from '../../io-engine/options.ts';
import { openPcapReplay } from '../../io-engine/pcap-replay.ts';
import { loadRawSocket, openRawIp } from '../../io-engine/raw-ip.ts';
import { recordFrames } from '../../io-engine/recorder.ts';
import { PLAIN_OPTIONS } from '../support/engine-options.ts';
import {
  describeFrameEngine,
  ENGINE_IP,
  type Fixture,
  FrameMaker,
  type Pair,
  type PairOptions,
  type Peer,
} from './frame-engine-suite.ts';
import { PacketSocket } from './packet-socket.ts';
import {
  createVethPair,
  enterPrivateNetwork,
  FAR,
  ip,
  macOf,
  NEAR,
  removeVethPair,
  setMtu,
} from './private-network.ts';

const unavailable = enterPrivateNetwork();

const ADDRESS = { ip: ENGINE_IP, prefixLength: 24 };
const ENGINE_CIDR = '10.77.0.1/24';
const PEER_ADDRESS = '10.77.0.2';

function engineOptions(engine: EngineChoice, changes: Partial<EngineOptions> = {}): EngineOptions {
  return {
    ...PLAIN_OPTIONS,
    engine,
    interface: NEAR,
    rxRing: 512,
    txRing: 256,
    addresses: [ADDRESS],
    ...changes,
  };
}

const rings = ({ rxRing, txRing }: PairOptions): Pick<EngineOptions, 'rxRing' | 'txRing'> => ({
  rxRing: rxRing ?? 512,
  txRing: txRing ?? 256,
});

const deviceOptions = (options: PairOptions): Partial<EngineOptions> => ({
  ...rings(options),
  rxChecksum: options.rxChecksum ?? 'auto',
});

/** Why an engine cannot be tested here: a privilege or a library that is not there. Anything else is a failure. */
async function whyNot(open: () => FrameEngine | Promise<FrameEngine>): Promise<string | null> {
  if (unavailable !== null) return unavailable;
  createVethPair();
  try {
    (await open()).close();
    return null;
  } catch (error) {
    const excused = error instanceof EngineError && ['NO_PRIVILEGE', 'NO_LIBRARY'].includes(error.code);
    return excused ? error.message : null;
  } finally {
    removeVethPair();
  }
}

function memoryPair(options: PairOptions, wrap: (engine: FrameEngine) => FrameEngine): Pair {
  const wire = new MemoryWire({
    ends: [{ ...rings(options) }, { mtu: 9000, rxRing: 4096 }],
    inFlight: 4096,
  });
  const [near, far] = wire.ends;
  const engine = wrap(near);
  const frames = new FrameMaker('ethernet', near.link.mac, far.link.mac);
  const peer: Peer = {
    send: (frame) => sendFrame(far, frame),
    receive: () => {
      const count = far.receive();
      const { offset, length } = far.batch;
      return Array.from({ length: count }, (_, i) => far.memory.slice(offset[i], offset[i] + length[i]));
    },
    sendOversize: () => sendFrame(far, frames.toEngine(1, 5000)),
  };
  for (const frame of options.incoming?.(frames) ?? []) peer.send(frame);
  const close = (): void => {
    engine.close();
    wire.close();
  };
  return { engine, peer, frames, close };
}

const memory: Fixture = {
  name: 'memory',
  unavailable: null,
  without: { 'rx-checksum': 'the sending end says what is trusted' },
  open: async (options) => memoryPair(options, (engine) => engine),
};

const recorded: Fixture = {
  name: 'a recorder around memory',
  unavailable: null,
  without: { 'rx-checksum': 'the sending end says what is trusted' },
  open: async (options) => memoryPair(options, (engine) => recordFrames(engine, '/dev/null')),
};

const captures = mkdtempSync(join(tmpdir(), 'engine-contract-'));

const replay: Fixture = {
  name: 'replay',
  unavailable: null,
  without: {
    'live-input': 'the file is read when the engine is opened',
    output: 'what is sent is only counted',
    'rx-checksum': 'a capture has no device that could vouch',
    oversize: 'slots are as long as the longest frame of the file',
  },
  tearDown: () => rmSync(captures, { recursive: true }),
  open: async (options) => {
    const frames = new FrameMaker('ethernet', new Uint8Array(6), new Uint8Array(6));
    const file = join(captures, 'incoming.pcap');
    writeFileSync(file, pcapFile(options.incoming?.(frames) ?? [frames.toEngine(0)]));
    const engine = await openPcapReplay({ file, ...rings(options) });
    return { engine, peer: { send: () => {}, receive: () => [] }, frames, close: () => engine.close() };
  },
};

function pcapFile(frames: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65535, 16);
  header.writeUInt32LE(1, 20);
  const packets = frames.flatMap((frame) => {
    const packet = Buffer.alloc(16);
    packet.writeUInt32LE(frame.length, 8);
    packet.writeUInt32LE(frame.length, 12);
    return [packet, frame];
  });
  return Buffer.concat([header, ...packets]);
}

/** An engine at one end of a veth pair, a packet socket at the other. */
async function vethFixture(engine: EngineChoice, without: Fixture['without']): Promise<Fixture> {
  return {
    name: engine,
    unavailable: await whyNot(() => openEngine(engineOptions(engine))),
    without,
    setUp: createVethPair,
    tearDown: removeVethPair,
    open: async (options) => {
      const opened = await openEngine(engineOptions(engine, deviceOptions(options)));
      return devicePair(opened, FAR, new FrameMaker('ethernet', opened.link.mac, macOf(FAR)), options);
    },
  };
}

function devicePair(engine: FrameEngine, peerInterface: string, frames: FrameMaker, options: PairOptions): Pair {
  const socket = new PacketSocket(peerInterface);
  const peer: Peer = {
    send: (frame) => socket.send(frame),
    receive: () => socket.receive(),
    sendOversize: () => {
      // After the engine chose its slots the link becomes a larger one.
      setMtu(engine.link.mtu * 6);
      socket.send(frames.toEngine(1, engine.link.mtu * 4));
    },
  };
  for (const frame of options.incoming?.(frames) ?? []) peer.send(frame);
  const close = (): void => {
    engine.close();
    socket.close();
    if (peerInterface === FAR) setMtu(1500);
  };
  return { engine, peer, frames, close };
}

const afpacket = await vethFixture('afpacket', {});
const pcap = await vethFixture('pcap', {});
const afxdp = await vethFixture('afxdp', { oversize: 'the kernel refuses an MTU beyond a page while XDP is attached' });

const JUMBO_MTU = 9000;

const noParts = afxdp.unavailable ?? (carriesParts() ? null : 'needs Linux 6.6');

/** Frames that have several descriptors, in an XDP program of the driver's or of the kernel's. */
const jumbo = (mode: 'driver' | 'generic'): Fixture => ({
  ...afxdp,
  unavailable: noParts,
  name: `afxdp, jumbo frames, ${mode === 'driver' ? 'in the driver' : 'generic mode'}`,
  without: {},
  // A part received is 3840 bytes at most, one sent 4096, and the Ethernet header counts.
  lengths: [3840, 4096, 7680, 8192, JUMBO_MTU + 14 - 2]
    .flatMap((frame) => [frame - 2, frame - 1, frame, frame + 1, frame + 2])
    .map((frame) => frame - 14),
  // veth refuses a program where its other end sends by more queues than this one reads.
  setUp: () => createVethPair(mode === 'driver' ? 1 : 2),
  open: async (options) => {
    setMtu(JUMBO_MTU);
    const pair = await afxdp.open(options);
    expect(pair.engine.mode).toContain(mode === 'driver' ? 'XDP in the driver' : 'XDP in generic mode');
    return pair;
  },
});

const TAP = 'wt-tap';

/** The kernel's side of the tap is the other end: what is sent there comes out of the engine's descriptor. */
const tap: Fixture = {
  name: 'tap',
  unavailable: await whyNot(() => openEngine(engineOptions('tap', { interface: TAP }))),
  without: { oversize: 'a slot holds the longest segment there is' },
  open: async (options) => {
    const engine = await openEngine(engineOptions('tap', { interface: TAP, ...deviceOptions(options) }));
    return devicePair(engine, TAP, new FrameMaker('ethernet', engine.link.mac, macOf(TAP)), options);
  },
};

/** The rule that the engine asks for; the frames here never make the kernel send a RST. */
const resetRule = {
  nft: `oifname "${NEAR}" ip saddr 10.77.0.1 tcp flags & rst == rst meta mark != 0x00000057 drop`,
  iptables: null,
};

/** Frames start at the IP header, so the peer puts on and takes off the Ethernet header of the veth below. */
const raw: Fixture = {
  name: 'raw',
  unavailable: await whyNot(() => openRawIp(engineOptions('raw', { addresses: [] }), { firewall: () => resetRule })),
  without: {},
  setUp: () => {
    createVethPair();
    ip('address', 'add', ENGINE_CIDR, 'dev', NEAR);
    const mac = Array.from(macOf(FAR), (byte) => byte.toString(16).padStart(2, '0')).join(':');
    ip('neighbour', 'replace', PEER_ADDRESS, 'lladdr', mac, 'dev', NEAR, 'nud', 'permanent');
  },
  tearDown: removeVethPair,
  open: async (options) => {
    const engine = openRawIp(engineOptions('raw', deviceOptions(options)), { firewall: () => resetRule });
    const frames = new FrameMaker('ip', new Uint8Array(6), new Uint8Array(6));
    const header = Uint8Array.from([...macOf(NEAR), ...macOf(FAR), 0x08, 0x00]);
    const pair = devicePair(engine, FAR, frames, {});
    const wire = pair.peer;
    const send = (packet: Uint8Array): void => wire.send(Uint8Array.from([...header, ...packet]));
    const peer: Peer = {
      send,
      receive: () => wire.receive().map((frame) => frame.subarray(14)),
      sendOversize: () => {
        setMtu(9000);
        send(frames.toEngine(1, 5000));
      },
    };
    for (const packet of options.incoming?.(frames) ?? []) send(packet);
    return { ...pair, peer };
  },
};

const devices = [pcap, afpacket, afxdp, jumbo('driver'), jumbo('generic'), tap, raw];
for (const fixture of [memory, recorded, replay, ...devices]) describeFrameEngine(fixture);

/** The one line that opening gives instead of an engine. */
async function refusal(open: () => FrameEngine | Promise<FrameEngine>): Promise<EngineError> {
  let engine: FrameEngine;
  try {
    engine = await open();
  } catch (error) {
    expect(error).toBeInstanceOf(EngineError);
    expect((error as EngineError).message).not.toContain('\n');
    return error as EngineError;
  }
  engine.close();
  throw new Error(`engine ${engine.name} opened`);
}

/** Leaving user 0 drops the effective capabilities; coming back restores them. Not where 65534 is not mapped. */
function canDropPrivilege(): boolean {
  try {
    process.seteuid?.(65534);
    process.seteuid?.(0);
    return true;
  } catch {
    return false;
  }
}

/** Engines whose optional package is there: the others would only ever say that it is not. */
const withLibrary = (engines: readonly EngineChoice[]): EngineChoice[] => {
  const missing = [pcap, raw].filter((fixture) => /npm install/.test(fixture.unavailable ?? ''));
  return engines.filter((engine) => !missing.some((fixture) => fixture.name === engine));
};

/** As if npm had not installed an optional package. */
const requireNothing = (name: string): never => {
  throw new Error(`Cannot find module '${name}'`);
};

const onVethPair = [pcap, afpacket, afxdp].filter((fixture) => fixture.unavailable === null);

describe.skipIf(onVethPair.length === 0)('an open engine', () => {
  /** Waits for frames, which come again and again, until one of them arrives. */
  async function hears({ engine, peer, frames }: Pair, number: number): Promise<void> {
    await expect
      .poll(
        () => {
          peer.send(frames.toEngine(number));
          return receiveBatch(engine).some((frame) => Buffer.from(frames.toEngine(number)).equals(frame));
        },
        { timeout: 10_000 },
      )
      .toBe(true);
  }

  it.each(onVethPair)('$name goes on when its interface has been down', async (fixture) => {
    fixture.setUp?.();
    const pair = await fixture.open({});
    try {
      pair.engine.wait(() => {});
      await hears(pair, 1);
      for (const [number, end] of [NEAR, FAR, NEAR].entries()) {
        ip('link', 'set', end, 'down');
        await sleep(150);
        ip('link', 'set', end, 'up');
        await hears(pair, number + 2);
      }
    } finally {
      pair.close();
      fixture.tearDown?.();
    }
  });

  it.each(onVethPair)('$name lives on without its interface', async (fixture) => {
    fixture.setUp?.();
    const pair = await fixture.open({});
    const { engine, frames } = pair;
    try {
      engine.wait(() => {});
      await hears(pair, 1);
      engine.wait(() => void receiveAll(engine)); // what is left where it lies is told of at every turn
      fixture.tearDown?.();
      const before = process.cpuUsage();
      await sleep(500);
      expect(queueFrame(engine, frames.fromEngine(1))).toBe(true);
      engine.flush();
      receiveAll(engine);
      // It does not look again and again for what does not come.
      const { user, system } = process.cpuUsage(before);
      expect(user + system).toBeLessThan(400_000);
    } finally {
      engine.close();
    }
  });
});

const HOLD_US = 100;

describe.skipIf(afxdp.unavailable !== null)('interrupts of a queue', () => {
  it('are set as their owner has set them when nothing is held, and a killed process does not count as one', async () => {
    afxdp.setUp?.();
    const pair = await afxdp.open({});
    try {
      const index = findInterface(NEAR)?.index ?? 0;
      const setting = (): unknown => {
        const queue = findQueue(-1, index);
        return queue === null ? null : [queue.defer, queue.timeoutNs];
      };
      const hold = InterruptHold.open(-1, index, [0, HOLD_US]);
      if (hold === null) return; // before Linux 6.13
      expect(setting()).toEqual([0, 0]);
      expect(hold.set(HOLD_US)).toBe(true);
      expect(setting()).toEqual([1, HOLD_US * 1000]);
      // The same program, after this one was killed: what it finds is no owner's.
      InterruptHold.open(-1, index, [0, HOLD_US])?.close();
      expect(setting()).toEqual([0, 0]);
      hold.set(HOLD_US);
      // To a program with another setting it might be: it is what it goes back to.
      const other = InterruptHold.open(-1, index, [0, 2 * HOLD_US]);
      expect(setting()).toEqual([1, HOLD_US * 1000]);
      other?.set(2 * HOLD_US);
      expect(setting()).toEqual([1, 2 * HOLD_US * 1000]);
      other?.close();
      expect(setting()).toEqual([1, HOLD_US * 1000]);
      hold.close();
      expect(setting()).toEqual([0, 0]);
    } finally {
      pair.close();
      afxdp.tearDown?.();
    }
  });
});

describe.skipIf(unavailable !== null)(`refusals${unavailable === null ? '' : ` (skipped: ${unavailable})`}`, () => {
  const onVeth = async (run: () => Promise<void>): Promise<void> => {
    createVethPair();
    try {
      await run();
    } finally {
      removeVethPair();
    }
  };
  const expectCode = async (code: EngineErrorCode, options: EngineOptions, message: RegExp): Promise<void> => {
    const error = await refusal(() => openEngine(options));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
  };

  it.each(withLibrary(['auto', 'afxdp', 'afpacket', 'pcap', 'raw']))('%s: no such interface', async (engine) => {
    await expectCode('NO_INTERFACE', engineOptions(engine, { interface: 'wt-nothing' }), /wt-nothing/);
  });

  it.each(withLibrary(['auto', 'afxdp', 'afpacket', 'pcap', 'raw']))('%s: interface down', (engine) =>
    onVeth(async () => {
      ip('link', 'set', NEAR, 'down');
      await expectCode('INTERFACE_DOWN', engineOptions(engine), /ip link set wt-near up/);
    }),
  );

  it.each(withLibrary(['auto', 'afxdp', 'afpacket', 'pcap', 'tap']))('%s: the kernel has the address', (engine) =>
    onVeth(async () => {
      ip('address', 'add', ENGINE_CIDR, 'dev', NEAR);
      const name = engine === 'tap' ? TAP : NEAR;
      const options = engineOptions(engine, { interface: name });
      await expectCode('KERNEL_OWNS_ADDRESS', options, /address del 10\.77\.0\.1\/24 dev wt-near/);
    }),
  );

  const unprivileged = it.skipIf(unavailable !== null || !canDropPrivilege());
  unprivileged.each(withLibrary(['auto', 'afxdp', 'afpacket', 'pcap', 'tap', 'raw']))('%s: no privilege', (engine) =>
    onVeth(async () => {
      if (engine === 'raw') ip('address', 'add', ENGINE_CIDR, 'dev', NEAR);
      const name = engine === 'tap' ? TAP : NEAR;
      process.seteuid?.(65534);
      try {
        await expectCode('NO_PRIVILEGE', engineOptions(engine, { interface: name }), /CAP_|sudo|root/);
      } finally {
        process.seteuid?.(0);
      }
    }),
  );

  const withRawSocket = it.skipIf(withLibrary(['raw']).length === 0);

  withRawSocket('raw: the kernel lacks the address', () =>
    onVeth(() => expectCode('KERNEL_LACKS_ADDRESS', engineOptions('raw'), /address add 10\.77\.0\.1\/24 dev wt-near/)),
  );

  withRawSocket.each([
    ['no tool', { nft: null, iptables: null }, /install nftables, then run: nft 'add table/],
    ['no rule in nft', { nft: 'table inet filter {\n}\n', iptables: null }, /; run: nft 'add table .* drop'$/],
    ['no rule in iptables', { nft: null, iptables: '-P OUTPUT ACCEPT\n' }, /run: iptables -A OUTPUT .*-j DROP$/],
    [
      'a rule for another address',
      { ...resetRule, nft: resetRule.nft.replace('10.77.0.1', '10.77.0.9') },
      /10\.77\.0\.1/,
    ],
    ['a rule for another interface', { ...resetRule, nft: resetRule.nft.replace(NEAR, 'eth7') }, /10\.77\.0\.1/],
  ])("raw: nothing drops the kernel's RSTs (%s)", (_case, listing, message) =>
    onVeth(async () => {
      ip('address', 'add', ENGINE_CIDR, 'dev', NEAR);
      const error = await refusal(() => openRawIp(engineOptions('raw'), { firewall: () => listing }));
      expect([error.code, error.message]).toEqual(['NOT_SUPPORTED', expect.stringMatching(message)]);
    }),
  );

  withRawSocket('raw: takes the rule that iptables lists after the command it asks for', () =>
    onVeth(async () => {
      ip('address', 'add', ENGINE_CIDR, 'dev', NEAR);
      const rule = `-A OUTPUT -s 10.77.0.1/32 -o ${NEAR} -p tcp -m tcp --tcp-flags RST RST -m mark ! --mark 0x57 -j DROP`;
      openRawIp(engineOptions('raw'), { firewall: () => ({ nft: null, iptables: rule }) }).close();
    }),
  );

  it('pcap and raw: missing library', async () => {
    const errors = [
      await refusal(() => openLibpcap(engineOptions('pcap'), () => loadCap(requireNothing))),
      await refusal(() => openRawIp(engineOptions('raw'), { load: () => loadRawSocket(requireNothing) })),
    ];
    expect(errors.map((error) => error.code)).toEqual(['NO_LIBRARY', 'NO_LIBRARY']);
    expect(errors[0].message).toMatch(/apt install libpcap-dev .*npm install cap$/);
    expect(errors[1].message).toMatch(/apt install .*npm install raw-socket$/);
  });

  it('auto: picks the best engine that opens, and says in one line why none better', () =>
    onVeth(async () => {
      const lines: string[] = [];
      const engine = await openEngine(engineOptions('auto'), (line) => lines.push(line));
      engine.close();
      expect(['afxdp', 'afpacket', 'pcap']).toContain(engine.name);
      if (engine.name === 'afxdp') expect(lines).toEqual([]);
      else expect(lines).toEqual([expect.stringMatching(/^engine \w+ on wt-near, because afxdp refused \(.*\)$/)]);
    }));
});

describe('openPcapReplay', () => {
  it('refuses a file that is no capture', async () => {
    expect((await refusal(() => openPcapReplay({ file: import.meta.filename }))).code).toBe('BAD_FILE');
  });
});
