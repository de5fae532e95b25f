// Decides after a wake-up whether to wait a little for more frames, so that they share one tick and one kick. A wake-up
// and a kick cost as much as several requests, so with many clients this is most of the work there is to save; with
// few, who send again only when they were answered, the wait just holds them up. Nobody can tell from the frames
// alone which of the two it is, so it is tried: epochs with and without waiting, and the faster way is kept. Where waiting
// leaves the core time to spare, the device may keep the frames back meanwhile, so that they cost no wake-ups of the kernel's
// either.

/** What a wait has to be expected to bring, frames; below that it is mere latency and not tried. */
const FRAMES_WORTHWHILE = 2;
/** The same, frames a millisecond, however long the wait: below that the core has time to spare, and replies need not wait. */
const RATE_WORTHWHILE = 40;
/** From so many frames a millisecond on the next one is nearer than the way through the event loop and back is long. */
const RATE_NEAR = 15;
/** With this many waiting the tick is worth its cost already: the core has enough to do. */
export const FRAMES_ENOUGH = 16;
/** Rates are compared over epochs this long. Times are int32, wrapping: as fractions they would be objects of V8's heap. */
const EPOCH_US = 10_000;
/** Every so many epochs the other way is tried again. */
const EPOCHS_BETWEEN_TRIALS = 32;
/** Waiting saves work, so it is kept when it is this much slower at most: what epochs differ by anyway. */
const AS_FAST = 0.94;
/** Weight of the newest epoch in a rate. */
const NEWEST = 0.15;
/** Share of an epoch that is spent waiting from which on the device keeps frames back, and below which it does no longer. */
const IDLE_WORTHWHILE = 0.35;
const IDLE_KEPT = 0.15;
/** Frames a millisecond above which it does not: its ring may be as short as 256. */
const HELD_RATE_MAX = 250;

export class Gathering {
  readonly #waitMs: number;
  #waits = false;
  /** Of the last epoch that waited. */
  #hasTime = false;
  #restedUs = 0;
  #holds = false;
  #isNear = false;
  #epochStartUs = 0;
  #epochStartFrames = 0;
  #epochsSinceTrial = 0;
  /** Frames per millisecond with and without waiting; 0: not tried since the last lull. */
  #rateWaiting = 0;
  #rateAtOnce = 0;

  /** @param waitUs length of a wait; 0: never. */
  constructor(waitUs: number) {
    this.#waitMs = waitUs / 1000;
  }

  /** Whether waiting is what is done at present. */
  get waits(): boolean {
    return this.#waits;
  }

  /** Whether the device should keep frames back for as long as a wait. */
  get holds(): boolean {
    return this.#holds;
  }

  /** Whether the next frame is worth sleeping for on the spot: it ends the sleep, so that nobody is held up. */
  get isNear(): boolean {
    return this.#isNear;
  }

  /** A wait took so long, microseconds. */
  rested(durationUs: number): void {
    this.#restedUs = (this.#restedUs + durationUs) | 0;
  }

  /**
   * Called once a tick.
   * @param nowUs any monotonic clock, int32, wraps. @param frames received so far, ever. @param waiting frames that can be read now.
   */
  pays(nowUs: number, frames: number, waiting: number): boolean {
    const elapsedUs = (nowUs - this.#epochStartUs) | 0;
    if (elapsedUs >= EPOCH_US || elapsedUs < 0) this.#endEpoch(nowUs, elapsedUs, frames);
    return this.#waits && waiting < FRAMES_ENOUGH;
  }

  #endEpoch(nowUs: number, elapsedUs: number, frames: number): void {
    const rate = ((frames - this.#epochStartFrames) * 1000) / elapsedUs;
    this.#epochStartUs = nowUs;
    this.#epochStartFrames = frames;
    const idle = this.#restedUs / elapsedUs;
    this.#restedUs = 0;
    this.#isNear = this.#waitMs > 0 && rate >= RATE_NEAR;
    // Waiting itself slows a few clients down: only a rate far lower says that they are gone.
    const worthwhile = Math.max(RATE_WORTHWHILE, FRAMES_WORTHWHILE / this.#waitMs);
    if (rate < (this.#waits ? worthwhile / 4 : worthwhile)) {
      this.#waits = this.#holds = this.#hasTime = false;
      this.#rateWaiting = this.#rateAtOnce = 0;
      return;
    }
    if (this.#waits) {
      this.#rateWaiting = mixed(this.#rateWaiting, rate);
      this.#hasTime = idle >= (this.#hasTime ? IDLE_KEPT : IDLE_WORTHWHILE);
    } else this.#rateAtOnce = mixed(this.#rateAtOnce, rate);
    this.#waits = this.#next();
    this.#holds = this.#waits && this.#hasTime && rate < HELD_RATE_MAX;
  }

  /** Which way the next epoch goes. */
  #next(): boolean {
    if (this.#rateWaiting === 0 || this.#rateAtOnce === 0) return this.#rateWaiting === 0;
    const best = this.#rateWaiting >= this.#rateAtOnce * AS_FAST;
    if (++this.#epochsSinceTrial < EPOCHS_BETWEEN_TRIALS) return best;
    this.#epochsSinceTrial = 0;
    return !best;
  }
}

function mixed(rate: number, newest: number): number {
  return rate === 0 ? newest : rate + (newest - rate) * NEWEST;
}
