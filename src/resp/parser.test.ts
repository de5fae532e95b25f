import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BROKEN, EMPTY, INCOMPLETE, REQUEST, RequestParser } from './parser.ts';
import { quoteArg, splitArgs } from './split-args.ts';

const limits = { unauthenticated: false, bulkLengthMax: 512 * 1024 * 1024 };
const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

function words(parser: RequestParser): string[] {
  return Array.from({ length: parser.argc }, (_, i) =>
    Buffer.from(parser.source).toString('latin1', parser.offsets[i], parser.offsets[i] + parser.lengths[i]),
  );
}

function encode(request: readonly string[]): string {
  return `*${request.length}\r\n${request.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
}

/** Feeds `text` in pieces as a client does: a query buffer that keeps the incomplete request only. */
function feed(text: string, cuts: readonly number[], given = limits): { requests: string[][]; error: string } {
  const parser = new RequestParser();
  const requests: string[][] = [];
  let buffer = new Uint8Array(0);
  parser.begin(0, given);
  for (let i = 0; i <= cuts.length; i++) {
    const piece = latin1(text.slice(i === 0 ? 0 : cuts[i - 1], cuts[i] ?? text.length));
    buffer = Uint8Array.from([...buffer, ...piece]);
    for (;;) {
      const status = parser.parse(buffer, buffer.length);
      if (status === REQUEST) requests.push(words(parser));
      else if (status === BROKEN) return { requests, error: parser.error };
      else if (status === INCOMPLETE) break;
    }
    buffer = buffer.slice(parser.start);
    parser.rebase();
  }
  return { requests, error: '' };
}

describe('RequestParser', () => {
  test('reads the same requests however the bytes are cut', () => {
    const word = fc.string({ unit: fc.constantFrom('a', '\r', '\n', '$', '*', '\xff', '0'), maxLength: 130 });
    const request = fc.array(word, { minLength: 1, maxLength: 90 });
    fc.assert(
      fc.property(
        fc.array(request, { maxLength: 4 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 }),
        (requests, fractions) => {
          const text = requests.map(encode).join('');
          const cuts = fractions.map((fraction) => Math.floor(fraction * text.length)).sort((a, b) => a - b);
          expect(feed(text, cuts)).toEqual({ requests, error: '' });
        },
      ),
      { seed: 7, numRuns: 200 },
    );
  });

  test('leaves the words where they lie', () => {
    const parser = new RequestParser();
    const bytes = latin1(`xx${encode(['SET', 'k', 'value'])}`);
    parser.begin(2, limits);
    expect(parser.parse(bytes, bytes.length)).toBe(REQUEST);
    expect(parser.source).toBe(bytes);
    expect(words(parser)).toEqual(['SET', 'k', 'value']);
    expect(parser.position).toBe(bytes.length);
  });

  test('says how far a large bulk reaches', () => {
    const parser = new RequestParser();
    const bytes = latin1('*2\r\n$3\r\nGET\r\n$100000\r\nabc');
    parser.begin(0, limits);
    expect(parser.parse(bytes, bytes.length)).toBe(INCOMPLETE);
    expect(parser.needed).toBe(bytes.length - 3 + 100000 + 2);
  });

  test('inline requests follow the quoting rules', () => {
    expect(feed('SET  key "a \\x41\\n\\"" \'it\\\'s\'\r\nPING\n\r\n', []).requests).toEqual([
      ['SET', 'key', 'a A\n"', "it's"],
      ['PING'],
    ]);
    expect(feed('SET "a', []).error).toBe('');
    expect(feed('SET "a\r\n', []).error).toBe('ERR Protocol error: unbalanced quotes in request');
    expect(feed('SET "a"b\r\n', []).error).toBe('ERR Protocol error: unbalanced quotes in request');
  });

  test('empty and negative multi-bulks are skipped', () => {
    const parser = new RequestParser();
    const bytes = latin1('*0\r\n*-10\r\n*1\r\n$4\r\nPING\r\n');
    parser.begin(0, limits);
    expect(parser.parse(bytes, bytes.length)).toBe(EMPTY);
    expect(parser.parse(bytes, bytes.length)).toBe(EMPTY);
    expect(parser.parse(bytes, bytes.length)).toBe(REQUEST);
  });

  test.each([
    ['*3000000000\r\n', 'invalid multibulk length'],
    ['*20\r\n', 'unauthenticated multibulk length'],
    ['*x\r\n', 'invalid multibulk length'],
    ['*1\r\n$-10\r\n', 'invalid bulk length'],
    ['*1\r\n$blabla\r\n', 'invalid bulk length'],
    ['*1\r\n$05\r\n', 'invalid bulk length'],
    ['*1\r\n$2000000000\r\n', 'invalid bulk length'],
    ['*1\r\n$20000\r\n', 'unauthenticated bulk length'],
    ['*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n', "expected '$', got 'f'"],
    [`*${'1'.repeat(70000)}`, 'too big mbulk count string'],
    [`*1\r\n$${'1'.repeat(70000)}`, 'too big bulk count string'],
    ['A'.repeat(70000), 'too big inline request'],
  ])('%.20j breaks the protocol', (text, problem) => {
    const given = { ...limits, unauthenticated: problem.startsWith('unauth') };
    expect(feed(text, [], given).error).toBe(`ERR Protocol error: ${problem}`);
  });
});

test('quoteArg is undone by splitArgs', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary-ascii' }), { minLength: 1 }), (list) => {
      expect(splitArgs(list.map(quoteArg).join(' '))).toEqual(list);
    }),
    { seed: 3 },
  );
});
