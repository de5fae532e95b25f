import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ACK, classicFile, FIN, type MadePacket, made, RST, SYN } from '../../../test/support/captured.ts';
import { compileFilter } from './filter.ts';

const ARP = Uint8Array.from([
  ...[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
  ...[2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2],
]);

const packets: MadePacket[] = [
  made({ flags: SYN }),
  made({ side: 1, flags: SYN | ACK }),
  made({ payload: 'x'.repeat(200) }),
  made({ side: 1, flags: FIN | ACK }),
  made({ flags: RST, clientPort: 50_000 }),
  made({ version: 6, payload: 'six' }),
  made({ version: 6, side: 1, flags: SYN | ACK, clientPort: 6380 }),
  { ...made({}), bytes: ARP, originalLength: ARP.length },
];

const FILTERS = [
  '',
  'host 10.0.0.2',
  'src host 10.0.0.2',
  'dst 10.0.0.2',
  'src or dst host 10.0.0.1',
  'net 10.0.0.0/8',
  'net 10.0',
  'src net 10.0.0.2/31',
  'dst net 192.168.0.0/16',
  'port 6379',
  'src port 6379',
  'tcp dst port 6379',
  'tcp port 40000 or 50000',
  'portrange 40000-50000',
  'dst portrange 6379-6380',
  'arp',
  'ip',
  'ip6',
  'udp or icmp',
  'ip6 and port 6380',
  'host fd00::a00:2',
  'net fd00::/8',
  'tcp[tcpflags] & tcp-syn != 0',
  'tcp[tcpflags] & (tcp-syn|tcp-fin) != 0',
  'tcp[tcpflags] == tcp-rst',
  'tcp[13] = 18',
  'tcp[tcpflags] & (tcp-syn|tcp-ack) == (tcp-syn|tcp-ack)',
  'not port 6379',
  '!(src port 6379 || dst port 6379)',
  'host 10.0.0.2 and not (tcp[tcpflags] & tcp-syn != 0 or arp)',
  'arp or ip and src 10.0.0.2',
  'less 60',
  'greater 100',
];

const folder = mkdtempSync(join(tmpdir(), 'filter-'));
afterAll(() => rmSync(folder, { recursive: true }));
const hasTcpdump = spawnSync('tcpdump', ['--version']).status === 0;

function kept(filter: string, from: readonly MadePacket[] = packets): number[] {
  const matches = compileFilter(filter, 1);
  return from.flatMap(({ bytes }, i) => (matches(Uint8Array.from([7, 7, ...bytes]), 2, bytes.length) ? [i] : []));
}

describe('a capture filter', () => {
  it('picks by host, net, port, flags and protocol', () => {
    expect(kept('src host 10.0.0.2')).toEqual([0, 2, 4]);
    expect(kept('host 10.0.0.1 and port 40000')).toEqual([0, 1, 2, 3]);
    expect(kept('ip6')).toEqual([5, 6]);
    expect(kept('tcp[tcpflags] & (tcp-syn|tcp-fin) != 0')).toEqual([0, 1, 3, 6]);
    expect(kept('not tcp')).toEqual([7]);
    expect(kept('host 10.0.0.2 and not (tcp-syn or arp)')).toEqual([2, 3, 4]);
  });

  it('looks through VLAN tags, and knows their numbers', () => {
    const tagged = [made({ vlan: 42 }), made({ vlan: 43, side: 1 }), made({})];
    expect(kept('port 6379', tagged)).toEqual([0, 1, 2]);
    expect(kept('vlan', tagged)).toEqual([0, 1]);
    expect(kept('vlan 42 and src 10.0.0.2', tagged)).toEqual([0]);
  });

  it.skipIf(!hasTcpdump).each(FILTERS)('picks what tcpdump picks: %s', (filter) => {
    const file = join(folder, 'frames.pcap');
    // tcpdump has to tell them apart: by their times.
    writeFileSync(file, classicFile(packets.map((packet, i) => ({ ...packet, unixUs: (1000 + i) * 1e6 }))));
    const said = execFileSync('tcpdump', ['-nn', '-tt', '-r', file, filter], { encoding: 'utf8', stdio: 'pipe' });
    const theirs = said.split('\n').flatMap((line) => (/^\d/.test(line) ? [Number.parseInt(line, 10) - 1000] : []));
    // Its tcp[...] knows IPv4 only.
    expect(kept(filter.includes('[') ? `ip and ${filter}` : filter)).toEqual(theirs);
  });

  it.each([
    ['prot 80', 1, "'prot' is neither an address nor a word of the language"],
    ['host 10.0.0.1 and', 18, 'a condition is missing at the end'],
    ['(port 80', 9, "')' is missing"],
    ['port 80 port 81', 9, "'port' is not expected there"],
    ['tcp port 99999', 10, "port wants a number up to 65535, not '99999'"],
    ['net 10.0.0.0/33', 5, "'10.0.0.0/33' has no such prefix"],
    ['port 80 and tcp[tcpflags] & syn != 0', 29, "'syn' is no flag"],
    ['portrange 9-8', 11, 'portrange wants FIRST-LAST'],
    ['host 10.0.0.1.2', 6, "'10.0.0.1.2' is neither"],
    ['host 10.0.0.1)', 14, "')' is not expected there"],
  ])('says what is wrong, and where: %s', (filter, character, complaint) => {
    expect(() => compileFilter(filter, 1)).toThrow(`filter, character ${character}: ${complaint}`);
  });

  it('takes any bytes at all', () => {
    const matches = compileFilter('tcp port 6379 or vlan 7 or net fd00::/8', 1);
    const { bytes } = made({ vlan: 7, version: 6, payload: 'abc' });
    for (let length = 0; length <= bytes.length; length++) matches(bytes.slice(0, length), 0, length);
    expect(matches(bytes, 0, bytes.length)).toBe(true);
  });
});
