// IPv6 on one host: headers (RFC 8200), ICMPv6 (RFC 4443), neighbour discovery (RFC 4861), autoconfiguration (RFC 4862).
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/platform/random.ts';
import { ICMP_HARD_UNREACHABLE, ICMP_PACKET_TOO_BIG } from '../../../stack/icmp.ts';
import { Ipv6Book, isIpv6 } from '../../../stack/ipv6-book.ts';
import { ETHERTYPE_IPV6 } from '../../../stack/wire/ethernet.ts';
import { sumOfAddress, writeIcmpv6 } from '../../../stack/wire/icmpv6.ts';
import { formatIpv6, parseIpv6Address, writeIpv6Header } from '../../../stack/wire/ipv6.ts';
import { ethernet, HOST_MAC, LowerHost, mac, PEER_MAC } from './host.ts';

const HOST = 'fd00::1';
const PEER = 'fd00::2';
const OTHER_MAC = '02:00:00:00:00:77';

const v6 = (text: string): Uint8Array => parseIpv6Address(text) as Uint8Array;

interface Packet {
  from?: string;
  to?: string;
  protocol?: number;
  hopLimit?: number;
  payload?: Uint8Array | readonly number[];
  toMac?: string;
  fromMac?: string;
}

/** A frame around one IPv6 packet. */
function frame({
  from = PEER,
  to = HOST,
  protocol = 6,
  hopLimit = 64,
  payload = [],
  toMac,
  fromMac,
}: Packet): Uint8Array {
  const packet = new Uint8Array(40 + payload.length);
  writeIpv6Header(packet, 0, payload.length, 0, protocol, hopLimit);
  packet.set(v6(from), 8);
  packet.set(v6(to), 24);
  packet.set(payload, 40);
  return ethernet(ETHERTYPE_IPV6, packet, toMac ?? HOST_MAC, fromMac ?? PEER_MAC);
}

/** An ICMPv6 message in its packet. */
function icmp(packet: Packet, type: number, code: number, rest: number, body: readonly number[] = []): Uint8Array {
  const { from = PEER, to = HOST } = packet;
  const message = new Uint8Array(8 + body.length);
  message.set(body, 8);
  const addresses = sumOfAddress(v6(from), 0) + sumOfAddress(v6(to), 0);
  writeIcmpv6(message, 0, type, code, rest, message.length, addresses);
  return frame({ ...packet, protocol: 58, payload: message });
}

const macOption = (type: number, address = PEER_MAC): number[] => [type, 1, ...mac(address)];

function solicitation(target = HOST, packet: Packet = {}): Uint8Array {
  return icmp({ hopLimit: 255, ...packet }, 135, 0, 0, [
    ...v6(target),
    ...(packet.from === '::' ? [] : macOption(1, packet.fromMac)),
  ]);
}

function advertisement(target: string, address: string, flags = 0x60, packet: Packet = {}): Uint8Array {
  return icmp({ hopLimit: 255, ...packet }, 136, 0, flags << 24, [...v6(target), ...macOption(2, address)]);
}

function openHost(settings = ''): LowerHost {
  return new LowerHost(`address = ${HOST}/64\n${settings}`);
}

/** A host that knows its peer. */
function acquainted(settings = ''): LowerHost {
  const host = openHost(settings);
  host.receive(solicitation());
  host.sent();
  return host;
}

describe('addresses as text (RFC 4291 2.2, RFC 5952)', () => {
  it.each([
    ['::', '::'],
    ['::1', '::1'],
    ['FD00:0:0:0:0:0:0:1', 'fd00::1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['::ffff:1.2.3.4', '::ffff:102:304'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['fe80::', 'fe80::'],
  ])('%s is %s', (text, canonical) => {
    expect(formatIpv6(v6(text), 0)).toBe(canonical);
  });

  it.each([
    '',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    'g::',
    '1.2.3.4',
    '::1.2.3.256',
    '1:2:3:4:5:6:7:8::',
    'fe80::1%eth0',
  ])("'%s' is none", (text) => {
    expect(parseIpv6Address(text)).toBe(null);
  });

  it('what is written is read back, and is what a browser writes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(15), (bytes, zeros) => {
        bytes.fill(0, zeros & 14, 16 - (zeros >> 1));
        const text = formatIpv6(bytes, 0);
        expect(v6(text)).toEqual(bytes);
        expect(`[${text}]`).toBe(new URL(`http://[${text}]/`).hostname);
      }),
      { seed: 5, numRuns: 500 },
    );
  });
});

describe('the book of addresses', () => {
  const numbered = (n: number): Uint8Array =>
    Uint8Array.of(0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n >> 24, n >> 16, n >> 8, n);

  it('gives each address one number, which is no IPv4 host', () => {
    const book = new Ipv6Book(new SeededRandom(1));
    const numbers = Array.from({ length: 5000 }, (_, n) => book.intern(numbered(n), 0));
    expect(new Set(numbers).size).toBe(5000);
    expect(numbers.every(isIpv6)).toBe(true);
    for (const [n, ip] of numbers.entries()) {
      expect(book.find(numbered(n), 0)).toBe(ip);
      expect(book.bytesOf(ip)).toEqual(numbered(n));
    }
    expect(book.find(numbered(5001), 0)).toBe(0);
  });

  it('a sweep takes back what nobody keeps; hashes stay the same', () => {
    const book = new Ipv6Book(new SeededRandom(1));
    const pinned = book.pin(numbered(9_999));
    const kept = book.intern(numbered(7), 0);
    const word = book.word(book.intern(numbered(8), 0));
    for (let round = 0; round < 50; round++) {
      for (let n = 0; n < 100; n++) book.intern(numbered(round * 1000 + n + 100), 0);
      if (book.room === 0 || round % 3 === 0) book.sweep(1, (mark) => mark(kept));
    }
    book.sweep(1, (mark) => mark(kept));
    expect(book.size).toBe(2);
    expect(book.find(numbered(7), 0)).toBe(kept);
    expect(book.find(numbered(9_999), 0)).toBe(pinned);
    expect(book.find(numbered(8), 0)).toBe(0);
    expect(book.word(book.intern(numbered(8), 0))).toBe(word);
  });
});

describe('neighbour discovery', () => {
  it('answers who asks for our address, to him alone (RFC 4861 7.2.4)', () => {
    const host = openHost();
    expect(host.receive(solicitation(HOST, { to: 'ff02::1:ff00:1', toMac: '33:33:ff:00:00:01' }))).toEqual(['ok']);
    const [answer, ...rest] = host.sent();
    expect(rest).toEqual([]);
    expect([...answer.subarray(0, 6)]).toEqual([...mac(PEER_MAC)]);
    // Solicited and override; hop limit 255.
    expect([answer[14 + 7], answer[14 + 40 + 4]]).toEqual([255, 0x60]);
    host.receive(solicitation());
    expect(host.sentLines()).toEqual([`${HOST} > ${PEER}: icmp6 ${HOST} is here at ${HOST_MAC}`]);
  });

  it.each([
    ['a hop limit below 255: from behind a router', solicitation(HOST, { hopLimit: 254 }), 'ndp-invalid'],
    ['another code', icmp({ hopLimit: 255 }, 135, 1, 0, [...v6(HOST)]), 'ndp-invalid'],
    ['too short', icmp({ hopLimit: 255 }, 135, 0, 0, [1, 2, 3, 4]), 'ndp-invalid'],
    [
      'an option of no length',
      icmp({ hopLimit: 255 }, 135, 0, 0, [...v6(HOST), 1, 0, 0, 0, 0, 0, 0, 0]),
      'ndp-invalid',
    ],
    ['an option cut off', icmp({ hopLimit: 255 }, 135, 0, 0, [...v6(HOST), 1, 2, 0, 0, 0, 0, 0, 0]), 'ndp-invalid'],
    ['a multicast target', solicitation('ff02::1'), 'ndp-invalid'],
    [
      'a probe that says who asks',
      icmp({ from: '::', hopLimit: 255 }, 135, 0, 0, [...v6(HOST), ...macOption(1)]),
      'ndp-invalid',
    ],
    ['for somebody else', solicitation('fd00::9'), 'ndp-ignored'],
  ])('%s: dropped and counted (RFC 4861 7.1)', (_what, bad, reason) => {
    const host = openHost();
    expect(host.receive(bad)).toEqual([reason]);
    expect(host.sent()).toEqual([]);
  });

  it('asks the group of an unknown next hop, and sends what waits to the address in the answer', () => {
    const host = openHost();
    const peer = host.ip.parse(PEER) as number;
    const hop = host.ip.nextHop(peer);
    const at = host.ip.beginPacket(hop!, host.ip.parse(HOST) as number, peer, 6);
    expect(at).toBeGreaterThan(0);
    host.ip.finishPacket(20, 0);
    host.advance(0);
    const [question] = host.sent();
    expect([...question.subarray(0, 6)]).toEqual([0x33, 0x33, 0xff, 0, 0, 2]);
    expect(host.receive(advertisement(PEER, OTHER_MAC))).toEqual(['ok']);
    const [packet] = host.sent();
    expect([...packet.subarray(0, 6)]).toEqual([...mac(OTHER_MAC)]);
    expect(packet.length).toBe(14 + 40 + 20);
  });

  it('without the override bit a known neighbour keeps its address (RFC 4861 7.2.5)', () => {
    const host = acquainted();
    const known = () => host.ip.neighbors.list().map((entry) => [host.ip.format(entry.ip), [...entry.mac]]);
    expect(host.receive(advertisement(PEER, OTHER_MAC, 0x40))).toEqual(['ndp-ignored']);
    expect(known()).toEqual([[PEER, [...mac(PEER_MAC)]]]);
    expect(host.receive(advertisement(PEER, OTHER_MAC, 0x60))).toEqual(['ok']);
    expect(known()).toEqual([[PEER, [...mac(OTHER_MAC)]]]);
  });

  it('nobody answers: what waited is reported as unreachable', () => {
    const host = openHost();
    const peer = host.ip.parse(PEER) as number;
    const at = host.ip.beginPacket(host.ip.nextHop(peer)!, host.ip.parse(HOST) as number, peer, 6);
    host.wire.ends[0].memory.set([0x18, 0xeb, 0xc0, 0x00, 0, 0, 0, 1], at);
    host.ip.finishPacket(20, 0);
    host.advance(3600);
    expect(host.tcp.errors).toHaveLength(1);
    expect(host.stats.icmp6OutNeighborSolicits).toBe(3);
  });
});

describe('duplicate address detection (RFC 4862 5.4)', () => {
  function claim(host: LowerHost): { result: string | null } {
    const answer: { result: string | null } = { result: null };
    host.ip.claim(300, (conflict) => {
      answer.result = conflict === null ? 'free' : host.ip.format(conflict.ip);
    });
    host.advance(0);
    return answer;
  }

  it('asks from the unspecified address, then tells everybody', () => {
    const host = openHost();
    const answer = claim(host);
    const [arp, linkLocal, ours] = host.sentLines();
    expect(arp).toContain('arp who-has');
    expect(linkLocal).toMatch(/^:: > ff02::1:ff[0-9a-f:]+: icmp6 who-has fe80::/);
    expect(ours).toBe(`:: > ff02::1:ff00:1: icmp6 who-has ${HOST}`);
    host.advance(300);
    expect(answer.result).toBe('free');
    expect(host.sentLines()).toContain(`${HOST} > ff02::1: icmp6 ${HOST} is here at ${HOST_MAC}`);
  });

  it.each([
    ['an advertisement', advertisement(HOST, OTHER_MAC, 0x20, { to: 'ff02::1', toMac: '33:33:00:00:00:01' })],
    [
      'a probe of somebody else',
      solicitation(HOST, { from: '::', to: 'ff02::1:ff00:1', toMac: '33:33:ff:00:00:01', fromMac: OTHER_MAC }),
    ],
  ])('%s: the address is taken', (_what, other) => {
    const host = openHost();
    const answer = claim(host);
    expect(host.receive(other)).toEqual(['ndp-conflict']);
    expect(answer.result).toBe(HOST);
  });

  it('a probe for an address in use is answered to all (5.4.3)', () => {
    const host = openHost();
    host.receive(solicitation(HOST, { from: '::', to: 'ff02::1:ff00:1', toMac: '33:33:ff:00:00:01' }));
    expect(host.sentLines()).toEqual([`${HOST} > ff02::1: icmp6 ${HOST} is here at ${HOST_MAC}`]);
  });
});

describe('ICMPv6', () => {
  it('answers echo, with the data', () => {
    const host = acquainted();
    expect(host.receive(icmp({}, 128, 0, 0x12340001, [1, 2, 3]))).toEqual(['ok']);
    expect(host.sentLines()).toEqual([`${HOST} > ${PEER}: icmp6 echo reply id 4660 seq 1 length 11`]);
  });

  it('UDP and unknown protocols are answered with errors, at a bounded rate (2.4 (f))', () => {
    const host = acquainted();
    expect(host.receive(frame({ protocol: 17, payload: new Uint8Array(8) }))).toEqual(['udp-no-port']);
    expect(host.receive(frame({ protocol: 200, payload: new Uint8Array(8) }))).toEqual(['ipv6-unknown-protocol']);
    expect(host.sentLines()).toEqual([
      `${HOST} > ${PEER}: icmp6 type 1 code 4 length 56`,
      `${HOST} > ${PEER}: icmp6 type 4 code 1 length 56`,
    ]);
    for (let i = 0; i < 100; i++) host.receive(frame({ protocol: 17, payload: new Uint8Array(8) }));
    expect(host.sent().length).toBeLessThan(60);
    expect(host.drops()['icmp-rate-limited']).toBeGreaterThan(0);
  });

  it('errors, groups and nobody are not answered (2.4 (e))', () => {
    const host = acquainted();
    host.receive(
      frame({ protocol: 17, to: 'ff02::1', toMac: '33:33:00:00:00:01', payload: new Uint8Array(8) }),
      frame({ protocol: 17, from: '::', payload: new Uint8Array(8) }),
      icmp({}, 1, 4, 0, [1, 2, 3]),
    );
    expect(host.sent()).toEqual([]);
  });

  it('errors about our segments reach TCP with ports and sequence number', () => {
    const host = acquainted();
    // TCP only knows whom it speaks to.
    const peer = host.ip.parse(PEER) as number;
    const own = host.ip.parse(HOST) as number;
    const quoted = frame({ from: HOST, to: PEER, payload: [0x18, 0xeb, 0xc3, 0x50, 0, 0, 0, 42] }).subarray(14);
    expect(
      host.receive(icmp({}, 1, 4, 0, [...quoted]), icmp({}, 2, 0, 1400, [...quoted]), icmp({}, 2, 0, 600, [...quoted])),
      // No link is that narrow (RFC 8201 4).
    ).toEqual(['ok', 'ok', 'icmp-ignored']);
    expect(host.tcp.errors).toEqual([
      [ICMP_HARD_UNREACHABLE, own, 6379, peer, 50000, 42, 0],
      [ICMP_PACKET_TOO_BIG, own, 6379, peer, 50000, 42, 1400],
    ]);
  });

  it('a bad checksum is a drop', () => {
    const host = openHost();
    const bad = icmp({}, 128, 0, 1, [1, 2, 3]);
    bad[bad.length - 1] ^= 1;
    expect(host.receive(bad)).toEqual(['icmpv6-bad-checksum']);
  });
});

describe('headers', () => {
  const tcpBytes = Uint8Array.from({ length: 32 }, (_, i) => i);

  it('a segment reaches TCP, also behind options and an atomic fragment (RFC 6946)', () => {
    const host = openHost();
    const padded = [6, 0, 1, 4, 0, 0, 0, 0, ...tcpBytes];
    const atomic = [6, 0, 0, 0, 0, 0, 0, 9, ...tcpBytes];
    host.receive(
      frame({ payload: tcpBytes }),
      frame({ protocol: 0, payload: padded }),
      frame({ protocol: 60, payload: padded }),
      frame({ protocol: 44, payload: atomic }),
    );
    expect(host.tcp.segments.map(({ payload }) => [...payload])).toEqual([1, 2, 3, 4].map(() => [...tcpBytes]));
    expect(host.tcp.segments.map(({ sourceIp }) => host.ip.format(sourceIp))).toEqual([PEER, PEER, PEER, PEER]);
  });

  it.each([
    ['ipv6-truncated', frame({}).slice(0, 50)],
    ['ipv6-bad-version', Uint8Array.from(frame({}), (byte, i) => (i === 14 ? 0x40 : byte))],
    ['ipv6-bad-length', Uint8Array.from(frame({}), (byte, i) => (i === 19 ? 1 : byte))],
    ['ipv6-bad-extension', frame({ protocol: 0, payload: [6, 5, 0, 0, 0, 0, 0, 0] })],
    ['ipv6-unknown-protocol', frame({ protocol: 60, payload: [0, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0] })],
    ['ipv6-bad-extension', frame({ protocol: 60, payload: [6, 0, 5, 9, 0, 0, 0, 0] })],
    ['ipv6-source-routed', frame({ protocol: 43, payload: [6, 0, 0, 1, 0, 0, 0, 0] })],
    ['ipv6-not-for-us', frame({ to: 'fd00::99' })],
    ['ipv6-not-for-us', frame({ to: 'ff02::fb', toMac: '33:33:00:00:00:fb' })],
    ['ipv6-bad-source', frame({ from: 'ff02::1', payload: tcpBytes })],
    ['ipv6-bad-source', frame({ from: '::1', payload: tcpBytes })],
    ['ipv6-bad-source', frame({ from: HOST, payload: tcpBytes })],
  ])('%s', (reason, bad) => {
    const host = openHost();
    expect(host.receive(bad)).toEqual([reason]);
    expect(host.tcp.segments).toEqual([]);
  });

  it('an option that must be known: dropped, and answered where its type says so (RFC 8200 4.2)', () => {
    const host = acquainted();
    expect(host.receive(frame({ protocol: 60, payload: [6, 0, 0x45, 4, 0, 0, 0, 0] }))).toEqual(['ipv6-bad-option']);
    expect(host.sent()).toEqual([]);
    expect(host.receive(frame({ protocol: 60, payload: [6, 0, 0x85, 4, 0, 0, 0, 0] }))).toEqual(['ipv6-bad-option']);
    const [problem] = host.sent();
    // Code 2, pointing at the option.
    expect([problem[54], problem[55], problem[61]]).toEqual([4, 2, 42]);
  });

  it('without an IPv6 address in netdev.conf none of this is for us', () => {
    const host = new LowerHost();
    expect(host.receive(frame({}))).toEqual(['ethernet-unknown-type']);
  });

  it('random packets are taken or counted, and the host lives on', () => {
    const host = acquainted();
    const random = new SeededRandom(77);
    for (let i = 0; i < 20_000; i++) {
      const payload = Uint8Array.from({ length: random.below(120) }, () => random.below(256));
      const extensions = [0, 6, 17, 43, 44, 58, 60];
      const bytes = frame({ protocol: extensions[random.below(7)], payload, hopLimit: random.below(2) * 255 });
      if (random.below(3) === 0) bytes[14 + random.below(bytes.length - 14)] ^= 1 << random.below(8);
      host.receive(bytes);
    }
    host.sent();
    host.receive(icmp({}, 128, 0, 7, []));
    expect(host.sentLines().at(-1)).toContain('echo reply id 0 seq 7');
  });
});

describe('fragments (RFC 8200 4.5)', () => {
  it('are put together, in any order', () => {
    const host = openHost();
    const whole = Uint8Array.from({ length: 100 }, (_, i) => i);
    const first = frame({ protocol: 44, payload: [6, 0, 0, 1, 0, 0, 0, 5, ...whole.subarray(0, 48)] });
    const second = frame({ protocol: 44, payload: [6, 0, 0, 48, 0, 0, 0, 5, ...whole.subarray(48)] });
    expect(host.receive(second, first)).toEqual(['ok', 'ok']);
    expect(host.tcp.segments.map(({ payload }) => [...payload])).toEqual([[...whole]]);
    expect(host.ip.reassembly.bytesHeld).toBe(0);
  });

  it('that overlap are dropped with their datagram (RFC 5722)', () => {
    const host = openHost();
    const piece = (offset: number) =>
      frame({ protocol: 44, payload: [6, 0, 0, offset | 1, 0, 0, 0, 5, ...new Array<number>(24).fill(0)] });
    expect(host.receive(piece(0), piece(16))).toEqual(['ok', 'ipv6-fragment']);
    expect(host.stats.ipReasmFails).toBe(1);
  });

  it.each([1453, 4000, 65000])(
    'an echo request of %i bytes gets them all back, in parts that every path takes',
    (length) => {
      const host = acquainted();
      const data = Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255);
      const message = icmp({}, 128, 0, 0x12340001, [...data]).subarray(54);
      for (let at = 0; at < message.length; at += 1400) {
        const word = at | (at + 1400 < message.length ? 1 : 0);
        const part = [58, 0, word >> 8, word & 255, 0, 0, 0, 5, ...message.subarray(at, at + 1400)];
        expect(host.receive(frame({ protocol: 44, payload: part }))).toEqual(['ok']);
      }
      const sent = host.sent();
      expect(sent).toHaveLength(Math.ceil((length + 8) / 1232));
      for (const [i, packet] of sent.entries()) {
        expect(packet.length).toBeLessThanOrEqual(14 + 1280);
        expect([packet[20], packet[54], packet[55]]).toEqual([44, 58, 0]);
        expect((packet[56] << 8) | packet[57]).toBe((i * 1232) | (i + 1 < sent.length ? 1 : 0));
        expect(packet.slice(58, 62)).toEqual(sent[0].slice(58, 62));
      }
      const whole = Buffer.concat(sent.map((packet) => packet.subarray(62)));
      const answer = icmp({ from: HOST, to: PEER }, 129, 0, 0x12340001, [...data]).subarray(54);
      expect(whole.equals(answer)).toBe(true);
      expect(host.stats).toMatchObject({ icmpOutEchoReps: 1 });
    },
  );

  it('neighbour discovery in fragments is not believed (RFC 6980)', () => {
    const host = openHost();
    const message = solicitation().subarray(54);
    const first = frame({
      protocol: 44,
      hopLimit: 255,
      payload: [58, 0, 0, 1, 0, 0, 0, 5, ...message.subarray(0, 16)],
    });
    const second = frame({ protocol: 44, hopLimit: 255, payload: [58, 0, 0, 16, 0, 0, 0, 5, ...message.subarray(16)] });
    expect(host.receive(first, second)).toEqual(['ok', 'ndp-invalid']);
  });
});

describe('autoconfiguration (RFC 4862 5.5)', () => {
  /** A router's advertisement of fd05::/64. */
  function router(validSeconds: number, routerSeconds = 1800, packet: Packet = {}): Uint8Array {
    const u32 = (n: number): number[] => [n >>> 24, n >>> 16, n >>> 8, n].map((byte) => byte & 255);
    const prefix = [3, 4, 64, 0xc0, ...u32(validSeconds), ...u32(validSeconds), 0, 0, 0, 0, ...v6('fd05::')];
    const body = [0, 0, 0, 0, 0, 0, 0, 0, ...macOption(1), ...prefix];
    const all = { to: 'ff02::1', toMac: '33:33:00:00:00:01', from: 'fe80::99', hopLimit: 255, ...packet };
    return icmp(all, 134, 0, (64 << 24) | routerSeconds, body);
  }

  const addresses = (host: LowerHost): string[] => host.ip.addressTexts().filter((text) => text.startsWith('fd05'));
  const outside = (host: LowerHost) => host.ip.nextHop(host.ip.parse('2001:db8::1') as number);

  it('is off unless asked for', () => {
    const host = openHost();
    expect(host.receive(router(3600))).toEqual(['ndp-ignored']);
    expect(addresses(host)).toEqual([]);
  });

  it('asks for routers, takes an address after having asked for it, and a gateway; both end with their time', () => {
    const host = openHost('slaac = on');
    host.ip.start();
    host.advance(0);
    expect(host.sentLines().some((line) => line.endsWith('icmp6 type 133 code 0 length 16'))).toBe(true);
    expect(outside(host)).toBe(null);
    expect(host.receive(router(3600))).toEqual(['ok']);
    expect(addresses(host)).toEqual([]);
    host.advance(1000);
    expect(addresses(host)).toHaveLength(1);
    expect(host.sentLines().some((line) => /icmp6 fd05::[0-9a-f:]+ is here/.test(line))).toBe(true);
    expect(host.ip.format(outside(host)!.ip)).toBe('fe80::99');
    host.receive(router(3600));
    host.advance(1_800_000);
    expect(outside(host)).toBe(null);
    host.advance(1_800_000);
    expect(addresses(host)).toEqual([]);
  });

  it('a prefix or a router of no lifetime goes at once', () => {
    const host = openHost('slaac = on');
    host.receive(router(3600));
    host.advance(1000);
    host.receive(router(0, 0));
    expect(addresses(host)).toEqual([]);
    expect(outside(host)).toBe(null);
  });

  it('an advertisement from behind a router, or not from a link-local address, is invalid (RFC 4861 6.1.2)', () => {
    const host = openHost('slaac = on');
    expect(host.receive(router(3600, 1800, { hopLimit: 64 }), router(3600, 1800, { from: PEER }))).toEqual([
      'ndp-invalid',
      'ndp-invalid',
    ]);
  });

  it('an address that somebody has is not taken', () => {
    const host = openHost('slaac = on');
    host.receive(router(3600));
    host.advance(0);
    const probe = host.sentLines().find((line) => line.includes('who-has fd05'));
    const wanted = probe!.split('who-has ')[1];
    expect(host.receive(advertisement(wanted, OTHER_MAC, 0x20, { to: 'ff02::1', toMac: '33:33:00:00:00:01' }))).toEqual(
      ['ndp-conflict'],
    );
    host.advance(2000);
    expect(addresses(host)).toEqual([]);
  });
});

describe('a static gateway and routes', () => {
  it('the longest prefix wins', () => {
    const host = openHost('gateway = fd00::fe\nroute = 2001:db8::/32 via fd00::fd\nroute = 2001:db8:1::/48 on-link');
    const via = (text: string) => host.ip.format(host.ip.nextHop(host.ip.parse(text) as number)!.ip);
    expect(via('2400::1')).toBe('fd00::fe');
    expect(via('2001:db8::1')).toBe('fd00::fd');
    expect(via('2001:db8:1::1')).toBe('2001:db8:1::1');
    expect(via('fd00::77')).toBe('fd00::77');
    expect(host.ip.format(host.ip.sourceFor(host.ip.parse('2400::1') as number))).toBe(HOST);
    expect(host.ip.format(host.ip.sourceFor(host.ip.parse('fe80::77') as number))).toMatch(/^fe80::/);
  });
});
