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
  /**
   * The same, and sleeps that long: in one system call where the device can. While frames are held, until they come.
   */
  rest(waitUs: number): void;
  /** Sends as well, and sleeps until a frame comes, or work for the event loop; twice as long at most. */
  linger(): void;
  /** Keeps frames back in the device for that long, 0: no longer. @returns false: it cannot. Absent: never. */
  hold?(holdUs: number): boolean;
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
  /** The last wake-up ended with a sleep in which frames came. */
  #hasRested = false;
  #heldUs = 0;
  #canHold: boolean;

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
    this.#canHold = busyPollUs === 0 && device.hold !== undefined;
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
    if (this.#heldUs > 0) this.#device.hold?.(0);
    this.#heldUs = 0;
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
    const startUs = monotonicUs();
    if (this.#pays(startUs) && !this.#hasRested && this.#heldUs === 0) this.#rest(startUs);
    this.#hasRested = false;
    for (;;) {
      this.#restFollows = this.#gathering.waitUs > 0 || this.#lingers();
      this.#onReadable();
      if (this.#watch === null) return;
      const nowUs = monotonicUs();
      const rests = this.#pays(nowUs);
      if (rests) this.#rest(nowUs);
      else if (this.#lingers() && device.framesWaiting() === 0) this.#linger();
      else device.kick();
      const hasMore = device.framesWaiting() > 0;
      if (hasMore && ((nowUs - startUs) | 0) < STAY_US) continue;
      // The event loop has its turn between the sleep and the tick that it was for.
      this.#hasRested = rests && hasMore;
      return;
    }
  }

  #pays(nowUs: number): boolean {
    const gathering = this.#gathering;
    const pays = gathering.pays(nowUs, this.#counters.rxFrames, this.#device.framesWaiting());
    const holdUs = gathering.holdUs;
    if (holdUs !== this.#heldUs && this.#canHold) {
      this.#counters.syscalls++;
      this.#canHold = this.#device.hold?.(holdUs) === true;
      this.#heldUs = this.#canHold ? holdUs : 0;
    }
    return pays;
  }

  /** Whoever polls instead of sleeping does not. */
  #lingers(): boolean {
    return this.#gathering.isNear && this.#busyPollUs === 0;
  }

  #linger(): void {
    this.#counters.syscalls++;
    this.#device.linger();
  }

  #rest(nowUs: number): void {
    const device = this.#device;
    this.#counters.syscalls++;
    const { waitUs } = this.#gathering;
    device.rest(waitUs);
    if (this.#heldUs === 0 && device.framesWaiting() === 0) {
      // At such rates something will come, and the event loop would only sleep for it as well.
      this.#counters.syscalls++;
      device.rest(waitUs);
    }
    this.#gathering.rested((monotonicUs() - nowUs) | 0);
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
