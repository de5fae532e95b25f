import { describe, expect, it } from 'vitest';
import { made } from '../../../test/support/captured.ts';
import { addressText, Dissected, dissect, TYPE_IPV4, TYPE_IPV6 } from './dissect.ts';

function dissected(bytes: Uint8Array, linkType = 1): Dissected {
  const fields = new Dissected();
  // Somewhere in a larger memory.
  const memory = Uint8Array.from([9, 9, 9, ...bytes, 9]);
  dissect(memory, 3, bytes.length, linkType, fields);
  return fields;
}

const four = made({ seq: 7, ack: 8, payload: 'abc', window: 99 }).bytes;
const six = made({ version: 6, payload: 'abc' }).bytes;
const packet = (frame: Uint8Array): number[] => [...frame.subarray(14)];

describe('a dissected frame', () => {
  it('has addresses, ports and the fields of TCP', () => {
    expect(dissected(four)).toMatchObject({
      type: TYPE_IPV4,
      protocol: 6,
      isTcp: true,
      sourcePort: 40_000,
      destinationPort: 6379,
      seq: 7,
      ack: 8,
      window: 99,
      payloadLength: 3,
      payloadKept: 3,
      vlan: 0,
    });
  });

  it.each([
    ['raw IPv4', 101, packet(four), TYPE_IPV4],
    ['raw IPv6', 101, packet(six), TYPE_IPV6],
    ['tcpdump -i any', 113, [...new Array(14).fill(0), 8, 0, ...packet(four)], TYPE_IPV4],
    ['tcpdump -i any, version 2', 276, [0x86, 0xdd, ...new Array(18).fill(0), ...packet(six)], TYPE_IPV6],
    ['two VLAN tags', 1, [...four.subarray(0, 12), 0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0, ...packet(four)], TYPE_IPV4],
  ])('is found behind what it is captured with: %s', (_name, linkType, bytes, type) => {
    const fields = dissected(Uint8Array.from(bytes), linkType);
    expect(fields).toMatchObject({ type, isTcp: true, destinationPort: 6379, payloadKept: 3 });
    expect(fields.vlan).toBe(bytes.includes(0xa8) && linkType === 1 ? 5 : 0);
  });

  it('is found behind the extension headers of IPv6', () => {
    const bytes = packet(six);
    // Destination options of 8 bytes: the next header, then TCP.
    const extended = [...bytes.slice(0, 40), 6, 0, 1, 4, 0, 0, 0, 0, ...bytes.slice(40)];
    extended[6] = 60;
    extended[5] += 8;
    expect(dissected(Uint8Array.from(extended), 101)).toMatchObject({
      isTcp: true,
      sourcePort: 40_000,
      payloadKept: 3,
    });
  });

  it('tells what was captured from what was sent', () => {
    expect(dissected(four.slice(0, -2))).toMatchObject({ payloadLength: 3, payloadKept: 1 });
    // Padding to the least that Ethernet sends is no payload.
    expect(dissected(Uint8Array.from([...four, 0, 0, 0, 0]))).toMatchObject({ payloadLength: 3, payloadKept: 3 });
  });

  it('has no ports behind the first fragment', () => {
    const fragment = Uint8Array.from(four);
    fragment[14 + 7] = 10;
    expect(dissected(fragment)).toMatchObject({ protocol: 6, isTcp: false, sourcePort: -1 });
  });

  it('has addresses as people write them', () => {
    const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replace(/\s/g, ''), 'hex'));
    expect(addressText(Uint8Array.of(10, 0, 255, 1), 0, 4)).toBe('10.0.255.1');
    expect(addressText(bytes('20010db8 00000000 00000000 00000001'), 0, 16)).toBe('2001:db8::1');
    expect(addressText(bytes('fe800000 00000000 0a0000ff fe00abcd'), 0, 16)).toBe('fe80::a00:ff:fe00:abcd');
  });
});
