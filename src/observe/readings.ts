// Readings of a running server: rates, the latency distribution, where the core's time went, drops, each of them the difference
// between two looks at what the server counts anyway. Read only while somebody listens. live-feed.ts (the web page) and
// top-feed.ts (`wiredis top`) import it.
import type { LatencyHistogram } from '../core/latency-histogram.ts';
import { processorTime } from '../core/process-facts.ts';
import type { TickBudget } from '../transports/transport.ts';
import type { Subject, Totals } from './subject.ts';

/** Upper edges of the heat map's rows, microseconds: every power of two. */
export const HEAT_LIMITS_US: readonly number[] = Array.from({ length: 21 }, (_, i) => 2 ** i - 1).slice(1);
const BUSIEST = 8;

/** One moment; two of them make a reading. */
interface Moment extends Totals {
  readonly atUs: number;
  readonly cpuUs: number;
  readonly budget: TickBudget | null;
  readonly retransmissions: number;
}

/** Of the commands in a reading; microseconds, 0: there were none. */
export interface LatencyFacts {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface Reading {
  readonly kind: 'reading';
  /** Unix time, milliseconds. */
  readonly t: number;
  /** Rates: per second. */
  readonly commands: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly errors: number;
  readonly retransmissions: number;
  readonly clients: number;
  readonly blocked: number;
  readonly memory: number;
  /** Shares of one core, 0 to 1 (more when several threads work). */
  readonly cpu: number;
  readonly budget: Readonly<Record<string, number>>;
  readonly latency: LatencyFacts;
  /** Calls by row of the heat map. */
  readonly heat: readonly number[];
  readonly busiest: readonly { readonly name: string; readonly rate: number; readonly meanUs: number }[];
  /** Since the start. */
  readonly drops: readonly (readonly [name: string, count: number])[];
}

export class Readings {
  readonly #subject: Subject;
  #before: Moment;

  /** The first reading begins now. */
  constructor(subject: Subject) {
    this.#subject = subject;
    this.#before = this.#look();
  }

  /** What happened since the last one. */
  take(): Reading {
    const before = this.#before;
    const now = this.#look();
    this.#before = now;
    return this.#reading(before, now);
  }

  #look(): Moment {
    const { transport, stopwatch } = this.#subject;
    const cpu = processorTime();
    const facts = transport.facts?.() ?? [];
    return {
      ...this.#subject.totals(),
      atUs: stopwatch(),
      cpuUs: cpu.user + cpu.system,
      budget: transport.tickBudget?.() ?? null,
      retransmissions: Number(facts.find(([name]) => name === 'tcpRetransSegs')?.[1] ?? 0),
    };
  }

  #reading(before: Moment, now: Moment): Reading {
    const seconds = Math.max(0.001, (now.atUs - before.atUs) / 1e6);
    const rate = (a: number, b: number): number => Math.max(0, Math.round((b - a) / seconds));
    const share = (us: number): number => Math.max(0, us / (seconds * 1e6));
    const { unixMs, clients, blocked, memory } = this.#subject.state();
    const latency = now.latency.since(before.latency);
    return {
      kind: 'reading',
      t: unixMs,
      commands: rate(before.commands, now.commands),
      bytesIn: rate(before.bytesIn, now.bytesIn),
      bytesOut: rate(before.bytesOut, now.bytesOut),
      errors: rate(before.errors, now.errors),
      retransmissions: rate(before.retransmissions, now.retransmissions),
      clients,
      blocked,
      memory,
      cpu: share(now.cpuUs - before.cpuUs),
      budget: budgetShares(before, now, share),
      latency: {
        p50: latency.percentile(50),
        p90: latency.percentile(90),
        p99: latency.percentile(99),
        p999: latency.percentile(99.9),
        max: latency.percentile(100),
      },
      heat: heatColumn(latency),
      busiest: busiest(before, now, seconds),
      drops: this.#drops(),
    };
  }

  #drops(): [name: string, count: number][] {
    return (this.#subject.transport.facts?.() ?? [])
      .filter(([name, value]) => name.startsWith('drop-') && Number(value) > 0)
      .map(([name, value]): [string, number] => [name.slice(5), Number(value)])
      .sort((a, b) => b[1] - a[1]);
  }
}

/** The last row holds all that took longer than its limits. */
function heatColumn(latency: LatencyHistogram): number[] {
  const upTo = [...latency.countsUpTo(HEAT_LIMITS_US), latency.total];
  return upTo.map((count, i) => count - (i === 0 ? 0 : upTo[i - 1]));
}

/** Shares of one core: what of each tick was receiving, commands, persistence and sending. */
function budgetShares(before: Moment, now: Moment, share: (us: number) => number): Record<string, number> {
  const commands = share(now.commandUs - before.commandUs);
  const cpu = share(now.cpuUs - before.cpuUs);
  const { budget: a } = before;
  const { budget: b } = now;
  if (a === null || b === null) return { commands, other: Math.max(0, cpu - commands), idle: Math.max(0, 1 - cpu) };
  const input = share(b.inputUs - a.inputUs);
  const persistence = share(b.persistenceUs - a.persistenceUs);
  const transmit = share(b.outputUs - a.outputUs);
  const receive = Math.max(0, input - commands);
  const other = Math.max(0, cpu - receive - commands - persistence - transmit);
  return { receive, commands, persistence, transmit, other, idle: Math.max(0, 1 - cpu) };
}

function busiest(before: Moment, now: Moment, seconds: number): { name: string; rate: number; meanUs: number }[] {
  const rows = [...now.byCommand].map(([name, { calls, timeUs }]) => {
    const past = before.byCommand.get(name) ?? { calls: 0, timeUs: 0 };
    const count = Math.max(0, calls - past.calls);
    return { name, rate: Math.round(count / seconds), meanUs: count === 0 ? 0 : (timeUs - past.timeUs) / count };
  });
  return rows
    .filter(({ rate }) => rate > 0)
    .sort((a, b) => b.rate - a.rate)
    .slice(0, BUSIEST);
}
