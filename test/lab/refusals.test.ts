// What a person meets who set something up wrong: one line that says what to do, exit code 1, no stack trace.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { run } from '../../src/cli/lab/process.ts';
import { describeLab, type Engine, LabServer, openLab, root, serverCommand } from './fixture.ts';

describeLab('a server that cannot start', () => {
  let lab: Lab;
  let directory: string;
  beforeAll(async () => {
    lab = await openLab();
    directory = mkdtempSync(join(tmpdir(), 'wiredis-refusals-'));
  });
  afterAll(async () => {
    rmSync(directory, { recursive: true, force: true });
    await lab?.down();
  });

  /** Runs the server with a netdev.conf changed by `edit`, behind the words in `before`. */
  async function refusal(
    engine: Engine,
    edit: (conf: string) => string,
    before: readonly string[] = [],
  ): Promise<string> {
    const netdev = join(directory, 'netdev.conf');
    writeFileSync(netdev, edit(readFileSync(lab.netdevFile(engine === 'tap' ? 'tap' : 'direct'), 'utf8')));
    const command = ['timeout', '-k', '1', '10', ...before, ...serverCommand(lab, { over: engine }, netdev)];
    const result = await lab.run('server', ['env', `--chdir=${directory}`, ...command]);
    const said = result.stderr.trim();
    expect(result.code, `${result.stdout}\n${said}`).toBe(1);
    expect(said.split('\n'), said).toHaveLength(1);
    expect(`${result.stdout}\n${said}`).not.toMatch(/\n\s+at |node:internal|Error:/);
    return said;
  }

  const same = (conf: string): string => conf;
  const NO_CAPABILITIES = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--ambient-caps=-all'];

  it.each(['afxdp', 'afpacket', 'pcap'] as const)('%s without privilege', async (engine) => {
    expect(await refusal(engine, same, NO_CAPABILITIES)).toMatch(/root|CAP_/);
  });

  // A tap that exists and has no owner is anybody's: only making one needs privilege.
  it('tap without privilege', async () => {
    const said = await refusal(
      'tap',
      (conf) => conf.replace(/^interface = .*/m, 'interface = newtap0'),
      NO_CAPABILITIES,
    );
    expect(said).toMatch(/root|CAP_/);
  });

  it.each(['afxdp', 'afpacket', 'pcap'] as const)('%s without its interface', async (engine) => {
    const said = await refusal(engine, (conf) => conf.replace(/^interface = .*/m, 'interface = nosuch0'));
    expect(said).toMatch(/nosuch0/);
  });

  it.each(['afxdp', 'afpacket', 'pcap'] as const)('%s on an interface that is down', async (engine) => {
    const { veth } = lab.plan.links.direct;
    await lab.must('server', ['ip', 'link', 'set', veth, 'down']);
    try {
      const said = await refusal(engine, same);
      expect(said).toContain(veth);
      expect(said).toMatch(/ip link set/);
    } finally {
      await lab.must('server', ['ip', 'link', 'set', veth, 'up']);
    }
  });

  it.each(['afxdp', 'afpacket', 'pcap'] as const)('%s with an address that the kernel owns', async (engine) => {
    const { veth, serverAddress } = lab.plan.links.direct;
    const address = ['address', 'add', `${serverAddress}/24`, 'dev', veth];
    await lab.must('server', ['ip', ...address]);
    try {
      const said = await refusal(engine, same);
      expect(said).toContain(serverAddress);
      expect(said).toMatch(/ip addr/);
    } finally {
      await lab.must('server', ['ip', 'address', 'delete', `${serverAddress}/24`, 'dev', veth]);
    }
  });

  it.each(['afxdp', 'afpacket', 'pcap'] as const)('%s beside a server of the same address', async (engine) => {
    const first = await LabServer.start(lab, { over: 'afpacket' });
    try {
      const said = await refusal(engine, same);
      expect(said).toContain(`another process of this machine serves ${first.address}`);
      expect((await first.cli(['PING'])).stdout.trim()).toBe('PONG');
    } finally {
      await first.stop();
    }
  });

  it('pcap without libpcap', async () => {
    const paths = [...(await run(['ldconfig', '-p'])).stdout.matchAll(/libpcap\.so\S* .*=> (\S+)/g)].map((m) => m[1]);
    expect(paths.length).toBeGreaterThan(0);
    const hide = paths.map((path) => `mount --bind /dev/null ${path}`).join(' && ');
    const said = await refusal('pcap', same, ['unshare', '--mount', 'sh', '-c', `${hide} && exec "$@"`, 'sh']);
    expect(said).toMatch(/libpcap/);
  });

  it('pcap without package cap', async () => {
    const empty = join(directory, 'empty');
    mkdirSync(empty, { recursive: true });
    const hide = `mount --bind ${empty} ${join(root, 'node_modules', 'cap')} && exec "$@"`;
    expect(await refusal('pcap', same, ['unshare', '--mount', 'sh', '-c', hide, 'sh'])).toMatch(/package cap|npm/);
  });

  it('with a mistake in netdev.conf, by file and line', async () => {
    const said = await refusal('afpacket', (conf) => `${conf}receive-bufer = 1\n`);
    expect(said).toMatch(/netdev\.conf:4\b/);
    expect(said).toContain('receive-bufer');
  });

  it('starts where there is no carrier, and says so', async () => {
    const { veth } = lab.plan.links.direct;
    await lab.must('client', ['ip', 'link', 'set', veth, 'down']);
    try {
      const command = serverCommand(lab, { over: 'afpacket' }, lab.netdevFile('direct'));
      const server = lab.start('server', command, { cwd: directory, stdio: ['ignore', 'pipe', 'ignore'] });
      let said = '';
      server.stdout!.on('data', (chunk) => (said += chunk));
      await expect.poll(() => said, { timeout: 30_000 }).toContain('Ready to accept connections');
      server.kill('SIGKILL');
      expect(said).toContain(`${veth} has no carrier`);
    } finally {
      await lab.must('client', ['ip', 'link', 'set', veth, 'up']);
    }
  });
});
