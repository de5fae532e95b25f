import { describe, expect, it } from 'vitest';
import { CliError } from '../../tool.ts';
import { probeCommand, valuesOf } from './dataset.ts';

const result = { seconds: 2, p50Us: 100, p99Us: 2000, maxUs: 4500, coreShare: 0.1 };

describe('the probe beside a load', () => {
  it('tells the rate of the load and its own times', () => {
    expect(valuesOf(result, 1_000_000)).toEqual({ rate: 500_000, p50Ms: 0.1, p99Ms: 2, maxMs: 4.5 });
  });

  it('counts for nothing when it has taken the core that the load needs', () => {
    expect(() => valuesOf({ ...result, coreShare: 0.95 }, 1_000_000)).toThrow(CliError);
    expect(() => valuesOf({ ...result, coreShare: 0.95 }, 1_000_000)).toThrow(/95 %/);
  });

  it('runs in one thread: nothing of it may wait for a thread that it keeps from running', () => {
    expect(probeCommand('10.0.0.1', 6379).slice(0, 2)).toEqual([process.execPath, '--single-threaded']);
  });
});
