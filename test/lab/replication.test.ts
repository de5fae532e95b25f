// Replication over user-space TCP, in both directions: a redis-server on another host follows ours, then takes over by
// FAILOVER and ours follows it, over a connection that our stack opened. And at length: a hundred thousand keys while
// clients write, straight to the socket and by way of the disk, and a cable that is pulled.
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { stopProcesses } from '../../src/cli/lab/process.ts';
import { describeLab, eventually, LabServer, linkOf, OVER, type Over, openLab, PORT } from './fixture.ts';

const OTHER_PORT = 6390;
const WAIT_MS = 30_000;
const SETTINGS = ['--repl-diskless-sync-delay', '0', '--save', '', '--enable-debug-command', 'yes'];

/** A redis-server on the client's host. */
class OtherServer {
  readonly lab: Lab;
  readonly address: string;
  readonly #child: ChildProcess;
  readonly #directory = mkdtempSync(join(tmpdir(), 'wiredis-lab-replica-'));

  private constructor(lab: Lab, address: string, directives: readonly string[]) {
    this.lab = lab;
    this.address = address;
    const place = ['--bind', address, '--port', String(OTHER_PORT), '--protected-mode', 'no'];
    const words = ['redis-server', ...place, ...SETTINGS, ...directives];
    this.#child = lab.start('client', words, { cwd: this.#directory, stdio: 'ignore' });
  }

  static async start(lab: Lab, over: Over, directives: readonly string[] = []): Promise<OtherServer> {
    const server = new OtherServer(lab, linkOf(lab, over).clientAddress, directives);
    await eventually(
      () => server.ask('PING'),
      (reply) => reply === 'PONG',
      WAIT_MS,
    );
    return server;
  }

  async ask(...command: string[]): Promise<string> {
    const where = ['timeout', '20', 'redis-cli', '-h', this.address, '-p', String(OTHER_PORT)];
    return (await this.lab.run('client', [...where, ...command])).stdout.trim();
  }

  async stop(): Promise<void> {
    await stopProcesses([this.#child.pid!], 5000);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

type Ask = (...command: string[]) => Promise<string>;

/** A reply of `ask` that has the text in it comes before long. */
const comes = (ask: Ask, command: readonly string[], text: string): Promise<string> =>
  eventually(
    () => ask(...command),
    (reply) => reply.includes(text),
    WAIT_MS,
  );
const linkIsUp = (replica: Ask): Promise<string> => comes(replica, ['INFO', 'replication'], 'master_link_status:up');

async function sameDigest(one: Ask, other: Ask): Promise<void> {
  await eventually(
    async () => [await one('DEBUG', 'DIGEST'), await other('DEBUG', 'DIGEST')],
    ([mine, theirs]) => mine.length === 40 && mine === theirs,
    WAIT_MS,
  );
}

describeLab('replication over user space', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await openLab();
  });
  afterAll(() => lab?.down());

  it.each(OVER)('over %s: redis-server follows, takes over, and is followed', async (over) => {
    const ours = await LabServer.start(lab, { over, arguments: SETTINGS });
    const redis = await OtherServer.start(lab, over);
    const own: Ask = async (...command) => (await ours.cli(command)).stdout.trim();
    const other: Ask = (...command) => redis.ask(...command);
    try {
      await own('DEBUG', 'POPULATE', '20000', 'key', '200');
      expect(await other('REPLICAOF', ours.address, String(PORT))).toBe('OK');
      await linkIsUp(other);
      await own('SET', 'written', 'behind the snapshot');
      expect(await own('WAIT', '1', '20000')).toBe('1');
      await sameDigest(own, other);
      expect(await own('FAILOVER')).toBe('OK');
      await linkIsUp(own);
      expect(await other('SET', 'written', 'by the new master')).toBe('OK');
      expect(await other('WAIT', '1', '20000')).toBe('1');
      expect(await own('GET', 'written')).toBe('by the new master');
      // A snapshot comes this way too.
      expect(await other('DEBUG', 'CHANGE-REPL-ID')).toBe('OK');
      await other('CLIENT', 'KILL', 'TYPE', 'replica');
      await comes(other, ['INFO', 'stats'], 'sync_full:1');
      await linkIsUp(own);
      await sameDigest(own, other);
    } finally {
      await redis.stop();
      await ours.stop();
    }
  });

  const ways = (['ours', 'redis'] as const).flatMap((master) =>
    ['yes', 'no'].map((diskless) => ({ master, diskless })),
  );
  it.each(ways)(
    '$master as master (diskless: $diskless): 100,000 keys while clients write, and a cable that is pulled',
    { timeout: 240_000 },
    async ({ master, diskless }) => {
      const over = OVER[0];
      const { veth, serverAddress, clientAddress } = linkOf(lab, over);
      const directives = ['--repl-diskless-sync', diskless, '--repl-diskless-load', 'swapdb', '--repl-timeout', '5'];
      const backlog = ['--repl-ping-replica-period', '1', '--repl-backlog-size', '64mb'];
      const ours = await LabServer.start(lab, { over, arguments: [...SETTINGS, ...directives, ...backlog] });
      const redis = await OtherServer.start(lab, over, [...directives, ...backlog]);
      const own: Ask = async (...command) => (await ours.cli(command)).stdout.trim();
      const other: Ask = (...command) => redis.ask(...command);
      const [leader, follower] = master === 'ours' ? [own, other] : [other, own];
      const place = master === 'ours' ? [serverAddress, String(PORT)] : [clientAddress, String(OTHER_PORT)];
      const write = (requests: number): Promise<{ code: number | null }> => {
        const words = ['redis-benchmark', '-h', place[0], '-p', place[1], '-c', '8', '-r', '150000', '-q'];
        return lab.run('client', [...words, '-n', String(requests), '-t', 'set,lpush,hset,spop,zadd']);
      };
      try {
        await leader('DEBUG', 'POPULATE', '100000', 'key', '100');
        const writing = write(15_000);
        expect(await follower('REPLICAOF', ...place)).toBe('OK');
        await linkIsUp(follower);
        expect((await writing).code).toBe(0);
        await sameDigest(leader, follower);
        await lab.must('client', ['ip', 'link', 'set', veth, 'down']);
        await sleep(7000);
        await lab.must('client', ['ip', 'link', 'set', veth, 'up']);
        await leader('SET', 'after', 'the cut');
        await linkIsUp(follower);
        expect((await write(2000)).code).toBe(0);
        await sameDigest(leader, follower);
        expect(await leader('INFO', 'stats')).toMatch(/sync_full:1\r?\nsync_partial_ok:[1-9]/);
      } finally {
        await redis.stop();
        await ours.stop();
      }
    },
  );
});
