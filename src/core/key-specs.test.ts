import { expect, it } from 'vitest';
import { commandDetails } from '../commands/command-details.ts';
import { findKeys, hasKeys, KEY_READ, KEY_WRITE, keyAccess } from './key-specs.ts';
import { WordList } from './nested-call.ts';

/** Keys of the words as `key:rw`. */
function keys(text: string, first = 0): string[] {
  const words = new WordList();
  const all = text.split(' ');
  for (const word of all) words.add(word);
  const name = all[first].toLowerCase();
  return findKeys(words, name, commandDetails(name).keySpecs, first).map(({ flags, position }) => {
    const access = keyAccess(flags);
    return `${all[position]}:${access & KEY_READ ? 'r' : ''}${access & KEY_WRITE ? 'w' : ''}`;
  });
}

it.each([
  ['GET k', ['k:r']],
  ['EXISTS a b', ['a:', 'b:']],
  ['MSET a 1 b 2', ['a:w', 'b:w']],
  ['SET k get', ['k:w']],
  ['SET k v GET', ['k:rw']],
  ['BITFIELD k GET u8 0', ['k:r']],
  ['BITFIELD k SET u8 0 1', ['k:rw']],
  ['EVAL script 2 a b c', ['a:rw', 'b:rw']],
  ['ZUNIONSTORE d 2 a b', ['d:w', 'a:r', 'b:r']],
  ['XREAD STREAMS a b 0 0', ['a:r', 'b:r']],
  ['SORT k BY store GET x STORE d', ['k:r', 'd:w']],
  ['ZDIFF 01 a b', ['a:']],
  ['ZUNIONSTORE d +2x a b', ['a:', 'b:', 'd:']],
  ['MIGRATE h p k 0 1', ['k:rw']],
  ['MIGRATE h p  0 1 AUTH keys KEYS a b', ['a:rw', 'b:rw']],
  ['GEORADIUS k 0 0 1 m STORE d', ['k:r', 'd:w']],
])('finds the keys of %s', (text, expected) => {
  expect(keys(text)).toEqual(expected);
  expect(keys(`COMMAND GETKEYS ${text}`, 2)).toEqual(expected);
});

it.each([
  'EVAL s 0',
  'MIGRATE h p k 0 1 KEYS a',
  'EVAL s x a',
  'EVAL s 3 a',
  'EVAL s 0x1 a',
  'ZDIFF 03 a b',
  'ZUNIONSTORE d 0',
  'PING',
  'XREAD a b',
  'SPUBLISH c m',
])('finds none in %s', (text) => expect(keys(text)).toEqual([]));

it('knows a channel from a key', () => {
  expect(hasKeys(commandDetails('spublish').keySpecs)).toBe(false);
  expect(hasKeys(commandDetails('get').keySpecs)).toBe(true);
});
