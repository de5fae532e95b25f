import { describe, expect, it } from 'vitest';
import { addLongDouble, formatLongDouble, parseLongDouble } from './long-double.ts';
import { formatDouble, parseDouble } from './number-format.ts';

const parse = (text: string): number => parseDouble(Buffer.from(`x${text}`, 'latin1'), 1, text.length);
const sum = (a: string, b: string): string | null => {
  const value = addLongDouble(parseLongDouble(a)!, parseLongDouble(b)!);
  return value === null ? null : formatLongDouble(value);
};

describe('formatDouble', () => {
  it.each([
    [0.1, '0.10000000000000001'],
    [1e300, '1.0000000000000001e+300'],
    [1 + 2 ** -17, '1.0000076293945312'],
    [1e17, '1e+17'],
    [1e16, '10000000000000000'],
    [123456789012345680, '1.2345678901234568e+17'],
    [3, '3'],
    [-0, '-0'],
    [-1.5, '-1.5'],
    [0.0001, '0.0001'],
    [0.00001, '1.0000000000000001e-05'],
    [5e-324, '4.9406564584124654e-324'],
    [1.7976931348623157e308, '1.7976931348623157e+308'],
    [Number.POSITIVE_INFINITY, 'inf'],
    [Number.NEGATIVE_INFINITY, '-inf'],
  ])('prints %f as %%.17g does', (value, text) => {
    expect(formatDouble(value)).toBe(text);
  });

  it('reads back what it printed', () => {
    let bits = 1;
    const view = new DataView(new ArrayBuffer(8));
    for (let i = 0; i < 20_000; i++) {
      bits = Math.imul(bits, 1664525) + 1013904223;
      view.setInt32(0, bits);
      bits = Math.imul(bits, 1664525) + 1013904223;
      view.setInt32(4, bits);
      const value = view.getFloat64(0);
      if (Number.isFinite(value)) expect(parse(formatDouble(value))).toBe(value);
    }
  });
});

describe('parseDouble', () => {
  it('takes what strtod takes whole', () => {
    expect(parse('1.5')).toBe(1.5);
    expect(parse('-.5')).toBe(-0.5);
    expect(parse('5.')).toBe(5);
    expect(parse('1e3')).toBe(1000);
    expect(parse('+7')).toBe(7);
    expect(parse('0x1F')).toBe(31);
    expect(parse('0x1.8p1')).toBe(3);
    expect(parse('+inf')).toBe(Number.POSITIVE_INFINITY);
    expect(parse('-Infinity')).toBe(Number.NEGATIVE_INFINITY);
    expect(parse('123456789.12345678901234567')).toBe(Number('123456789.12345678901234567'));
  });

  it('refuses the rest', () => {
    for (const text of ['', ' 1', '1 ', 'abc', '1.2.3', 'nan', '.', '-', '1e', '1e400', '0x', '--1', '1e-400']) {
      expect(parse(text), text).toBeNaN();
    }
  });
});

describe('long double', () => {
  it('adds as INCRBYFLOAT does', () => {
    expect(sum('10.5', '0.1')).toBe('10.6');
    expect(sum('10.6', '1e20')).toBe('100000000000000000008');
    expect(sum('0', '0x10')).toBe('16');
    expect(sum('0', '1e-20')).toBe('0');
    expect(sum('3', '1.1')).toBe('4.1');
    expect(sum('17179869184', '1.5')).toBe('17179869185.5');
    expect(sum('5.0e3', '2.0e2')).toBe('5200');
    expect(sum('1', '-1.1')).toBe('-0.1');
    expect(sum('-0.1', '0.1')).toBe('0');
    expect(sum('inf', '1')).toBeNull();
    expect(sum('1.1e4932', '1.1e4932')).toBeNull();
  });

  it('refuses what is not a number', () => {
    for (const text of ['', ' 1', '1 ', 'abc', '1.2.3', 'nan', '.', '1e5000', '1e-5000']) {
      expect(parseLongDouble(text), text).toBeNull();
    }
  });
});
