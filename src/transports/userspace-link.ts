// Watches the interface of an open transport and tells the log what becomes of it: a warning when nobody can reach us
// over it any more, with what happens to clients and what to do, a notice when they can again. The kernel tells of one
// change in several steps, so a change is told when it has lasted a moment. Only userspace-open.ts imports it.
import { EngineError, type FrameEngine, type LinkState } from '../../io-engine/frame-engine.ts';
import { LinkWatch } from '../../io-engine/linux/link-watch.ts';
import type { EngineShare } from '../../io-engine/options.ts';
import type { Log } from '../platform/log.ts';
import type { Alarm, Scheduler } from '../platform/timers.ts';
import type { UserspaceTransport } from './userspace.ts';

/** `ip link set up` is down, no carrier, up; removing an interface is down, gone. */
export const SETTLE_MS = 200;
/** Linux may tell of a carrier a second late (net/core/link_watch.c). */
export const CARRIER_SETTLE_MS = 1200;

const KEPT = 'connections are kept, and what waits for clients is sent again until they have it or TCP gives them up';

const TEXTS: Readonly<Record<LinkState, (name: string) => string>> = {
  up: (name) => `${name} is up again`,
  'no-carrier': (name) => `${name} has no carrier: nobody can reach us until its other end is up; ${KEPT}`,
  down: (name) => `${name} is down: nobody can reach us until 'sudo ip link set ${name} up'; ${KEPT}`,
  gone: (name) =>
    `${name} is gone, removed or moved to another network namespace: nobody can reach us, and this process cannot take ` +
    `up one made anew: make it again, then restart the server (SIGTERM saves the dataset as redis.conf says)`,
};

export class LinkTeller {
  readonly #name: string;
  readonly #log: Log;
  readonly #settled: Alarm;
  #state: LinkState = 'up';
  #told: LinkState = 'up';
  /** It has been otherwise since the log was told last. */
  #wasOther = false;

  constructor(name: string, log: Log, scheduler: Scheduler) {
    this.#name = name;
    this.#log = log;
    this.#settled = scheduler.createAlarm(() => this.#tell(), true);
  }

  /** @param isNew whoever opened it has just set it up: its carrier is to come. */
  begin(state: LinkState, isNew: boolean): void {
    this.#state = state;
    if (isNew) this.#settled.arm(CARRIER_SETTLE_MS);
    else this.#tell();
  }

  /** It is so from now on, or for a moment. */
  note(state: LinkState): void {
    this.#state = state;
    if (state !== this.#told) this.#wasOther = true;
    this.#settled.arm(state === 'no-carrier' ? CARRIER_SETTLE_MS : SETTLE_MS);
  }

  #tell(): void {
    const state = this.#state;
    const name = this.#name;
    if (state !== this.#told) this.#log[state === 'up' ? 'notice' : 'warning'](TEXTS[state](name));
    else if (this.#wasOther) this.#log.notice(`${name} was ${state === 'up' ? 'down' : 'up'} for a moment`);
    this.#told = state;
    this.#wasOther = false;
  }

  close(): void {
    this.#settled.disarm();
  }
}

/** Has the log told what becomes of it, by one of those who share it. @returns ends the watch. */
export function watchLink(
  transport: UserspaceTransport,
  engine: FrameEngine,
  { log, scheduler, share }: { readonly log: Log; readonly scheduler: Scheduler; readonly share?: EngineShare },
): () => void {
  const { name } = engine.link;
  let watch: LinkWatch;
  try {
    watch = new LinkWatch(name);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    log.notice(`Whether ${name} stays up is not watched: ${error.message}`);
    return () => {};
  }
  transport.link = watch;
  const teller = share === undefined || share.index === 0 ? new LinkTeller(name, log, scheduler) : null;
  teller?.begin(watch.state, engine.name === 'tap');
  watch.onChange = () => {
    teller?.note(watch.state);
    // Switches may have forgotten us, or know us at another port.
    if (watch.state === 'up') transport.announce();
  };
  return () => {
    watch.close();
    teller?.close();
  };
}
