// What `wait` is for every engine that sits on a file descriptor: watch it in Node's loop, count, let frames gather
// before a tick when they come fast, and after it keep looking for a while when busy polling was asked for. For
// io-engine on Linux only.

// By name and not as the global of that name, which is a getter that every use calls.
import { hrtime } from 'node:process';
import type { EngineCounters } from '../frame-engine.ts';
import { Gathering } from './gathering.ts';
import { type ReadableWatch, watchReadable } from './uv-poll.ts';

/** Ticks in one wake-up; then timers and kernel sockets get their turn. */
const BUSY_TICKS_MAX = 64;
/** The same for ticks between which frames gather. */
const STAY_US = 2000;

/** Int32, wraps; unlike performance.now() it allocates nothing. */
function monotonicUs(): number {
  const [seconds, nanoseconds] = hrtime();
  return (seconds * 1e6 + nanoseconds / 1e3) | 0;
}

export interface WaitableDevice {
  /** How many frames `receive()` would find, as far as memory tells; counting may stop at `FRAMES_ENOUGH`. */
  framesWaiting(): number;
  /** Sends what a flush has left to us (`takeRest`). */
  kick(): void;
  /** The same, and sleeps as long as `coalesceUs` says: in one system call where the device can. */
  rest(): void;
  /** Called when the callback has returned: the last chance to make the descriptor's readiness true again. */
  afterTick(): void;
}

export class DeviceWait {
  readonly #fd: number;
  readonly #device: WaitableDevice;
  readonly #counters: EngineCounters;
  readonly #busyPollUs: number;
  readonly #coalesceUs: number;
  readonly #gathering: Gathering;
  #watch: ReadableWatch | null = null;
  #onReadable: () => void = () => {};
  #restFollows = false;

  constructor(
    fd: number,
    device: WaitableDevice,
    counters: EngineCounters,
    { busyPollUs, coalesceUs }: { readonly busyPollUs: number; readonly coalesceUs: number },
  ) {
    this.#fd = fd;
    this.#device = device;
    this.#counters = counters;
    this.#busyPollUs = busyPollUs;
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
    this.#restFollows = false;
    this.#watch?.close();
    this.#watch = null;
  }

  /** Whether this flush may leave a few frames to `rest` or `kick`, which follow. Only one of a tick may. */
  takeRest(): boolean {
    const follows = this.#restFollows;
    this.#restFollows = false;
    return follows;
  }

  #wake(): void {
    if (this.#watch === null) return;
    this.#counters.wakeups++;
    this.#counters.syscalls++;
    if (this.#coalesceUs > 0) {
      try {
        this.#gather();
      } finally {
        this.#restFollows = false;
      }
    } else this.#onReadable();
    if (this.#busyPollUs > 0) this.#busyPoll();
    if (this.#watch !== null) this.#device.afterTick();
  }

  /** While frames come fast, tick follows tick here: the way through the event loop is as long as some requests. */
  #gather(): void {
    const device = this.#device;
    const gathering = this.#gathering;
    const startUs = monotonicUs();
    if (gathering.pays(startUs, this.#counters.rxFrames, device.framesWaiting())) this.#rest();
    for (;;) {
      this.#restFollows = gathering.waits;
      this.#onReadable();
      if (this.#watch === null) return;
      const nowUs = monotonicUs();
      const stays = ((nowUs - startUs) | 0) < STAY_US;
      if (stays && gathering.pays(nowUs, this.#counters.rxFrames, device.framesWaiting())) this.#rest();
      else device.kick();
      if (!stays || device.framesWaiting() === 0) return;
    }
  }

  /** Twice when nothing came: at such rates something will, and the event loop would only sleep for it as well. */
  #rest(): void {
    this.#counters.syscalls++;
    this.#device.rest();
    if (this.#device.framesWaiting() > 0) return;
    this.#counters.syscalls++;
    this.#device.rest();
  }

  #busyPoll(): void {
    const device = this.#device;
    let deadline = (monotonicUs() + this.#busyPollUs) | 0;
    for (let ticks = 0; ticks < BUSY_TICKS_MAX && this.#watch !== null; ) {
      if (device.framesWaiting() > 0) {
        this.#onReadable();
        ticks++;
        deadline = (monotonicUs() + this.#busyPollUs) | 0;
      } else if (((monotonicUs() - deadline) | 0) > 0) {
        return;
      }
    }
  }
}
