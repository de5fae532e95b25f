// Bytes that the kernel reads: programs, addresses, headers, ring geometry; and the words for its errors.
import { describe, expect, it } from 'vitest';
import { runClassicBpf } from '../../test/support/classic-bpf.ts';
import { ringRequest, slotLength } from '../af-packet.ts';
import { errnoText, openingError, systemError } from './errno.ts';
import { interfaceRequest, ipText } from './interfaces.ts';
import { frameFilter } from './packet-filter.ts';
import { packetAddress } from './packet-socket.ts';
import { VNET_HEADER_LENGTH, writeVnetHeader } from './vnet-header.ts';
import { redirectProgram } from './xdp-program.ts';
import { chunkLength, layOut } from './xsk-memory.ts';
import { parseMmapOffsets, xdpAddress } from './xsk-socket.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('programs', () => {
  it('redirects a queue into the socket map and passes what has no socket', () => {
    const words = hex(redirectProgram(7, null, 12)).match(/.{16}/g);
    expect(words).toEqual([
      '6112100000000000',
      '1811000007000000',
      '0000000000000000',
      'b703000002000000',
      '8500000033000000',
      '9500000000000000',
    ]);
  });

  const MAC = Uint8Array.of(0xfe, 0x11, 0x22, 0x33, 0xc4, 0xd5);
  const OTHER = Uint8Array.of(0xfe, 0x11, 0x22, 0x33, 0xc4, 0xd6);
  const BROADCAST = new Uint8Array(6).fill(255);
  const frame = (to: Uint8Array, ethertype: number): Uint8Array =>
    Uint8Array.from([...to, 2, 0, 0, 0, 0, 9, ethertype >> 8, ethertype & 255, ...new Uint8Array(46)]);

  it.each([
    ['IPv4 to us', MAC, 0x0800, null, true],
    ['ARP to us', MAC, 0x0806, null, true],
    ['ARP to all', BROADCAST, 0x0806, null, true],
    ['IPv4 to another', OTHER, 0x0800, null, false],
    ['IPv6', MAC, 0x86dd, null, false],
    ['VLAN 5', MAC, 0x0800, 0x0005, false],
    ['VLAN 5 to all', BROADCAST, 0x0806, 0x6005, false],
    ['VLAN 0 with a priority', MAC, 0x0800, 0xe000, true],
  ] as const)('the socket filter on %s', (_case, to, ethertype, vlan, accepted) => {
    expect(runClassicBpf(frameFilter(MAC, 0, false), frame(to, ethertype), vlan)).toBe(accepted ? 0x40000 : 0);
  });

  it.each([
    ['our VLAN', MAC, 0x0800, 5, true],
    ['our VLAN, with a priority, to all', BROADCAST, 0x0806, 0xe005, true],
    ['IPv6 in our VLAN', MAC, 0x86dd, 5, true],
    ['another VLAN', MAC, 0x0800, 6, false],
    ['untagged', MAC, 0x0800, null, false],
    ['our VLAN, to another', OTHER, 0x0800, 5, false],
  ] as const)('the filter of VLAN 5 with IPv6 on %s', (_case, to, ethertype, vlan, accepted) => {
    expect(runClassicBpf(frameFilter(MAC, 5, true), frame(to, ethertype), vlan)).toBe(accepted ? 0x40000 : 0);
  });
});

describe('addresses', () => {
  it('sockaddr_ll: family, protocol in network order, index', () => {
    expect(hex(packetAddress(0x0102))).toBe('1100000302010000'.padEnd(40, '0'));
  });

  it('sockaddr_xdp: family, flags, index, queue', () => {
    expect(hex(xdpAddress(3, 1, 8))).toBe('2c000800030000000100000000000000');
  });

  it('ifreq: the name, cut off by nothing but zeros', () => {
    const request = interfaceRequest('eth0');
    expect([request.length, hex(request.subarray(0, 6))]).toEqual([40, '657468300000']);
    expect(() => interfaceRequest('a-name-that-is-too-long')).toThrow(/1 to 15 bytes/);
    expect(() => interfaceRequest('')).toThrow(/interface name/);
  });

  it('IPv4 in words', () => {
    expect(ipText(0xc0a80101 | 0)).toBe('192.168.1.1');
  });

  it('xdp_mmap_offsets', () => {
    const fields = BigUint64Array.from({ length: 16 }, (_, i) => BigInt(i * 64));
    const [rx, , , completion] = parseMmapOffsets(new Uint8Array(fields.buffer));
    expect(rx).toEqual({ producer: 0, consumer: 64, descriptors: 128, flags: 192 });
    expect(completion).toEqual({ producer: 768, consumer: 832, descriptors: 896, flags: 960 });
  });
});

describe('ring geometry', () => {
  it.each([
    [1500, 2048, 2048],
    [1774, 2048, 2048],
    [1775, 2048, 4096],
    [9000, 16384, 4096],
  ])('mtu %i: packet slot %i, UMEM chunk %i', (mtu, slot, chunk) => {
    expect([slotLength(mtu), chunkLength(mtu)]).toEqual([slot, chunk]);
  });

  it.each([
    [1500, 2048, 2048, 128, false],
    [3822, 4096, 4096, 128, false],
    // Received in two parts, sent in one: nothing is kept free before a frame to send.
    [3823, 4096, 4096, 128, true],
    [4078, 4096, 4096, 128, true],
    [4079, 4096, 8192, 64, true],
    [9000, 4096, 12288, 42, true],
    [9216, 4096, 12288, 42, true],
  ])('mtu %i: chunks of %i bytes, slots of %i, %i of them in a tx ring of 128', (mtu, chunk, slot, slots, inParts) => {
    const layout = layOut(mtu, 64, 128);
    expect(layout).toMatchObject({ chunkBytes: chunk, slotBytes: slot, txSlots: slots, inParts });
    expect(layout.txSlots * layout.slotBytes).toBeLessThanOrEqual(128 * chunk);
    expect(layout).toMatchObject({ rxChunks: 128, batch: 32, umemLength: 256 * chunk });
    expect(layout.length).toBe(layout.assembly + (inParts ? 33 * slot : 0));
  });

  it.each([
    [2, 2048],
    [64, 2048],
    [4096, 16384],
    [16, 131072],
  ])('%i slots of %i bytes fill their blocks exactly', (slots, bytes) => {
    const [blockLength, blocks, slotBytes, count] = ringRequest(slots, bytes);
    expect([slotBytes, count]).toEqual([bytes, slots]);
    expect(blockLength * blocks).toBe(slots * bytes);
    expect(blockLength % slotBytes).toBe(0);
    expect(blockLength % 4096).toBe(0);
  });
});

describe('the virtio header', () => {
  function header(frame: number[], segmentSize: number): number[] {
    const memory = new Uint8Array(8 + VNET_HEADER_LENGTH + 80).fill(0xee);
    memory.set(frame, 8 + VNET_HEADER_LENGTH);
    writeVnetHeader(memory, 8, segmentSize);
    expect(memory[7]).toBe(0xee);
    return Array.from(new Uint16Array(memory.slice(8, 8 + VNET_HEADER_LENGTH).buffer));
  }
  const ethernet = (ethertype: number): number[] => [...new Uint8Array(12), ethertype >> 8, ethertype & 255];
  const ipv4 = (protocol: number): number[] => [0x45, ...new Uint8Array(8), protocol, ...new Uint8Array(10)];
  const tcp = [...new Uint8Array(12), 0x80, ...new Uint8Array(19)];

  it('leaves the checksum of a TCP segment to the kernel', () => {
    expect(header([...ethernet(0x0800), ...ipv4(6), ...tcp], 0)).toEqual([1, 0, 0, 34, 16, 0]);
  });

  it('has a long one cut', () => {
    expect(header([...ethernet(0x0800), ...ipv4(6), ...tcp], 1448)).toEqual([1 | (1 << 8), 66, 1448, 34, 16, 0]);
  });

  it('touches nothing else', () => {
    expect(header([...ethernet(0x0800), ...ipv4(1)], 0)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(header(ethernet(0x0806), 0)).toEqual([0, 0, 0, 0, 0, 0]);
  });
});

describe('errors', () => {
  it('names what is known and numbers what is not', () => {
    expect(errnoText(105)).toBe('ENOBUFS (no buffer space)');
    expect(errnoText(4095)).toBe('errno 4095');
  });

  it('says which privilege is missing', () => {
    const error = openingError('a packet socket', 1, 'CAP_NET_RAW');
    expect([error.code, error.message]).toEqual(['NO_PRIVILEGE', 'a packet socket needs CAP_NET_RAW: run with sudo']);
    expect(openingError('a packet socket', 12, 'CAP_NET_RAW')).toEqual(systemError('a packet socket', 12));
  });
});
