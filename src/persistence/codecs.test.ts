import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Element } from '../data/element.ts';
import { Crc64 } from './crc64.ts';
import { lzfCompress, lzfDecompress } from './lzf.ts';
import { RdbInput } from './rdb-input.ts';
import { RdbOutput } from './rdb-output.ts';

describe('Crc64', () => {
  it('is the one Redis uses', () => {
    const checksum = new Crc64();
    checksum.update(Buffer.from('x123456789'), 1, 4);
    checksum.update(Buffer.from('123456789'), 4, 5);
    const bytes = Buffer.alloc(8);
    checksum.write(bytes, 0);
    expect(bytes.readBigUInt64LE().toString(16)).toBe('e9c6d914c4b8d9ca');
    expect(checksum.equals(bytes, 0)).toBe(true);
    bytes[7] ^= 1;
    expect(checksum.equals(bytes, 0)).toBe(false);
  });
});

describe('LZF', () => {
  const text = fc.oneof(
    fc.uint8Array({ maxLength: 3000 }),
    fc.array(fc.constantFrom(1, 2, 3), { maxLength: 20_000 }).map((values) => Uint8Array.from(values)),
    fc.nat(20_000).map((length) => new Uint8Array(length).fill(7)),
  );

  it('gives back what it took, or says that it would not fit (property)', () => {
    fc.assert(
      fc.property(text, (bytes) => {
        const packed = new Uint8Array(bytes.length);
        const size = lzfCompress(bytes, 0, bytes.length, packed, 0, bytes.length);
        expect(size).toBeLessThanOrEqual(bytes.length);
        if (size === 0) return;
        const back = new Uint8Array(bytes.length);
        expect(lzfDecompress(packed, 0, size, back, bytes.length)).toBe(true);
        expect(Buffer.compare(back, bytes)).toBe(0);
        expect(lzfDecompress(packed, 0, size - 1, back, bytes.length)).toBe(false);
      }),
      { seed: 3, numRuns: 200 },
    );
    const packed = new Uint8Array(1000);
    expect(lzfCompress(new Uint8Array(20_000), 0, 20_000, packed, 0, 1000)).toBeLessThan(300);
  });

  it('never writes or reads outside on arbitrary input (property)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(300), (bytes, length) => {
        const to = new Uint8Array(length + 10).fill(9);
        lzfDecompress(bytes, 0, bytes.length, to, length);
        expect(to.subarray(length).every((byte) => byte === 9)).toBe(true);
      }),
      { seed: 3, numRuns: 500 },
    );
  });
});

describe('RDB strings and lengths', () => {
  it('are read behind a string that is longer than the buffer', () => {
    const out = new RdbOutput(null, false);
    const large = new Uint8Array(3_000_000).fill(121);
    out.string(large, 0, large.length);
    for (let i = 0; i < 3; i++) out.byte(i);
    let at = 0;
    const input = RdbInput.fromSource((into, offset, length) => {
      const count = Math.min(length, 100_000, out.length - at);
      into.set(out.bytes.subarray(at, at + count), offset);
      at += count;
      return count;
    });
    const text = new Element();
    input.string(text);
    expect(text.length).toBe(large.length);
    expect([input.byte(), input.byte(), input.byte()]).toEqual([0, 1, 2]);
  });

  it('come back as they were (property)', () => {
    const item = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.integer().map((value) => Uint8Array.from(Buffer.from(String(value)))),
      fc.nat(40_000).map((length) => new Uint8Array(length).fill(65)),
    );
    fc.assert(
      fc.property(fc.array(item, { maxLength: 20 }), fc.boolean(), (items, compress) => {
        const out = new RdbOutput(null, compress);
        for (const bytes of items) {
          out.string(bytes, 0, bytes.length);
          out.size(bytes.length);
          out.double(bytes.length / 3);
          out.int64(-bytes.length);
        }
        const input = RdbInput.fromBytes(out.bytes, 0, out.length);
        const element = new Element();
        for (const bytes of items) {
          input.string(element);
          expect(Buffer.compare(element.copy(), bytes)).toBe(0);
          expect(input.count()).toBe(bytes.length);
          expect(input.double()).toBe(bytes.length / 3);
          expect(input.int64()).toBe(bytes.length === 0 ? 0 : -bytes.length);
        }
        expect(input.atEnd).toBe(true);
      }),
      { seed: 8, numRuns: 100 },
    );
  });
});
