// One reading a second for the page: rates, the latency distribution of that second, where the core's time went, drops.
// Reads only while a page listens. observe-server.ts imports it.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { processorTime } from '../core/process-facts.ts';
import type { Server } from '../core/server.ts';
import type { Alarm } from '../platform/timers.ts';
import type { TickBudget, Transport } from '../transports/transport.ts';
import { EventStream } from './event-stream.ts';
import { usedCommands } from './metrics.ts';

const INTERVAL_MS = 1000;
/** Upper edges of the heat map's rows, microseconds: every second power of two, and those between. */
export const HEAT_LIMITS_US: readonly number[] = Array.from({ length: 21 }, (_, i) => 2 ** i - 1).slice(1);
const BUSIEST = 8;

/** Totals at one moment; two of them make a reading. */
interface Totals {
  readonly atUs: number;
  readonly commands: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly errors: number;
  readonly cpuUs: number;
  readonly commandUs: number;
  /** Calls of at most HEAT_LIMITS_US[i], and all. */
  readonly upTo: readonly number[];
  readonly timed: number;
  readonly byCommand: ReadonlyMap<string, { readonly calls: number; readonly timeUs: number }>;
  readonly budget: TickBudget | null;
  readonly retransmissions: number;
}

export class LiveFeed {
  readonly #server: Server;
  readonly #transport: Transport;
  readonly #streams = new Set<EventStream>();
  readonly #alarm: Alarm;
  #before: Totals | null = null;

  constructor(server: Server, transport: Transport) {
    this.#server = server;
    this.#transport = transport;
    this.#alarm = server.scheduler.createAlarm(() => this.#read(), true);
  }

  add(request: IncomingMessage, response: ServerResponse): void {
    const stream: EventStream = new EventStream(request, response, () => this.#remove(stream));
    if (this.#streams.size === 0) this.#begin();
    this.#streams.add(stream);
    stream.send({ kind: 'hello', limitsUs: HEAT_LIMITS_US, ...this.#identity() });
  }

  close(): void {
    this.#alarm.disarm();
    for (const stream of this.#streams) stream.end();
  }

  #begin(): void {
    this.#before = this.#totals();
    this.#alarm.arm(INTERVAL_MS);
  }

  #remove(stream: EventStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size === 0) this.#alarm.disarm();
  }

  #identity(): Record<string, unknown> {
    const server = this.#server;
    const facts = new Map(server.hooks.transportFacts?.() ?? []);
    return {
      transport: server.transport,
      engine: facts.get('engine') ?? null,
      interface: facts.get('interface') ?? null,
      addresses: facts.get('addresses') ?? server.config.bind.join(','),
      port: server.config.port,
      startedAt: server.startedAt,
    };
  }

  #totals(): Totals {
    const { stats } = this.#server;
    const commands = usedCommands(this.#server);
    const upTo = HEAT_LIMITS_US.map((limit) => sum(commands, (command) => command.histogram?.countUpTo(limit) ?? 0));
    const cpu = processorTime();
    const facts = this.#server.hooks.transportFacts?.() ?? [];
    return {
      atUs: this.#server.stopwatch(),
      commands: stats.commandsProcessed,
      bytesIn: stats.netInputBytes,
      bytesOut: stats.netOutputBytes,
      errors: stats.errorReplies,
      cpuUs: cpu.user + cpu.system,
      commandUs: sum(commands, (command) => command.timeUs),
      upTo,
      timed: sum(commands, (command) => command.histogram?.total ?? 0),
      byCommand: new Map(commands.map(({ spec, calls, timeUs }) => [spec.name, { calls, timeUs }])),
      budget: this.#transport.tickBudget?.() ?? null,
      retransmissions: Number(facts.find(([name]) => name === 'tcpRetransSegs')?.[1] ?? 0),
    };
  }

  #read(): void {
    const before = this.#before;
    const now = this.#totals();
    this.#before = now;
    if (before !== null) {
      const reading = this.#reading(before, now);
      for (const stream of this.#streams) stream.send(reading);
    }
    this.#alarm.arm(INTERVAL_MS);
  }

  #reading(before: Totals, now: Totals): Record<string, unknown> {
    const seconds = Math.max(0.001, (now.atUs - before.atUs) / 1e6);
    const rate = (a: number, b: number): number => Math.max(0, Math.round((b - a) / seconds));
    const share = (us: number): number => Math.max(0, us / (seconds * 1e6));
    const { clock, clients, blocking } = this.#server;
    return {
      kind: 'reading',
      t: clock.unixMs,
      commands: rate(before.commands, now.commands),
      bytesIn: rate(before.bytesIn, now.bytesIn),
      bytesOut: rate(before.bytesOut, now.bytesOut),
      errors: rate(before.errors, now.errors),
      retransmissions: rate(before.retransmissions, now.retransmissions),
      clients: clients.size,
      blocked: blocking.count(),
      memory: this.#server.usedMemory,
      cpu: share(now.cpuUs - before.cpuUs),
      budget: budgetShares(before, now, share),
      heat: heatColumn(before, now),
      busiest: busiest(before, now, seconds),
      drops: this.#drops(),
    };
  }

  #drops(): [name: string, count: number][] {
    return (this.#server.hooks.transportFacts?.() ?? [])
      .filter(([name, value]) => name.startsWith('drop-') && Number(value) > 0)
      .map(([name, value]): [string, number] => [name.slice(5), Number(value)])
      .sort((a, b) => b[1] - a[1]);
  }
}

/** Calls of this second by row of the heat map; the last row holds all that took longer. */
function heatColumn(before: Totals, now: Totals): number[] {
  const upTo = now.upTo.map((count, i) => Math.max(0, count - before.upTo[i]));
  const all = Math.max(0, now.timed - before.timed);
  return [...upTo, all].map((count, i) => Math.max(0, count - (i === 0 ? 0 : upTo[i - 1])));
}

/** Shares of one core: what of each tick was receiving, commands, persistence and sending. */
function budgetShares(before: Totals, now: Totals, share: (us: number) => number): Record<string, number> {
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

function busiest(before: Totals, now: Totals, seconds: number): { name: string; rate: number; meanUs: number }[] {
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

function sum<T>(list: readonly T[], of: (item: T) => number): number {
  return list.reduce((total, item) => total + of(item), 0);
}
