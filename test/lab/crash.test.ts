// Crash safety over user-space TCP: the server is killed, or its disk fills up, while clients on another host write;
// nothing that it acknowledged is lost.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import {
  crashDirectives,
  crashRounds,
  DISKS,
  fullDiskDirectives,
  fullDiskRounds,
  ROUNDS,
  type Victim,
} from '../crash/rounds.ts';
import { describeLab, type Engine, LabServer, OVER, openLab, PORT, root } from './fixture.ts';

describeLab('a server that is killed', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await openLab();
  });
  afterAll(() => lab?.down());

  it.each(OVER.slice(0, 1))(
    `over %s, ${ROUNDS} times, loses nothing that it acknowledged`,
    { timeout: 120_000 + ROUNDS * 10_000 },
    async (over) => {
      const directory = mkdtempSync(join(tmpdir(), 'wiredis-lab-crash-'));
      try {
        await crashRounds((round) => startVictim(lab, over as Engine, directory, crashDirectives(round)));
        expect(await lab.run('server', ['ls', join(directory, 'appendonlydir')])).toMatchObject({ code: 0 });
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    },
  );

  it.each(OVER.slice(0, 1))(
    `over %s, its disk filled ${DISKS} times, loses nothing that it acknowledged`,
    { timeout: 120_000 + DISKS * 60_000 },
    (over) =>
      fullDiskRounds((directory, round) => startVictim(lab, over as Engine, directory, fullDiskDirectives(round))),
  );
});

async function startVictim(lab: Lab, over: Engine, directory: string, directives: readonly string[]): Promise<Victim> {
  const server = await startPatiently(lab, over, directory, directives);
  return {
    async ask(...words) {
      // One that is cut off because the machine stood still has not said that there is nothing.
      const { code, stdout, stderr } = await server.cli(words, 600);
      expect(code, stderr).toBe(0);
      return stdout.trimEnd();
    },
    write: async (seed) => {
      const words = [process.execPath, join(root, 'test/crash/writer.js'), server.address, String(PORT), String(seed)];
      return (await lab.run('client', words)).stdout;
    },
    async end() {
      while (!server.hasEnded()) await sleep(20);
      expect(server.output).toContain("Can't recover from AOF write error");
      await server.stop();
    },
    async kill() {
      if (!server.hasEnded()) process.kill(server.pid, 'SIGKILL');
      await server.stop();
    },
  };
}

/** What does not load does not the next time either; a machine that stood still for a while goes on. */
async function startPatiently(
  lab: Lab,
  over: Engine,
  directory: string,
  directives: readonly string[],
): Promise<LabServer> {
  const options = { over, directory, arguments: directives };
  try {
    return await LabServer.start(lab, options);
  } catch (error) {
    console.log((error as Error).message);
    return LabServer.start(lab, options);
  }
}
