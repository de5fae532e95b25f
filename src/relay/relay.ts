// Takes connections from any transport and gives each one its own to the upstream: limits, figures, and the orderly end.
// No Redis in here. The composition root imports it.
import { isLoopback } from '../core/client-address.ts';
import type { Config } from '../core/config.ts';
import { TOO_MANY, turnAway } from '../core/rejected-connection.ts';
import type { Scheduler } from '../platform/timers.ts';
import type { Connection, ConnectionHandler } from '../transports/transport.ts';
import { AnswerMeter } from './answer-meter.ts';
import { type Figures, Session, type SessionHost } from './session.ts';
import type { Upstream } from './upstream.ts';

const PROTECTED =
  '-DENIED wiredis is running in protected mode: the Redis server behind this relay takes every client for a local one ' +
  'and so would not protect itself. Connections are only accepted from the loopback interface. When the Redis server ' +
  "asks for a password, or only trusted hosts can reach this address, start with '--protected-mode no'.\r\n";

/** How often sessions are looked at while they drain: a reply that pauses for longer is taken for ended. */
const DRAIN_LOOK_MS = 50;

/** Plain data for tools. */
export interface RelayFacts {
  readonly upstream: string;
  /** Whether the last attempt to reach it failed. */
  readonly upstreamDown: boolean;
  readonly upstreamFailures: number;
  readonly clients: number;
  /** Of these, those whose upstream is yet to be reached. */
  readonly waiting: number;
  readonly maxclients: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly turnedAway: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export class Relay implements SessionHost {
  readonly upstream: Upstream;
  readonly scheduler: Scheduler;
  readonly speaksRedis: boolean;
  readonly figures: Figures = { bytesIn: 0, bytesOut: 0, turnedAway: 0 };
  meter: AnswerMeter | null = null;
  readonly #config: Config;
  readonly #sessions = new Set<Session>();
  #accepted = 0;
  #rejected = 0;
  #onIdle: () => void = () => {};

  /** @param speaksRedis whether clients understand an error in words; else they are reset. */
  constructor(upstream: Upstream, scheduler: Scheduler, config: Config, speaksRedis = true) {
    this.speaksRedis = speaksRedis;
    this.upstream = upstream;
    this.scheduler = scheduler;
    this.#config = config;
  }

  get sessions(): ReadonlySet<Session> {
    return this.#sessions;
  }

  /** From now on it is measured how long the upstream takes to answer. @param stopwatch microseconds. */
  measure(stopwatch: () => number): void {
    this.meter ??= new AnswerMeter(stopwatch);
  }

  /** For `Transport.listen`. */
  readonly accept = (connection: Connection): ConnectionHandler | null => {
    this.#accepted++;
    const { maxclients, protectedMode } = this.#config;
    const isFull = this.#sessions.size >= maxclients;
    if (isFull || (protectedMode && !isLoopback(connection.remoteAddress))) {
      this.#rejected++;
      if (!this.speaksRedis) return null;
      return turnAway(connection, isFull ? TOO_MANY : PROTECTED);
    }
    const session = new Session(this, connection, this.#accepted);
    this.#sessions.add(session);
    return session;
  };

  forget(session: Session): void {
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) this.#onIdle();
  }

  /**
   * Takes no more requests, waits for replies that are on their way, and ends the connections; resolves when all are
   * being ended.
   */
  async drain(graceMs: number): Promise<void> {
    if (this.#sessions.size === 0) return;
    for (const session of this.#sessions) session.beginDrain();
    await new Promise<void>((resolve) => {
      let leftMs = graceMs;
      const look = this.scheduler.createAlarm(() => {
        let busy = 0;
        for (const session of this.#sessions) if (!session.finishIfQuiet()) busy++;
        leftMs -= DRAIN_LOOK_MS;
        if (busy === 0 || leftMs <= 0) resolve();
        else look.arm(DRAIN_LOOK_MS);
      });
      look.arm(DRAIN_LOOK_MS);
      this.#onIdle = () => {
        look.disarm();
        resolve();
      };
    });
  }

  facts(): RelayFacts {
    let waiting = 0;
    for (const session of this.#sessions) if (session.isWaiting) waiting++;
    const { upstream } = this;
    return {
      upstream: upstream.name,
      upstreamDown: upstream.isDown,
      upstreamFailures: upstream.failures,
      clients: this.#sessions.size,
      waiting,
      maxclients: this.#config.maxclients,
      accepted: this.#accepted,
      rejected: this.#rejected,
      ...this.figures,
    };
  }
}
