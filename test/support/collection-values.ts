// Elements that sit on the edges of every encoding, for the property tests of this folder and of the commands.
import fc from 'fast-check';
import type { Element } from '../../src/data/element.ts';

/** Latin-1: one byte a character. */
export const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

export const textOf = (element: Element): string =>
  Buffer.from(element.bytes.buffer, element.bytes.byteOffset + element.offset, element.length).toString('latin1');

const edges = [
  0n,
  127n,
  128n,
  4095n,
  4096n,
  8191n,
  8192n,
  32767n,
  32768n,
  8388607n,
  8388608n,
  2n ** 31n,
  2n ** 53n,
  2n ** 63n,
];
const integers = edges.flatMap((edge) => [edge - 1n, edge, edge + 1n, -edge - 1n, -edge, -edge + 1n]).map(String);
const lookAlikes = [
  '-0',
  '00',
  '01',
  ' 1',
  '1 ',
  '+1',
  '-',
  '',
  '1.0',
  '0x1',
  '1e3',
  '99999999999999999999',
  '-01',
  '18446744073709551616',
];
const lengths = [1, 62, 63, 64, 65, 126, 127, 128, 4094, 4095, 4096];

/** Byte strings as Latin-1 text: integers at every boundary, what only looks like one, strings of every header size. */
export const boundaryText: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...integers) },
  { weight: 2, arbitrary: fc.constantFrom(...lookAlikes) },
  { weight: 3, arbitrary: fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('latin1')) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.constantFrom(...lengths), fc.constantFrom('x', '\xff', '\0')).map(([n, c]) => c.repeat(n)),
  },
  { weight: 2, arbitrary: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String) },
  { weight: 2, arbitrary: fc.integer({ min: -20, max: 20 }).map(String) },
);

/** Few distinct, short values: for collisions and for staying in the small encodings. */
export const smallText: fc.Arbitrary<string> = fc.oneof(
  fc.integer({ min: -5, max: 30 }).map(String),
  fc.constantFrom('a', 'b', 'c', 'field', 'x'.repeat(64), 'x'.repeat(65)),
);
