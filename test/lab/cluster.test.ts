// Redis Cluster behind six wiredis servers, and Sentinel over servers of ours: the demonstrations in their short form,
// over AF_XDP. A master's host is killed and another cut off the network, under load; what a replica had confirmed is
// there afterwards.
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { run } from '../../src/cli/lab/process.ts';
import { describeLab, dist, OVER, type Over, root } from './fixture.ts';

const FULL: readonly Over[] = ['afxdp', 'afpacket'];
/** A minute each: one engine will do, unless all is asked for. */
const ENGINES = (process.env.WIREDIS_LAB_FULL === '1' ? FULL : FULL.slice(0, 1)).filter((over) => OVER.includes(over));

/** Runs a demonstration. @returns what it printed, having looked at what both share. */
async function show(demo: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(['env', `WIREDIS_DIST=${dist}`, ...demo]);
  expect([code, stderr], stdout).toEqual([0, '']);
  expect(stdout.match(/^failover .*after \d+ ms/gm)).toHaveLength(2);
  const facts = (stdout.match(/^\{"client".*\}$/gm) ?? []).map((line) => JSON.parse(line));
  expect(facts.map(({ client }) => client)).toEqual(['ioredis', 'redis-py']);
  for (const { acknowledged } of facts) expect(acknowledged).toBeGreaterThan(100);
  expect(facts[0].confirmed).toBeGreaterThan(100);
  expect(facts[0].lostConfirmed).toBe(0);
  return stdout;
}

describeLab('several hosts', () => {
  it('demo-cluster: create, reshard, failovers; no confirmed write is lost', async () => {
    const script = join(root, 'scripts', 'demo-cluster.sh');
    const demo = ['timeout', '540', 'sh', script, '--short', '--engine', 'afxdp'];
    expect(await show(demo)).toContain('[OK] All 16384 slots covered.');
  });

  it.each(ENGINES)('demo-sentinel over %s: two failovers; no confirmed write is lost', async (engine) => {
    const script = join(root, 'scripts', 'demo-sentinel.sh');
    expect(await show(['timeout', '540', 'sh', script, '--engine', engine])).toContain('failover to host');
  });
});
