// What doctor reads out of other programs' words. The checks themselves are tried in test/lab/doctor.test.ts.
import { describe, expect, it } from 'vitest';
import { setKeyCommand } from './check.ts';
import { rowLines, summary } from './checks.ts';
import { iptablesObstacle, nftObstacle } from './firewall.ts';
import { parseIfInet6 } from './host-addresses.ts';
import { jitFinding } from './host-checks.ts';
import { coresOf } from './interface-checks.ts';
import { commandOf } from './network-checks.ts';
import { packageFinding } from './packages.ts';
import { isLinkTo } from './xdp-owner.ts';

describe('rules of iptables', () => {
  const look = (rules: string[], name = 'eth1', fromPort = false) =>
    iptablesObstacle(['-P INPUT ACCEPT', ...rules].join('\n'), name, 6379, fromPort)?.rule ?? null;

  it.each([
    ['-A INPUT -p tcp -m tcp --dport 6379 -j DROP'],
    ['-A INPUT -i eth1 -j REJECT --reject-with icmp-port-unreachable'],
    ['-A INPUT -j DROP'],
  ])('%s stands in the way', (rule) => {
    expect(look([rule])).toBe(rule);
    expect(look(['-A INPUT -i lo -j ACCEPT', rule])).toBe(rule);
    expect(look(['-A INPUT -i eth1 -p tcp -m tcp --dport 6379 -j ACCEPT', rule])).toBe(null);
  });

  it.each([
    ['-A INPUT -i eth0 -j DROP'],
    ['-A INPUT -p tcp -m tcp --dport 22 -j DROP'],
    ['-A INPUT -p udp -j DROP'],
    ['-A INPUT -s 10.0.0.9/32 -j DROP'],
    ['-A INPUT -m conntrack --ctstate INVALID -j DROP'],
    ['-A INPUT -p tcp -m tcp --dport 6379 -j LOG'],
  ])('%s does not', (rule) => {
    expect(look([rule])).toBe(null);
  });

  it('the policy counts when no rule lets it in', () => {
    const listing = ['-P INPUT DROP', '-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT'].join('\n');
    expect(iptablesObstacle(listing, '', 6379, false)).toEqual({
      tool: 'iptables',
      rule: '-P INPUT DROP',
      mend: 'iptables -I INPUT -p tcp --dport 6379 -j ACCEPT',
    });
    expect(iptablesObstacle(`${listing}\n-A INPUT -p tcp -m tcp --dport 6379 -j ACCEPT`, '', 6379, false)).toBe(null);
    expect(iptablesObstacle(listing, 'tap0', 6379, true)?.mend).toContain('-i tap0 -p tcp --sport 6379 -j ACCEPT');
  });
});

describe('rules of nftables', () => {
  const chain = (rules: string, policy = 'accept', hook = 'input'): string => `table inet filter { # handle 1
	chain input { # handle 1
		type filter hook ${hook} priority filter; policy ${policy};
${rules
  .split('\n')
  .map((rule, i) => `\t\t${rule} # handle ${i + 2}`)
  .join('\n')}
	}
}`;
  const look = (listing: string) => nftObstacle(listing, 'eth1', 6379, false)?.rule ?? null;

  it('that drop the port, the interface, or everything', () => {
    expect(look(chain('tcp dport 6379 drop'))).toBe('tcp dport 6379 drop');
    expect(look(chain('iifname "eth1" reject'))).toBe('iifname "eth1" reject');
    expect(look(chain('tcp dport 22 accept', 'drop'))).toBe('type filter hook input priority filter; policy drop;');
    expect(nftObstacle(chain('counter packets 0 bytes 0 drop'), 'eth1', 6379, false)?.mend).toBe(
      `nft 'insert rule inet filter input iifname "eth1" tcp dport 6379 accept'`,
    );
  });

  it('that do not', () => {
    expect(look(chain('tcp dport 22 drop\niifname "eth0" drop\nip saddr 10.0.0.9 drop\nct state invalid drop'))).toBe(
      null,
    );
    expect(look(chain('tcp dport 6379 accept\ndrop'))).toBe(null);
    expect(look(chain('tcp dport 6379 drop', 'accept', 'output'))).toBe(null);
    expect(look('')).toBe(null);
  });

  it('what one chain accepts the next may drop', () => {
    expect(look(`${chain('tcp dport 6379 accept')}\n${chain('drop')}`)).toBe('drop');
  });
});

describe('a report', () => {
  it('has a line a check, and one for the command', () => {
    const row = { name: 'link', verdict: 'fail', text: 'eth1 is down', mend: 'ip link set eth1 up' } as const;
    const [line, mend] = rowLines(row);
    expect(line).toMatch(/^fail {2}link +eth1 is down$/);
    expect(mend).toMatch(/^ +mend: ip link set eth1 up$/);
    expect(rowLines({ name: 'clock', verdict: 'pass', text: 'tsc' })).toHaveLength(1);
    expect(summary([row])).toBe('0 pass, 0 warn, 1 fail: mend the first failure, then look again');
    expect(summary([])).toBe('0 pass, 0 warn, 0 fail');
  });

  it('takes commands out of the errors of engines', () => {
    const queues =
      'eth1 spreads frames over 4 receive queues: sudo ethtool -L eth1 combined 1, or use engine = afpacket';
    expect(commandOf(queues)).toBe('ethtool -L eth1 combined 1');
    expect(commandOf('eth1 is down: sudo ip link set eth1 up')).toBe('ip link set eth1 up');
    expect(commandOf('opening needs CAP_NET_RAW: run with sudo')).toBe(undefined);
  });

  it('sets a key of netdev.conf in place of what it is', () => {
    expect(setKeyCommand('a.conf', 'mtu', '1400')).toBe(`sed -i '/^ *mtu *=/d' a.conf && echo 'mtu = 1400' >> a.conf`);
  });
});

it('reads the mask of rps_cpus', () => {
  expect(coresOf('00')).toEqual([]);
  expect(coresOf('3')).toEqual([0, 1]);
  expect(coresOf('00000001,00000000')).toEqual([32]);
});

it("reads the kernel's IPv6 addresses", () => {
  const text = `20010db8000000000000000000000005 02 40 00 80     eth1
fe80000000000000704b83fffe11ee01 02 40 20 80     eth1
`;
  expect(parseIfInet6(text)).toEqual([
    { name: 'eth1', address: '2001:db8::5', prefixLength: 64, isLinkLocal: false },
    { name: 'eth1', address: 'fe80::704b:83ff:fe11:ee01', prefixLength: 64, isLinkLocal: true },
  ]);
  expect(parseIfInet6('')).toEqual([]);
});

describe('packages that are compiled', () => {
  const missing = (): never => {
    throw new Error('nothing');
  };
  it('are named with what installs them, or compiles them again', () => {
    expect(packageFinding('afxdp', missing, () => false, '/opt/w')).toBeNull();
    expect(
      packageFinding(
        'pcap',
        () => ({}),
        () => true,
        '/opt/w',
      ),
    ).toMatchObject({ verdict: 'pass' });
    const absent = packageFinding('raw', missing, () => false, '/nowhere/w');
    expect(absent).toMatchObject({ verdict: 'fail', text: expect.stringContaining('was left out') });
    expect(absent!.mend).toMatch(/npm --prefix \/nowhere\/w install --no-save raw-socket$/);
    const broken = packageFinding('pcap', missing, () => true, '/nowhere/w');
    expect(broken).toMatchObject({ verdict: 'fail', text: expect.stringContaining('compiled for another Node') });
    expect(broken!.mend).toMatch(/npm --prefix \/nowhere\/w rebuild cap$/);
  });
});

it('says so when the kernel interprets BPF programs', () => {
  expect(jitFinding('')).toBeNull();
  expect(jitFinding('1')).toMatchObject({ verdict: 'pass' });
  expect(jitFinding('0')).toMatchObject({
    verdict: 'warn',
    mend: expect.stringContaining('sysctl -w net.core.bpf_jit_enable=1'),
  });
});

it('knows the link of an XDP program by what the kernel says of a descriptor', () => {
  const fdinfo = 'pos:\t0\nflags:\t02000002\nlink_type:\txdp\nlink_id:\t2993\nprog_id:\t3741\nifindex:\t2\n';
  expect(isLinkTo(fdinfo, 2)).toBe(true);
  expect(isLinkTo(fdinfo, 3)).toBe(false);
  expect(isLinkTo(fdinfo.replace('xdp', 'tcx'), 2)).toBe(false);
});
