// Replies as values, whole or cut anywhere.
import { describe, expect, it } from 'vitest';
import { CommandError, replyLength, replyValue } from './reply-value.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

describe('a reply', () => {
  it.each([
    ['+OK\r\n', 'OK'],
    [':-42\r\n', -42],
    [':9223372036854775807\r\n', 9223372036854775807n],
    ['$-1\r\n', null],
    ['*-1\r\n', null],
    ['*0\r\n', []],
    ['*2\r\n:1\r\n*1\r\n+a\r\n', [1, ['a']]],
  ])('%j', (text, value) => {
    expect(replyValue(bytes(text))).toEqual(value);
  });

  it('of bytes', () => {
    expect(Buffer.from(replyValue(bytes('$4\r\na\r\n\xff\r\n')) as Uint8Array).toString('latin1')).toBe('a\r\n\xff');
  });

  it('that is an error is thrown, and given when it is an element', () => {
    expect(() => replyValue(bytes('-WRONGTYPE no\r\n'))).toThrow(CommandError);
    const [error] = replyValue(bytes('*1\r\n-WRONGTYPE no\r\n')) as CommandError[];
    expect([error.code, error.message]).toEqual(['WRONGTYPE', 'WRONGTYPE no']);
  });

  it('is whole only with its last byte', () => {
    const whole = bytes('*3\r\n$3\r\na\r\n\r\n*1\r\n:5\r\n$-1\r\n');
    for (let end = 0; end < whole.length; end++) expect(replyLength(whole.subarray(0, end))).toBe(0);
    expect(replyLength(Buffer.concat([whole, bytes('+more')]))).toBe(whole.length);
  });
});
