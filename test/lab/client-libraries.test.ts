// Real client libraries and redis-cli in its modes over user-space TCP: what libraries print is what they print of
// redis-server.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { cliModes } from '../support/cli-modes.ts';
import { type ClientProgram, clientPrograms } from '../support/client-programs.ts';
import { describeLab, LabServer, OVER, openLab, PORT } from './fixture.ts';

const ARGUMENTS = ['--save', '', '--repl-diskless-sync-delay', '0'];

describeLab('real clients', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'lab-clients-'));
  const expected = new Map<string, string>();
  let lab: Lab;
  let redis: LabServer;
  beforeAll(async () => {
    writeFileSync(join(scratch, 'script.lua'), "return {KEYS[1], ARGV[1], redis.call('get', KEYS[1])}");
    lab = await openLab();
    redis = await LabServer.start(lab, { over: 'redis', arguments: ARGUMENTS });
  });
  afterAll(async () => {
    await redis?.stop();
    await lab?.down();
    rmSync(scratch, { recursive: true, force: true });
  });

  async function output(program: ClientProgram, server: LabServer): Promise<string> {
    const result = await lab.run('client', ['timeout', '60', ...program.command(server.address, PORT)]);
    expect(result.code, result.stderr).toBe(0);
    return result.stdout;
  }

  /** Of redis-server, once. */
  async function reference(program: ClientProgram): Promise<string> {
    const known = expected.get(program.name);
    if (known !== undefined) return known;
    const printed = await output(program, redis);
    expected.set(program.name, printed);
    return printed;
  }

  describe.each(OVER)('over %s', (over) => {
    let server: LabServer;
    beforeAll(async () => {
      server = await LabServer.start(lab, { over, arguments: ARGUMENTS });
    });
    afterAll(() => server?.stop());

    for (const program of clientPrograms()) {
      const { name, obstacle, shows } = program;
      it.skipIf(obstacle !== null)(obstacle === null ? name : `${name} [skipped: ${obstacle}]`, async () => {
        const printed = await reference(program);
        expect(printed).toContain(shows);
        expect(await output(program, server)).toBe(printed);
      });
    }

    it.each(cliModes(scratch))('redis-cli: $name', async (mode) => {
      const limit = ['timeout', '-s', 'INT', String(mode.stopAfterSeconds ?? 20)];
      const words = [...limit, 'stdbuf', '-o0', 'redis-cli', '-h', server.address, ...mode.words];
      const { code, stdout, stderr } = await lab.run('client', words, mode.input ?? '');
      expect(stdout + stderr).toMatch(mode.shows);
      if (mode.stopAfterSeconds === undefined) expect(code).toBe(mode.code ?? 0);
    });
  });
});
