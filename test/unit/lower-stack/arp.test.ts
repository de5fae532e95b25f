import { describe, expect, it } from 'vitest';
import { ICMP_SOFT_UNREACHABLE } from '../../../stack/icmp.ts';
import { QUEUE_PER_NEIGHBOR_MAX, QUEUE_TOTAL_MAX, UNKNOWN_NEIGHBORS_MAX } from '../../../stack/neighbors.ts';
import { ARP_REPLY, ARP_REQUEST } from '../../../stack/wire/arp.ts';
import { formatMac } from '../../../stack/wire/ethernet.ts';
import { formatIpv4 } from '../../../stack/wire/ipv4.ts';
import { arpFrame, HOST_IP, HOST_MAC, ip, ipv4Frame, LowerHost, mac, PEER_IP, PEER_MAC } from './host.ts';

const OTHER_MAC = '02:00:00:00:00:77';
const SEGMENT = new Uint8Array(20).fill(1);

const request = (senderIp = PEER_IP, targetIp = HOST_IP) => arpFrame({ operation: ARP_REQUEST, senderIp, targetIp });
const reply = (senderIp = PEER_IP, senderMac = PEER_MAC) =>
  arpFrame({ operation: ARP_REPLY, senderIp, targetIp: HOST_IP, senderMac, to: HOST_MAC });
const destinationMacs = (frames: Uint8Array[]) => frames.map((frame) => formatMac(frame, 0));
const neighbors = (host: LowerHost) => host.ip.neighbors.list().map(({ ip: address, state }) => [address, state]);

describe('ARP', () => {
  it('answers requests for our addresses, to the one who asked', () => {
    const host = new LowerHost('address = 10.5.0.1/16');
    expect(host.receive(request(), request('10.5.0.9', '10.5.0.1'))).toEqual(['ok', 'ok']);
    const frames = host.sent();
    expect(destinationMacs(frames)).toEqual([PEER_MAC, PEER_MAC]);
    const again = new LowerHost();
    again.receive(request());
    expect(again.sentLines()).toEqual([`arp reply ${HOST_IP} is-at ${HOST_MAC}`]);
    expect(host.stats).toMatchObject({ arpInRequests: 2, arpOutReplies: 2 });
  });

  it('does not answer for others, and answers a probe without learning from it', () => {
    const host = new LowerHost();
    expect(host.receive(request(PEER_IP, '10.0.0.3'))).toEqual(['arp-not-for-us']);
    expect(host.sent()).toEqual([]);
    expect(host.receive(request('0.0.0.0'))).toEqual(['ok']);
    expect(host.sentLines()).toEqual([`arp reply ${HOST_IP} is-at ${HOST_MAC}`]);
    expect(neighbors(host)).toEqual([]);
  });

  it('learns from a request for us, not from announcements, replies nobody asked for, or foreign networks', () => {
    const host = new LowerHost();
    host.receive(
      request('10.0.0.8', '10.0.0.8'),
      reply('10.0.0.7'),
      request('192.168.1.1'),
      request('10.0.0.255'),
      request('224.0.0.1'),
    );
    expect(neighbors(host)).toEqual([]);
    host.receive(request());
    expect(neighbors(host)).toEqual([[ip(PEER_IP), 'reachable']]);
  });

  it('asks for an unknown next hop, keeps what waits in order, and sends it to the address in the answer', () => {
    const host = new LowerHost();
    host.send(PEER_IP, new Uint8Array([1, ...SEGMENT]));
    host.send(PEER_IP, new Uint8Array([2, ...SEGMENT]));
    const [question, ...rest] = host.sent();
    expect(rest).toEqual([]);
    expect(formatMac(question, 0)).toBe('ff:ff:ff:ff:ff:ff');
    expect(host.receive(reply(PEER_IP, OTHER_MAC))).toEqual(['ok']);
    const packets = host.sent();
    expect(destinationMacs(packets)).toEqual([OTHER_MAC, OTHER_MAC]);
    expect(packets.map((frame) => frame[34])).toEqual([1, 2]);
    host.send(PEER_IP, SEGMENT);
    expect(destinationMacs(host.sent())).toEqual([OTHER_MAC]);
    expect(host.drops()).toEqual({});
  });

  it('asks three times, further and further apart, then gives up and tells TCP about each packet', () => {
    const host = new LowerHost();
    host.send(PEER_IP, new Uint8Array([0xc3, 0x50, 0x18, 0xeb, 0, 0, 0, 9, ...SEGMENT]));
    const asked: number[] = [];
    for (let ms = 0; ms <= 5000; ms += 100) {
      for (const line of host.sentLines()) {
        expect(line).toBe(`arp who-has ${PEER_IP} tell ${HOST_IP}`);
        asked.push(ms);
      }
      host.advance(100);
    }
    expect(asked).toEqual([0, 500, 1500]);
    expect(host.tcp.errors).toEqual([[ICMP_SOFT_UNREACHABLE, ip(HOST_IP), 50000, ip(PEER_IP), 6379, 9, 0]]);
    expect(host.drops()).toEqual({ 'neighbor-unreachable': 1 });
  });

  it('leaves an unreachable neighbour alone for a second, then tries again', () => {
    const host = new LowerHost();
    const hop = host.ip.nextHop(ip(PEER_IP))!;
    host.send(PEER_IP, SEGMENT, hop);
    host.advance(3600);
    host.sent();
    host.send(PEER_IP, SEGMENT, hop);
    expect(host.sent()).toEqual([]);
    expect(host.drops()).toEqual({ 'neighbor-unreachable': 2 });
    host.advance(1000);
    // The entry is gone; a connection that still holds the old one goes by way of the new.
    expect(hop.state).toBe('detached');
    host.send(PEER_IP, SEGMENT, hop);
    expect(host.sentLines()).toEqual([`arp who-has ${PEER_IP} tell ${HOST_IP}`]);
    host.receive(reply());
    expect(host.sent()).toHaveLength(1);
    host.send(PEER_IP, SEGMENT, hop);
    expect(destinationMacs(host.sent())).toEqual([PEER_MAC]);
  });

  it('bounds the queue of a neighbour, keeping the latest packets', () => {
    const host = new LowerHost('', { txRing: 1024 });
    const packet = (i: number): Uint8Array => new Uint8Array([i >> 8, i & 255, ...SEGMENT]);
    for (let i = 0; i < QUEUE_PER_NEIGHBOR_MAX + 3; i++) host.send(PEER_IP, packet(i));
    expect(host.drops()).toEqual({ 'neighbor-queue-full': 3 });
    host.sent();
    host.receive(reply());
    const numbers = host.sent().map((frame) => (frame[34] << 8) | frame[35]);
    expect(numbers).toEqual(Array.from({ length: QUEUE_PER_NEIGHBOR_MAX }, (_, i) => i + 3));
  });

  it('bounds the queue of all neighbours together', () => {
    const host = new LowerHost('address = 10.8.0.1/16', { txRing: 2048 });
    for (let n = 0; n < 10; n++) {
      for (let i = 0; i < QUEUE_PER_NEIGHBOR_MAX; i++) host.send(`10.8.1.${n + 1}`, SEGMENT);
      host.sent();
    }
    expect(host.drops()).toEqual({ 'neighbor-queue-full': 10 * QUEUE_PER_NEIGHBOR_MAX - QUEUE_TOTAL_MAX });
  });

  it('a flood towards made-up neighbours pushes out none that is real (RFC 6583)', () => {
    const host = new LowerHost('address = 10.8.0.1/16', { txRing: 2048 });
    host.receive(request());
    const real = host.ip.nextHop(ip(PEER_IP))!;
    expect(real.resolved).toBe(true);
    for (let n = 0; n < 20_000; n++) {
      host.send(`10.8.${(n >> 8) + 1}.${n & 0xff}`, SEGMENT);
      if (n % 100 === 0) host.sent();
    }
    host.sent();
    expect(real.state).toBe('reachable');
    expect(host.ip.neighbors.list().length).toBeLessThanOrEqual(UNKNOWN_NEIGHBORS_MAX + 1);
    // And one that is new is asked for and gets its packet.
    host.send('10.8.200.7', SEGMENT);
    host.sent();
    host.receive(reply('10.8.200.7'));
    expect(host.sent()).toHaveLength(1);
  });

  it('follows a neighbour whose address moves', () => {
    const host = new LowerHost();
    const hop = host.ip.nextHop(ip(PEER_IP))!;
    host.receive(request());
    host.send(PEER_IP, SEGMENT, hop);
    host.receive(arpFrame({ operation: ARP_REQUEST, senderIp: PEER_IP, targetIp: PEER_IP, senderMac: OTHER_MAC }));
    host.send(PEER_IP, SEGMENT, hop);
    expect(destinationMacs(host.sent().slice(1))).toEqual([PEER_MAC, OTHER_MAC]);
  });

  it('asks a neighbour in use directly after a minute, sending on meanwhile, and lets it go when it stays silent', () => {
    const host = new LowerHost();
    const hop = host.ip.nextHop(ip(PEER_IP))!;
    host.receive(request());
    host.send(PEER_IP, SEGMENT, hop);
    host.sent();
    host.advance(60_000);
    const probes = host.sent();
    expect(destinationMacs(probes)).toEqual([PEER_MAC]);
    host.send(PEER_IP, SEGMENT, hop);
    expect(host.sent()).toHaveLength(1);
    host.receive(reply());
    expect(hop.state).toBe('reachable');
    host.advance(60_000);
    expect(hop.state).toBe('probing');
    host.advance(3000);
    expect(hop).toMatchObject({ state: 'failed', resolved: false });
    expect(host.sent()).toHaveLength(3);
  });

  it('keeps an idle neighbour for twenty minutes without asking it anything', () => {
    const host = new LowerHost();
    host.receive(request());
    host.sent();
    host.advance(19 * 60_000);
    expect(neighbors(host)).toEqual([[ip(PEER_IP), 'reachable']]);
    host.advance(61_000);
    expect(neighbors(host)).toEqual([]);
    expect(host.sent()).toEqual([]);
    expect(host.timers.size).toBe(0);
  });

  it('announces every address at the start, twice', () => {
    const host = new LowerHost('address = 10.5.0.1/16');
    host.ip.start();
    host.advance(10_000);
    const lines = [HOST_IP, '10.5.0.1'].map((address) => `arp who-has ${address} tell ${address}`);
    expect(host.sentLines()).toEqual([...lines, ...lines]);
  });

  it('defends an address against another host at most every ten seconds, and never takes its claim', () => {
    const host = new LowerHost();
    const claim = arpFrame({ operation: ARP_REQUEST, senderIp: HOST_IP, targetIp: HOST_IP });
    expect(host.receive(claim, claim)).toEqual(['arp-conflict', 'arp-conflict']);
    expect(host.sentLines()).toEqual([`arp who-has ${HOST_IP} tell ${HOST_IP}`]);
    host.advance(10_000);
    host.receive(claim);
    expect(host.sent()).toHaveLength(1);
    expect(neighbors(host)).toEqual([]);
    const own = arpFrame({ operation: ARP_REQUEST, senderIp: HOST_IP, targetIp: HOST_IP, senderMac: HOST_MAC });
    expect(host.receive(own)).toEqual(['arp-not-for-us']);
  });

  it('never asks for a static neighbour and believes nobody about it', () => {
    const host = new LowerHost(`arp = ${PEER_IP} ${OTHER_MAC}`);
    host.receive(request());
    host.sent();
    host.advance(120_000);
    host.send(PEER_IP, SEGMENT);
    expect(destinationMacs(host.sent())).toEqual([OTHER_MAC]);
    expect(host.ip.neighbors.list()).toEqual([{ ip: ip(PEER_IP), mac: mac(OTHER_MAC), state: 'static' }]);
  });

  it('sends through the gateway and through the longest matching route', () => {
    const host = new LowerHost('gateway = 10.0.0.254\nroute = 10.9.0.0/16 via 10.0.0.253\nroute = 10.9.9.0/24 on-link');
    for (const [destination, asked] of [
      ['8.8.8.8', '10.0.0.254'],
      ['10.9.1.1', '10.0.0.253'],
      ['10.9.9.9', '10.9.9.9'],
      ['10.0.0.77', '10.0.0.77'],
    ]) {
      host.send(destination, SEGMENT);
      expect(host.sentLines()).toEqual([`arp who-has ${asked} tell ${HOST_IP}`]);
    }
    for (const destination of [HOST_IP, '10.0.0.255', '255.255.255.255', '224.0.0.1', '127.0.0.1', '0.0.0.0']) {
      expect(host.ip.nextHop(ip(destination))).toBeNull();
    }
    expect(new LowerHost().ip.nextHop(ip('8.8.8.8'))).toBeNull();
  });

  it('uses no ARP where there is no Ethernet', () => {
    const host = new LowerHost('', { medium: 'ip' });
    host.ip.start();
    host.send(PEER_IP, SEGMENT, undefined, 253);
    expect(host.sentLines()).toEqual([`${HOST_IP} > ${PEER_IP}: protocol 253 length 20`]);
    expect(host.receive(ipv4Frame().slice(14))).toEqual(['ok']);
    expect(host.tcp.segments).toHaveLength(1);
  });

  it('loses a waiting packet, counted, when no outgoing slot is free', () => {
    const host = new LowerHost('', { txRing: 2 });
    const hop = host.ip.nextHop(ip(PEER_IP))!;
    for (let i = 0; i < 5; i++) host.send(PEER_IP, SEGMENT, hop);
    host.receive(reply());
    const count = host.sent().length;
    expect(count + (host.drops()['output-full'] ?? 0)).toBe(6);
  });
});

describe('address conflict detection (RFC 5227)', () => {
  /** What `claim` said: null while it has not, 'free', or who has the address. */
  function claim(host: LowerHost, totalMs = 300): { result: string | null } {
    const answer: { result: string | null } = { result: null };
    host.ip.claim(totalMs, (conflict) => {
      answer.result = conflict === null ? 'free' : `${formatIpv4(conflict.ip)} ${formatMac(conflict.mac, 0)}`;
    });
    host.advance(0);
    return answer;
  }

  it('asks three times without telling anything, then announces (2.1.1, 2.3)', () => {
    const host = new LowerHost('address = 10.5.0.1/16');
    const answer = claim(host);
    host.advance(299);
    expect(answer.result).toBe(null);
    const probes = host.sentLines();
    expect(probes).toHaveLength(6);
    expect(new Set(probes)).toEqual(
      new Set([`arp who-has ${HOST_IP} tell 0.0.0.0`, 'arp who-has 10.5.0.1 tell 0.0.0.0']),
    );
    host.advance(1);
    expect(answer.result).toBe('free');
    expect(host.sentLines()).toEqual([`arp who-has ${HOST_IP} tell ${HOST_IP}`, 'arp who-has 10.5.0.1 tell 10.5.0.1']);
  });

  it.each([
    ['an answer to the probe', reply(HOST_IP, OTHER_MAC)],
    [
      'an announcement',
      arpFrame({ operation: ARP_REQUEST, senderIp: HOST_IP, targetIp: HOST_IP, senderMac: OTHER_MAC }),
    ],
    [
      'a probe of another host for the same address',
      arpFrame({ operation: ARP_REQUEST, senderIp: '0.0.0.0', targetIp: HOST_IP, senderMac: OTHER_MAC }),
    ],
  ])('%s: the address is taken, and we are told by whom (2.1.1)', (_what, frame) => {
    const host = new LowerHost();
    const answer = claim(host);
    expect(host.receive(frame)).toEqual(['arp-conflict']);
    expect(answer.result).toBe(`${HOST_IP} ${OTHER_MAC}`);
    host.sent();
    host.advance(5000);
    expect(host.sent()).toEqual([]);
  });

  it('while it asks, it answers for nothing, and hears no conflict in its own frames or those of others', () => {
    const host = new LowerHost();
    const answer = claim(host);
    host.sent();
    const own = arpFrame({ operation: ARP_REQUEST, senderIp: '0.0.0.0', targetIp: HOST_IP, senderMac: HOST_MAC });
    expect(host.receive(own, request(), reply('10.0.0.9'))).toEqual([
      'arp-not-for-us',
      'arp-not-for-us',
      'arp-not-for-us',
    ]);
    expect(host.sent()).toEqual([]);
    host.advance(300);
    expect(answer.result).toBe('free');
  });

  it('later conflicts are defended against once in ten seconds, and reported (2.4)', () => {
    const host = new LowerHost();
    const conflicts: string[] = [];
    host.ip.arp.onConflict = ({ ip: address, mac: by }) => conflicts.push(`${formatIpv4(address)} ${formatMac(by, 0)}`);
    for (let i = 0; i < 3; i++) host.receive(reply(HOST_IP, OTHER_MAC));
    expect(host.sentLines()).toEqual([`arp who-has ${HOST_IP} tell ${HOST_IP}`]);
    expect(conflicts).toEqual([`${HOST_IP} ${OTHER_MAC}`]);
    host.advance(10_000);
    host.receive(reply(HOST_IP, OTHER_MAC));
    expect(conflicts).toHaveLength(2);
  });
});
