// The DHCP client (RFC 2131) against a server played by the test.
import { describe, expect, it } from 'vitest';
import { UDP_HEADER_LENGTH, writeUdpHeader } from '../../../stack/wire/dhcp.ts';
import { ETHERTYPE_IPV4 } from '../../../stack/wire/ethernet.ts';
import { formatIpv4, Ipv4Header, parseIpv4, writeIpv4Header } from '../../../stack/wire/ipv4.ts';
import { arpFrame, ethernet, HOST_MAC, ip, LowerHost, mac, PEER_MAC } from './host.ts';

const SERVER = '10.0.0.254';
const OFFERED = '10.0.0.77';
const BROADCAST = 'ff:ff:ff:ff:ff:ff';

interface Asked {
  readonly type: number;
  readonly from: string;
  readonly to: string;
  readonly transaction: number;
  readonly clientIp: string;
  readonly options: Map<number, number[]>;
}

/** The DHCP messages among frames. */
function asked(frames: Uint8Array[]): Asked[] {
  const header = new Ipv4Header();
  return frames
    .filter(
      (frame) =>
        frame[12] === 8 &&
        frame[13] === 0 &&
        parseIpv4(frame, 14, frame.length - 14, header) === 0 &&
        header.protocol === 17,
    )
    .map((frame) => {
      parseIpv4(frame, 14, frame.length - 14, header);
      const at = header.payloadOffset + UDP_HEADER_LENGTH;
      const view = new DataView(frame.buffer, frame.byteOffset);
      const options = new Map<number, number[]>();
      for (let i = at + 240; frame[i] !== 255; i += 2 + frame[i + 1])
        options.set(frame[i], [...frame.subarray(i + 2, i + 2 + frame[i + 1])]);
      return {
        type: options.get(53)![0],
        from: formatIpv4(header.sourceIp),
        to: formatIpv4(header.destinationIp),
        transaction: view.getInt32(at + 4),
        clientIp: formatIpv4(view.getInt32(at + 12)),
        options,
      };
    });
}

const octets = (address: string): number[] => address.split('.').map(Number);
const u32 = (n: number): number[] => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];

/** A server's message. */
function reply(
  type: number,
  transaction: number,
  options: readonly number[] = [],
  { to = '255.255.255.255', yours = OFFERED, forMac = HOST_MAC } = {},
): Uint8Array {
  const body = new Uint8Array(240 + 3 + options.length + 1);
  body.set([2, 1, 6]);
  new DataView(body.buffer).setInt32(4, transaction);
  body.set(octets(yours), 16);
  body.set(mac(forMac), 28);
  body.set([0x63, 0x82, 0x53, 0x63, 53, 1, type, ...options, 255], 236);
  const packet = new Uint8Array(28 + body.length);
  packet.set(body, 28);
  writeIpv4Header(packet, 0, packet.length, 1, false, 64, 17, ip(SERVER), ip(to), 0);
  writeUdpHeader(packet, 20, 67, 68, body.length, ip(SERVER), ip(to));
  return ethernet(ETHERTYPE_IPV4, packet, to === '255.255.255.255' ? BROADCAST : HOST_MAC);
}

const network = (seconds = 3600): number[] => [
  54,
  4,
  ...octets(SERVER),
  51,
  4,
  ...u32(seconds),
  1,
  4,
  255,
  255,
  255,
  0,
  3,
  4,
  ...octets('10.0.0.1'),
];

class Client {
  readonly host = new LowerHost('', {}, 'address = dhcp\n');
  readonly events: string[] = [];

  constructor() {
    const { dhcp } = this.host.ip;
    dhcp!.onBound = (lease) =>
      this.events.push(
        `bound ${formatIpv4(lease.ip)}/${lease.prefixLength} via ${lease.gateway === null ? '-' : formatIpv4(lease.gateway)} ${lease.seconds}`,
      );
    dhcp!.onLost = (address, why) => this.events.push(`lost ${formatIpv4(address)}: ${why}`);
    dhcp!.start();
  }

  /** What it has asked since the last look. */
  asked(ms = 0): Asked[] {
    this.host.advance(ms);
    return asked(this.host.sent());
  }

  /** Through offer and request to an address. */
  bind(options: readonly number[] = network()): number {
    const [discover] = this.asked();
    this.host.receive(reply(2, discover.transaction, options));
    const [request] = this.asked();
    this.host.receive(reply(5, request.transaction, options));
    this.host.advance(300);
    return request.transaction;
  }
}

describe('getting an address', () => {
  it('DISCOVER, OFFER, REQUEST, ACK, a look whether it is free, announcements', () => {
    const client = new Client();
    const { host } = client;
    const [discover, ...rest] = client.asked();
    expect(rest).toEqual([]);
    expect(discover).toMatchObject({ type: 1, from: '0.0.0.0', to: '255.255.255.255', clientIp: '0.0.0.0' });
    expect(discover.options.get(61)).toEqual([1, ...mac(HOST_MAC)]);
    expect(String.fromCharCode(...discover.options.get(12)!)).toBe('wiredis');
    expect(host.receive(reply(2, discover.transaction, network()))).toEqual(['ok']);
    const [request] = client.asked();
    expect(request).toMatchObject({
      type: 3,
      from: '0.0.0.0',
      to: '255.255.255.255',
      transaction: discover.transaction,
    });
    expect(request.options.get(50)).toEqual(octets(OFFERED));
    expect(request.options.get(54)).toEqual(octets(SERVER));
    expect(host.receive(reply(5, request.transaction, network(7200)))).toEqual(['ok']);
    host.advance(0);
    expect(host.sentLines()).toEqual([`arp who-has ${OFFERED} tell 0.0.0.0`]);
    expect(client.events).toEqual([]);
    host.advance(300);
    expect(client.events).toEqual([`bound ${OFFERED}/24 via 10.0.0.1 7200`]);
    expect(host.sentLines()).toContain(`arp who-has ${OFFERED} tell ${OFFERED}`);
    expect(host.ip.isLocal(ip(OFFERED))).toBe(true);
    expect(formatIpv4(host.ip.nextHop(ip('192.0.2.1'))!.ip)).toBe('10.0.0.1');
  });

  it('answers to the offered address itself are taken too', () => {
    const client = new Client();
    const [discover] = client.asked();
    client.host.receive(reply(2, discover.transaction, network(), { to: OFFERED }));
    expect(client.asked().map(({ type }) => type)).toEqual([3]);
  });

  it('asks again after 1, 2, 4, 8 s and so on while nobody answers (4.1)', () => {
    const client = new Client();
    const times: number[] = [];
    for (let ms = 0; ms < 40_000; ms += 50) if (client.asked(50).length > 0) times.push(ms);
    const gaps = times.slice(1).map((time, i) => time - times[i]);
    expect(gaps.length).toBe(5);
    for (const [i, gap] of gaps.entries()) {
      expect(gap).toBeGreaterThanOrEqual(1000 * 2 ** i - 50);
      expect(gap).toBeLessThanOrEqual(1250 * 2 ** i + 100);
    }
  });

  it('a server that does not confirm its offer is given up', () => {
    const client = new Client();
    const [discover] = client.asked();
    client.host.receive(reply(2, discover.transaction, network()));
    const types: number[] = [];
    for (let ms = 0; ms < 30_000; ms += 100) types.push(...client.asked(100).map(({ type }) => type));
    expect(types.slice(0, 5)).toEqual([3, 3, 3, 3, 1]);
  });

  it('an address that somebody has is declined, and asked for anew ten seconds later (3.1 (5))', () => {
    const client = new Client();
    const [discover] = client.asked();
    client.host.receive(reply(2, discover.transaction, network()));
    client.asked();
    client.host.receive(reply(5, discover.transaction, network()));
    client.host.receive(
      arpFrame({ operation: 2, senderIp: OFFERED, targetIp: '0.0.0.0', senderMac: PEER_MAC, to: HOST_MAC }),
    );
    const [decline] = client.asked();
    expect(decline).toMatchObject({ type: 4, to: '255.255.255.255' });
    expect(decline.options.get(50)).toEqual(octets(OFFERED));
    expect(client.asked(9_900)).toEqual([]);
    expect(client.asked(200).map(({ type }) => type)).toEqual([1]);
    expect(client.events).toEqual([]);
  });

  it('classless routes replace the router option (RFC 3442)', () => {
    const client = new Client();
    const routes = [121, 8 + 5, 16, 10, 9, ...octets('10.0.0.9'), 0, ...octets('10.0.0.8')];
    routes[1] = routes.length - 2;
    client.bind([...network(), ...routes]);
    expect(client.events).toEqual([`bound ${OFFERED}/24 via 10.0.0.8 3600`]);
    expect(formatIpv4(client.host.ip.nextHop(ip('10.9.1.1'))!.ip)).toBe('10.0.0.9');
  });

  it.each([
    ['another transaction', (t: number) => reply(2, t + 1, network())],
    ['another hardware address', (t: number) => reply(2, t, network(), { forMac: PEER_MAC })],
    ['no server in it', (t: number) => reply(2, t, [1, 4, 255, 255, 255, 0])],
    ['an option cut off', (t: number) => reply(2, t, [51, 200, 0])],
    ['not an offer', (t: number) => reply(5, t, network())],
    [
      'a wrong checksum',
      (t: number) => Uint8Array.from(reply(2, t, network()), (byte, i) => (i === 100 ? byte ^ 1 : byte)),
    ],
  ])('an answer with %s is passed over', (_what, make) => {
    const client = new Client();
    const [discover] = client.asked();
    client.host.receive(make(discover.transaction));
    expect(client.asked()).toEqual([]);
    expect(client.host.ip.dhcp!.state).toBe('selecting');
  });

  it('other UDP is answered as without DHCP', () => {
    const host = new LowerHost();
    expect(host.ip.dhcp).toBe(null);
    expect(host.receive(reply(2, 1, network()))).toEqual(['ipv4-broadcast']);
  });
});

describe('keeping it (4.4.5)', () => {
  it('at half of its time the lease is renewed from its server, by unicast', () => {
    const client = new Client();
    client.bind();
    client.asked(1_799_000);
    client.host.receive(arpFrame({ operation: 1, senderIp: SERVER, targetIp: OFFERED }));
    const [renewal] = client.asked(2_000);
    expect(renewal).toMatchObject({ type: 3, from: OFFERED, to: SERVER, clientIp: OFFERED });
    expect(renewal.options.has(50)).toBe(false);
    expect(renewal.options.has(54)).toBe(false);
    client.host.receive(reply(5, renewal.transaction, network(), { to: OFFERED }));
    expect(client.host.ip.dhcp!.state).toBe('bound');
    expect(client.asked(1_700_000)).toEqual([]);
    expect(client.events).toHaveLength(2);
  });

  it('without an answer everybody is asked at seven eighths, and the address goes at the end', () => {
    const client = new Client();
    client.bind();
    client.host.receive(arpFrame({ operation: 1, senderIp: SERVER, targetIp: OFFERED }));
    const seen: string[] = [];
    for (let s = 0; s < 3700; s += 10) {
      for (const { type, to } of client.asked(10_000)) seen.push(`${type} ${to}`);
      // The neighbour goes on to answer ARP: only DHCP is silent.
      client.host.receive(arpFrame({ operation: 1, senderIp: SERVER, targetIp: OFFERED }));
    }
    expect(seen).toContain(`3 ${SERVER}`);
    expect(seen).toContain('3 255.255.255.255');
    expect(seen.at(-1)).toBe('1 255.255.255.255');
    expect(client.events.at(-1)).toBe(`lost ${OFFERED}: the lease has ended and no server renews it`);
    expect(client.host.ip.isLocal(ip(OFFERED))).toBe(false);
  });

  it('a refusal ends it at once, and another address is asked for', () => {
    const client = new Client();
    client.bind();
    client.asked(1_799_000);
    client.host.receive(arpFrame({ operation: 1, senderIp: SERVER, targetIp: OFFERED }));
    const [renewal] = client.asked(2_000);
    client.host.receive(reply(6, renewal.transaction, [56, 4, 103, 111, 110, 101], { to: OFFERED }));
    expect(client.events.at(-1)).toBe(`lost ${OFFERED}: the server refuses it: gone`);
    expect(client.asked().map(({ type }) => type)).toEqual([1]);
  });

  it('the same address again is no news, another one is', () => {
    const client = new Client();
    client.bind();
    client.asked(1_799_000);
    client.host.receive(arpFrame({ operation: 1, senderIp: SERVER, targetIp: OFFERED }));
    const [renewal] = client.asked(2_000);
    client.host.receive(reply(5, renewal.transaction, network(), { to: OFFERED, yours: '10.0.0.78' }));
    client.host.advance(300);
    expect(client.events.at(-1)).toBe('bound 10.0.0.78/24 via 10.0.0.1 3600');
    expect(client.host.ip.isLocal(ip(OFFERED))).toBe(false);
  });

  it('at the end it is given back', () => {
    const client = new Client();
    client.bind();
    client.host.receive(arpFrame({ operation: 1, senderIp: SERVER, targetIp: OFFERED }));
    client.host.sent();
    client.host.ip.close();
    expect(client.asked()).toMatchObject([{ type: 7, from: OFFERED, to: SERVER, clientIp: OFFERED }]);
  });
});
