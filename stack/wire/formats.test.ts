// Round trips of every format, and what arbitrary bytes do to every parser: nothing.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ARP_REPLY, ARP_REQUEST, ArpPacket, parseArp, writeArp } from './arp.ts';
import { formatMac, parseMac } from './ethernet.ts';
import { ICMP_ECHO_REQUEST, IcmpHeader, parseIcmp, writeIcmp } from './icmp.ts';
import {
  formatIpv4,
  Ipv4Header,
  maskOf,
  parseIpv4,
  parseIpv4Address,
  parseQuotedIpv4,
  writeIpv4Header,
} from './ipv4.ts';
import { describeFrame } from './printer.ts';
import * as status from './status.ts';
import { ACK, parseTcp, SYN, TcpSegment, writeTcpHeader } from './tcp.ts';
import {
  sackOptionLength,
  writeMssOption,
  writeSackOption,
  writeSackPermittedOption,
  writeTimestampsOption,
  writeWindowScaleOption,
} from './tcp-options.ts';

const OWN_MAC = new Uint8Array([2, 0, 0, 0, 0, 1]);
const PEER_MAC = new Uint8Array([2, 0, 0, 0, 0, 2]);

/** Parsers must not look past offset + length: the bytes there are different on each run. */
function expectSameWhateverFollows(
  bytes: Uint8Array,
  parse: (bytes: Uint8Array, offset: number, length: number) => unknown,
): void {
  const results = [0x00, 0xff].map((filler) => {
    const buffer = new Uint8Array(bytes.length + 80).fill(filler);
    buffer.set(bytes, 9);
    return parse(buffer, 9, bytes.length);
  });
  expect(results[0]).toEqual(results[1]);
}

describe('status codes', () => {
  it('have one name each', () => {
    const codes = Object.values(status).filter((value) => typeof value === 'number');
    expect(codes.sort((a, b) => a - b)).toEqual(status.STATUS_NAMES.map((_, i) => i));
    expect(new Set(status.STATUS_NAMES).size).toBe(status.STATUS_NAMES.length);
  });
});

describe('addresses', () => {
  it('round-trip as text', () => {
    fc.assert(
      fc.property(fc.integer(), fc.uint8Array({ minLength: 6, maxLength: 6 }), (ip, mac) => {
        expect(parseIpv4Address(formatIpv4(ip))).toBe(ip);
        expect(parseMac(formatMac(mac, 0))).toEqual(mac);
      }),
      { seed: 1 },
    );
  });

  it('refuse what is not an address', () => {
    for (const text of ['', '1.2.3', '1.2.3.4.5', '256.1.1.1', '01.2.3.4', '1.2.3.-4', 'a.b.c.d', ' 1.2.3.4']) {
      expect(parseIpv4Address(text)).toBeNull();
    }
    for (const text of ['', '02:00:00:00:00', '02:00:00:00:00:0g', '020000000001']) expect(parseMac(text)).toBeNull();
  });

  it('have masks for every prefix', () => {
    expect([0, 1, 8, 24, 31, 32].map((prefix) => maskOf(prefix) >>> 0)).toEqual([
      0, 0x80000000, 0xff000000, 0xffffff00, 0xfffffffe, 0xffffffff,
    ]);
  });
});

describe('ARP', () => {
  it('round-trips', () => {
    fc.assert(
      fc.property(fc.constantFrom(ARP_REQUEST, ARP_REPLY), fc.integer(), fc.integer(), (operation, sender, target) => {
        const bytes = new Uint8Array(40);
        const length = writeArp(bytes, 5, operation, OWN_MAC, sender, PEER_MAC, target);
        const packet = new ArpPacket();
        expect(parseArp(bytes, 5, length, packet)).toBe(status.OK);
        expect([packet.operation, packet.senderIp, packet.targetIp]).toEqual([operation, sender, target]);
        expect(bytes.slice(packet.senderMacOffset, packet.senderMacOffset + 6)).toEqual(OWN_MAC);
        expect(bytes.slice(packet.targetMacOffset, packet.targetMacOffset + 6)).toEqual(PEER_MAC);
      }),
      { seed: 1 },
    );
  });

  it('names what is wrong', () => {
    const packet = new ArpPacket();
    const broken = (at: number, value: number, length = 28) => {
      const bytes = new Uint8Array(28);
      writeArp(bytes, 0, ARP_REQUEST, OWN_MAC, 1, PEER_MAC, 2);
      bytes[at] = value;
      return parseArp(bytes, 0, length, packet);
    };
    expect(broken(0, 0, 27)).toBe(status.ARP_TRUNCATED);
    expect(broken(1, 6)).toBe(status.ARP_NOT_ETHERNET_IPV4);
    expect(broken(4, 8)).toBe(status.ARP_NOT_ETHERNET_IPV4);
    expect(broken(7, 3)).toBe(status.ARP_BAD_OPERATION);
    expect(broken(8, 0xff)).toBe(status.ARP_BAD_SENDER);
    expect(broken(13, 0) === status.OK ? parseArp(new Uint8Array(28), 0, 28, packet) : -1).toBe(
      status.ARP_NOT_ETHERNET_IPV4,
    );
  });
});

describe('IPv4', () => {
  const header = new Ipv4Header();

  it('round-trips, and padding behind the total length is not payload', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 20, max: 1500 }),
        fc.nat(0xffff),
        fc.boolean(),
        fc.nat(255),
        fc.nat(255),
        fc.integer(),
        fc.integer(),
        (totalLength, identification, dontFragment, ttl, protocol, source, destination) => {
          const bytes = new Uint8Array(1600);
          writeIpv4Header(bytes, 3, totalLength, identification, dontFragment, ttl, protocol, source, destination);
          expect(parseIpv4(bytes, 3, totalLength + 26, header)).toBe(status.OK);
          expect(header).toMatchObject({
            headerLength: 20,
            totalLength,
            identification,
            dontFragment,
            moreFragments: false,
            fragmentOffset: 0,
            ttl,
            protocol,
            sourceIp: source,
            destinationIp: destination,
            payloadOffset: 23,
            payloadLength: totalLength - 20,
          });
        },
      ),
      { seed: 1 },
    );
  });

  it('names what is wrong', () => {
    const parsed = (change: (bytes: Uint8Array) => void, length = 40) => {
      const bytes = new Uint8Array(60);
      writeIpv4Header(bytes, 0, 40, 1, true, 64, 6, 0x0a000002, 0x0a000001);
      change(bytes);
      return parseIpv4(bytes, 0, length, header);
    };
    expect(parsed(() => {}, 19)).toBe(status.IPV4_TRUNCATED);
    expect(parsed((b) => (b[0] = 0x65))).toBe(status.IPV4_BAD_VERSION);
    expect(parsed((b) => (b[0] = 0x44))).toBe(status.IPV4_BAD_HEADER_LENGTH);
    expect(parsed((b) => (b[0] = 0x4f))).toBe(status.IPV4_BAD_HEADER_LENGTH);
    expect(parsed(() => {}, 39)).toBe(status.IPV4_BAD_TOTAL_LENGTH);
    expect(parsed((b) => (b[3] = 19))).toBe(status.IPV4_BAD_TOTAL_LENGTH);
    expect(parsed((b) => (b[8] = 63))).toBe(status.IPV4_BAD_CHECKSUM);
  });

  it('walks options, refusing impossible lengths and source routes', () => {
    const withOptions = (options: number[]) => {
      const bytes = new Uint8Array(28);
      writeIpv4Header(bytes, 0, 28, 1, true, 64, 6, 1, 2);
      bytes[0] = 0x47;
      bytes.set(options, 20);
      // The checksum is put right by hand: the sum of the changed words.
      let total = 0;
      bytes[10] = bytes[11] = 0;
      for (let i = 0; i < 28; i += 2) total += bytes[i] * 256 + bytes[i + 1];
      total = (total & 0xffff) + (total >>> 16);
      bytes[10] = ~total >>> 8;
      bytes[11] = ~total;
      return parseIpv4(bytes, 0, 28, header);
    };
    expect(withOptions([1, 1, 1, 1, 1, 1, 1, 1])).toBe(status.OK);
    expect(withOptions([148, 4, 0, 0, 0, 0, 0, 0])).toBe(status.OK);
    expect(header.payloadOffset).toBe(28);
    expect(withOptions([131, 7, 4, 1, 2, 3, 4, 0])).toBe(status.IPV4_SOURCE_ROUTED);
    expect(withOptions([1, 137, 3, 4, 0, 0, 0, 0])).toBe(status.IPV4_SOURCE_ROUTED);
    expect(withOptions([7, 0, 0, 0, 0, 0, 0, 0])).toBe(status.IPV4_BAD_OPTIONS);
    expect(withOptions([7, 9, 0, 0, 0, 0, 0, 0])).toBe(status.IPV4_BAD_OPTIONS);
    expect(withOptions([1, 1, 1, 1, 1, 1, 1, 7])).toBe(status.IPV4_BAD_OPTIONS);
  });
});

describe('ICMP', () => {
  it('round-trips and notices any flipped bit', () => {
    const header = new IcmpHeader();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer(), fc.nat(), (data, rest, flip) => {
        const bytes = new Uint8Array(8 + data.length);
        bytes.set(data, 8);
        writeIcmp(bytes, 0, ICMP_ECHO_REQUEST, 0, rest, data.length);
        expect(parseIcmp(bytes, 0, bytes.length, header)).toBe(status.OK);
        expect(header).toMatchObject({ type: 8, code: 0, payloadOffset: 8, payloadLength: data.length });
        bytes[(flip >>> 3) % bytes.length] ^= 1 << (flip & 7);
        expect(parseIcmp(bytes, 0, bytes.length, header)).toBe(status.ICMP_BAD_CHECKSUM);
      }),
      { seed: 1 },
    );
    expect(parseIcmp(new Uint8Array(8), 0, 7, header)).toBe(status.ICMP_TRUNCATED);
  });
});

describe('TCP', () => {
  const segment = new TcpSegment();

  it('round-trips header and options', () => {
    fc.assert(
      fc.property(
        fc.tuple(fc.nat(0xffff), fc.nat(0xffff), fc.integer(), fc.integer(), fc.nat(0xffff), fc.integer()),
        fc.record({ syn: fc.boolean(), sack: fc.nat(3), payload: fc.nat(1460) }),
        fc.tuple(fc.integer({ min: 1, max: 0xffff }), fc.nat(14)),
        ([source, destination, seq, ack, window, time], { syn, sack, payload }, [mss, shift]) => {
          const bytes = new Uint8Array(1600);
          const edges = Int32Array.from({ length: 8 }, (_, i) => seq + 1000 * i);
          const flags = syn ? SYN | ACK : ACK;
          let at = 27;
          at += writeTimestampsOption(bytes, at, time, ~time);
          if (syn) {
            at += writeMssOption(bytes, at, mss);
            at += writeWindowScaleOption(bytes, at, shift);
            at += writeSackPermittedOption(bytes, at);
          } else {
            at += writeSackOption(bytes, at, edges, sack);
          }
          expect(at - 27).toBe(syn ? 24 : 12 + sackOptionLength(sack));
          const headerLength = writeTcpHeader(bytes, 7, source, destination, seq, ack, flags, window, at - 27);
          expect(parseTcp(bytes, 7, headerLength + payload, segment)).toBe(status.OK);
          expect(segment).toMatchObject({
            sourcePort: source,
            destinationPort: destination,
            seq,
            ack,
            flags,
            window,
            payloadOffset: 7 + headerLength,
            payloadLength: payload,
            segLen: payload + (syn ? 1 : 0),
            hasTimestamps: true,
            tsVal: time,
            tsEcr: ~time,
            mss: syn ? mss : 0,
            windowScale: syn ? shift : -1,
            sackPermitted: syn,
            sackCount: syn ? 0 : sack,
            optionsMalformed: false,
          });
          for (let i = 0; i < 2 * segment.sackCount; i++) expect(segment.sackEdges[i]).toBe(edges[i]);
        },
      ),
      { seed: 1, numRuns: 300 },
    );
  });

  it('counts SYN and FIN into the segment length', () => {
    const bytes = new Uint8Array(30);
    writeTcpHeader(bytes, 0, 1, 2, 0, 0, 3, 0, 0);
    parseTcp(bytes, 0, 30, segment);
    expect(segment.segLen).toBe(12);
  });

  const parseOptions = (flags: number, options: number[]) => {
    const padded = (options.length + 3) & ~3;
    const bytes = new Uint8Array(20 + padded);
    writeTcpHeader(bytes, 0, 1, 2, 0, 0, flags, 0, padded);
    bytes.set(options, 20);
    expect(parseTcp(bytes, 0, bytes.length, segment)).toBe(status.OK);
    return segment;
  };

  it('survives malformed, unknown and duplicate options', () => {
    expect(parseOptions(SYN, [2, 4, 5, 180, 3, 0])).toMatchObject({
      mss: 1460,
      windowScale: -1,
      optionsMalformed: true,
    });
    expect(parseOptions(SYN, [2, 4, 5, 180, 3, 1])).toMatchObject({ mss: 1460, optionsMalformed: true });
    expect(parseOptions(SYN, [1, 1, 1, 2])).toMatchObject({ mss: 0, optionsMalformed: true });
    expect(parseOptions(SYN, [1, 1, 2, 40])).toMatchObject({ mss: 0, optionsMalformed: true });
    expect(parseOptions(SYN, [254, 6, 1, 2, 3, 4, 4, 2])).toMatchObject({
      sackPermitted: true,
      optionsMalformed: false,
    });
    expect(parseOptions(SYN, [2, 4, 1, 0, 2, 4, 2, 0])).toMatchObject({ mss: 512 });
    expect(parseOptions(SYN, [0, 2, 4, 5, 180])).toMatchObject({ mss: 0, optionsMalformed: false });
    expect(parseOptions(SYN, [2, 3, 9, 1])).toMatchObject({ mss: 0, optionsMalformed: false });
  });

  it('clamps the window scale and ignores handshake options elsewhere', () => {
    expect(parseOptions(SYN, [3, 3, 200, 1]).windowScale).toBe(14);
    expect(parseOptions(ACK, [2, 4, 5, 180, 3, 3, 7, 1, 4, 2])).toMatchObject({
      mss: 0,
      windowScale: -1,
      sackPermitted: false,
    });
  });

  it('reads up to four SACK blocks and skips a list of odd length', () => {
    const blocks = Array.from({ length: 32 }, (_, i) => i);
    expect(parseOptions(ACK, [1, 1, 5, 34, ...blocks]).sackCount).toBe(4);
    expect(segment.sackEdges[7]).toBe(0x1c1d1e1f);
    expect(parseOptions(ACK, [1, 1, 5, 12, ...blocks.slice(0, 10)]).sackCount).toBe(0);
  });

  it('names what is wrong', () => {
    const bytes = new Uint8Array(60);
    writeTcpHeader(bytes, 0, 1, 2, 0, 0, ACK, 0, 0);
    expect(parseTcp(bytes, 0, 19, segment)).toBe(status.TCP_TRUNCATED);
    bytes[12] = 0x40;
    expect(parseTcp(bytes, 0, 60, segment)).toBe(status.TCP_BAD_DATA_OFFSET);
    bytes[12] = 0xf0;
    expect(parseTcp(bytes, 0, 59, segment)).toBe(status.TCP_BAD_DATA_OFFSET);
    expect(parseTcp(bytes, 0, 60, segment)).toBe(status.OK);
  });
});

describe('arbitrary bytes', () => {
  // Half of the packets start like a valid one, so that the checks behind the first are reached.
  const plausible = fc.tuple(
    fc.constantFrom<number[]>([], [0x45], [0x46], [0x4f], [0, 1, 8, 0, 6, 4, 0, 1]),
    fc.nat(2),
  );
  const packets = fc.tuple(plausible, fc.uint8Array({ maxLength: 120 })).map(([[prefix, at], bytes]) => {
    for (let i = 0; i < prefix.length && at + i < bytes.length; i++) bytes[at + i] = prefix[i];
    return bytes;
  });

  it('never throw, and nothing past the end is read', () => {
    fc.assert(
      fc.property(packets, (bytes) => {
        expectSameWhateverFollows(bytes, (b, offset, length) => {
          const packet = new ArpPacket();
          return [parseArp(b, offset, length, packet), packet];
        });
        for (const parse of [parseIpv4, parseQuotedIpv4]) {
          expectSameWhateverFollows(bytes, (b, offset, length) => {
            const header = new Ipv4Header();
            return [parse(b, offset, length, header), header];
          });
        }
        expectSameWhateverFollows(bytes, (b, offset, length) => {
          const header = new IcmpHeader();
          return [parseIcmp(b, offset, length, header), header];
        });
        expectSameWhateverFollows(bytes, (b, offset, length) => {
          const segment = new TcpSegment();
          return [parseTcp(b, offset, length, segment), segment];
        });
        expectSameWhateverFollows(bytes, (b, offset, length) => describeFrame(b, offset, length));
        expectSameWhateverFollows(bytes, (b, offset, length) => describeFrame(b, offset, length, 'ip'));
      }),
      { seed: 1, numRuns: 2000 },
    );
  });

  it('in the options of a TCP header never lead outside it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 40 }), fc.boolean(), (options, syn) => {
        const padded = (options.length + 3) & ~3;
        const bytes = new Uint8Array(20 + padded);
        writeTcpHeader(bytes, 0, 1, 2, 3, 4, syn ? SYN : ACK, 5, padded);
        bytes.set(options, 20);
        expectSameWhateverFollows(bytes, (b, offset, length) => {
          const segment = new TcpSegment();
          const result = parseTcp(b, offset, length, segment);
          expect(result).toBe(status.OK);
          expect(segment.windowScale).toBeLessThanOrEqual(14);
          expect(segment.sackCount).toBeLessThanOrEqual(4);
          return segment;
        });
      }),
      { seed: 2, numRuns: 1000 },
    );
  });
});

describe('describeFrame', () => {
  it('prints TCP, ARP and ICMP on one line', () => {
    const frame = new Uint8Array(60);
    frame.set([0x08, 0x06], 12);
    writeArp(frame, 14, ARP_REQUEST, OWN_MAC, 0x0a000001, PEER_MAC, 0x0a000002);
    expect(describeFrame(frame, 0, 60)).toBe('arp who-has 10.0.0.2 tell 10.0.0.1');
    const packet = new Uint8Array(48);
    writeIpv4Header(packet, 0, 48, 1, true, 64, 6, 0x0a000002, 0x0a000001);
    writeMssOption(packet, 40, 1460);
    writeWindowScaleOption(packet, 44, 7);
    writeTcpHeader(packet, 20, 50000, 6379, -1, 0, SYN, 64240, 8);
    expect(describeFrame(packet, 0, 48, 'ip')).toBe(
      '10.0.0.2:50000 > 10.0.0.1:6379: [S] bad-checksum seq 4294967295 win 64240 <mss 1460,wscale 7> length 0',
    );
    expect(describeFrame(packet, 0, 10, 'ip')).toBe('[ipv4-truncated] length 10');
  });
});
