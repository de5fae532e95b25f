// Bulk transfer between Linux and us: one connection, up, down and both ways at once, whoever opens it, over IPv4 and IPv6
// on every engine, and with frames as long as the engine takes; every byte checked, no reset, no bad checksum.
// WIREDIS_LAB_FULL=1: 256 MiB each, else less.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import {
  badChecksums,
  Capture,
  checksumErrors,
  cliScript,
  describeLab,
  eventually,
  LabServer,
  linkOf,
  OVER,
  openLab,
  RST_FILTER,
  root,
} from './fixture.ts';

const script = join(root, 'test', 'lab', 'clients', 'bulk.js');
const entry = join(dirname(dirname(cliScript)), 'net', 'index.js');
const FULL = process.env.WIREDIS_LAB_FULL === '1';
const BYTES = FULL ? 256 << 20 : 16 << 20;
/** One or two system calls a frame. */
const SLOW_BYTES = FULL ? 64 << 20 : 4 << 20;
const PORT = 22100;
const OUR_IPV6 = 'fd77::1';
const PEER_IPV6 = 'fd77::2';
const JUMBO_MTU = 9000;

const range = (from: number, to: number, step: number): number[] =>
  Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step);

const engines = OVER.filter((over) => over !== 'redis' && over !== 'kernel');

/** One end of a transfer, and what it prints. */
class End {
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown[]>;
  #said = '';

  constructor(lab: Lab, host: 'server' | 'client', words: readonly string[]) {
    const limit = ['timeout', FULL ? '300' : '120', process.execPath, script];
    this.#child = lab.start(host, [...limit, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    const listen = (chunk: Buffer) => (this.#said += chunk);
    this.#child.stdout!.on('data', listen);
    this.#child.stderr!.on('data', listen);
    this.#exit = once(this.#child, 'close');
  }

  listening(): Promise<unknown> {
    const heard = eventually(
      async () => this.#said,
      (text) => text.includes('listening'),
      20_000,
    );
    return heard;
  }

  async result(): Promise<Record<string, unknown>> {
    const [code] = await this.#exit;
    if (code !== 0) throw new Error(`an end of the transfer ended with ${code}: ${this.#said}`);
    return JSON.parse(this.#said.trim().split('\n').at(-1) as string);
  }

  kill(): void {
    this.#child.kill();
  }
}

describeLab('bulk transfer', () => {
  let lab: Lab;
  let folder: string;

  beforeAll(async () => {
    lab = await openLab();
    folder = mkdtempSync(join(tmpdir(), 'wiredis-bulk-'));
    for (const over of new Set(engines.map((engine) => linkOf(lab, engine).veth))) {
      await lab.must('client', ['sysctl', '-qw', `net.ipv6.conf.${over}.disable_ipv6=0`]);
    }
  });

  afterAll(async () => {
    await lab?.down();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Runs `body` on a link of jumbo frames. */
  async function withMtu(over: (typeof engines)[number], body: () => Promise<void>): Promise<void> {
    const { veth } = linkOf(lab, over);
    const devices = over === 'tap' ? [lab.plan.tapDevice, veth, lab.plan.bridge] : [veth];
    const set = async (value: number): Promise<void> => {
      await lab.must('client', ['ip', 'link', 'set', veth, 'mtu', String(value)]);
      for (const device of devices) await lab.must('server', ['ip', 'link', 'set', device, 'mtu', String(value)]);
    };
    await set(JUMBO_MTU);
    try {
      await body();
    } finally {
      await set(1500);
    }
  }

  /** The two links share IPv6 addresses: only the one in use has the client's. */
  async function withIpv6<T>(veth: string, body: () => Promise<T>): Promise<T> {
    await lab.must('client', ['ip', 'addr', 'replace', `${PEER_IPV6}/64`, 'dev', veth, 'nodad']);
    try {
      return await body();
    } finally {
      await lab.run('client', ['ip', 'addr', 'del', `${PEER_IPV6}/64`, 'dev', veth]);
    }
  }

  async function transfer(
    over: (typeof engines)[number],
    family: 4 | 6,
    weOpen: boolean,
    bytes: number,
    more: readonly string[] = [],
  ): Promise<void> {
    const { veth, serverAddress, clientAddress } = linkOf(lab, over);
    const netdev = join(folder, 'netdev.conf');
    const base = readFileSync(lab.netdevFile(over === 'tap' ? 'tap' : 'direct'), 'utf8');
    writeFileSync(netdev, `${[base, `address = ${OUR_IPV6}/64`, ...more].join('\n')}\n`);
    const [ours, theirs] = family === 4 ? [serverAddress, clientAddress] : [OUR_IPV6, PEER_IPV6];
    const us = `${entry},${netdev},${over}`;
    const at = weOpen ? theirs : ours;
    const ends: End[] = [];
    const end = (host: 'server' | 'client', role: string): End => {
      ends.push(new End(lab, host, [host === 'server' ? us : 'kernel', role, at, String(PORT), String(bytes)]));
      return ends.at(-1) as End;
    };
    const errors = await checksumErrors(lab);
    // Linux resets what it has forgotten: our ACK of a FIN that it sent again while we had no turn. That harms nobody;
    // a reset that does ends its transfer with an error.
    const capture = await Capture.start(lab, veth, `src host ${ours} and ${RST_FILTER}`);
    try {
      const server = end(weOpen ? 'client' : 'server', 'serve');
      await server.listening();
      await lab.pinReceiveThreads();
      const client = end(weOpen ? 'server' : 'client', 'connect');
      const [served, connected] = await Promise.all([server.result(), client.result()]);
      for (const result of [served, connected]) {
        expect(result).toMatchObject({ received: 2 * bytes, wrong: 0, hadError: false });
      }
    } finally {
      for (const each of ends) each.kill();
    }
    expect(await capture.stop()).toEqual([]);
    expect(await checksumErrors(lab)).toBe(errors);
  }

  for (const over of engines) {
    const bytes = over === 'pcap' || over === 'tap' ? SLOW_BYTES : BYTES;
    for (const family of [4, 6] as const) {
      for (const weOpen of [false, true]) {
        it(`${over}: ${bytes >> 20} MiB up, down and both ways over IPv${family}, ${weOpen ? 'we' : 'Linux'} open`, async () => {
          const { veth } = linkOf(lab, over);
          const body = () => transfer(over, family, weOpen, bytes);
          await (family === 4 ? body() : withIpv6(veth, body));
        });
      }
    }

    it(`${over}: with an mtu of ${JUMBO_MTU}`, async () => {
      const { veth } = linkOf(lab, over);
      const mtu = JUMBO_MTU;
      await withMtu(over, async () => {
        for (const family of [4, 6] as const) {
          await withIpv6(veth, async () => {
            const [ours, theirs] =
              family === 4 ? [linkOf(lab, over).serverAddress, linkOf(lab, over).clientAddress] : [OUR_IPV6, PEER_IPV6];
            // Full segments each way.
            const long = [ours, theirs].map((source) => {
              const filter = `tcp and src host ${source} and greater ${mtu + 14}`;
              return lab.run('client', ['timeout', '60', 'tcpdump', '-ni', veth, '-c', '3', filter]);
            });
            await transfer(over, family, family === 6, SLOW_BYTES, [`mtu = ${mtu}`]);
            for (const { code } of await Promise.all(long)) expect(code).toBe(0);
          });
        }
      });
    });

    it(`${over}: large values, and pings of the whole mtu of ${JUMBO_MTU}, none of them lost`, async () => {
      const { serverAddress, veth } = linkOf(lab, over);
      await withMtu(over, async () => {
        const server = await LabServer.start(lab, { over, netdev: `mtu = ${JUMBO_MTU}`, arguments: ['--save', ''] });
        const capture = await Capture.start(lab, veth, `icmp and src host ${serverAddress}`);
        try {
          const ping = ['ping', '-c', '50', '-i', '0.01', '-M', 'do', '-s', String(JUMBO_MTU - 28), serverAddress];
          expect(await lab.must('client', ping)).toContain(' 0% packet loss');
          const answers = await capture.stop();
          expect(answers).toHaveLength(50);
          expect(badChecksums(answers)).toEqual([]);
          // Every length of a segment there is, in both directions.
          for (const length of [...range(3700, 3900, 7), ...range(8000, 9100, 13), 65_536, 1 << 20]) {
            const value = `${length} `.repeat(length).slice(0, length);
            const set = ['redis-cli', '-h', serverAddress, '-x', 'SET', 'key'];
            expect((await lab.run('client', set, value)).stdout).toBe('OK\n');
            expect((await server.cli(['GET', 'key'])).stdout === `${value}\n`, `${length} bytes`).toBe(true);
          }
          expect((await server.info()).get('receive-drops')).toBe('0');
        } finally {
          await server.stop();
        }
      });
    });
  }
});
