import { describe, expect, it } from 'vitest';
import { RX_CHECKSUM_TRUSTED } from '../../../io-engine/frame-engine.ts';
import { Ipv4Header, parseIpv4 } from '../../../stack/wire/ipv4.ts';
import { ethernet, fixIpv4Checksum, HOST_IP, ip, ipv4Frame, LowerHost, PEER_IP, PEER_MAC } from './host.ts';

const BROADCAST = 'ff:ff:ff:ff:ff:ff';

/** A good frame with some bytes of it (by offset in the IP header) changed, and the header checksum right again. */
function changed(bytes: Readonly<Record<number, number>>): Uint8Array {
  const frame = ipv4Frame();
  for (const [at, value] of Object.entries(bytes)) frame[14 + Number(at)] = value;
  return fixIpv4Checksum(frame, 14);
}

/** What the host answers to one frame, checking that it is counted once, under that name, and that TCP saw nothing. */
function dropOf(frame: Uint8Array, settings = ''): string {
  const host = new LowerHost(settings);
  const [name] = host.receive(frame);
  expect(host.drops()[name]).toBe(1);
  expect(host.tcp.segments).toEqual([]);
  return name;
}

describe('IPv4 input', () => {
  it('hands TCP exactly the payload: options and Ethernet padding are not part of it', () => {
    const payload = Uint8Array.from({ length: 22 }, (_, i) => i);
    const host = new LowerHost();
    const padded = new Uint8Array(60);
    padded.set(ipv4Frame({ payload }));
    padded.fill(0xee, 56);
    expect(host.receive(padded, ipv4Frame({ payload, options: [148, 4, 0, 0] }))).toEqual(['ok', 'ok']);
    for (const segment of host.tcp.segments) {
      expect(segment).toEqual({ payload, sourceIp: ip(PEER_IP), destinationIp: ip(HOST_IP), isChecksumTrusted: false });
    }
    expect(host.tcp.segments).toHaveLength(2);
    expect(host.stats).toMatchObject({ ipInReceives: 2, ipInDelivers: 2, ipInHdrErrors: 0 });
  });

  it('takes a packet whose TTL is 0 (RFC 1122, 3.2.1.7) and a DF bit', () => {
    const host = new LowerHost();
    expect(host.receive(changed({ 8: 0 }), changed({ 6: 0x40 }))).toEqual(['ok', 'ok']);
  });

  it.each([
    ['ethernet-truncated', ipv4Frame().slice(0, 13)],
    ['ethernet-not-for-us', ipv4Frame({}, '02:00:00:00:00:99')],
    ['ethernet-unknown-type', ethernet(0x86dd, new Uint8Array(40))],
    ['ethernet-unknown-type', ethernet(0x8100, new Uint8Array(40))],
    ['arp-truncated', ethernet(0x0806, new Uint8Array(27))],
    ['arp-not-ethernet-ipv4', ethernet(0x0806, new Uint8Array(28))],
    ['ipv4-truncated', ipv4Frame().slice(0, 33)],
    ['ipv4-bad-version', changed({ 0: 0x65 })],
    ['ipv4-bad-header-length', changed({ 0: 0x44 })],
    ['ipv4-bad-header-length', changed({ 0: 0x4b })],
    ['ipv4-bad-total-length', changed({ 2: 0, 3: 19 })],
    ['ipv4-bad-total-length', changed({ 2: 0, 3: 41 })],
    ['ipv4-bad-options', ipv4Frame({ options: [7, 1, 0, 0] })],
    ['ipv4-source-routed', ipv4Frame({ options: [131, 3, 4, 0] })],
    ['ipv4-not-for-us', ipv4Frame({ to: '10.0.0.9' })],
    ['ipv4-broadcast', ipv4Frame({ to: '10.0.0.255' })],
    ['ipv4-broadcast', ipv4Frame({ to: '255.255.255.255' })],
    ['ipv4-broadcast', ipv4Frame({ to: '224.0.0.1' })],
    ['ipv4-broadcast', ipv4Frame({}, BROADCAST)],
    ['ipv4-bad-source', ipv4Frame({ from: HOST_IP })],
    ['ipv4-bad-source', ipv4Frame({ from: '10.0.0.255' })],
    ['ipv4-bad-source', ipv4Frame({ from: '127.0.0.1' })],
    ['ipv4-bad-source', ipv4Frame({ from: '0.0.0.0' })],
    ['ipv4-bad-source', ipv4Frame({ from: '239.1.1.1' })],
    ['ipv4-bad-source', ipv4Frame({ from: '255.255.255.255' })],
    ['ipv4-fragment', ipv4Frame({ fragment: 0x2000 })],
    ['ipv4-unknown-protocol', ipv4Frame({ protocol: 47 })],
    ['udp-no-port', ipv4Frame({ protocol: 17 })],
    ['icmp-truncated', ipv4Frame({ protocol: 1, payload: new Uint8Array(7) })],
    ['icmp-bad-checksum', ipv4Frame({ protocol: 1, payload: new Uint8Array(8) })],
  ])('drops and counts %s', (name, frame) => {
    expect(dropOf(frame)).toBe(name);
  });

  it('drops and counts a header whose checksum is wrong', () => {
    const frame = ipv4Frame();
    frame[14 + 8]--;
    expect(dropOf(frame)).toBe('ipv4-bad-checksum');
  });

  it('trusts checksums as the engine or the configuration says', () => {
    const trust = (settings: string, txChecksumOffload: boolean) => {
      const host = new LowerHost(settings);
      host.ip.input(ipv4Frame(), 0, 54, txChecksumOffload ? RX_CHECKSUM_TRUSTED : 0);
      return host.tcp.segments[0].isChecksumTrusted;
    };
    expect(trust('', false)).toBe(false);
    expect(trust('', true)).toBe(true);
    expect(trust('rx-checksum = verify', true)).toBe(false);
    expect(trust('rx-checksum = trust', false)).toBe(true);
  });

  it('answers for each of its addresses', () => {
    const host = new LowerHost('address = 10.5.0.1/16');
    expect(host.receive(ipv4Frame({ to: '10.5.0.1' }), ipv4Frame({ to: '10.5.255.255' }))).toEqual([
      'ok',
      'ipv4-broadcast',
    ]);
    expect(host.tcp.segments[0].destinationIp).toBe(ip('10.5.0.1'));
  });
});

describe('IPv4 output', () => {
  it('writes a header that the parser takes, with DF for TCP and a new identification each time', () => {
    const host = new LowerHost(`arp = ${PEER_IP} ${PEER_MAC}`);
    host.send(PEER_IP, new Uint8Array(30).fill(7));
    host.send(PEER_IP, new Uint8Array(31).fill(7));
    const headers = host.sent().map((frame) => {
      const header = new Ipv4Header();
      expect(parseIpv4(frame, 14, frame.length - 14, header)).toBe(0);
      return header;
    });
    expect(headers[0]).toMatchObject({
      totalLength: 50,
      dontFragment: true,
      ttl: 64,
      protocol: 6,
      sourceIp: ip(HOST_IP),
      destinationIp: ip(PEER_IP),
    });
    expect(headers[1].identification).toBe((headers[0].identification + 1) & 0xffff);
    expect(host.stats.ipOutRequests).toBe(2);
  });

  it('says so when no slot is free, and a packet that is not finished costs nothing', () => {
    const host = new LowerHost(`arp = ${PEER_IP} ${PEER_MAC}`, { txRing: 2 });
    const hop = host.ip.nextHop(ip(PEER_IP))!;
    for (let i = 0; i < 10; i++) expect(host.ip.beginPacket(hop, 1, 2, 6)).toBeGreaterThanOrEqual(34);
    for (let i = 0; i < 2; i++) {
      host.ip.beginPacket(hop, ip(HOST_IP), ip(PEER_IP), 6);
      host.ip.finishPacket(20, 0);
    }
    expect(host.ip.beginPacket(hop, ip(HOST_IP), ip(PEER_IP), 6)).toBe(-1);
  });

  it('chooses the source address in the network of the next hop', () => {
    const host = new LowerHost('address = 10.5.0.1/16\ngateway = 10.5.0.254');
    expect(host.ip.sourceFor(ip('10.0.0.77'))).toBe(ip(HOST_IP));
    expect(host.ip.sourceFor(ip('10.5.3.3'))).toBe(ip('10.5.0.1'));
    expect(host.ip.sourceFor(ip('8.8.8.8'))).toBe(ip('10.5.0.1'));
    expect(new LowerHost().ip.sourceFor(ip('8.8.8.8'))).toBe(0);
  });

  it('knows no broadcast in point-to-point networks (RFC 3021)', () => {
    const host = new LowerHost('address = 10.6.0.0/31');
    expect(host.ip.routes.isBroadcast(ip('10.6.0.1'))).toBe(false);
    expect(host.ip.nextHop(ip('10.6.0.1'))).not.toBeNull();
  });
});
