// The packet scripts that hold for Linux, against Linux: what our own stack is checked with is checked by a second one. All
// run side by side over one veth, since they mostly wait. A network namespace of this process's own is the peers' side.
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAfPacket } from '../../io-engine/af-packet.ts';
import { enterPrivateNetwork, ip } from '../contract/private-network.ts';
import { loadScripts } from '../support/packet-script/files.ts';
import { LinuxHost } from '../support/packet-script/linux-target.ts';
import { runScript } from '../support/packet-script/runner.ts';
import type { Script } from '../support/packet-script/syntax.ts';
import { testConfig } from '../unit/stack/two-stacks.ts';

const HOST = `wiredis-packets-${process.pid}`;
const peerScript = new URL('./clients/packet-peer.py', import.meta.url).pathname;
/** At a time: few enough that a busy machine does not make them late. */
const SIDE_BY_SIDE = 8;
const TRIES_MAX = 3;
const SETTINGS = [
  'net.ipv4.tcp_no_metrics_save=1',
  'net.ipv4.tcp_ecn=2',
  'net.ipv4.icmp_ratelimit=0',
  'net.ipv6.icmp.ratelimit=0',
  'net.ipv4.icmp_echo_ignore_all=0',
];

function obstacle(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux';
  const missing = ['ip', 'ethtool', 'python3', 'sysctl'].find((program) => spawnSync('which', [program]).status !== 0);
  return missing === undefined ? enterPrivateNetwork() : `needs ${missing}`;
}

const chosen = process.env.PACKETS ?? '';
const scripts = loadScripts().filter(({ notForLinux, file }) => notForLinux === '' && file.includes(chosen));
const reason = obstacle();

describe.skipIf(reason !== null)(`packet scripts on Linux${reason === null ? '' : ` [skipped: ${reason}]`}`, () => {
  let host: LinuxHost;
  const results = new Map<string, Promise<Error | null>>();

  beforeAll(() => {
    ip('netns', 'add', HOST);
    ip('link', 'add', 'ws-near', 'type', 'veth', 'peer', 'name', 'ws-far', 'netns', HOST);
    ip('link', 'set', 'ws-near', 'up');
    ip('-n', HOST, 'address', 'add', '10.99.0.1/16', 'dev', 'ws-far');
    ip('-n', HOST, 'address', 'add', 'fd99::1/64', 'dev', 'ws-far', 'nodad');
    ip('-n', HOST, 'link', 'set', 'lo', 'up');
    ip('-n', HOST, 'link', 'set', 'ws-far', 'up');
    const off = ['tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off'];
    spawnSync('ip', ['netns', 'exec', HOST, 'ethtool', '-K', 'ws-far', ...off]);
    spawnSync('ethtool', ['-K', 'ws-near', ...off]);
    for (const setting of SETTINGS) spawnSync('ip', ['netns', 'exec', HOST, 'sysctl', '-qw', setting]);
    const [{ address }] = JSON.parse(ip('-n', HOST, '-j', 'link', 'show', 'dev', 'ws-far')) as { address: string }[];
    const mac = Uint8Array.from(address.split(':'), (byte) => Number.parseInt(byte, 16));
    const engine = openAfPacket({ ...testConfig(0).engine, interface: 'ws-near', ipv6: true });
    host = new LinuxHost(engine, mac, ['ip', 'netns', 'exec', HOST, 'python3', peerScript]);
    start();
  });
  afterAll(() => {
    host?.close();
    ip('netns', 'delete', HOST);
  });

  /** Real time on a machine that may be busy: what was late is tried again, from the start and as another peer. */
  async function attempt(script: Script): Promise<Error | null> {
    let failure: Error | null = null;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      try {
        await runScript(script, host.target(script));
        return null;
      } catch (error) {
        failure = error as Error;
      }
    }
    return failure;
  }

  /** All of them, a few at a time, in order. */
  function start(): void {
    const lanes: Promise<unknown>[] = Array.from({ length: SIDE_BY_SIDE }, () => Promise.resolve());
    for (const [index, script] of scripts.entries()) {
      const lane = index % SIDE_BY_SIDE;
      const done = lanes[lane].then(() => attempt(script));
      lanes[lane] = done;
      results.set(script.file, done);
    }
  }

  it('are at least 80', () => {
    if (chosen === '') expect(scripts.length).toBeGreaterThanOrEqual(80);
  });

  for (const script of scripts) {
    it(`${script.file}: ${script.title}`, async () => {
      const error = await results.get(script.file);
      if (error) throw error;
    });
  }
});
