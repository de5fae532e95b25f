// Replication over user-space TCP, in both directions: a redis-server on another host follows ours, then takes over by
// FAILOVER and ours follows it, over a connection that our stack opened.
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { stopProcesses } from '../../src/cli/lab/process.ts';
import { describeLab, eventually, LabServer, linkOf, OVER, openLab, PORT } from './fixture.ts';

const OTHER_PORT = 6390;
const WAIT_MS = 30_000;
const SETTINGS = ['--repl-diskless-sync-delay', '0', '--save', '', '--enable-debug-command', 'yes'];

describeLab('replication over user space', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await openLab();
  });
  afterAll(() => lab?.down());

  it.each(OVER)('over %s: redis-server follows, takes over, and is followed', async (over) => {
    const directory = mkdtempSync(join(tmpdir(), 'wiredis-lab-replica-'));
    const address = linkOf(lab, over).clientAddress;
    const ours = await LabServer.start(lab, { over, arguments: SETTINGS });
    const words = [
      'redis-server',
      '--bind',
      address,
      '--port',
      String(OTHER_PORT),
      '--protected-mode',
      'no',
      ...SETTINGS,
    ];
    const child: ChildProcess = lab.start('client', words, { cwd: directory, stdio: 'ignore' });
    const other = async (...command: string[]): Promise<string> => {
      const where = ['timeout', '20', 'redis-cli', '-h', address, '-p', String(OTHER_PORT)];
      return (await lab.run('client', [...where, ...command])).stdout.trim();
    };
    const own = async (...command: string[]): Promise<string> => (await ours.cli(command)).stdout.trim();
    const sameDigest = async (): Promise<void> => {
      const digest = await own('DEBUG', 'DIGEST');
      await eventually(
        () => other('DEBUG', 'DIGEST'),
        (theirs) => theirs === digest,
        WAIT_MS,
      );
    };
    try {
      await eventually(
        () => other('PING'),
        (reply) => reply === 'PONG',
        WAIT_MS,
      );
      await own('DEBUG', 'POPULATE', '20000', 'key', '200');
      expect(await other('REPLICAOF', ours.address, String(PORT))).toBe('OK');
      await eventually(
        () => other('INFO', 'replication'),
        (info) => info.includes('master_link_status:up'),
        WAIT_MS,
      );
      await own('SET', 'written', 'behind the snapshot');
      expect(await own('WAIT', '1', '20000')).toBe('1');
      await sameDigest();
      expect(await own('FAILOVER')).toBe('OK');
      await eventually(
        () => own('INFO', 'replication'),
        (info) => info.includes('master_link_status:up'),
        WAIT_MS,
      );
      expect(await other('SET', 'written', 'by the new master')).toBe('OK');
      expect(await other('WAIT', '1', '20000')).toBe('1');
      expect(await own('GET', 'written')).toBe('by the new master');
      // A snapshot comes this way too.
      expect(await other('DEBUG', 'CHANGE-REPL-ID')).toBe('OK');
      await other('CLIENT', 'KILL', 'TYPE', 'replica');
      await eventually(
        () => other('INFO', 'stats'),
        (info) => info.includes('sync_full:1'),
        WAIT_MS,
      );
      await eventually(
        () => own('INFO', 'replication'),
        (info) => info.includes('master_link_status:up'),
        WAIT_MS,
      );
      await sameDigest();
    } finally {
      await stopProcesses([child.pid!], 5000);
      await ours.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
