// A SYN flood from random addresses: who is connected goes on working, memory stays where it was, and new clients still
// get in, through cookies. The flooder shares a core with the clients, and must not be what slows them: they come first
// there (SCHED_FIFO), are so few that they leave it time, and the flood takes turns between the server's port and an
// interface on the client's host that leads nowhere. What differs from turn to turn is what the frames cost the server's
// host. WIREDIS_FLOOD_RATE=0: as many as the core can make. The long form (WIREDIS_LAB_FULL=1) does the same to redis-server
// on the kernel's sockets, in rounds that alternate with ours, and in a third kind of turn to an interface of the server's host
// whose frames are all dropped by two instructions: what nobody who receives on a veth gets around.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { napiThreads, pinNapiThreads, threadedNapiScript } from '../../src/cli/lab/steering.ts';
import { describeLab, dist, LabServer, linkOf, type Over, openLab, parseInfo, root } from './fixture.ts';
import { AT_SERVER, DROPPED, FloodGround, GATEWAY_MAC, keptOf, median, NOWHERE, TOLD_BY_FILE } from './flood.ts';

const OVER = (process.env.WIREDIS_FLOOD_OVER ?? 'afpacket') as Over;
const FULL = process.env.WIREDIS_LAB_FULL === '1';
/** SYNs a second. */
const RATE = Number(process.env.WIREDIS_FLOOD_RATE ?? 60_000);
const SECONDS = FULL ? 42 : 15;
/**
 * What established clients keep of their throughput: claimed for the long form on a quiet machine, at a rate that leaves the
 * server's core time; printed by all.
 */
const KEPT_MIN = FULL && RATE > 0 && RATE <= 200_000 ? 0.7 : 0;
/** Connections of redis-benchmark; more leave the flooder nothing of their core. */
const CLIENTS = Number(process.env.WIREDIS_FLOOD_CLIENTS ?? 4);
/** Where redis-server's answers go, by the kernel's routes. */
const KERNEL_GATEWAY = '10.77.1.254';
const ROUNDS = 3;
const ROUND_SECONDS = 12;
/** tcp-backlog's default; two addresses listen. */
const HALF_OPEN_MAX = 2 * 511;

const targets = [
  { family: 'IPv4', address: (lab: Lab) => linkOf(lab, OVER).serverAddress, source: undefined },
  { family: 'IPv6', address: () => 'fd77::1', source: undefined },
  // Every source is a neighbour that has to be asked for, and is not there (RFC 6583).
  { family: 'IPv6, on-link sources', address: () => 'fd77::1', source: 'fd77000000000000' },
];

/** Interface of the server's host that drops all; its other end, the flooder's, has the same name. */
const SINK = 'sink';

describeLab('SYN flood', () => {
  let lab: Lab;
  let server: LabServer;

  let ground: FloodGround;

  beforeAll(async () => {
    lab = await openLab();
    ground = await FloodGround.prepare(lab, { over: OVER, rate: RATE, clients: CLIENTS });
    server = await ground.startServer();
  });

  let sink: ChildProcess | null = null;

  beforeAll(async () => {
    ground.beside.push(SINK);
    const peer = ['peer', 'name', SINK, 'netns', lab.namespaceOf('server')];
    await lab.must('client', ['ip', 'link', 'add', SINK, 'type', 'veth', ...peer]);
    await lab.must('client', ['ip', 'link', 'set', SINK, 'up']);
    await lab.must('server', ['sh', '-c', `ip link set ${SINK} up\n${threadedNapiScript(SINK)}`]);
    const script = `${root}/test/lab/clients/xdp-drop.js`;
    sink = lab.start('server', [process.execPath, script, dist, SINK], { stdio: ['pipe', 'pipe', 'inherit'] });
    await Promise.race([once(sink.stdout!, 'data'), once(sink, 'exit')]);
    await pinNapiThreads(SINK, lab.notes.cores.server);
  });

  afterAll(async () => {
    sink?.kill();
    await server?.stop();
    await lab?.down();
  });

  /** CPU time of the server and of its interface's receiving thread so far, microseconds. */
  function cpuUs(pid: number): [server: number, receiving: number] {
    const of = (path: string) => Number(readFileSync(`/proc/${path}/schedstat`, 'utf8').split(' ')[0]) / 1000;
    const threads = napiThreads(linkOf(lab, OVER).veth).map((thread) => of(`${thread}`));
    return [of(`${pid}`), threads.reduce((sum, us) => sum + us, 0)];
  }

  for (const { family, address, source } of targets) {
    it(`${family}: established clients keep ${KEPT_MIN * 100}%, memory is bounded, new clients get in`, {
      retry: 2,
    }, async () => {
      const victim = { address: address(lab), veth: linkOf(lab, OVER).veth, server };
      // The queue of half-open connections is full, and what grows has grown.
      await ground.flood(victim, 1, source);
      const before = parseInfo((await server.cli(['INFO', 'everything'])).stdout);
      const effect = await ground.floodInTurns(victim, SECONDS, source);
      const { sent } = effect;
      const others = effect.rates[NOWHERE];
      const port = effect.rates[AT_SERVER];
      const kept = keptOf(effect);
      const keptBySink = keptOf(effect, DROPPED);

      // New clients in the midst of it.
      const cpuBefore = cpuUs(server.pid);
      const flooding = ground.flood(victim, 6, source);
      await sleep(700);
      const replies: string[] = [];
      for (let i = 0; i < 8; i++)
        replies.push(
          (await lab.run('client', ['timeout', '15', 'redis-cli', '-h', victim.address, 'PING'])).stdout.trim(),
        );
      const during = await server.info();
      const floodSyns = await flooding;
      const cpu = cpuUs(server.pid).map((us, i) => Number(((us - cpuBefore[i]) / floodSyns).toFixed(3)));
      const row = {
        family,
        engine: OVER,
        synsPerSecond: Math.round(sent[AT_SERVER]),
        turns: [others.length, port.length],
        rps: { nowhere: Math.round(median(others)), atServer: Math.round(median(port)) },
        /** What a SYN costs the server's process, and the thread that receives for it where there is one. */
        usPerSyn: { server: cpu[0], receiving: cpu[1] },
        kept: Number(kept.toFixed(3)),
        /** Where the frames end in the sink: what receiving costs, whoever receives. */
        keptBySink: Number(keptBySink.toFixed(3)),
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
      expect(replies).toEqual(new Array(8).fill('PONG'));
      expect(count('tcpSynCookiesReceived')).toBeGreaterThan(0);
    });
  }

  it.runIf(FULL)('IPv4: it costs those who are connected no more than with redis-server', async () => {
    const kernel = linkOf(lab, 'redis');
    await lab.must('server', ['ip', 'route', 'add', 'default', 'via', KERNEL_GATEWAY]);
    await lab.must('server', ['ip', 'neigh', 'add', KERNEL_GATEWAY, 'lladdr', GATEWAY_MAC, 'dev', kernel.veth]);
    const redis = await LabServer.start(lab, { over: 'redis', arguments: TOLD_BY_FILE });
    try {
      const victims = {
        ours: { address: linkOf(lab, OVER).serverAddress, veth: linkOf(lab, OVER).veth, server },
        redis: { address: kernel.serverAddress, veth: kernel.veth, server: redis },
      };
      const rates = { ours: [[], [], []] as number[][], redis: [[], [], []] as number[][] };
      const sent = { ours: [0, 0, 0], redis: [0, 0, 0] };
      for (let round = 0; round < ROUNDS; round++) {
        for (const name of ['ours', 'redis'] as const) {
          const effect = await ground.floodInTurns(victims[name], ROUND_SECONDS);
          sent[name] = sent[name].map((sum, turn) => sum + effect.sent[turn] / ROUNDS);
          for (const turn of [AT_SERVER, NOWHERE, DROPPED]) rates[name][turn].push(...effect.rates[turn]);
        }
      }
      const kept = (name: 'ours' | 'redis', turn = AT_SERVER): number =>
        median(rates[name][turn]) / median(rates[name][NOWHERE]);
      const row = {
        engine: OVER,
        /** At the server, nowhere, at the sink; so are the requests a second. */
        synsPerSecond: { ours: sent.ours.map(Math.round), redis: sent.redis.map(Math.round) },
        rps: { ours: rates.ours.map(median).map(Math.round), redis: rates.redis.map(median).map(Math.round) },
        kept: { ours: Number(kept('ours').toFixed(3)), redis: Number(kept('redis').toFixed(3)) },
        keptBySink: {
          ours: Number(kept('ours', DROPPED).toFixed(3)),
          redis: Number(kept('redis', DROPPED).toFixed(3)),
        },
      };
      console.log(JSON.stringify(row));
      if (process.env.WIREDIS_LAB_REPORT) appendFileSync(process.env.WIREDIS_LAB_REPORT, `${JSON.stringify(row)}\n`);
      expect(kept('ours')).toBeGreaterThan(kept('redis') - 0.05);
    } finally {
      await redis.stop();
    }
  });
});
