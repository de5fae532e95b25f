import { describe, expect, it } from 'vitest';
import { findAttribute, netlinkRequest } from './interrupt-hold.ts';

describe('requests of generic netlink', () => {
  it('have a header, and attributes at multiples of four', () => {
    const name = new TextEncoder().encode('netdev\0');
    const bytes = netlinkRequest(16, 1, 3, [
      [2, name],
      [5, Uint8Array.of(1, 0, 0, 0)],
    ]);
    expect(Buffer.from(bytes).toString('hex')).toBe(
      ['28000000', '1000', '0100', '00000000', '00000000', '03', '01', '0000']
        .concat(['0b00', '0200', '6e657464657600', '00', '0800', '0500', '01000000'])
        .join(''),
    );
  });

  it('are read like answers: an attribute is found by its type', () => {
    const bytes = netlinkRequest(16, 1, 3, [
      [2, Uint8Array.of(1, 2, 3)],
      [6, Uint8Array.of(9, 0, 0, 0)],
    ]);
    const answer = new DataView(bytes.buffer);
    expect(answer.getUint32(findAttribute(answer, 6), true)).toBe(9);
    expect(findAttribute(answer, 7)).toBe(-1);
  });

  it('are not read beyond an attribute that has no length', () => {
    expect(findAttribute(new DataView(new ArrayBuffer(40)), 7)).toBe(-1);
  });
});
