// A SYN flood from random addresses: who is connected goes on working, memory stays where it was, and new clients still
// get in, through cookies. The flooder lives on the client's core and takes its share of it from the clients, and
// frames cost the server's kernel the same whatever is in them. So the flood takes turns between the server's port
// and an address of nobody, whose frames reach the server's engine just as well: what differs from turn to turn is
// what the stack makes of a SYN. WIREDIS_FLOOD_RATE=0: as many as the core can make; then frames are lost before the
// stack sees them, in both kinds of turns, and only the comparison of the two is asserted.
import type { ChildProcess } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import {
  describeLab,
  dist,
  eventually,
  LabServer,
  linkOf,
  type Over,
  openLab,
  PORT,
  parseInfo,
  root,
} from './fixture.ts';

const OVER = (process.env.WIREDIS_FLOOD_OVER ?? 'afpacket') as Over;
/** SYNs a second. */
const RATE = Number(process.env.WIREDIS_FLOOD_RATE ?? 60_000);
const SECONDS = process.env.WIREDIS_LAB_FULL === '1' ? 40 : 12;
/** What established clients keep of their throughput: claimed for the long form on a quiet machine, printed by both. */
const KEPT_MIN = process.env.WIREDIS_LAB_FULL === '1' ? 0.9 : 0;
/** No client is there: what is sent to it is dropped by the kernel before IP. */
const GATEWAY_MAC = '02:00:00:00:00:fe';
/** tcp-backlog's default; two addresses listen. */
const HALF_OPEN_MAX = 2 * 511;

const targets = [
  { family: 'IPv4', address: (lab: Lab) => linkOf(lab, OVER).serverAddress, nobody: '10.77.0.99', source: undefined },
  { family: 'IPv6', address: () => 'fd77::1', nobody: 'fd77::99', source: undefined },
  // Every source is a neighbour that has to be asked for, and is not there (RFC 6583).
  { family: 'IPv6, on-link sources', address: () => 'fd77::1', nobody: 'fd77::99', source: 'fd77000000000000' },
];

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1];

/** A client that was connected before the flood, and asks the server for its counters. */
class Control {
  readonly #child: ChildProcess;
  #said = '';

  constructor(lab: Lab, address: string) {
    this.#child = lab.start('client', ['redis-cli', '-h', address], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdout!.on('data', (chunk) => (this.#said += chunk));
  }

  async info(): Promise<Map<string, string>> {
    this.#said = '';
    this.#child.stdin!.write('INFO everything\nECHO told\n');
    const end = performance.now() + 20_000;
    while (!/^told$/m.test(this.#said)) {
      if (performance.now() > end) throw new Error('the control client hears nothing');
      await sleep(5);
    }
    return parseInfo(this.#said);
  }

  close(): void {
    this.#child.kill();
  }
}

interface Sample {
  readonly atMs: number;
  readonly commands: number;
  /** SYNs that the port got. */
  readonly syns: number;
}

/** Commands a second in pieces of turns that were the port's, and in pieces that were nobody's. */
function compare(samples: readonly Sample[]): { port: number[]; nobody: number[] } {
  const pieces = { port: [] as number[], nobody: [] as number[] };
  for (let i = 1; i < samples.length; i++) {
    const [from, to] = [samples[i - 1], samples[i]];
    const seconds = (to.atMs - from.atMs) / 1000;
    const rate = (to.commands - from.commands) / seconds;
    const syns = (to.syns - from.syns) / seconds;
    if (syns === 0) pieces.nobody.push(rate);
    else if (syns > Math.min(RATE || 100_000, 100_000) / 2) pieces.port.push(rate);
  }
  return pieces;
}

describeLab('SYN flood', () => {
  let lab: Lab;
  let server: LabServer;
  let mac: string;

  beforeAll(async () => {
    lab = await openLab();
    const { veth } = linkOf(lab, OVER);
    await lab.must('client', ['sysctl', '-qw', `net.ipv6.conf.${veth}.disable_ipv6=0`]);
    await lab.must('client', ['ip', 'addr', 'add', 'fd77::2/64', 'dev', veth, 'nodad']);
    mac = (await lab.must('server', ['cat', `/sys/class/net/${veth}/address`])).trim();
    server = await LabServer.start(lab, {
      over: OVER,
      bind: `${linkOf(lab, OVER).serverAddress} fd77::1`,
      netdev: [
        'address = fd77::1/64',
        'gateway = 10.77.0.254',
        `arp = 10.77.0.254 ${GATEWAY_MAC}`,
        'gateway = fd77::fe',
        `arp = fd77::fe ${GATEWAY_MAC}`,
      ].join('\n'),
    });
  });

  afterAll(async () => {
    await server?.stop();
    await lab?.down();
  });

  async function flood(address: string, seconds: number, source?: string): Promise<number> {
    const words = [`${root}/test/lab/clients/syn-flood.js`, dist, linkOf(lab, OVER).veth, mac, address, String(PORT)];
    const more = source === undefined ? [] : [source];
    const result = await lab.run('client', [process.execPath, ...words, String(seconds), String(RATE), ...more]);
    if (result.code !== 0) throw new Error(result.stderr);
    const { frames, seconds: took } = JSON.parse(result.stdout);
    return frames / took;
  }

  async function sample(control: Control): Promise<Sample> {
    const info = await control.info();
    const syns = Number(info.get('tcpSynCookiesSent')) + Number(info.get('drop-tcp-syn-flood'));
    return { atMs: performance.now(), commands: Number(info.get('total_commands_processed')), syns };
  }

  for (const { family, address, nobody, source } of targets) {
    it(`${family}: established clients keep ${KEPT_MIN * 100}%, memory is bounded, new clients get in`, {
      retry: 2,
    }, async () => {
      const at = address(lab);
      // The queue of half-open connections is full, and what grows has grown.
      await flood(at, 1, source);
      const before = parseInfo((await server.cli(['INFO', 'everything'])).stdout);
      const benchmark = lab.start(
        'client',
        ['redis-benchmark', '-h', at, '-t', 'get', '-c', '50', '-n', '100000000', '-q'],
        { stdio: 'ignore' },
      );
      const control = new Control(lab, at);
      const samples: Sample[] = [];
      let sent = 0;
      try {
        await eventually(
          async () => Number((await control.info()).get('connected_clients')),
          (count) => count > 50,
          20_000,
        );
        const flooding = flood(`${nobody},${at}`, SECONDS, source);
        const end = performance.now() + SECONDS * 1000 - 500;
        await sleep(500);
        while (performance.now() < end) {
          samples.push(await sample(control));
          await sleep(60);
        }
        sent = await flooding;
      } finally {
        benchmark.kill();
        control.close();
      }
      const { port, nobody: others } = compare(samples);
      const kept = median(port) / median(others);

      // New clients in the midst of it.
      const flooding = flood(at, 6, source);
      await sleep(700);
      const replies: string[] = [];
      for (let i = 0; i < 8; i++)
        replies.push((await lab.run('client', ['timeout', '15', 'redis-cli', '-h', at, 'PING'])).stdout.trim());
      const during = await server.info();
      await flooding;
      const row = {
        family,
        engine: OVER,
        synsPerSecond: Math.round(sent),
        pieces: [others.length, port.length],
        rps: { floodOfNobody: Math.round(median(others)), floodOfPort: Math.round(median(port)) },
        kept: Number(kept.toFixed(3)),
        rssBytes: [before, during].map((info) => Number(info.get('used_memory_rss'))),
        halfOpen: Number(during.get('half-open')),
        flows: Number(during.get('flows')),
        ipv6Addresses: Number(during.get('ipv6-addresses')),
      };
      console.log(JSON.stringify(row));
      if (process.env.WIREDIS_LAB_REPORT) appendFileSync(process.env.WIREDIS_LAB_REPORT, `${JSON.stringify(row)}\n`);

      const count = (name: string): number => Number(during.get(name)) - Number(before.get(name));
      expect(count('tcpSynCookiesSent')).toBeGreaterThan(1000);
      expect(row.halfOpen).toBeLessThanOrEqual(HALF_OPEN_MAX);
      expect(row.flows).toBeLessThan(HALF_OPEN_MAX + 200);
      expect(row.ipv6Addresses).toBeLessThan(16_384);
      expect(row.rssBytes[1] - row.rssBytes[0]).toBeLessThan(48 << 20);
      expect(Math.min(port.length, others.length)).toBeGreaterThan(2);
      expect(kept).toBeGreaterThan(KEPT_MIN);
      if (RATE === 0) return;
      expect(replies).toEqual(new Array(8).fill('PONG'));
      expect(count('tcpSynCookiesReceived')).toBeGreaterThan(0);
    });
  }
});
