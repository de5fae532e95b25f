import { expect, it, vi } from 'vitest';
import { onInterrupt } from './interrupt.ts';

it('the first signal stops, its echo does nothing, a later one is for whoever listened before', async () => {
  const before = process.listenerCount('SIGINT');
  let stops = 0;
  onInterrupt(() => stops++);
  expect(process.listenerCount('SIGINT')).toBe(before + 1);
  const [ours] = process.listeners('SIGINT').slice(-1) as (() => void)[];
  ours();
  ours();
  expect(stops).toBe(1);
  expect(process.listenerCount('SIGTERM')).toBeGreaterThan(0);
  await vi.waitFor(() => expect(process.listenerCount('SIGINT')).toBe(before), 10_000);
});
