// Forty thousand idle connections: what each of them costs, and that they cost nobody else anything. The script
// scripts/bench/connections.sh does the same with 100,000.
import { expect, it, vi } from 'vitest';
import { measureIdle } from '../../support/idle-connections.ts';

it('40,000 idle connections: at most 1 KiB each, no timer of their own, no cost for others', {
  timeout: 120_000,
}, () => {
  const timeout = vi.spyOn(globalThis, 'setTimeout');
  const interval = vi.spyOn(globalThis, 'setInterval');
  const few = measureIdle(10);
  // So many that what V8 keeps besides is a byte or two of each.
  const many = measureIdle(40_000);
  expect(timeout).not.toHaveBeenCalled();
  expect(interval).not.toHaveBeenCalled();
  vi.restoreAllMocks();
  expect(many.connections).toBe(40_001);
  expect(many.bytesPerConnection).toBeLessThan(1024);
  // Nothing waits for anything: neither an acknowledgement nor a keepalive.
  expect(many.armed).toBe(0);
  // A tick that walked over the connections would be a hundred times as long; caches and neighbours on this machine
  // are worth a factor of some.
  expect(many.tickNs).toBeLessThan(few.tickNs * 10 + 2000);
  expect(many.echoNs).toBeLessThan(few.echoNs * 10 + 20_000);
  expect(many.lookupNs).toBeLessThan(few.lookupNs * 20 + 1000);
});
