// A SYN flood from random addresses, as fast as the lab can make it: who is connected goes on working, memory stays where
// it was, and new clients still get in, through cookies. The flooder lives on the client's core and takes its share
// of it from the clients, so the flood is compared with the same flood at an address of nobody, whose frames reach
// the server's engine just as well: what differs is what the server makes of a SYN. The run without any flood is
// printed beside them.
import type { ChildProcess } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { describeLab, dist, eventually, LabServer, linkOf, type Over, openLab, PORT, parseInfo, root } from './fixture.ts';

const FULL = process.env.WIREDIS_LAB_FULL === '1';
const ROUNDS = FULL ? 5 : 3;
/** A measurement. */
const WINDOW_MS = FULL ? 5000 : 1500;
/** What established clients keep of their throughput. */
const KEPT_MIN = 0.9;
/** No client is there: what is sent to it is dropped by the kernel before IP. */
const GATEWAY_MAC = '02:00:00:00:00:fe';
const OVER = (process.env.WIREDIS_FLOOD_OVER ?? 'afpacket') as Over;
const RATE = Number(process.env.WIREDIS_FLOOD_RATE ?? 0);

const targets = [
  { family: 'IPv4', address: (lab: Lab) => linkOf(lab, OVER).serverAddress, nobody: '10.77.0.99', source: undefined },
  { family: 'IPv6', address: () => 'fd77::1', nobody: 'fd77::99', source: undefined },
  // Every source is a neighbour that has to be asked for, and is not there (RFC 6583).
  { family: 'IPv6, on-link sources', address: () => 'fd77::1', nobody: 'fd77::99', source: 'fd77000000000000' },
];

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1];

/** A client that was connected before the flood, and asks how many commands the server has run. */
class Control {
  readonly #child: ChildProcess;
  #said = '';

  constructor(lab: Lab, address: string) {
    this.#child = lab.start('client', ['redis-cli', '-h', address], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdout!.on('data', (chunk) => (this.#said += chunk));
  }

  async commands(): Promise<number> {
    this.#said = '';
    this.#child.stdin!.write('INFO stats\n');
    const match = await eventually(
      async () => /total_commands_processed:(\d+)\r?\n[^]*\n/.exec(this.#said),
      (found) => found !== null,
      20_000,
    );
    return Number(match![1]);
  }

  close(): void {
    this.#child.kill();
  }
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

  async function flood(address: string, seconds: number, rate: number, source?: string): Promise<number> {
    const words = [`${root}/test/lab/clients/syn-flood.js`, dist, linkOf(lab, OVER).veth, mac, address, String(PORT)];
    const more = source === undefined ? [] : [source];
    const result = await lab.run('client', [process.execPath, ...words, String(seconds), String(rate), ...more]);
    if (result.code !== 0) throw new Error(result.stderr);
    const { frames, seconds: took } = JSON.parse(result.stdout);
    return frames / took;
  }

  /** Requests a second that 50 clients make who were connected before: counted by the server, in the midst of `during`. */
  async function throughput(address: string, during: () => Promise<number>): Promise<[rps: number, flood: number]> {
    const words = ['redis-benchmark', '-h', address, '-t', 'get', '-c', '50', '-n', '100000000', '-q'];
    const benchmark = lab.start('client', words, { stdio: 'ignore' });
    const control = new Control(lab, address);
    try {
      await sleep(500);
      const flooding = during();
      await sleep(800);
      const [from, fromMs] = [await control.commands(), performance.now()];
      await sleep(WINDOW_MS);
      const rps = ((await control.commands()) - from) / ((performance.now() - fromMs) / 1000);
      return [rps, await flooding];
    } finally {
      benchmark.kill();
      control.close();
    }
  }

  async function facts(): Promise<Map<string, string>> {
    return parseInfo((await server.cli(['INFO', 'wiredis'])).stdout);
  }

  const rss = async (): Promise<number> => Number((await server.info()).get('used_memory_rss')) / 2 ** 20;

  for (const { family, address, nobody, source } of targets) {
    it(`${family}: established clients keep ${KEPT_MIN * 100}%, memory is bounded, new clients get in`, async () => {
      const at = address(lab);
      // Grown once, and not again.
      await flood(at, 1, 0, source);
      const rssBefore = await rss();
      const before = await facts();
      const rates = { none: [] as number[], nobody: [] as number[], flood: [] as number[] };
      const floods = { nobody: [] as number[], flood: [] as number[] };
      const seconds = WINDOW_MS / 1000 + 1.5;
      for (let round = 0; round < ROUNDS; round++) {
        rates.none.push((await throughput(at, async () => 0))[0]);
        for (const kind of ['nobody', 'flood'] as const) {
          const target = kind === 'nobody' ? nobody : at;
          const [rps, sent] = await throughput(at, () => flood(target, seconds, RATE, source));
          rates[kind].push(rps);
          floods[kind].push(sent);
        }
      }
      // New clients in the midst of it.
      const flooding = flood(at, 5, RATE, source);
      await sleep(700);
      const replies: string[] = [];
      for (let i = 0; i < 20; i++)
        replies.push((await lab.run('client', ['redis-cli', '-h', at, 'PING'])).stdout.trim());
      const during = await facts();
      await flooding;
      const kept = median(rates.flood) / median(rates.nobody);
      const row = {
        family,
        floodPerSecond: [Math.round(median(floods.nobody)), Math.round(median(floods.flood))],
        rps: { none: median(rates.none), floodOfNobody: median(rates.nobody), flood: median(rates.flood) },
        kept,
        keptOfNone: median(rates.flood) / median(rates.none),
        rssMiB: [rssBefore, await rss()],
        halfOpen: during.get('half-open'),
        flows: during.get('flows'),
        ipv6Addresses: during.get('ipv6-addresses'),
      };
      console.log(JSON.stringify(row));
      if (process.env.WIREDIS_LAB_REPORT) appendFileSync(process.env.WIREDIS_LAB_REPORT, `${JSON.stringify(row)}\n`);

      expect(replies).toEqual(new Array(20).fill('PONG'));
      const count = (name: string): number => Number(during.get(name)) - Number(before.get(name));
      expect(count('tcpSynCookiesSent')).toBeGreaterThan(1000);
      expect(count('tcpSynCookiesReceived')).toBeGreaterThan(0);
      // The backlog is 511 (tcp-backlog); two addresses listen.
      expect(Number(during.get('half-open'))).toBeLessThanOrEqual(2 * 511);
      expect(Number(during.get('flows'))).toBeLessThan(2 * 511 + 200);
      expect(Number(during.get('ipv6-addresses'))).toBeLessThan(16_384);
      expect(row.rssMiB[1] - row.rssMiB[0]).toBeLessThan(32);
      expect(kept).toBeGreaterThan(KEPT_MIN);
    });
  }
});
