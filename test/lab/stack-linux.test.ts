// Our TCP against Linux's, over AF_PACKET on a veth pair: megabytes both ways, whoever opens, on a clean link and on one
// that loses 2% of the frames in each direction. tcpdump on the kernel's side finds no bad checksum and no RST.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAfPacket } from '../../io-engine/af-packet.ts';
import type { FrameEngine } from '../../io-engine/frame-engine.ts';
import { SystemClock } from '../../src/platform/clock.ts';
import { SeededRandom, SystemRandom } from '../../src/platform/random.ts';
import type { Socket, SocketEvents } from '../../stack/socket.ts';
import { Stack } from '../../stack/stack.ts';
import { enterPrivateNetwork, ip } from '../contract/private-network.ts';
import { testConfig } from '../unit/stack/two-stacks.ts';

const PEER = `ws-peer-${process.pid}`;
const OUR_IP = 0x0a630002;
const PEER_IP = 0x0a630001;
const BLOCK = 65536;
const peerScript = new URL('./clients/stack-peer.js', import.meta.url).pathname;

function obstacle(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux';
  const missing = ['ip', 'ethtool', 'tcpdump'].find((program) => spawnSync('which', [program]).status !== 0);
  if (missing !== undefined) return `needs ${missing}`;
  return enterPrivateNetwork() ?? null;
}

/** Byte `i` of the stream the peer sends and checks. */
const byteAt = (i: number): number => ((i % BLOCK) * 7 + (i >> 16)) & 0xff;

/** Loses frames in both directions, as a bad link does; everything else is the engine's. */
function lossy(engine: FrameEngine, probability: number, random: SeededRandom): void {
  const { batch } = engine;
  const receive = engine.receive.bind(engine);
  const commit = engine.commit.bind(engine);
  engine.receive = () => {
    const count = receive();
    // A frame too short for an Ethernet header is dropped by whoever reads it.
    for (let i = 0; i < count; i++) if (random.fraction() < probability) batch.length[i] = 0;
    return count;
  };
  // Not committing leaves the slot reserved: the next packet overwrites this one.
  engine.commit = (length, segmentSize) => {
    if (random.fraction() >= probability) commit(length, segmentSize);
  };
}

class Host {
  readonly engine: FrameEngine;
  readonly stack: Stack;
  readonly #clock = new SystemClock();
  #timer: NodeJS.Timeout | undefined;
  #soon = false;

  constructor(loss: number) {
    this.#clock.update();
    const config = testConfig(OUR_IP, { receiveBuffer: 1 << 20, sendBuffer: 1 << 20, timeWaitMs: 1000 });
    this.engine = openAfPacket({ ...config.engine, interface: 'ws-near', rxRing: 1024, txRing: 1024 });
    if (loss > 0) lossy(this.engine, loss, new SeededRandom(4));
    this.stack = new Stack(this.engine, config, this.#clock, new SystemRandom());
    this.stack.onOutputNeeded = () => {
      if (!this.#soon) setImmediate(() => this.tick());
      this.#soon = true;
    };
    this.engine.wait(() => this.tick());
    this.stack.start();
    this.tick();
  }

  tick(): void {
    this.#soon = false;
    this.#clock.update();
    this.stack.poll();
    this.stack.flush();
    clearTimeout(this.#timer);
    const delay = this.stack.nextDeadlineMs();
    if (delay >= 0) this.#timer = setTimeout(() => this.tick(), delay);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.stack.close();
    this.engine.close();
  }
}

const quiet: SocketEvents = {
  onOpen() {},
  onReadable: (_socket, _bytes, _offset, length) => length,
  onWritable() {},
  onEnd: (socket) => socket.end(),
  onClose() {},
};

/** Takes no more than it can give back: the window closes on a peer that does not read. */
const echo: SocketEvents = {
  ...quiet,
  onReadable: (socket, bytes, offset, length) => socket.write(bytes, offset, length),
  onWritable: (socket) => socket.resume(),
};

function source(total: number, more: Partial<SocketEvents> = {}): SocketEvents {
  const block = Uint8Array.from({ length: total }, (_, i) => byteAt(i));
  let sent = 0;
  const feed = (socket: Socket): void => {
    sent += socket.write(block, sent, total - sent);
    if (sent === total) socket.end();
  };
  return { ...quiet, onOpen: feed, onWritable: feed, onEnd() {}, ...more };
}

/** Runs the kernel's side and gives its lines, parsed, as they come. */
function peer(...words: string[]): { child: ChildProcess; line: Promise<Record<string, unknown>> } {
  const child = spawn('ip', ['netns', 'exec', PEER, process.execPath, peerScript, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = new Promise<Record<string, unknown>>((resolve, reject) => {
    child.stdout!.once('data', (text) => resolve(JSON.parse(String(text))));
    child.once('exit', (code) => reject(new Error(`the peer ended with ${code}`)));
  });
  return { child, line };
}

const reason = obstacle();

describe.skipIf(reason !== null)(`against Linux${reason === null ? '' : ` [skipped: ${reason}]`}`, () => {
  beforeAll(() => {
    ip('netns', 'add', PEER);
    ip('link', 'add', 'ws-near', 'type', 'veth', 'peer', 'name', 'ws-far', 'netns', PEER);
    ip('link', 'set', 'ws-near', 'up');
    ip('-n', PEER, 'address', 'add', '10.99.0.1/24', 'dev', 'ws-far');
    ip('-n', PEER, 'link', 'set', 'lo', 'up');
    ip('-n', PEER, 'link', 'set', 'ws-far', 'up');
    const off = ['tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off'];
    spawnSync('ip', ['netns', 'exec', PEER, 'ethtool', '-K', 'ws-far', ...off]);
    spawnSync('ethtool', ['-K', 'ws-near', ...off]);
  });
  afterAll(() => {
    ip('netns', 'delete', PEER);
  });

  for (const loss of [0, 0.02]) {
    describe(`${loss * 100}% loss`, () => {
      let host: Host;
      let dump: ChildProcess;
      let seen = '';
      const scale = loss === 0 ? 8 : 1;

      beforeAll(async () => {
        dump = spawn('ip', ['netns', 'exec', PEER, 'tcpdump', '-ni', 'ws-far', '-vv', '-l', '-B', '32768', 'tcp'], {
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        // Only what is wrong is kept: `incorrect` checksums and resets. Our last ACK may answer a FIN that was sent twice,
        // and find nobody: a reset without ACK is the peer's right then (RFC 9293 section 3.5.2).
        const wrong = loss === 0 ? /incorrect|Flags \[R/ : /incorrect|Flags \[R\.|10\.99\.0\.2\.\d+ > .*Flags \[R/;
        dump.stdout!.on('data', (text) => {
          for (const line of String(text).split('\n')) if (wrong.test(line)) seen += `${line}\n`;
        });
        await new Promise((resolve) => dump.stderr!.once('data', resolve));
        host = new Host(loss);
      });
      afterAll(() => {
        host.close();
        dump.kill();
      });

      it('echoes megabytes', async () => {
        const bytes = scale << 20;
        const listener = host.stack.listen(7000, 128, () => echo);
        const result = await peer('echo', '10.99.0.2', '7000', String(bytes)).line;
        expect(result).toEqual({ received: bytes, wrong: 0, error: null });
        host.stack.unlisten(listener);
      });

      it('serves megabytes and closes first', async () => {
        const bytes = (2 * scale) << 20;
        host.stack.listen(7001, 128, () => source(bytes));
        const result = await peer('source', '10.99.0.2', '7001').line;
        expect(result).toEqual({ received: bytes, wrong: 0, error: null });
      });

      it('opens a connection to a kernel server', async () => {
        const { line } = peer('serve', '10.99.0.1', '7100');
        await line;
        const bytes = scale << 20;
        let received = 0;
        let wrong = 0;
        const closed = await new Promise<number>((resolve) => {
          const events = source(bytes, {
            onReadable(_socket, data, offset, length) {
              for (let i = 0; i < length; i++) if (data[offset + i] !== byteAt(received + i)) wrong++;
              received += length;
              return length;
            },
            onClose: (_socket, code) => resolve(code),
          });
          host.stack.connect(PEER_IP, 7100, events);
        });
        expect({ received, wrong, closed }).toEqual({ received: bytes, wrong: 0, closed: 0 });
      });

      it('serves a hundred clients at once', async () => {
        host.stack.listen(7002, 128, () => echo);
        expect(await peer('many', '10.99.0.2', '7002').line).toEqual({ replies: 2000 });
      });

      it('sent no bad checksum, got and gave no reset, and forgot every connection', async () => {
        await expect.poll(() => host.stack.tcp.flows.size, { timeout: 30_000 }).toBe(0);
        expect(seen).toBe('');
        expect(host.stack.tcp.blocks.used).toBe(0);
        if (loss === 0) expect(host.stack.stats.tcpRetransSegs).toBe(0);
        else expect(host.stack.stats.tcpFastRetransmits).toBeGreaterThan(0);
      });

      it('refuses a port nobody listens on', async () => {
        expect(await peer('refused', '10.99.0.2', '9').line).toMatchObject({ error: 'ECONNREFUSED' });
      });
    });
  }
});
