// The work done at intervals, as Redis's serverCron: expiry, samples, idle clients, save points, replication. How often is
// up to cron-pace.ts. Only server.ts imports this.
import type { Alarm } from '../platform/timers.ts';
import { CronPace } from './cron-pace.ts';
import { ExpireCycle, expireOwnKeys } from './expire.ts';
import type { Server } from './server.ts';

const SAMPLE_MS = 100;

export class Cron {
  readonly #server: Server;
  readonly #pace = new CronPace();
  #alarm: Alarm | null = null;
  #lastSampleMs = 0;
  #lastSecond = 0;
  #cycle: ExpireCycle | null = null;

  constructor(server: Server) {
    this.#server = server;
  }

  start(): void {
    this.#alarm = this.#server.scheduler.createAlarm(() => this.#tick());
    this.#alarm.arm(this.#pace.next(this.#server));
  }

  stop(): void {
    this.#alarm?.disarm();
    this.#alarm = null;
    this.#cycle = null;
  }

  #shutDownIfScheduled(): void {
    const server = this.#server;
    const request = server.scheduledShutdown;
    if (request === null) return;
    server.scheduledShutdown = null;
    if ((server.hooks.shutdown?.(request) ?? null) === null) return;
    server.log.warning(
      'SIGTERM received but errors trying to shut down the server, check the logs for more information',
    );
  }

  #tick(): void {
    const server = this.#server;
    server.clock.update();
    if (!server.debug.pauseCron && !server.isStill) this.#run();
    this.#alarm?.arm(this.#pace.next(server));
  }

  #run(): void {
    const server = this.#server;
    this.#shutDownIfScheduled();
    server.pendingShutdown.cron();
    // The server has gone down: no save is begun behind its last one.
    if (this.#alarm === null) return;
    const { nowMs, unixMs } = server.clock;
    if (((nowMs - this.#lastSampleMs) | 0) >= SAMPLE_MS) {
      this.#lastSampleMs = nowMs;
      server.stats.sample(nowMs);
      server.measureMemory();
    }
    server.endExpiredPauses();
    if (!server.loading && server.debug.activeExpire) {
      const { activeExpireEffort: effort, hz } = server.config;
      this.#expire(new ExpireCycle(server.keyspace, { hz, effort }));
      expireOwnKeys(server.keyspace);
    }
    if (server.tracking.clients > 0) server.tracking.limitKeys();
    server.settle();
    if (!server.loading) server.hooks.persistence?.cron();
    server.replication.cron();
    const second = Math.floor(unixMs / 1000);
    if (second !== this.#lastSecond) {
      this.#lastSecond = second;
      this.#visitClients();
      this.#saveIfDue(second);
      server.reply.shrink();
      server.push.shrink();
      server.longBlocks.trim();
    }
  }

  /** Goes on between ticks as long as the cycle has time left and finds much. */
  #expire(cycle: ExpireCycle): void {
    const server = this.#server;
    // The next cron has one of its own.
    this.#cycle = cycle;
    const began = server.stopwatch();
    const more = cycle.slice();
    server.latency.add('expire-cycle', server.stopwatch() - began);
    if (more) server.scheduler.soon(() => this.#expireOn(cycle));
  }

  #expireOn(cycle: ExpireCycle): void {
    const server = this.#server;
    if (cycle !== this.#cycle || server.loading || server.isStill || !server.debug.activeExpire) return;
    this.#expire(cycle);
    server.settle();
  }

  #visitClients(): void {
    const server = this.#server;
    const { unixMs } = server.clock;
    const idleMsMax = server.config.timeout * 1000;
    for (const client of server.clients.values()) {
      // What is closing is the transport's business: it knows whether the peer still takes part.
      if (client.closing) continue;
      if (idleMsMax > 0 && unixMs - client.lastInteraction > idleMsMax && client.mayIdleOut) {
        server.log.verbose('Closing idle client', client.logFacts);
        client.close();
      } else if (client.outputBytes > 0) {
        client.checkOutputLimit();
      }
    }
  }

  #saveIfDue(second: number): void {
    const server = this.#server;
    const { config, persistence } = server;
    const control = server.hooks.persistence;
    if (control === undefined || server.loading || persistence.job !== null) return;
    const elapsed = second - persistence.lastSaveTime;
    const due = config.save.find((point) => server.dirty >= point.changes && elapsed > point.seconds);
    if (due === undefined || server.dirty === 0 || !persistence.mayTrySaving(second)) return;
    server.log.notice(`${due.changes} changes in ${due.seconds} seconds. Saving...`);
    control.startSave();
  }
}
