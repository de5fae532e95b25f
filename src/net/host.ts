// What sockets and servers of one `Net` share: the transport, the count of those that keep the process alive, and the way
// out of the tick. The stack's callbacks must not throw, and applications may: what a callback has for the
// application is told after the tick, in order. Used by src/net only.
import type { Alarm, Scheduler } from '../platform/timers.ts';
import type { Transport } from '../transports/transport.ts';

export class NetHost {
  readonly transport: Transport;
  readonly #scheduler: Scheduler;
  #later: (() => void)[] = [];
  /** Of these, the next to run. */
  #next = 0;
  #holders = 0;

  constructor(transport: Transport, scheduler: Scheduler) {
    this.transport = transport;
    this.#scheduler = scheduler;
    transport.unref();
  }

  /** Runs `task` when the tick is over. One that throws is an uncaught exception; those behind it run all the same. */
  later(task: () => void): void {
    if (this.#later.length === 0) process.nextTick(this.runLater);
    this.#later.push(task);
  }

  /** May be called from within a task, which goes on for long: those behind it do not wait for its end. */
  readonly runLater = (): void => {
    try {
      while (this.#next < this.#later.length) this.#later[this.#next++]();
    } finally {
      this.#later = this.#later.slice(this.#next);
      this.#next = 0;
      if (this.#later.length > 0) process.nextTick(this.runLater);
    }
  };

  createAlarm(onAlarm: () => void): Alarm {
    return this.#scheduler.createAlarm(onAlarm, true);
  }

  /** A server or socket that keeps the process alive came or went. */
  hold(change: 1 | -1): void {
    this.#holders += change;
    if (this.#holders === 0) this.transport.unref();
    else if (this.#holders === 1 && change === 1) this.transport.ref();
  }
}

/** One holder's part in `NetHost.hold`: counted while it is active and wants to be. */
export class Hold {
  readonly #host: NetHost;
  #active = false;
  #wanted = true;

  constructor(host: NetHost) {
    this.#host = host;
  }

  set active(active: boolean) {
    this.#change(active, this.#wanted);
  }

  set wanted(wanted: boolean) {
    this.#change(this.#active, wanted);
  }

  #change(active: boolean, wanted: boolean): void {
    const before = this.#active && this.#wanted;
    this.#active = active;
    this.#wanted = wanted;
    const now = active && wanted;
    if (before !== now) this.#host.hold(now ? 1 : -1);
  }
}
