// What `wait` is for every engine that sits on a file descriptor: watch it in Node's loop, count, let frames gather
// before a tick when they come fast, and after it keep looking for a while when busy polling was asked for. For
// io-engine on Linux only.

// By name and not as the global of that name, which is a getter that every use calls.
import { performance } from 'node:perf_hooks';
import type { EngineCounters } from '../frame-engine.ts';
import { Gathering } from './gathering.ts';
import { sleepUs } from './libc.ts';
import { type ReadableWatch, watchReadable } from './uv-poll.ts';

/** Ticks in one wake-up; then timers and kernel sockets get their turn. */
const BUSY_TICKS_MAX = 64;

export interface WaitableDevice {
  /** How many frames `receive()` would find, as far as memory tells; counting may stop at `FRAMES_ENOUGH`. */
  framesWaiting(): number;
  /** Called when the callback has returned: the last chance to make the descriptor's readiness true again. */
  afterTick(): void;
}

export class DeviceWait {
  readonly #fd: number;
  readonly #device: WaitableDevice;
  readonly #counters: EngineCounters;
  readonly #busyPollMs: number;
  readonly #coalesceUs: number;
  readonly #gathering: Gathering;
  #watch: ReadableWatch | null = null;
  #onReadable: () => void = () => {};

  constructor(
    fd: number,
    device: WaitableDevice,
    counters: EngineCounters,
    { busyPollUs, coalesceUs }: { readonly busyPollUs: number; readonly coalesceUs: number },
  ) {
    this.#fd = fd;
    this.#device = device;
    this.#counters = counters;
    this.#busyPollMs = busyPollUs / 1000;
    this.#coalesceUs = coalesceUs;
    this.#gathering = new Gathering(coalesceUs);
  }

  start(onReadable: () => void): void {
    this.#onReadable = onReadable;
    this.#watch ??= watchReadable(this.#fd, () => this.#wake());
  }

  /** Whether waiting keeps the process alive. */
  ref(): void {
    this.#watch?.ref();
  }

  unref(): void {
    this.#watch?.unref();
  }

  /** Must run before the descriptor is closed. */
  stop(): void {
    this.#watch?.close();
    this.#watch = null;
  }

  #wake(): void {
    if (this.#watch === null) return;
    this.#counters.wakeups++;
    this.#counters.syscalls++;
    if (this.#coalesceUs > 0) this.#gather();
    this.#onReadable();
    if (this.#busyPollMs > 0) this.#busyPoll();
    if (this.#watch !== null) this.#device.afterTick();
  }

  #gather(): void {
    if (!this.#gathering.pays(performance.now(), this.#counters.rxFrames, this.#device.framesWaiting())) return;
    this.#counters.syscalls++;
    sleepUs(this.#coalesceUs);
  }

  #busyPoll(): void {
    const device = this.#device;
    let deadline = performance.now() + this.#busyPollMs;
    for (let ticks = 0; ticks < BUSY_TICKS_MAX && this.#watch !== null; ) {
      if (device.framesWaiting() > 0) {
        this.#onReadable();
        ticks++;
        deadline = performance.now() + this.#busyPollMs;
      } else if (performance.now() > deadline) {
        return;
      }
    }
  }
}
