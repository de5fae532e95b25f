import { describe, expect, it } from 'vitest';
import { globMatch } from './glob.ts';

const match = (pattern: string, text: string, ignoreCase = false): boolean => {
  const p = Buffer.from(pattern, 'latin1');
  const t = Buffer.from(text, 'latin1');
  return globMatch(p, 0, p.length, t, 0, t.length, ignoreCase);
};

describe('globMatch', () => {
  it.each([
    ['*', '', true],
    ['*', 'anything', true],
    ['', '', true],
    ['', 'a', false],
    ['a', '', false],
    ['h?llo', 'hello', true],
    ['h?llo', 'hllo', false],
    ['h*llo', 'heeeello', true],
    ['h[ae]llo', 'hallo', true],
    ['h[ae]llo', 'hillo', false],
    ['h[^e]llo', 'hallo', true],
    ['h[^e]llo', 'hello', false],
    ['h[a-b]llo', 'hbllo', true],
    ['h[b-a]llo', 'hallo', true],
    ['h[a-b]llo', 'hcllo', false],
    ['h\\*llo', 'h*llo', true],
    ['h\\*llo', 'hello', false],
    ['*foo*bar', 'xfooyfoobar', true],
    ['*foo*bar', 'xfooybarz', false],
    ['a*', 'a', true],
    ['a**b', 'ab', true],
    ['[abc', 'a', true],
    ['[\\]]', ']', true],
    ['a\\', 'a\\', true],
    ['foo*[0-9]', 'foo:12', true],
  ])('%s against %s: %s', (pattern, text, expected) => {
    expect(match(pattern, text)).toBe(expected);
  });

  it('can ignore case', () => {
    expect(match('HeL[L-O]*', 'hello', true)).toBe(true);
    expect(match('HeL[L-O]*', 'hello')).toBe(false);
  });

  it('is not slow on many stars', () => {
    expect(match(`${'a*'.repeat(200)}b`, 'a'.repeat(20_000))).toBe(false);
  });
});
