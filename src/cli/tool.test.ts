import { describe, expect, it } from 'vitest';
import { nearestName, parseOptions, UsageError, wholeNumber } from './tool.ts';

describe('nearestName', () => {
  const tools = ['lab', 'bench', 'netstat', 'capture'];

  it.each([
    ['lba', 'lab'],
    ['bnech', 'bench'],
    ['cap', 'capture'],
    ['netstats', 'netstat'],
  ])('takes %s for %s', (word, meant) => {
    expect(nearestName(word, tools)).toBe(meant);
  });

  it('does not guess wildly', () => {
    expect(nearestName('quicksilver', tools)).toBeNull();
    expect(nearestName('', tools)).toBeNull();
  });
});

describe('command lines', () => {
  it('turns an unknown option into one line', () => {
    const parse = () => parseOptions({ args: ['--nmae', 'x'], options: { name: { type: 'string' } } });
    expect(parse).toThrow(UsageError);
    expect(parse).toThrow(/^unknown option '--nmae'; did you mean '--name'\?$/);
    const far = () =>
      parseOptions({ args: ['--zzz'], options: { name: { type: 'string' }, json: { type: 'boolean' } } });
    expect(far).toThrow(/^unknown option '--zzz'; there are --name, --json$/);
  });

  it('says what is missing, and what is too much', () => {
    const options = { name: { type: 'string', short: 'n' } } as const;
    expect(() => parseOptions({ args: ['--name'], options })).toThrow(/^--name wants a value$/);
    expect(() => parseOptions({ args: ['--zzzzzz'], options, allowPositionals: true })).toThrow(
      /^unknown option '--zzzzzz'; there are --name/,
    );
    expect(() => parseOptions({ args: ['--name', '-1'], options })).toThrow(/^--name wants a value, and what follows/);
    expect(() => parseOptions({ args: ['x'], options })).toThrow(/^Unexpected argument 'x'/);
  });

  it('checks whole numbers', () => {
    expect(wholeNumber('12', 'rounds', 1)).toBe(12);
    for (const bad of ['0', '-1', '1.5', 'x', '', '1e3']) {
      expect(() => wholeNumber(bad, 'rounds', 1)).toThrow(`--rounds wants a whole number of at least 1, not '${bad}'`);
    }
  });
});
