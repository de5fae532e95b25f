import koffi from 'koffi';
import { afterEach, describe, expect, it } from 'vitest';
import { close } from './libc.ts';
import { type ReadableWatch, watchReadable } from './uv-poll.ts';

const libc = koffi.load(null);
const eventfd = libc.func('int eventfd(uint count, int flags)');
const read = libc.func('long read(int fd, void *to, ulong length)');
const EFD_NONBLOCK = 0o4000;

describe.skipIf(process.platform !== 'linux')('watchReadable', () => {
  let fd = -1;
  let watch: ReadableWatch | null = null;
  const open = (count: number): number => (fd = eventfd(count, EFD_NONBLOCK));
  const drain = (): void => void read(fd, new Uint8Array(8), 8);

  afterEach(() => {
    watch?.close();
    watch?.close();
    close(fd);
  });

  it('calls again as long as the descriptor stays readable, with timers alive beside it', async () => {
    let calls = 0;
    watch = watchReadable(open(1), () => calls++);
    await expect.poll(() => calls, { timeout: 10_000 }).toBeGreaterThan(1);
  });

  it('runs ticks and promise jobs before the next call', async () => {
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      watch = watchReadable(open(1), () => {
        order.push('call');
        if (order.length > 3) {
          drain();
          resolve();
          return;
        }
        process.nextTick(() => order.push('tick'));
        Promise.resolve().then(() => order.push('job'));
      });
    });
    expect(order).toEqual(['call', 'tick', 'job', 'call']);
  });

  it('carries an exception over to the process and goes on', async () => {
    const uncaught: unknown[] = [];
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => uncaught.push(error));
    let calls = 0;
    const boom = new Error('boom');
    await new Promise<void>((resolve) => {
      watch = watchReadable(open(1), () => {
        calls++;
        if (calls === 1) throw boom;
        drain();
        resolve();
      });
    });
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
    expect(uncaught).toEqual([boom]);
  });

  it('can be closed in its own callback, and is never called again', async () => {
    let calls = 0;
    watch = watchReadable(open(1), () => {
      calls++;
      watch?.close();
    });
    await expect.poll(() => calls, { timeout: 10_000 }).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(calls).toBe(1);
  });
});
