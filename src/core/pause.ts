// CLIENT PAUSE, and the pauses that failover and shutdown need: clients are held back from all commands or from those
// that write, until a time. While writes wait, nothing expires and nothing is evicted, so that replicas can catch up.
// core/ imports it; the server's owner tells it when the time has come.
import type { ServerClock } from '../platform/clock.ts';
import type { Client } from './client.ts';

export type PausePurpose = 'client' | 'shutdown' | 'failover';

interface Pause {
  all: boolean;
  /** Unix time, milliseconds. */
  untilMs: number;
}

export class Pauses {
  /** Whether every command waits, not only those that write. */
  all = false;
  readonly #clock: ServerClock;
  readonly #pauses = new Map<PausePurpose, Pause>();
  /** Clients whose next command waits. */
  readonly #held = new Set<Client>();

  constructor(clock: ServerClock) {
    this.#clock = clock;
  }

  get active(): boolean {
    return this.#pauses.size > 0;
  }

  /** Clients that wait, for INFO and CLIENT LIST. */
  get heldClients(): ReadonlySet<Client> {
    return this.#held;
  }

  hold(client: Client): void {
    this.#held.add(client);
  }

  /** The client is gone, or goes on. */
  forget(client: Client): void {
    this.#held.delete(client);
  }

  /** Those in force; times in Unix milliseconds. */
  get inForce(): { readonly purpose: PausePurpose; readonly all: boolean; readonly untilMs: number }[] {
    return [...this.#pauses].map(([purpose, pause]) => ({ purpose, ...pause }));
  }

  /** A longer or wider pause of the same purpose that is in force stays so. */
  begin(purpose: PausePurpose, all: boolean, durationMs: number): void {
    const untilMs = this.#clock.unixMs + durationMs;
    const pause = this.#pauses.get(purpose);
    if (pause === undefined) this.#pauses.set(purpose, { all, untilMs });
    else {
      pause.all ||= all;
      pause.untilMs = Math.max(pause.untilMs, untilMs);
    }
    this.#update();
  }

  end(purpose: PausePurpose): void {
    this.#pauses.delete(purpose);
    this.#update();
  }

  /** Ends the pauses whose time has come. @returns whether any did. */
  endExpired(): boolean {
    let ended = false;
    for (const [purpose, { untilMs }] of this.#pauses) {
      if (untilMs > this.#clock.unixMs) continue;
      this.#pauses.delete(purpose);
      ended = true;
    }
    this.#update();
    return ended;
  }

  #update(): void {
    this.all = [...this.#pauses.values()].some((pause) => pause.all);
  }
}
