// A wrong set-up of each kind: doctor names it, the very command that doctor prints mends it, doctor has no complaint
// left, and redis-cli works.
import type { ChildProcess } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { carriesParts } from '../../io-engine/af-xdp.ts';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { hasProgram, type Result, run } from '../../src/cli/lab/process.ts';
import { cliScript, describeLab, dist, eventually, openLab, PORT, root, serverScript } from './fixture.ts';

interface Row {
  readonly name: string;
  readonly verdict: 'pass' | 'warn' | 'fail';
  readonly text: string;
  readonly mend?: string;
}

interface Report {
  readonly ok: boolean;
  readonly checks: readonly Row[];
}

/** A wrong set-up. */
interface Case {
  readonly name: string;
  /** The check that has to see it. */
  readonly check: string;
  readonly verdict?: 'warn' | 'fail';
  /** What it says. */
  readonly text: RegExp;
  /** Lines of netdev.conf; `VETH` is the veth. Absent: those of the lab. */
  readonly netdev?: string;
  /** Commands on a host that set it up wrong, and take away what the mend leaves; `VETH`, `SERVER` (its namespace). */
  readonly break?: Partial<Record<'server' | 'client', string>>;
  readonly undo?: Partial<Record<'server' | 'client', string>>;
  readonly doctor?: readonly string[];
  /** Where redis-cli finds the server afterwards, when not at 10.77.0.1. */
  readonly address?: string;
  /** A program that has to be there. */
  readonly needs?: string;
  /** Something that is running meanwhile, on the server's host. */
  readonly beside?: readonly string[];
  /** Further words for the server. */
  readonly server?: readonly string[];
}

const CASES: readonly Case[] = [
  {
    name: 'a mistake in netdev.conf',
    check: 'netdev.conf',
    text: /netdev\.conf:3: 'receive-bufer' is not a key/,
    netdev: 'interface = VETH\naddress = 10.77.0.1/24\nreceive-bufer = 64kb\n',
  },
  {
    name: 'a value that is none',
    check: 'netdev.conf',
    text: /netdev\.conf:3: 'coalesce'/,
    netdev: 'interface = VETH\naddress = 10.77.0.1/24\ncoalesce = soon\n',
  },
  {
    name: 'an interface that is not there',
    check: 'interface',
    text: /there is no interface VETHx; there are: /,
    netdev: 'interface = VETHx\naddress = 10.77.0.1/24\n',
  },
  {
    name: 'an interface that is down',
    check: 'link',
    text: /VETH is down/,
    break: { server: 'ip link set VETH down' },
  },
  {
    name: 'no carrier',
    check: 'link',
    text: /VETH has no carrier: its other end, VETH, is down/,
    break: { client: 'ip link set VETH down' },
  },
  {
    name: 'a cable that is not in',
    check: 'link',
    text: /wdcable has no carrier: is the cable in.* VETH has one/,
    netdev: 'interface = wdcable\naddress = 10.77.0.1/24\nengine = afpacket\n',
    // A tap that nobody has opened; the tap of the lab has a carrier, by its bridge's port.
    break: { server: 'ip tuntap add dev wdcable mode tap && ip link set wdcable up' },
    undo: { server: 'ip link del wdcable' },
  },
  {
    name: 'a port of a bridge',
    check: 'bridge',
    text: /VETH is a port of wdbridge/,
    break: {
      server: 'ip link add wdbridge type bridge && ip link set wdbridge up && ip link set VETH master wdbridge',
    },
    undo: { server: 'ip link del wdbridge' },
  },
  {
    name: "an XDP program of somebody's on the interface",
    check: 'XDP program',
    text: /VETH has an XDP program of \S+ \(\d+\): there can be one/,
    netdev: 'interface = VETH\naddress = 10.77.0.1/24\nengine = afxdp\n',
    // Without a control socket it is anybody.
    beside: ['SELF', '--netdev', 'LABCONF', '--bind', '10.77.0.1', '--save', '', '--control-socket', ''],
  },
  {
    name: 'an mtu that the interface does not have',
    check: 'mtu',
    text: /mtu 1500 is more than the interface's own 1400/,
    netdev: 'interface = VETH\naddress = 10.77.0.1/24\nmtu = 1500\n',
    break: { server: 'ip link set VETH mtu 1400' },
    undo: { server: 'ip link set VETH mtu 1500' },
  },
  {
    name: 'several receive queues',
    check: 'queues',
    text: /spreads frames over 2 receive queues and afxdp reads one/,
    netdev: 'interface = wdqueues\naddress = 10.79.0.1/24\nengine = afxdp\n',
    break: {
      server:
        'ip link add wdqueues numrxqueues 2 numtxqueues 2 type veth peer name wdqueues netns CLIENT && ip link set wdqueues up && ethtool -L wdqueues rx 2 tx 1',
      client:
        'ip link set wdqueues up && ip address add 10.79.0.2/24 dev wdqueues && ethtool -K wdqueues tx off tso off gso off',
    },
    undo: { server: 'ip link del wdqueues' },
    address: '10.79.0.1',
  },
  {
    name: 'a veth whose other end leaves checksums out',
    check: 'offloads',
    text: /the other end of VETH, leaves TCP checksums out/,
    break: { client: 'ethtool -K VETH tx on' },
    undo: { client: 'ethtool -K VETH tx off tso off gso off' },
  },
  {
    name: 'a veth whose other end sends long segments',
    check: 'offloads',
    text: /sends segments longer than a frame/,
    netdev: 'interface = VETH\naddress = 10.77.0.1/24\nengine = afpacket\n',
    break: { client: 'ethtool -K VETH tx on tso on gso on sg on' },
    undo: { client: 'ethtool -K VETH tx off tso off gso off sg off' },
  },
  {
    name: 'received frames that wander over the cores',
    check: 'steering',
    verdict: 'warn',
    text: /hands received frames around cores 0, 1 /,
    break: { server: 'echo 3 > /sys/class/net/VETH/queues/rx-0/rps_cpus' },
    undo: { server: 'echo 1 > /sys/class/net/VETH/queues/rx-0/rps_cpus' },
    needs: 'nproc',
  },
  {
    name: "an address that is the kernel's",
    check: 'address',
    text: /the kernel has 10\.77\.0\.1 on VETH and would answer with RST/,
    break: { server: 'ip address add 10.77.0.1/16 dev VETH' },
  },
  {
    name: "an IPv6 address that is the kernel's",
    check: 'address',
    text: /the kernel has fd77::1 on VETH and would answer with RST/,
    netdev: 'interface = VETH\naddress = 10.77.0.1/24\naddress = fd77::1/64\n',
    break: {
      server: 'sysctl -q -w net.ipv6.conf.VETH.disable_ipv6=0; ip address add fd77::1/48 dev VETH nodad',
      client: 'sysctl -q -w net.ipv6.conf.VETH.disable_ipv6=0; ip address add fd77::2/64 dev VETH nodad',
    },
    undo: {
      server: 'sysctl -q -w net.ipv6.conf.VETH.disable_ipv6=1',
      client: 'sysctl -q -w net.ipv6.conf.VETH.disable_ipv6=1',
    },
    doctor: ['--peer', 'fd77::2'],
    server: ['--netdev', 'NETDEV', '--bind', '10.77.0.1', 'fd77::1'],
    address: 'fd77::1',
  },
  {
    name: 'an IPv6 gateway that nobody is',
    check: 'gateway',
    text: /nobody answers for fd77::99.*without a gateway the own network can be served/,
    netdev: 'interface = VETH\naddress = fd77::1/64\ngateway = fd77::99\n',
    break: { client: 'sysctl -q -w net.ipv6.conf.VETH.disable_ipv6=0; ip address add fd77::2/64 dev VETH nodad' },
    undo: { client: 'sysctl -q -w net.ipv6.conf.VETH.disable_ipv6=1' },
    address: 'fd77::1',
  },
  {
    name: 'an interface that the kernel uses',
    check: 'kernel use',
    text: /the kernel uses VETH with 10\.77\.0\.7\/24/,
    break: { server: 'ip address add 10.77.0.7/24 dev VETH' },
  },
  {
    name: 'a bind that netdev.conf does not have',
    check: 'bind',
    text: /--bind 10\.77\.0\.9 is no address of netdev\.conf, which has 10\.77\.0\.1/,
    doctor: ['--bind', '10.77.0.9'],
    address: '10.77.0.9',
  },
  {
    name: 'a kernel that forwards what comes for us',
    check: 'forwarding',
    verdict: 'warn',
    text: /the kernel forwards what comes in on VETH/,
    netdev: 'interface = VETH\naddress = 10.77.0.1/24\nengine = afpacket\n',
    break: { server: 'sysctl -q -w net.ipv4.conf.VETH.forwarding=1' },
  },
  {
    name: 'an address that another host has',
    check: 'taken',
    text: /another host has 10\.77\.0\.1: [0-9a-f:]{17}; 10\.77\.0\.3\/24 is free/,
    break: { client: 'ip address add 10.77.0.1/24 dev VETH' },
    undo: { client: 'ip address del 10.77.0.1/24 dev VETH' },
    address: '10.77.0.3',
  },
  {
    name: 'a gateway that nobody is',
    check: 'gateway',
    text: /nobody answers for 10\.77\.0\.200.*; 10\.77\.0\.2 does/,
    netdev: 'interface = VETH\naddress = 10.77.0.1/24\ngateway = 10.77.0.200\n',
  },
  {
    name: 'a peer in another network',
    check: 'peer',
    text: /there is no route to 192\.168\.77\.5: .*; 10\.77\.0\.2 may be one/,
    break: { client: 'ip address add 192.168.77.5/32 dev lo' },
    undo: { client: 'ip address del 192.168.77.5/32 dev lo' },
    doctor: ['--peer', '192.168.77.5'],
  },
  {
    name: 'a network that is too small',
    check: 'peer',
    text: /10\.77\.0\.2 answers on the link itself, but 10\.77\.0\.1\/32 leaves it out/,
    netdev: 'interface = VETH\naddress = 10.77.0.1/32\n',
    doctor: ['--peer', '10.77.0.2'],
  },
  {
    name: 'a network that is too large',
    check: 'peer',
    text: /nobody answers for 10\.99\.0\.7: .* It is behind 10\.77\.0\.2: the network is smaller than 10\.77\.0\.1\/8/,
    netdev: 'interface = VETH\naddress = 10.77.0.1/8\n',
    break: { client: 'ip address add 10.99.0.7/32 dev lo; sysctl -q -w net.ipv4.conf.VETH.arp_ignore=1' },
    undo: { client: 'ip address del 10.99.0.7/32 dev lo; sysctl -q -w net.ipv4.conf.VETH.arp_ignore=0' },
    doctor: ['--peer', '10.99.0.7'],
  },
  {
    name: 'a hardware address that another host has',
    check: 'peer',
    text: /10\.77\.0\.2 has our own hardware address, 02:00:00:00:77:02/,
    netdev: 'interface = VETH\naddress = 10.77.0.1/24\nmac = 02:00:00:00:77:02\n',
    break: { client: 'cat /sys/class/net/VETH/address > /tmp/CLIENT.mac; ip link set VETH address 02:00:00:00:77:02' },
    undo: { client: 'ip link set VETH address $(cat /tmp/CLIENT.mac); rm /tmp/CLIENT.mac' },
    doctor: ['--peer', '10.77.0.2'],
  },
  {
    name: 'a path narrower than our mtu',
    check: 'path',
    text: /packets of more than 1400 bytes do not reach 10\.77\.0\.2/,
    break: { client: 'ip link set VETH mtu 1400' },
    undo: { client: 'ip link set VETH mtu 1500' },
    doctor: ['--peer', '10.77.0.2'],
  },
  {
    name: 'a rule against the RSTs of the kernel that is missing',
    check: 'firewall',
    text: /a rule must drop the RSTs that the kernel sends from 10\.77\.1\.1/,
    netdev: 'interface = KLINK\naddress = 10.77.1.1/24\nengine = raw\n',
    undo: { server: 'nft flush ruleset' },
    address: '10.77.1.1',
    needs: 'nft',
  },
  {
    name: "an address that is not the kernel's, for engine raw",
    check: 'address',
    text: /engine raw needs 10\.77\.1\.8\/24 to be the kernel's on KLINK/,
    netdev: 'interface = KLINK\naddress = 10.77.1.8/24\nengine = raw\n',
    break: { server: RAW_RULE('10.77.1.8') },
    undo: { server: 'nft flush ruleset; ip address del 10.77.1.8/24 dev KLINK' },
    address: '10.77.1.8',
    needs: 'nft',
  },
  {
    name: 'a firewall that drops what comes for engine raw, of nftables',
    check: 'firewall',
    text: /nft drops what comes in: tcp dport 6379 drop/,
    netdev: 'interface = KLINK\naddress = 10.77.1.1/24\nengine = raw\n',
    break: {
      server: `${RAW_RULE('10.77.1.1')}; nft 'add table inet filter; add chain inet filter input { type filter hook input priority 0; }; add rule inet filter input tcp dport 6379 drop'`,
    },
    undo: { server: 'nft flush ruleset' },
    address: '10.77.1.1',
    needs: 'nft',
  },
  {
    name: 'a firewall that drops what comes from a tap, of iptables',
    check: 'firewall',
    text: /iptables drops what comes in: -P INPUT DROP/,
    netdev: 'interface = wdtapdoc\naddress = 10.78.0.1/24\nengine = tap\n',
    break: { server: 'iptables -P INPUT DROP; iptables -A INPUT -p icmp -j ACCEPT' },
    undo: { server: 'iptables -P INPUT ACCEPT; iptables -F INPUT' },
    // The client is the kernel at the other end of the tap.
    address: '',
    needs: 'iptables',
  },
  {
    name: 'a reverse path filter that drops what comes for engine raw',
    check: 'rp_filter',
    text: /the kernel drops what 10\.77\.1\.2 sends to KLINK, as it would answer by lo/,
    netdev: 'interface = KLINK\naddress = 10.77.1.1/24\nengine = raw\n',
    break: {
      server: `${RAW_RULE('10.77.1.1')}; sysctl -q -w net.ipv4.conf.KLINK.rp_filter=1; ip route add 10.77.1.2/32 dev lo`,
    },
    undo: {
      server:
        'nft flush ruleset; ip route del 10.77.1.2/32 dev lo; sysctl -q -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.KLINK.rp_filter=0',
    },
    doctor: ['--peer', '10.77.1.2'],
    address: '10.77.1.1',
    needs: 'nft',
  },
  {
    name: 'a port that another process has',
    check: 'port',
    text: /port 6379 is redis-server's \(\d+\)/,
    doctor: ['--transport', 'kernel', '--bind', '10.77.1.1'],
    server: ['--transport', 'kernel', '--bind', '10.77.1.1'],
    beside: ['redis-server', '--port', '6379', '--bind', '10.77.1.1', '--save', '', '--protected-mode', 'no'],
    address: '10.77.1.1',
  },
  {
    name: 'another server on the interface',
    check: 'other server',
    text: /server \d+ has VETH already/,
    beside: ['SELF', '--netdev', 'LABCONF', '--bind', '10.77.0.1', '--port', '6380', '--save', ''],
  },
];

function RAW_RULE(address: string): string {
  return `nft 'add table ip t; add chain ip t o { type filter hook output priority 0; }; add rule ip t o ip saddr ${address} tcp flags & rst == rst meta mark != 0x57 drop'`;
}

describeLab('doctor', () => {
  let lab: Lab;
  let directory = '';
  let netdev = '';
  let children: ChildProcess[] = [];

  beforeAll(async () => {
    lab = await openLab();
  });
  afterAll(() => lab?.down());
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'wiredis-doctor-'));
    netdev = join(directory, 'netdev.conf');
  });
  afterEach(async () => {
    for (const child of children) await stop(child);
    children = [];
    rmSync(directory, { recursive: true, force: true });
  });

  async function stop(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await gone;
  }

  /** A case's words with this lab's names. */
  function here(text: string): string {
    const { direct, kernel } = lab.plan.links;
    return text
      .replaceAll('VETH', direct.veth)
      .replaceAll('KLINK', kernel.veth)
      .replaceAll('LABCONF', lab.netdevFile('direct'))
      .replaceAll('CLIENT', lab.plan.namespaces.client);
  }

  const shell = (host: 'server' | 'client', script: string): Promise<Result> =>
    lab.run(host, ['sh', '-c', here(script)]);

  async function must(host: 'server' | 'client', script: string | undefined): Promise<void> {
    if (script === undefined) return;
    const { code, stderr } = await shell(host, script);
    expect(code, `${script}: ${stderr}`).toBe(0);
  }

  async function doctor(words: readonly string[], before: readonly string[] = []): Promise<Report> {
    const command = [...before, process.execPath, cliScript, 'doctor', '--json', ...words];
    const { code, stdout, stderr } = await lab.run('server', command);
    expect(stderr).toBe('');
    const report = JSON.parse(stdout) as Report;
    expect(code).toBe(report.ok ? 0 : 1);
    return report;
  }

  const rowOf = (report: Report, name: string): Row | undefined => report.checks.find((row) => row.name === name);

  async function startServer(words: readonly string[]): Promise<ChildProcess> {
    let said = '';
    const all = [process.execPath, serverScript, '--protected-mode', 'no', '--save', '', ...words];
    const child = lab.start('server', all, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (data) => (said += data));
    await eventually(
      () => (child.exitCode === null ? Promise.resolve(said) : Promise.reject(new Error(`it ended: ${said}`))),
      (log) => log.includes('Ready to accept connections'),
      20_000,
    );
    return child;
  }

  async function redisCliWorks(address: string): Promise<void> {
    const host = address === '' ? 'server' : 'client';
    if (address === '') await must('server', 'ip address add 10.78.0.2/24 dev wdtapdoc');
    const words = ['timeout', '5', 'redis-cli', '-h', address || '10.78.0.1', '-p', String(PORT)];
    // A value longer than a frame, there and back.
    const value = 'x'.repeat(20_000);
    expect((await lab.run(host, [...words, '-x', 'SET', 'a'], value)).stdout).toBe('OK\n');
    expect((await lab.run(host, [...words, 'GET', 'a'])).stdout.trim()).toBe(value);
  }

  async function startBeside({ beside }: Case): Promise<void> {
    if (beside === undefined) return;
    const [program, ...words] = beside.map(here);
    const command = program === 'SELF' ? [process.execPath, serverScript, ...words] : [program, ...words];
    const child = lab.start('server', command, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    let said = '';
    child.stdout!.on('data', (data) => (said += data));
    await eventually(
      async () => said,
      (log) => log.includes('Ready to accept connections'),
      20_000,
    );
  }

  async function broken(one: Case, use: () => Promise<void>): Promise<void> {
    writeFileSync(netdev, here(one.netdev ?? 'interface = VETH\naddress = 10.77.0.1/24\n'));
    try {
      await must('server', one.break?.server);
      await must('client', one.break?.client);
      await startBeside(one);
      await use();
    } finally {
      await shell('server', one.undo?.server ?? 'true');
      await shell('client', one.undo?.client ?? 'true');
    }
  }

  const cases = CASES.map((one) => {
    const missing = one.needs !== undefined && !hasProgram(one.needs) ? ` [skipped: needs ${one.needs}]` : '';
    return { ...one, title: one.name + missing, skip: missing !== '' };
  });

  for (const one of cases) {
    it.skipIf(one.skip)(one.title, async () => {
      await broken(one, async () => {
        const words = ['--netdev', netdev, ...(one.doctor ?? [])];
        const first = await doctor(words);
        const before = rowOf(first, one.check);
        expect(before, JSON.stringify(first.checks)).toMatchObject({ verdict: one.verdict ?? 'fail' });
        expect(before!.text).toMatch(new RegExp(here(one.text.source)));
        expect(before!.mend, before!.text).toBeTypeOf('string');

        await must('server', before!.mend);
        // What one thing hid may come to light.
        await eventually(
          async () => {
            const report = await doctor(words);
            await must('server', report.checks.find(({ mend }) => mend !== undefined)?.mend);
            return report;
          },
          ({ checks }) => checks.every(({ verdict }) => verdict === 'pass'),
          20_000,
        );
        const binds = one.address === '' ? '10.78.0.1' : (one.address ?? '10.77.0.1');
        await startServer(
          one.server?.map((word) => (word === 'NETDEV' ? netdev : word)) ?? ['--netdev', netdev, '--bind', binds],
        );
        await redisCliWorks(one.address ?? '10.77.0.1');
      });
    });
  }

  describe('of the process', () => {
    const conf = (extra = ''): void =>
      writeFileSync(netdev, here(`interface = VETH\naddress = 10.77.0.1/24\nengine = afxdp\n${extra}`));

    /** What a script has left: before and after the mend. */
    const bothReports = (): [Report, Report] => {
      const read = (name: string): Report => JSON.parse(readFileSync(join(directory, name), 'utf8'));
      return [read('first.json'), read('second.json')];
    };

    /** Runs doctor, its mend for `check`, and doctor again, in one shell. */
    async function inOneShell(check: string, node: string, before: string): Promise<[Report, Report]> {
      const run = `${node} ${cliScript} doctor --json --netdev ${netdev}`;
      const mend = `${process.execPath} -e 'const { checks } = JSON.parse(require("fs").readFileSync("first.json")); console.log(checks.find(({ name }) => name === "${check}").mend)'`;
      const script = `cd ${directory}; ${before}${run} > first.json; eval "$(${mend})"; ${run} > second.json; true`;
      const { code, stderr } = await lab.run('server', ['sh', '-c', script]);
      expect(code, stderr).toBe(0);
      return bothReports();
    }

    it('too little memory may be locked', async () => {
      conf('rx-ring = 256\ntx-ring = 256\n');
      // With cap_ipc_lock there is no limit.
      const without = 'setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock';
      const script = `#!/bin/sh\nexec ${without} ${process.execPath} "$@"\n`;
      const node = join(directory, 'node');
      writeFileSync(node, script, { mode: 0o755 });
      const [first, second] = await inOneShell('memlock', node, 'ulimit -S -l 64; ');
      expect(rowOf(first, 'memlock')).toMatchObject({
        verdict: 'fail',
        text: expect.stringMatching(/afxdp locks \d+ KiB/),
      });
      expect(first.ok).toBe(false);
      expect(rowOf(second, 'memlock')).toMatchObject({ verdict: 'pass' });
      expect(second.ok).toBe(true);
    });

    it.skipIf(!hasProgram('setcap'))('capabilities are missing', async () => {
      conf();
      // A Node of its own, which may be given them.
      const binary = join(directory, 'node-copy');
      copyFileSync(process.execPath, binary);
      chmodSync(directory, 0o755);
      const node = join(directory, 'node');
      writeFileSync(node, `#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups ${binary} "$@"\n`, {
        mode: 0o755,
      });
      const run = `${node} ${cliScript} doctor --json --netdev ${netdev}`;
      const look = async (): Promise<Report> => JSON.parse((await lab.run('server', ['sh', '-c', run])).stdout);
      const first = rowOf(await look(), 'privileges');
      expect(first).toMatchObject({
        verdict: 'fail',
        text: expect.stringMatching(/cap_net_admin, cap_net_raw, cap_bpf/),
      });
      expect(first!.mend).toMatch(/^sudo setcap .*\/node-copy$/);
      // The test is root and may have no sudo.
      await must('server', first!.mend!.replace(/^sudo /, ''));
      const second = await look();
      expect(second.checks.filter(({ verdict }) => verdict === 'fail')).toEqual([]);
      expect(rowOf(second, 'engine')).toMatchObject({ verdict: 'pass', text: expect.stringContaining('afxdp opens') });
    });

    it('a slow clock source', async () => {
      conf();
      const clock = '/sys/devices/system/clocksource/clocksource0';
      const fakes = `printf 'tsc hpet\\n' > available; printf 'hpet\\n' > current; mount --bind available ${clock}/available_clocksource; mount --bind current ${clock}/current_clocksource`;
      const run = `${process.execPath} ${cliScript} doctor --json --netdev ${netdev}`;
      const script = `cd ${directory}; ${fakes}; ${run} > first.json; echo tsc > current; ${run} > second.json; true`;
      await lab.must('server', ['unshare', '--mount', 'sh', '-ec', script]);
      const [first, second] = bothReports();
      expect(rowOf(first, 'clock')).toMatchObject({
        verdict: 'warn',
        text: expect.stringContaining('hpet is slow'),
        mend: `sh -c 'echo tsc > ${clock}/current_clocksource'`,
      });
      expect(rowOf(second, 'clock')).toMatchObject({ verdict: 'pass' });
    });

    it('a driver without XDP of its own', async () => {
      writeFileSync(netdev, 'interface = wddummy\naddress = 10.80.0.1/24\nengine = afxdp\n');
      await must('server', 'ip link add wddummy type bridge && ip link set wddummy up');
      try {
        const report = await doctor(['--netdev', netdev]);
        expect(rowOf(report, 'driver')).toMatchObject({
          verdict: 'warn',
          text: expect.stringContaining('generic mode'),
        });
      } finally {
        await must('server', 'ip link del wddummy');
      }
    });

    it('no fault with jumbo frames where AF_XDP carries them, and else what carries them', async () => {
      writeFileSync(netdev, here('interface = VETH\naddress = 10.77.0.1/24\nengine = afxdp\n'));
      for (const host of ['server', 'client'] as const) await must(host, here('ip link set VETH mtu 9000'));
      try {
        const report = await doctor(['--netdev', netdev]);
        if (carriesParts()) {
          expect(rowOf(report, 'mtu')).toMatchObject({ verdict: 'pass', text: 'packets of up to 9000 bytes' });
          expect(rowOf(report, 'driver')!.text).toMatch(/afxdp, XDP in the driver, .*jumbo frames in parts/);
        } else {
          const text = expect.stringContaining('afxdp has no room for frames of 9000 bytes before Linux 6.6');
          expect(rowOf(report, 'mtu')).toMatchObject({ verdict: 'fail', text });
        }
      } finally {
        for (const host of ['server', 'client'] as const) await must(host, here('ip link set VETH mtu 1500'));
      }
    });

    it("an interface in another network namespace: started there, doctor's words work", async () => {
      conf();
      const { namespaces } = lab.plan;
      // Not on the client's host: on this machine's own network.
      const look = await run([process.execPath, cliScript, 'doctor', '--json', '--netdev', netdev]);
      const row = rowOf(JSON.parse(look.stdout), 'interface');
      expect(row).toMatchObject({ verdict: 'fail' });
      expect(row!.text).toContain(
        `is in network namespace ${namespaces.server}: put 'ip netns exec ${namespaces.server}'`,
      );
      const there = ['ip', 'netns', 'exec', namespaces.server, process.execPath, cliScript];
      expect((await run([...there, 'doctor', '--netdev', netdev])).code).toBe(0);
    });

    it('an interface whose name is in two other network namespaces', async () => {
      // The kernel has an address on both ends of this veth: neither looks like the one that is meant.
      writeFileSync(netdev, here('interface = KLINK\naddress = 10.77.0.1/24\n'));
      const look = await run([process.execPath, cliScript, 'doctor', '--json', '--netdev', netdev]);
      const row = rowOf(JSON.parse(look.stdout), 'interface');
      expect(row).toMatchObject({ verdict: 'fail' });
      expect(row!.text).toMatch(/ is in network namespaces \S+ and \S+: put '.*ip netns exec NAME' before/);
      for (const namespace of Object.values(lab.plan.namespaces)) expect(row!.text).toContain(namespace);
    });

    it('a package that was left out when wiredis was installed', async () => {
      writeFileSync(netdev, here('interface = VETH\naddress = 10.77.0.1/24\nengine = pcap\n'));
      // The built program with every package but one.
      const copy = join(directory, 'copy');
      mkdirSync(join(copy, 'node_modules'), { recursive: true });
      cpSync(dist, join(copy, 'dist'), { recursive: true });
      cpSync(join(root, 'package.json'), join(copy, 'package.json'));
      const modules = join(root, 'node_modules');
      for (const name of readdirSync(modules)) {
        if (name !== 'cap') symlinkSync(join(modules, name), join(copy, 'node_modules', name));
      }
      const words = [process.execPath, join(copy, 'dist', 'src', 'cli', 'wiredis.js'), 'doctor', '--json'];
      const look = async (): Promise<Report> =>
        JSON.parse((await lab.run('server', [...words, '--netdev', netdev])).stdout);
      const before = rowOf(await look(), 'packages');
      expect(before).toMatchObject({
        verdict: 'fail',
        text: 'engine pcap needs package cap, which was left out when wiredis was installed',
      });
      expect(before!.mend).toMatch(
        new RegExp(
          `^apt-get install -y libpcap-dev python3 make g\\+\\+ && npm --prefix ${copy} install --no-save cap$`,
        ),
      );
      // What npm does is npm's: here the package is brought as it would bring it.
      symlinkSync(join(modules, 'cap'), join(copy, 'node_modules', 'cap'));
      expect((await look()).ok).toBe(true);
    });

    it('a peer whose IPv6 is off: what has to be done there is said, and mends it', async () => {
      writeFileSync(netdev, here('interface = VETH\naddress = 10.77.0.1/24\naddress = fd77::1/64\n'));
      const words = ['--netdev', netdev, '--peer', '10.77.0.2', '--peer', 'fd77::2'];
      const off = 'for one in all default lo; do sysctl -q -w net.ipv6.conf.$one.disable_ipv6=1; done';
      await must('client', off);
      try {
        const row = rowOf(await doctor(words), 'peer');
        expect(row).toMatchObject({
          verdict: 'fail',
          text: expect.stringMatching(/^nobody answers for fd77::2, though 10\.77\.0\.2 does: .* IPv6 is off there/),
        });
        expect(row, 'nothing that this host could run').not.toHaveProperty('mend');
        const said = [...row!.text.matchAll(/'([^']+)'/g)].map(([, command]) => command);
        expect(said).toHaveLength(2);
        for (const command of said) await must('client', command.replace('INTERFACE', 'VETH'));
        const mended = await eventually(
          () => doctor(words),
          ({ ok }) => ok,
          20_000,
        );
        expect(rowOf(mended, 'peer')!.text).toMatch(/10\.77\.0\.2 .* answers in .*; fd77::2 .* answers in /);
      } finally {
        await must('client', off);
      }
    });

    it('an IPv6 peer, and no IPv6 address or another network', async () => {
      const said = async (): Promise<Row | undefined> =>
        rowOf(await doctor(['--netdev', netdev, '--peer', 'fd77::2']), 'peer');
      conf();
      expect(await said()).toMatchObject({
        verdict: 'fail',
        text: "'fd77::2' needs an IPv6 address of ours in netdev.conf",
      });
      conf('address = fd78::1/64\n');
      expect(await said()).toMatchObject({
        verdict: 'fail',
        text: "there is no route to fd77::2: netdev.conf needs an IPv6 'gateway' or 'route'",
      });
    });

    it('no netdev.conf, a peer that nobody is', async () => {
      expect(rowOf(await doctor(['--netdev', join(directory, 'none.conf')]), 'netdev.conf')).toMatchObject({
        verdict: 'fail',
        text: expect.stringContaining('--netdev FILE'),
      });
      conf();
      expect(rowOf(await doctor(['--netdev', netdev, '--peer', '10.77.0.66']), 'peer')).toMatchObject({
        verdict: 'fail',
        text: expect.stringContaining('nobody answers for 10.77.0.66'),
      });
    });
  });

  describe('on a running server', () => {
    it('has nothing to say against a sound one, and finds it by itself', async () => {
      await startServer(['--netdev', lab.netdevFile('direct'), '--bind', '10.77.0.1']);
      const report = await doctor(['--peer', '10.77.0.2']);
      expect(report.checks.filter(({ verdict }) => verdict !== 'pass')).toEqual([]);
      const names = report.checks.map(({ name }) => name);
      expect(names).toEqual(
        expect.arrayContaining(['engine', 'peer', 'path', 'drops', 'rings', 'SYN cookies', 'limits']),
      );
      expect(rowOf(report, 'driver')!.text).toMatch(/afxdp, XDP in the driver, frames are copied/);
      await redisCliWorks('10.77.0.1');
    });

    it('sees what it loses, and who does not answer, without dropping a request', async () => {
      writeFileSync(
        netdev,
        here('interface = VETH\naddress = 10.77.0.1/24\nsyn-cookies = always\nmax-connections = 20\n'),
      );
      const server = await startServer(['--netdev', netdev, '--bind', '10.77.0.1']);
      const flow = 'while :; do timeout 2 redis-cli -h 10.77.0.1 PING > /dev/null || echo lost; done';
      const load = lab.start('client', ['sh', '-c', flow], { stdio: ['ignore', 'pipe', 'ignore'] });
      children.push(load);
      let lost = '';
      load.stdout!.on('data', (data) => (lost += data));
      const report = await doctor(['--server', String(server.pid), '--peer', '10.77.0.66']);
      expect(rowOf(report, 'SYN cookies')).toMatchObject({ verdict: 'warn' });
      expect(rowOf(report, 'neighbours')).toMatchObject({
        verdict: 'warn',
        text: expect.stringContaining('10.77.0.66'),
      });
      expect(rowOf(report, 'peer')).toMatchObject({ verdict: 'fail' });
      expect(lost).toBe('');
      const idle = lab.start(
        'client',
        ['sh', '-c', 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do nc 10.77.0.1 6379 & done; wait'],
        { stdio: ['pipe', 'ignore', 'ignore'] },
      );
      children.push(idle);
      const full = await eventually(
        () => doctor(['--server', String(server.pid)]),
        (one) => rowOf(one, 'limits')?.verdict === 'warn',
        20_000,
      );
      expect(rowOf(full, 'limits')!.mend).toContain('max-connections = 40');
    });

    it('sees checksums that a veth leaves out', async () => {
      await startServer(['--netdev', lab.netdevFile('direct'), '--bind', '10.77.0.1']);
      await must('client', 'ethtool -K VETH tx on');
      try {
        const flow = 'while :; do timeout 1 redis-cli -h 10.77.0.1 PING > /dev/null; done';
        children.push(lab.start('client', ['sh', '-c', flow], { stdio: 'ignore' }));
        const report = await eventually(
          () => doctor([]),
          (one) => rowOf(one, 'drops')?.verdict === 'warn',
          20_000,
        );
        expect(rowOf(report, 'drops')!.text).toMatch(/tcp-bad-checksum \d+.*see 'offloads' above/);
        await must('server', rowOf(report, 'offloads')!.mend);
        await redisCliWorks('10.77.0.1');
      } finally {
        await must('client', 'ethtool -K VETH tx off tso off gso off');
      }
    });
  });
});
