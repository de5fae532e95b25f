// The interface goes down, loses its carrier, comes back, is removed: every engine goes on, keeps its clients, rests
// meanwhile, and the log, netstat and the metrics tell what is the matter.
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { cliScript, describeLab, LabServer, linkOf, OVER, openLab } from './fixture.ts';

const engines = OVER.filter((over) => over !== 'redis' && over !== 'kernel');
const METRICS_PORT = 9121;
/** Of a core that a server may use while there is nothing to do; clock ticks are 10 ms. */
const IDLE_SHARE = 0.1;

/** A client that stays connected. */
class Client {
  readonly #child: ChildProcess;
  #said = '';

  constructor(lab: Lab, address: string) {
    this.#child = lab.start('client', ['redis-cli', '-h', address], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdout!.on('data', (chunk) => (this.#said += chunk));
  }

  send(line: string): void {
    this.#child.stdin!.write(`${line}\n`);
  }

  get said(): string[] {
    return this.#said.trim().split('\n');
  }

  end(): void {
    this.#child.kill();
  }
}

describeLab('the interface', () => {
  describe.each(engines)('over %s', (over) => {
    let lab: Lab;
    let server: LabServer;
    let client: Client;
    let device: string;

    beforeAll(async () => {
      lab = await openLab();
      device = over === 'tap' ? lab.plan.tapDevice : linkOf(lab, over).veth;
      server = await LabServer.start(lab, { over, arguments: ['--metrics-port', String(METRICS_PORT)] });
      client = new Client(lab, server.address);
    });

    afterAll(async () => {
      client?.end();
      await server?.stop();
      await lab?.down();
    });

    /** What the log says of the interface, by marks: `#` warning, `*` notice. */
    const told = (): string[] =>
      [...server.output.matchAll(/ ([#*]) (\S+) (is|has|was) (.*)/g)].flatMap(([, mark, name, verb, text]) =>
        name === device ? [`${mark} ${verb} ${text}`] : [],
      );

    const inServer = (...words: string[]): Promise<string> => lab.must('server', words);

    async function shown(): Promise<{ netstat: string; up: number; changes: number }> {
      const netstat = await inServer(process.execPath, cliScript, 'netstat', '--server', String(server.pid));
      const page = await inServer('curl', '-s', `http://127.0.0.1:${METRICS_PORT}/metrics`);
      const value = (name: string): number => Number(new RegExp(`^${name}\\{.*?\\} (\\d+)$`, 'm').exec(page)?.[1]);
      return {
        netstat: netstat.split('  ')[0],
        up: value('node_network_up'),
        changes: value('node_network_carrier_changes_total'),
      };
    }

    /** Share of a core that it uses. */
    async function load(): Promise<number> {
      const ticks = (): number => {
        const [user, system] = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13);
        return Number(user) + Number(system);
      };
      const before = ticks();
      await sleep(1000);
      return (ticks() - before) / 100;
    }

    it('goes down and comes back: told once each, clients are kept', async () => {
      client.send('ECHO before');
      await expect.poll(() => client.said).toEqual(['before']);
      expect(told()).toEqual([]);
      await inServer('ip', 'link', 'set', device, 'down');
      await expect.poll(told).toHaveLength(1);
      expect(told()[0]).toMatch(new RegExp(`^# is down: .*'sudo ip link set ${device} up'; connections are kept`));
      expect(await load()).toBeLessThan(IDLE_SHARE);
      expect(await shown()).toMatchObject({ netstat: `${device} (down)`, up: 0 });
      client.send('ECHO meanwhile');
      await inServer('ip', 'link', 'set', device, 'up');
      await expect.poll(told, { timeout: 5000 }).toHaveLength(2);
      expect(told()[1]).toMatch(/^\* is up again/);
      expect(await shown()).toMatchObject({ netstat: device, up: 1 });
      await expect.poll(() => client.said, { timeout: 10_000 }).toEqual(['before', 'meanwhile']);
      expect(told()).toHaveLength(2);
    });

    // The other end of a tap is the kernel itself.
    it.skipIf(over === 'tap')('loses its carrier and gets it back', async () => {
      const before = told().length;
      const { changes } = await shown();
      await lab.must('client', ['ip', 'link', 'set', device, 'down']);
      await expect.poll(told, { timeout: 5000 }).toHaveLength(before + 1);
      expect(told()[before]).toMatch(/^# has no carrier: .*its other end/);
      expect(await load()).toBeLessThan(IDLE_SHARE);
      expect(await shown()).toEqual({ netstat: `${device} (no carrier)`, up: 0, changes: changes + 1 });
      await lab.must('client', ['ip', 'link', 'set', device, 'up']);
      await expect.poll(told, { timeout: 5000 }).toHaveLength(before + 2);
      expect(told()[before + 1]).toMatch(/^\* is up again/);
      expect((await server.cli(['PING'])).stdout.trim()).toBe('PONG');
    });

    it('is removed: told once, the server rests, and ends as it should when it is told to', async () => {
      const before = told().length;
      await inServer('ip', 'link', 'del', device);
      await expect.poll(told, { timeout: 5000 }).toHaveLength(before + 1);
      expect(told()[before]).toMatch(/^# is gone, .*restart the server/);
      expect(await load()).toBeLessThan(IDLE_SHARE);
      expect(await shown()).toMatchObject({ netstat: `${device} (gone)`, up: 0 });
      expect(told()).toHaveLength(before + 1);
      expect(await server.stop()).toBe(0);
    });
  });
});
