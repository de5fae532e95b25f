import { describe, expect, it } from 'vitest';
import {
  ICMP_HARD_UNREACHABLE,
  ICMP_HEADER_REFUSED,
  ICMP_PACKET_TOO_BIG,
  ICMP_SOFT_UNREACHABLE,
  ICMP_TTL_EXPIRED,
} from '../../../stack/icmp.ts';
import { finish, sum } from '../../../stack/wire/checksum.ts';
import { HOST_IP, icmpMessage, ip, ipv4Frame, ipv4Packet, LowerHost, PEER_IP, PEER_MAC } from './host.ts';

const KNOWN_PEER = `arp = ${PEER_IP} ${PEER_MAC}`;

const icmpFrame = (message: Uint8Array, to = HOST_IP) => ipv4Frame({ protocol: 1, payload: message, to });

/** The start of a segment that the host might have sent from port 6379 to port 50000 with sequence number 9. */
const OWN_SEGMENT = new Uint8Array([0x18, 0xeb, 0xc3, 0x50, 0, 0, 0, 9]);
const ownPacket = (totalLength = 1500) => {
  const packet = ipv4Packet({ from: HOST_IP, to: PEER_IP, payload: new Uint8Array(totalLength - 20) });
  packet.set(OWN_SEGMENT, 20);
  return packet.slice(0, 28);
};

describe('ICMP echo', () => {
  it.each([0, 1, 56, 1472])('is answered with the same %i bytes, identifier and sequence number', (length) => {
    const host = new LowerHost(KNOWN_PEER);
    const data = Uint8Array.from({ length }, (_, i) => i * 3);
    expect(host.receive(icmpFrame(icmpMessage(8, 0, 0x12345678, data)))).toEqual(['ok']);
    const [frame] = host.sent();
    expect(frame.slice(34)).toEqual(icmpMessage(0, 0, 0x12345678, data));
    expect(finish(sum(frame, 34, frame.length - 34, 0))).toBe(0);
    expect(host.stats).toMatchObject({ icmpInEchos: 1, icmpOutEchoReps: 1, icmpOutMsgs: 1 });
  });

  it('is answered from the address that was asked, and not for a broadcast', () => {
    const host = new LowerHost(`${KNOWN_PEER}\naddress = 10.5.0.1/16`);
    const echo = icmpMessage(8, 0, 1, new Uint8Array(4));
    expect(host.receive(icmpFrame(echo, '10.5.0.1'), icmpFrame(echo, '10.0.0.255'))).toEqual(['ok', 'ipv4-broadcast']);
    expect(host.sentLines()).toEqual([`10.5.0.1 > ${PEER_IP}: icmp echo reply id 0 seq 1 length 12`]);
  });

  it('waits for the address of the one who asked', () => {
    const host = new LowerHost();
    host.receive(icmpFrame(icmpMessage(8, 0, 1, new Uint8Array(4))));
    expect(host.sentLines()).toEqual([`arp who-has ${PEER_IP} tell ${HOST_IP}`]);
  });

  it('leaves other questions and replies alone', () => {
    const host = new LowerHost(KNOWN_PEER);
    const messages = [0, 13, 15, 17, 5, 200].map((type) => icmpFrame(icmpMessage(type, 0, 0, new Uint8Array(28))));
    expect(new Set(host.receive(...messages))).toEqual(new Set(['icmp-ignored']));
    expect(host.sent()).toEqual([]);
  });
});

describe('ICMP unreachable', () => {
  it('is sent for UDP and for protocols nobody here speaks, quoting the packet', () => {
    const host = new LowerHost(KNOWN_PEER);
    const udp = ipv4Frame({ protocol: 17, payload: new Uint8Array(12).fill(5) });
    const gre = ipv4Frame({ protocol: 47, payload: new Uint8Array(1480).fill(6) });
    host.receive(udp, gre);
    const [portError, protocolError] = host.sent();
    expect([...portError.slice(34, 36), ...protocolError.slice(34, 36)]).toEqual([3, 3, 3, 2]);
    expect(portError.slice(42)).toEqual(udp.slice(14));
    // No longer than 576 bytes (RFC 1812, 4.3.2.3).
    expect(protocolError).toHaveLength(14 + 576);
    expect(protocolError.slice(42)).toEqual(gre.slice(14, 14 + 548));
    expect(host.stats).toMatchObject({ icmpOutDestUnreachs: 2, ipInUnknownProtos: 1 });
  });

  it('is never an answer to broadcasts, fragments or errors (RFC 1122, 3.2.2)', () => {
    const host = new LowerHost(KNOWN_PEER);
    host.receive(
      ipv4Frame({ protocol: 17, to: '10.0.0.255' }),
      ipv4Frame({ protocol: 17 }, 'ff:ff:ff:ff:ff:ff'),
      ipv4Frame({ protocol: 17, fragment: 0x0010 }),
      ipv4Frame({ protocol: 17, from: '224.0.0.5' }),
      icmpFrame(icmpMessage(3, 3, 0, new Uint8Array(28))),
    );
    expect(host.sent()).toEqual([]);
  });

  it('is limited to a burst of 50 and 100 a second', () => {
    const host = new LowerHost(KNOWN_PEER);
    const flood = Array.from({ length: 200 }, () => ipv4Frame({ protocol: 17 }));
    host.receive(...flood);
    expect(host.sent()).toHaveLength(50);
    expect(host.drops()).toEqual({ 'udp-no-port': 200, 'icmp-rate-limited': 150 });
    host.advance(100);
    host.receive(...flood);
    expect(host.sent()).toHaveLength(10);
    host.advance(60_000);
    host.receive(...flood);
    expect(host.sent().filter((frame) => frame[13] === 0)).toHaveLength(50);
  });
});

describe('received ICMP errors', () => {
  const told = (type: number, code: number, rest = 0, packet: Uint8Array = ownPacket()) => {
    const host = new LowerHost();
    const [name] = host.receive(icmpFrame(icmpMessage(type, code, rest, packet)));
    return { name, errors: host.tcp.errors, host };
  };
  const about = (kind: number, mtu = 0) => [[kind, ip(HOST_IP), 6379, ip(PEER_IP), 50000, 9, mtu]];

  it('tell TCP which connection and which sequence number they are about', () => {
    expect(told(3, 0).errors).toEqual(about(ICMP_SOFT_UNREACHABLE));
    expect(told(3, 1).errors).toEqual(about(ICMP_SOFT_UNREACHABLE));
    expect(told(3, 2).errors).toEqual(about(ICMP_HARD_UNREACHABLE));
    expect(told(3, 3).errors).toEqual(about(ICMP_HARD_UNREACHABLE));
    expect(told(3, 13).errors).toEqual(about(ICMP_HARD_UNREACHABLE));
    expect(told(11, 0).errors).toEqual(about(ICMP_TTL_EXPIRED));
    expect(told(12, 0).errors).toEqual(about(ICMP_HEADER_REFUSED));
  });

  it('carry the MTU, or the next plateau where the router is silent', () => {
    expect(told(3, 4, 1400).errors).toEqual(about(ICMP_PACKET_TOO_BIG, 1400));
    expect(told(3, 4, 0).errors).toEqual(about(ICMP_PACKET_TOO_BIG, 1492));
    expect(told(3, 4, 0, ownPacket(1006)).errors).toEqual(about(ICMP_PACKET_TOO_BIG, 508));
    expect(told(3, 4, 20, ownPacket(60)).errors).toEqual(about(ICMP_PACKET_TOO_BIG, 68));
  });

  it('are dropped when what they quote is cut short, not ours or not TCP', () => {
    const foreign = ipv4Packet({ from: '10.0.0.7', to: PEER_IP });
    const udp = ipv4Packet({ from: HOST_IP, to: PEER_IP, protocol: 17 });
    const later = ipv4Packet({ from: HOST_IP, to: PEER_IP, fragment: 5 });
    expect(told(3, 3, 0, ownPacket().slice(0, 27))).toMatchObject({ name: 'icmp-bad-quote', errors: [] });
    expect(told(3, 3, 0, ownPacket().slice(0, 19))).toMatchObject({ name: 'icmp-bad-quote', errors: [] });
    expect(told(3, 3, 0, new Uint8Array(28))).toMatchObject({ name: 'icmp-bad-quote', errors: [] });
    for (const packet of [foreign, udp, later]) {
      const { name, errors, host } = told(3, 3, 0, packet);
      expect({ name, errors }).toEqual({ name: 'icmp-foreign-quote', errors: [] });
      expect(host.stats.icmpInErrors).toBe(1);
    }
  });
});
