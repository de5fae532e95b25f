// Decides after a wake-up how long to wait for more frames, so that they share one tick and one kick. A wake-up
// and a kick cost as much as several requests, so with many clients this is most of the work there is to save; with
// few, who send again only when they were answered, a wait just holds them up, and so does too long a one where
// clients are fast. Nobody can tell from the frames alone how it is, so it is tried: epochs with waits of several
// lengths and without one, and the best way is kept. Where waiting leaves the core time to spare, the device may keep the
// frames back meanwhile, so that they cost no wake-ups of the kernel's either.

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
/** Every so many epochs the next shorter or the next longer wait is tried again; more seldom while that changes nothing. */
const EPOCHS_BETWEEN_TRIALS = 16;
const EPOCHS_BETWEEN_TRIALS_MAX = 64;
/** Each is tried so often before one is chosen. */
const TRIALS_AT_FIRST = 3;
/** A core that does nothing but wait is worth this much of the rate: of two ways that are as fast the one with less work wins. */
const WORTH_OF_IDLENESS = 0.1;
/** Weight of the newest epoch at least, and of a trial's, of which there are fewer. */
const NEWEST = 0.15;
const NEWEST_TRIAL = 0.3;
/** Share of an epoch that is spent waiting from which on the device keeps frames back, and below which it does no longer. */
const IDLE_WORTHWHILE = 0.35;
const IDLE_KEPT = 0.15;
/** Frames a millisecond above which it does not: its ring may be as short as 256. */
const HELD_RATE_MAX = 250;

/** The waits that are tried, microseconds, shortest first: none, and quarters of the longest. */
export function waitsUpTo(longestUs: number): number[] {
  return longestUs === 0 ? [0] : [0, 0.25, 0.5, 0.75, 1].map((share) => Math.round(share * longestUs));
}

export class Gathering {
  readonly #waitsUs: readonly number[];
  /** Frames a millisecond that make waiting worth a trial. */
  readonly #worthwhile: number;
  /** Which of the waits is used at present. */
  #step = 0;
  /** Of the last epoch that waited. */
  #hasTime = false;
  #restedUs = 0;
  #holds = false;
  #isNear = false;
  #epochStartUs = 0;
  #epochStartFrames = 0;
  #epochsSinceTrial = 0;
  #epochsBetweenTrials = EPOCHS_BETWEEN_TRIALS;
  #bestBefore = 0;
  #triesLonger = false;
  /** Of each wait: how well it did, and the epochs that tell, since the last lull. */
  readonly #scores: Float64Array;
  readonly #epochs: Uint8Array;

  /** @param longestUs of the waits; 0: never one. */
  constructor(longestUs: number) {
    this.#waitsUs = waitsUpTo(longestUs);
    this.#worthwhile = Math.max(RATE_WORTHWHILE, (FRAMES_WORTHWHILE * 1000) / longestUs);
    this.#scores = new Float64Array(this.#waitsUs.length);
    this.#epochs = new Uint8Array(this.#waitsUs.length);
  }

  /** How long to wait at present, microseconds; 0: not at all. */
  get waitUs(): number {
    return this.#waitsUs[this.#step] as number;
  }

  /** How long the device should keep frames back at present, microseconds; 0: not at all. */
  get holdUs(): number {
    return this.#holds ? this.waitUs : 0;
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
    return this.#step > 0 && waiting < FRAMES_ENOUGH;
  }

  #endEpoch(nowUs: number, elapsedUs: number, frames: number): void {
    const rate = ((frames - this.#epochStartFrames) * 1000) / elapsedUs;
    const idle = this.#restedUs / elapsedUs;
    this.#epochStartUs = nowUs;
    this.#epochStartFrames = frames;
    this.#restedUs = 0;
    this.#isNear = this.#waitsUs.length > 1 && rate >= RATE_NEAR;
    // Waiting itself slows a few clients down, and so do pauses: only a rate far lower says that they are gone.
    if (this.#waitsUs.length === 1 || rate < this.#worthwhile / 4) {
      this.#forget();
      return;
    }
    if (this.#step === 0 && rate < this.#worthwhile) return;
    if (this.#step > 0) this.#hasTime = idle >= (this.#hasTime ? IDLE_KEPT : IDLE_WORTHWHILE);
    this.#learn(rate * (1 + WORTH_OF_IDLENESS * idle));
    this.#step = this.#next();
    this.#holds = this.#step > 0 && this.#hasTime && rate < HELD_RATE_MAX;
  }

  #forget(): void {
    this.#step = 0;
    this.#holds = this.#hasTime = false;
    this.#epochs.fill(0);
    this.#epochsSinceTrial = 0;
    this.#epochsBetweenTrials = EPOCHS_BETWEEN_TRIALS;
  }

  #learn(score: number): void {
    const step = this.#step;
    const epochs = this.#epochs[step] as number;
    this.#epochs[step] = Math.min(epochs + 1, 255);
    const known = this.#scores[step] as number;
    const isTrial = this.#epochsSinceTrial === 0;
    const weight = Math.max(isTrial ? NEWEST_TRIAL : NEWEST, 1 / (epochs + 1));
    const learnt = epochs === 0 ? score : known + (score - known) * weight;
    // The load has changed, not this wait alone: what is known of the others goes with what is used most of the time.
    if (!isTrial) {
      for (let i = 0; i < this.#scores.length; i++) this.#scores[i] *= learnt / known;
    }
    this.#scores[step] = learnt;
  }

  /** Which way the next epoch goes. */
  #next(): number {
    const unknown = this.#leastTried();
    if ((this.#epochs[unknown] as number) < TRIALS_AT_FIRST) return unknown;
    const best = this.#best();
    if (best !== this.#bestBefore) this.#epochsBetweenTrials = EPOCHS_BETWEEN_TRIALS;
    this.#bestBefore = best;
    if (++this.#epochsSinceTrial < this.#epochsBetweenTrials) return best;
    this.#epochsSinceTrial = 0;
    this.#epochsBetweenTrials = Math.min(2 * this.#epochsBetweenTrials, EPOCHS_BETWEEN_TRIALS_MAX);
    this.#triesLonger = best === 0 || (best < this.#scores.length - 1 && !this.#triesLonger);
    return this.#triesLonger ? best + 1 : best - 1;
  }

  #leastTried(): number {
    let least = this.#epochs.length - 1;
    for (let i = least - 1; i >= 0; i--) if ((this.#epochs[i] as number) < (this.#epochs[least] as number)) least = i;
    return least;
  }

  #best(): number {
    let best = this.#scores.length - 1;
    for (let i = best - 1; i >= 0; i--) if ((this.#scores[i] as number) > (this.#scores[best] as number)) best = i;
    return best;
  }
}
