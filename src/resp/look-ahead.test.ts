import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AHEAD_MAX, LookAhead } from './look-ahead.ts';

const encode = (requests: readonly (readonly string[])[]): string =>
  requests
    .map((words) => `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`)
    .join('');

function keysIn(text: string, position = 0, end = text.length): string[] {
  const ahead = new LookAhead();
  ahead.scan(Buffer.from(text, 'latin1'), position, end);
  return Array.from({ length: ahead.count }, (_, i) => text.substr(ahead.offsets[i], ahead.lengths[i]));
}

describe('look-ahead', () => {
  it('finds the first key of each request', () => {
    expect(
      keysIn(
        encode([
          ['get', 'one'],
          ['set', 'two', 'x'],
          ['mget', 'three', 'four'],
        ]),
      ),
    ).toEqual(['one', 'two', 'three']);
  });

  it('starts and ends where it is told', () => {
    const first = encode([['get', 'one']]);
    const text =
      first +
      encode([
        ['get', 'two'],
        ['get', 'three'],
      ]);
    expect(keysIn(text, first.length)).toEqual(['two', 'three']);
    expect(keysIn(text, 0, text.length - 8)).toEqual(['one', 'two']);
  });

  it('stops at what it does not understand', () => {
    expect(keysIn(`${encode([['get', 'one']])}PING\r\n${encode([['get', 'two']])}`)).toEqual(['one']);
    expect(keysIn(encode([['ping'], ['get', 'two']]))).toEqual([]);
    expect(keysIn('*2\r\n$-1\r\n$3\r\nkey\r\n')).toEqual([]);
    expect(keysIn('*2\r\n$3\r\nget\r\n$99999999999\r\nkey\r\n')).toEqual([]);
  });

  it('has an end', () => {
    expect(keysIn(encode(Array.from({ length: 99 }, () => ['get', 'k'])))).toHaveLength(AHEAD_MAX);
  });

  it('never reads beyond the end, whatever there is', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('*', '$', '1', '3', '\r', '\n', 'a'), maxLength: 60 }), (text) => {
        const ahead = new LookAhead();
        const bytes = Buffer.from(`${text}*2\r\n$3\r\nget\r\n$3\r\nkey\r\n`, 'latin1');
        ahead.scan(bytes, 0, text.length);
        for (let i = 0; i < ahead.count; i++) {
          expect(ahead.offsets[i] + ahead.lengths[i]).toBeLessThanOrEqual(text.length);
        }
      }),
      { seed: 1, numRuns: 2000 },
    );
  });
});
