import { describe, expect, it } from 'vitest';
import { patiently } from './server-option.ts';

describe('waiting for a server that is busy', () => {
  it('says why it may take long, once, and gets the answer all the same', async () => {
    const said: string[] = [];
    let answer: (value: string) => void = () => {};
    const waiting = patiently(
      new Promise<string>((resolve) => {
        answer = resolve;
      }),
      (line) => said.push(line),
      1,
    );
    await expect.poll(() => said).toEqual([expect.stringContaining('has not answered yet')]);
    answer('done');
    expect(await waiting).toBe('done');
    expect(said).toHaveLength(1);
  });

  it('says nothing of one that answers, or refuses, in time', async () => {
    const said: string[] = [];
    const say = (line: string): void => void said.push(line);
    expect(await patiently(Promise.resolve(1), say, 10_000)).toBe(1);
    await expect(patiently(Promise.reject(new Error('no')), say, 10_000)).rejects.toThrow('no');
    expect(said).toEqual([]);
  });
});
