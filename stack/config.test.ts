import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { NetdevConfigError, parseNetdevConf } from './config.ts';
import { KEY_NAMES, referenceText, UNSUPPORTED_KEYS } from './config-schema.ts';

const MINIMAL = 'interface = eth1\naddress = 10.0.0.1/24\n';

function failure(text: string, overrides: [string, string][] = []): NetdevConfigError {
  try {
    parseNetdevConf(text, 'netdev.conf', overrides);
  } catch (error) {
    expect(error).toBeInstanceOf(NetdevConfigError);
    return error as NetdevConfigError;
  }
  throw new Error('no error was thrown');
}

describe('parseNetdevConf', () => {
  it('fills in defaults', () => {
    expect(parseNetdevConf(MINIMAL, 'netdev.conf')).toEqual({
      engine: {
        engine: 'auto',
        interface: 'eth1',
        mac: null,
        mtu: 0,
        rxRing: 8192,
        txRing: 2048,
        queues: 1,
        addresses: [{ ip: 0x0a000001, prefixLength: 24 }],
        rxChecksum: 'auto',
        tso: 'auto',
        busyPollUs: 0,
        coalesceUs: 125,
        vlan: 0,
        ipv6: false,
      },
      addresses: [{ ip: 0x0a000001, prefixLength: 24 }],
      dhcp: false,
      hostName: 'wiredis',
      vlan: 0,
      addressCheckMs: 200,
      gateway: null,
      routes: [],
      arp: [],
      ipv6: null,
      rxChecksum: 'auto',
      maxConnections: 100000,
      receiveBuffer: 8 * 1024 * 1024,
      sendBuffer: 4 * 1024 * 1024,
      bufferMemory: 512 * 1024 * 1024,
      congestion: 'cubic',
      ecn: 'accept',
      synCookies: 'on',
      userTimeoutMs: 0,
      ttl: 64,
      tos: 0,
      rtoMinMs: 200,
      delayedAckMs: 40,
      keepaliveMs: 0,
      timeWaitMs: 60000,
    });
  });

  it('reads every kind of value, comments, blank lines and CRLF', () => {
    const config = parseNetdevConf(
      [
        '# a comment',
        '',
        'interface=eth1   # the fast one',
        '  engine = afxdp',
        'address = 10.0.0.1/24',
        'address = 192.168.7.1/30',
        'gateway = 10.0.0.254',
        'mac = 02:AA:00:00:00:01',
        'mtu = 9000',
        'route = 172.16.0.0/12 via 192.168.7.2',
        'route = 10.9.0.0/16 on-link',
        'arp = 10.0.0.9 02:00:00:00:00:09',
        'receive-buffer = 1mb',
        'send-buffer = 100k',
        'rto-min = 10ms',
        'delayed-ack = 1ms',
        'keepalive = 5min',
        'busy-poll = 30us',
        'rx-checksum = trust',
      ].join('\r\n'),
      'netdev.conf',
    );
    expect(config).toMatchObject({
      gateway: 0x0a0000fe,
      routes: [
        { network: 0xac100000 | 0, prefixLength: 12, gateway: 0xc0a80702 | 0 },
        { network: 0x0a090000, prefixLength: 16, gateway: null },
      ],
      arp: [{ ip: 0x0a000009, mac: new Uint8Array([2, 0, 0, 0, 0, 9]) }],
      receiveBuffer: 1048576,
      sendBuffer: 100000,
      rtoMinMs: 10,
      delayedAckMs: 1,
      keepaliveMs: 300000,
      rxChecksum: 'trust',
      engine: {
        engine: 'afxdp',
        mac: new Uint8Array([2, 0xaa, 0, 0, 0, 1]),
        mtu: 9000,
        tso: 'auto',
        busyPollUs: 30,
        coalesceUs: 125,
        vlan: 0,
        ipv6: false,
        rxChecksum: 'trust',
      },
    });
    expect(config.addresses).toHaveLength(2);
  });

  it('lets overrides replace what the file says', () => {
    const config = parseNetdevConf(`${MINIMAL}engine = pcap\nmtu = 1400\n`, 'netdev.conf', [
      ['engine', 'tap'],
      ['address', '10.1.0.1/24'],
      ['address', '10.2.0.1/24'],
    ]);
    expect(config.engine).toMatchObject({ engine: 'tap', mtu: 1400 });
    expect(config.addresses.map(({ ip }) => ip)).toEqual([0x0a010001, 0x0a020001]);
    expect(failure(MINIMAL, [['engine', 'dpdk']])).toMatchObject({
      code: 'BAD_VALUE',
      message: "--engine: 'engine' must be one of auto, afxdp, afpacket, pcap, tap, raw (it is 'dpdk')",
    });
    expect(failure(MINIMAL, [['bogus', '1']])).toMatchObject({ code: 'UNKNOWN_KEY', line: 0 });
  });

  it('names file, line and what is allowed', () => {
    expect(failure(`${MINIMAL}intreface = eth0`)).toMatchObject({ code: 'UNKNOWN_KEY', line: 3 });
    expect(failure(`${MINIMAL}intreface = eth0`).message).toContain(
      "netdev.conf:3: 'intreface' is not a key; the keys are",
    );
    expect(failure(`${MINIMAL}mtu 1500`)).toMatchObject({ code: 'SYNTAX', line: 3 });
    const binary = failure(`${MINIMAL}\x1b[2J\x00\uFFFD\u202e é${'x'.repeat(1000)}`);
    expect(binary.message).toContain("'\\u001b[2J\\u0000\\ufffd\\u202e éxxx");
    expect(binary.message.length).toBeLessThan(500);
    for (const line of ['mtu = \x1b[2J', '\x1b[2J = 1', 'address = \x1b[2J/24'])
      expect(failure(`${MINIMAL.replace(/address.*\n/, '')}${line}`).message).not.toContain('\x1b');
    expect(failure(`${MINIMAL}mtu =`)).toMatchObject({ code: 'BAD_VALUE', line: 3 });
    expect(failure(`${MINIMAL}mtu = 100`).message).toBe(
      "netdev.conf:3: 'mtu' must be 576 to 9216 bytes, or 0: that of the interface (it is '100')",
    );
    expect(failure(`${MINIMAL}mtu = 1400\nmtu = 1500`)).toMatchObject({
      code: 'DUPLICATE_KEY',
      line: 4,
      message: "netdev.conf:4: 'mtu' can be given only once: it stands in line 3 already",
    });
    expect(failure('address = 10.0.0.1/24').message).toContain("netdev.conf: 'interface' is missing: add");
    expect(failure('interface = eth0')).toMatchObject({ code: 'MISSING_KEY', line: 0 });
  });

  it.each([
    'address = 10.0.0.1',
    'address = 10.0.0.0/24',
    'address = 10.0.0.255/24',
    'address = 224.0.0.1/24',
    'address = 127.0.0.1/8',
    'address = 10.0.0.1/33',
    'address = 10.0.0.1/24/3',
    'mac = ff:ff:ff:ff:ff:ff',
    'mac = 02:00:00:00:00',
    'rx-ring = 1000',
    'rx-ring = 1e3',
    'rto-min = 200',
    'rto-min = 2ms',
    'time-wait = -1s',
    'receive-buffer = 1gb',
    'receive-buffer = 1',
    'busy-poll = 2s',
    'congestion = bbr',
    'delayed-ack = 0',
    'route = 10.0.0.1/24 via 10.0.0.9',
    'route = 10.3.0.0/16 through 10.0.0.9',
    'arp = 10.0.0.9',
    'interface = a-name-that-is-too-long',
  ])('refuses %s', (line) => {
    expect(failure(`${MINIMAL}${line}`)).toMatchObject({
      line: 3,
      code: line.startsWith('interface') ? 'DUPLICATE_KEY' : 'BAD_VALUE',
    });
  });

  it('refuses what does not fit together', () => {
    expect(failure(`${MINIMAL}gateway = 10.0.1.1`)).toMatchObject({
      code: 'CONFLICT',
      message: "netdev.conf:3: 'gateway' 10.0.1.1 is not a neighbour: our networks are 10.0.0.0/24",
    });
    expect(failure(`${MINIMAL}gateway = 10.0.0.1`).code).toBe('CONFLICT');
    expect(failure(`${MINIMAL}address = 10.0.0.1/16`)).toMatchObject({ code: 'CONFLICT', line: 3 });
    expect(failure(`${MINIMAL}route = 10.3.0.0/16 via 10.4.0.1`)).toMatchObject({ code: 'CONFLICT', line: 3 });
    expect(failure(`${MINIMAL}arp = 10.4.0.1 02:00:00:00:00:01`)).toMatchObject({ code: 'CONFLICT', line: 3 });
    expect(failure(`${MINIMAL}engine = tap\nbusy-poll = 10us`)).toMatchObject({ code: 'CONFLICT', line: 4 });
    expect(failure(`${MINIMAL}engine = raw\nmac = 02:00:00:00:00:01`)).toMatchObject({ code: 'CONFLICT', line: 4 });
    expect(
      failure(MINIMAL, [
        ['engine', 'raw'],
        ['arp', '10.0.0.9 02:00:00:00:00:09'],
      ]).message,
    ).toBe("--arp: 'arp' does nothing with engine raw: there is no Ethernet below it");
    const viaOnLink = `${MINIMAL}route = 10.3.0.0/16 on-link\nroute = 10.4.0.0/16 via 10.3.0.1`;
    expect(parseNetdevConf(viaOnLink, 'netdev.conf').routes).toHaveLength(2);
  });

  it('refuses keys that have no effect yet, saying so', () => {
    for (const key of Object.keys(UNSUPPORTED_KEYS)) {
      expect(failure(`${MINIMAL}${key} = 1`)).toMatchObject({ code: 'NOT_SUPPORTED', line: 3 });
    }
  });
});

describe('the shipped netdev.conf', () => {
  const text = readFileSync(new URL('../netdev.conf', import.meta.url), 'utf8');

  it('is the reference made from the key table', () => {
    expect(text).toBe(referenceText());
  });

  it('parses, with the defaults it shows', () => {
    const config = parseNetdevConf(text, 'netdev.conf');
    expect(config.engine.interface).toBe('wire0');
    // Un-commenting every default changes nothing: what the file shows is what the parser does.
    const withDefaults = text.replace(/^# ([a-z-]+ = .*)$/gm, (line, setting: string) =>
      ['mac', 'gateway', 'route', 'arp'].includes(setting.split(' ')[0]) ? line : setting,
    );
    expect(parseNetdevConf(withDefaults, 'netdev.conf')).toEqual(config);
    // And with its examples it parses too.
    const withExamples = text.replace(/^# ([a-z-]+ = .*)$/gm, '$1');
    expect(parseNetdevConf(withExamples, 'netdev.conf').gateway).toBe(0x0a4d00fe);
  });

  it('documents every key once, in lines of at most 120 characters', () => {
    for (const key of KEY_NAMES) {
      expect(text.split('\n').filter((line) => line.replace(/^# /, '').startsWith(`${key} = `))).toHaveLength(1);
    }
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(120);
  });
});
