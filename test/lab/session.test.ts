// The first session of a person, over every engine: redis-server's own replies, a dump that redis-server loads,
// an orderly end, and nothing odd on the wire.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import {
  badChecksums,
  Capture,
  checksumErrors,
  describeLab,
  eventually,
  fillInChecksums,
  LabServer,
  linkOf,
  OVER,
  openLab,
  PORT,
  parseInfo,
  RST_FILTER,
  root,
} from './fixture.ts';

const SESSION = readFileSync(join(root, 'scripts', 'session.txt'), 'utf8')
  .trim()
  .split('\n');

/** Replies without an order of their own. */
const UNORDERED = /^(SMEMBERS|KEYS) /;

/** Directives that say where and as whom a server runs: each answers for itself. */
const PLACE = new Set(['bind', 'dir', 'pidfile', 'logfile', 'protected-mode', 'maxclients']);

interface Replies {
  readonly typed: ReadonlyMap<string, string | readonly string[]>;
  readonly config: ReadonlyMap<string, string>;
  readonly infoFields: readonly string[];
}

async function runSession(server: LabServer): Promise<Replies> {
  const typed = new Map<string, string | readonly string[]>();
  let config = new Map<string, string>();
  let infoFields: string[] = [];
  for (const line of SESSION) {
    if (line === 'CONFIG GET *') {
      const words = (await server.cli(['CONFIG', 'GET', '*'])).stdout.replace(/\n$/, '').split('\n');
      config = new Map(words.flatMap((word, i) => (i % 2 === 0 ? [[word, words[i + 1]] as const] : [])));
    } else if (line === 'INFO') {
      infoFields = [...parseInfo((await server.cli(['INFO'])).stdout).keys()];
    } else {
      const reply = await server.typed(line);
      typed.set(line, UNORDERED.test(line) ? unnumbered(reply).sort() : reply);
    }
  }
  return { typed, config, infoFields };
}

function unnumbered(reply: string): string[] {
  return reply
    .trim()
    .split('\n')
    .map((row) => row.replace(/^ *\d+\) /, ''));
}

describeLab('the session', () => {
  let lab: Lab;
  let expected: Replies;

  beforeAll(async () => {
    lab = await openLab();
    const redis = await LabServer.start(lab, { over: 'redis' });
    expected = await runSession(redis);
    await redis.stop();
  });
  afterAll(() => lab?.down());

  it.each(OVER)("over %s is redis-server's", async (engine) => {
    const directory = mkdtempSync(join(tmpdir(), 'wiredis-session-'));
    const link = linkOf(lab, engine);
    await fillInChecksums(lab, engine);
    const refusedBefore = await checksumErrors(lab);
    const server = await LabServer.start(lab, { over: engine, directory });
    const capture = await Capture.start(lab, link.veth, `src host ${link.serverAddress} or (${RST_FILTER})`);
    try {
      const replies = await runSession(server);
      expect(replies.typed).toEqual(expected.typed);
      expect([...replies.config.keys()].sort()).toEqual([...expected.config.keys()].sort());
      const common = ({ config }: Replies) => [...config].filter(([key]) => !PLACE.has(key)).sort();
      expect(common(replies)).toEqual(common(expected));
      expect(expected.infoFields.filter((field) => !replies.infoFields.includes(field))).toEqual([]);

      const listening = await lab.must('server', ['ss', '-Hltn']);
      if (link.serverOwner === 'wiredis') expect(listening).toBe('');
      else expect(listening).toContain(`${server.address}:${PORT}`);

      // Somebody is connected and idle when it ends: FIN, so that `cat` sees an end and no error.
      const idle = lab.run('client', ['bash', '-c', `exec 3<>/dev/tcp/${server.address}/${PORT}; echo; cat <&3`]);
      const isConnected = (info: Map<string, string>) => Number(info.get('connected_clients')) >= 2;
      await eventually(() => server.info(), isConnected, 10_000);
      expect(await server.stop()).toBe(0);
      expect(await idle).toMatchObject({ code: 0, stderr: '' });
    } finally {
      await server.stop();
    }
    const packets = await capture.stop();
    expect(packets.length).toBeGreaterThan(20);
    expect(packets.filter((packet) => /Flags \[[^\]]*R/.test(packet))).toEqual([]);
    expect(badChecksums(packets)).toEqual([]);
    expect((await checksumErrors(lab)) - refusedBefore).toBe(0);

    const redis = await LabServer.start(lab, { over: 'redis', directory });
    try {
      expect((await redis.cli(['GET', 'mycsv'])).stdout).toBe('1,mydata,10\n');
      expect(await redis.typed('HGETALL hashkey')).toBe(expected.typed.get('HGETALL hashkey'));
      expect(unnumbered(await redis.typed('SMEMBERS setexample')).sort()).toEqual(
        expected.typed.get('SMEMBERS setexample'),
      );
      expect((await redis.cli(['DBSIZE'])).stdout).toBe('3\n');
    } finally {
      await redis.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
