import { describe, expect, it } from 'vitest';
import type { Element } from '../data/element.ts';
import { readZiplist, readZipmap } from './old-packs.ts';

function ziplist(...elements: number[][]): Uint8Array {
  const body: number[] = [];
  let previous = 0;
  let last = 10;
  for (const element of elements) {
    last = 10 + body.length;
    body.push(previous, ...element);
    previous = element.length + 1;
  }
  const total = 10 + body.length + 1;
  return Uint8Array.from([total & 255, total >> 8, 0, 0, last, 0, 0, 0, elements.length, 0, ...body, 255]);
}

const ascii = (text: string): number[] => [...Buffer.from(text, 'latin1')];

function read(reader: typeof readZiplist, bytes: Uint8Array): string[] | null {
  const items: string[] = [];
  // In the middle of a larger array, as in a file's buffer.
  const padded = new Uint8Array(bytes.length + 7);
  padded.set(bytes, 7);
  const valid = reader(padded, 7, bytes.length, (item: Element) => {
    items.push(Buffer.from(item.copy()).toString('latin1'));
  });
  return valid ? items : null;
}

describe('readZiplist', () => {
  const everything = ziplist(
    [3, ...ascii('abc')],
    [0x40 | 0, 5, ...ascii('hello')],
    [0x80, 0, 0, 0, 2, ...ascii('xy')],
    [0xf1], // 0
    [0xfd], // 12
    [0xfe, 0x80], // -128
    [0xc0, 0x00, 0x80], // -32768
    [0xf0, 0xff, 0xff, 0xff], // -1 in 24 bits
    [0xf0, 0x00, 0x00, 0x80], // -8388608
    [0xd0, 0xff, 0xff, 0xff, 0x7f], // 2147483647
    [0xe0, 0, 0, 0, 0, 0, 0, 0, 0x80], // the lowest int64
  );

  it('reads every kind of element', () => {
    expect(read(readZiplist, everything)).toEqual([
      ...['abc', 'hello', 'xy', '0', '12', '-128', '-32768', '-1', '-8388608', '2147483647'],
      '-9223372036854775808',
    ]);
    expect(read(readZiplist, ziplist())).toEqual([]);
  });

  it('refuses what is cut off or counts wrongly', () => {
    for (let length = 0; length < everything.length; length++) {
      const cut = everything.slice(0, length);
      if (length > 4) cut[0] = length; // even with a total that fits
      expect(read(readZiplist, cut), `cut at ${length}`).toBeNull();
    }
    const miscounted = everything.slice();
    miscounted[8]++;
    expect(read(readZiplist, miscounted)).toBeNull();
    const tail = everything.slice();
    tail[4]--;
    expect(read(readZiplist, tail), 'another last element').toBeNull();
    const back = everything.slice();
    back[10 + 5]++;
    expect(read(readZiplist, back), 'another length of the element before').toBeNull();
  });
});

describe('readZipmap', () => {
  it('reads fields and values, with room left behind a value', () => {
    const map = Uint8Array.from([2, 1, 97, 2, 1, 49, 50, 0, 3, ...ascii('foo'), 0, 0, 255]);
    expect(read(readZipmap, map)).toEqual(['a', '12', 'foo', '']);
    expect(read(readZipmap, map.slice(0, -1))).toBeNull();
    expect(read(readZipmap, map.slice(0, 6))).toBeNull();
  });
});
