import koffi from 'koffi';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCounters } from '../frame-engine.ts';
import { DeviceWait } from './device-wait.ts';
import { close, sleepUs } from './libc.ts';

const eventfd = koffi.load(null).func('int eventfd(uint count, int flags)');

/** Always readable, never short of frames; what a flush leaves to it is counted until it is sent. */
class BusyDevice {
  waiting = 3;
  left = 0;
  rests = 0;
  restUs = 0;
  lingers = 0;
  kicks = 0;
  held: number[] = [];
  /** Of wake-ups that were over with frames left behind. */
  forgotten = 0;
  framesWaiting = (): number => this.waiting;
  afterTick(): void {
    this.forgotten += this.left;
  }
  kick(): void {
    if (this.left > 0) this.kicks++;
    this.left = 0;
  }
  rest(): void {
    this.rests++;
    this.left = 0;
    if (this.restUs > 0) sleepUs(this.restUs);
  }
  linger(): void {
    this.lingers++;
    this.left = 0;
  }
  hold(holdUs: number): boolean {
    this.held.push(holdUs);
    return true;
  }
}

describe.skipIf(process.platform !== 'linux')('DeviceWait', () => {
  let fd = -1;
  let wait: DeviceWait;
  const device = new BusyDevice();
  const counters = createCounters();

  beforeEach(() => {
    Object.assign(device, new BusyDevice(), { framesWaiting: device.framesWaiting });
    Object.assign(counters, createCounters());
    fd = eventfd(1, 0);
    wait = new DeviceWait(fd, device, counters, { busyPollUs: 0, coalesceUs: 50 });
  });

  afterEach(() => {
    wait.stop();
    close(fd);
  });

  /** Ticks of a server to which `frames` come a tick, each with something to send, until so many are over. */
  async function serve(ticks: number, frames: number): Promise<void> {
    await new Promise<void>((resolve) => {
      let count = 0;
      wait.start(() => {
        counters.rxFrames += frames;
        if (wait.takeRest()) device.left++;
        // The second flush of a tick leaves nothing behind.
        if (wait.takeRest()) device.forgotten++;
        if (++count >= ticks) resolve();
      });
    });
    await new Promise((resolve) => setTimeout(resolve, 5));
  }

  it('has many ticks in a wake-up while frames come fast, and what they leave is sent by the sleep between them', async () => {
    await serve(50_000, 1000);
    expect(device.rests).toBeGreaterThan(100);
    expect(counters.wakeups).toBeLessThan(25_000);
    expect(device.forgotten).toBe(0);
  });

  it('does not sleep with enough to do, and sends what was left', async () => {
    device.waiting = 16;
    await serve(50_000, 1000);
    expect(device.rests).toBe(0);
    expect(device.kicks).toBeGreaterThan(100);
    expect(device.forgotten).toBe(0);
  });

  it('sleeps once more when nothing has come', async () => {
    device.waiting = 0;
    await serve(50_000, 1000);
    expect(device.rests).toBeGreaterThan(100);
    expect(device.rests % 2).toBe(0);
    expect(device.forgotten).toBe(0);
  });

  it('has the device hold frames while it sleeps most of the time, until it stops', async () => {
    device.restUs = 100;
    const startMs = performance.now();
    await new Promise<void>((resolve) => {
      wait.start(() => {
        const elapsedMs = performance.now() - startMs;
        counters.rxFrames = Math.floor(elapsedMs * 100);
        wait.takeRest();
        if (device.held.length > 0 || elapsedMs > 10_000) resolve();
      });
    });
    expect(device.held.at(-1)).toBeGreaterThan(0);
    wait.stop();
    expect(device.held.at(-1)).toBe(0);
  });

  it('waits on the spot for the next frame while frames are near each other, and sends with it', async () => {
    device.waiting = 0;
    const startMs = performance.now();
    await new Promise<void>((resolve) => {
      wait.start(() => {
        const elapsedMs = performance.now() - startMs;
        counters.rxFrames = Math.floor(elapsedMs * 25);
        if (wait.takeRest()) device.left++;
        if (device.lingers > 100 || elapsedMs > 10_000) resolve();
      });
    });
    wait.stop();
    expect(device.lingers).toBeGreaterThan(100);
    expect(device.rests).toBe(0);
    expect(device.forgotten).toBe(0);
  });

  it('has a tick a wake-up, without a sleep, while no frames come', async () => {
    device.waiting = 0;
    await serve(500, 0);
    expect(device.rests + device.kicks).toBe(0);
    expect(counters.wakeups).toBeGreaterThanOrEqual(500);
  });
});
