// `core relay` over AF_XDP: a real redis-server behind the user-space stack serves redis-cli and redis-benchmark from another
// host, is killed under load and comes back, and nobody's reply is lost when the relay is told to end.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseBenchmark } from '../../src/cli/bench/load.ts';
import type { Lab } from '../../src/cli/lab/lab.ts';
import type { TopReading } from '../../src/observe/top-feed.ts';
import {
  Capture,
  cliScript,
  describeLab,
  eventually,
  LabServer,
  linkOf,
  OVER,
  openLab,
  REQUESTS,
  RST_FILTER,
} from './fixture.ts';

const ENGINES = OVER.filter((over) => over === 'afxdp' || over === 'afpacket');

describeLab('relay', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await openLab();
  });
  afterAll(() => lab?.down());

  for (const engine of ENGINES) {
    const start = (): Promise<LabServer> =>
      LabServer.start(lab, {
        over: engine,
        arguments: ['--core', 'relay', '--relay-spawn', "redis-server --save '' --enable-debug-command yes"],
      });
    const childOf = async (server: LabServer): Promise<number> =>
      Number(/^process_id:(\d+)/m.exec((await server.cli(['INFO', 'server'])).stdout)?.[1]);

    it(`over ${engine}: redis-cli and redis-benchmark -P 16, without a reset`, async () => {
      const server = await start();
      try {
        const resets = await Capture.start(lab, linkOf(lab, engine).veth, RST_FILTER);
        expect((await server.cli(['SET', 'a', 'x'.repeat(100_000)])).stdout).toBe('OK\n');
        expect((await server.cli(['STRLEN', 'a'])).stdout).toBe('100000\n');
        const words = ['-n', String(REQUESTS), '-c', '50', '-P', '16', '-t', 'set,get,lrange_300', '--csv'];
        const load = await lab.run('client', ['timeout', '120', 'redis-benchmark', '-h', server.address, ...words]);
        expect([load.code, load.stderr]).toEqual([0, '']);
        expect(parseBenchmark(load.stdout).map(({ test }) => test.split(' ')[0])).toContain('GET');
        expect(await resets.stop()).toEqual([]);
      } finally {
        await server.stop();
      }
    });

    it(`over ${engine}: top, netstat and capture show what passes, and cost no request`, async () => {
      const server = await start();
      const words = ['-h', server.address, '-t', 'set', '-n', '100000000', '-c', '4', '-d', '500', '-q'];
      const load = lab.start('client', ['redis-benchmark', ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
      let said = '';
      for (const stream of [load.stdout!, load.stderr!]) stream.on('data', (data) => (said += data));
      try {
        const tool = (name: string, ...more: string[]): Promise<string> =>
          lab.must('server', [process.execPath, cliScript, name, '--server', String(server.pid), ...more]);
        const top = async (): Promise<TopReading> => JSON.parse(await tool('top', '--once', '--json'));
        // Times of a machine that does other things too: a part can be nothing in one reading, not in all.
        const busy = ({ reading, connections }: TopReading): boolean =>
          reading.commands > 500 &&
          connections.length >= 4 &&
          ['receive', 'transmit', 'other'].every((part) => reading.budget[part] > 0);
        const { server: identity, reading, connections } = await eventually(top, busy, 20_000);
        expect(identity).toMatchObject({ isRelay: true, engine });
        expect(reading.bytesIn).toBeGreaterThan(reading.commands * 500);
        expect(reading.latency.p50).toBeGreaterThan(0);
        for (const { received, sent, id } of connections.slice(0, 4)) {
          expect(id).toBeGreaterThan(0);
          expect(received!).toBeGreaterThan(sent!);
        }
        expect(await tool('top', '--once')).toMatch(/^answers\/s /m);
        expect(await tool('netstat', '--relay')).toMatch(/^upstream .* {2}up, 0 attempts failed$/m);
        expect(JSON.parse(await tool('netstat', '--json')).connections.length).toBeGreaterThanOrEqual(4);
        expect(await tool('capture', '--decode', '--count', '5', 'port', '6379')).toMatch(/SET \S+ .* -> OK/);
        expect(load.exitCode).toBeNull();
        expect(said).not.toMatch(/error/i);
      } finally {
        load.kill('SIGKILL');
        await server.stop();
      }
    });

    it(`over ${engine}: user-after-open is the user of both; a redis-server that dies comes back as that user`, async () => {
      const server = await LabServer.start(lab, {
        over: engine,
        // A folder that everybody may enter.
        arguments: [
          '--core',
          'relay',
          '--relay-spawn',
          "redis-server --save '' --dir /tmp",
          '--user-after-open',
          'nobody',
        ],
      });
      const uidsOf = (pid: number): string => /^Uid:\s(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1];
      try {
        const nobody = Array.from({ length: 4 }, () => 65534).join('\t');
        const first = await childOf(server);
        expect([uidsOf(server.pid), uidsOf(first)]).toEqual([nobody, nobody]);
        process.kill(first, 'SIGKILL');
        const second = await eventually(
          () => childOf(server),
          (pid) => pid > 0 && pid !== first,
          30_000,
        );
        expect(uidsOf(second)).toBe(nobody);
        expect(await server.stop()).toBe(0);
      } finally {
        await server.stop();
      }
    });

    it(`over ${engine}: redis-server is killed under load and comes back; SIGTERM lets a reply finish`, async () => {
      const server = await start();
      try {
        const first = await childOf(server);
        const words = ['-n', '4000000', '-c', '20', '-P', '16', '-t', 'get'];
        const load = lab.run('client', ['timeout', '30', 'redis-benchmark', '-h', server.address, ...words]);
        const isBusy = (info: Map<string, string>) => Number(info.get('connected_clients')) > 20;
        await eventually(() => server.info(), isBusy, 20_000);
        process.kill(first, 'SIGKILL');
        // redis-benchmark gives up when its connections break.
        expect((await load).code).not.toBe(0);
        const second = await eventually(
          () => childOf(server),
          (pid) => pid > 0 && pid !== first,
          10_000,
        );
        expect(server.output).toContain(`(pid ${first}) has ended with SIGKILL; started again in 100 ms`);
        const slow = server.cli(['DEBUG', 'SLEEP', '1']);
        await new Promise((done) => setTimeout(done, 300));
        expect(await server.stop()).toBe(0);
        expect((await slow).stdout).toBe('OK\n');
        expect(() => process.kill(second, 0)).toThrow('ESRCH');
      } finally {
        await server.stop();
      }
    });
  }
});
