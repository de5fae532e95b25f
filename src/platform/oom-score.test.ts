import { expect, test } from 'vitest';
import { OomScore } from './oom-score.ts';

test('the score is relative to the first one, absolute, bounded, and put back', () => {
  let kept = '7\n';
  const score = new OomScore({
    read: () => kept,
    write: (text) => {
      kept = text;
    },
  });
  expect([score.apply('no', 5), kept]).toEqual([null, '7\n']);
  expect([score.apply('yes', 5), kept]).toEqual([null, '12\n']);
  expect([score.apply('relative', 20), kept]).toEqual([null, '27\n']);
  expect([score.apply('absolute', 20), kept]).toEqual([null, '20\n']);
  expect([score.apply('relative', 1999), kept]).toEqual([null, '1000\n']);
  expect([score.apply('no', 5), kept]).toEqual([null, '7\n']);
  kept = '9\n';
  expect([score.apply('yes', 1), kept]).toEqual([null, '10\n']);
});

test('what the kernel refuses is told', () => {
  const score = new OomScore({
    read: () => '0\n',
    write: () => {
      throw new Error('EACCES');
    },
  });
  expect(score.apply('yes', -10)).toBe('EACCES');
});
