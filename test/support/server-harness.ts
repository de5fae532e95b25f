// A server over connections made of two arrays: what a client sends, what it gets, and when it is closed. Time stands
// still until a test moves it.
import type { CommandSpec } from '../../src/core/command.ts';
import { type Config, createConfig } from '../../src/core/config.ts';
import { Keyspace } from '../../src/core/keyspace.ts';
import { Server } from '../../src/core/server.ts';
import { Arena } from '../../src/data/arena.ts';
import { ManualClock } from '../../src/platform/clock.ts';
import { silentLog } from '../../src/platform/log.ts';
import { SeededRandom } from '../../src/platform/random.ts';
import type { Alarm, Scheduler } from '../../src/platform/timers.ts';
import type { Connection, ConnectionHandler } from '../../src/transports/transport.ts';

class ManualScheduler implements Scheduler {
  tasks: (() => void)[] = [];
  alarms: (() => void)[] = [];

  createAlarm(onAlarm: () => void): Alarm {
    this.alarms.push(onAlarm);
    return { arm() {}, disarm() {} };
  }

  soon(task: () => void): void {
    this.tasks.push(task);
  }

  runTasks(): void {
    for (const task of this.tasks.splice(0)) task();
  }

  fire(): void {
    for (const alarm of this.alarms) alarm();
    this.runTasks();
  }
}

export class Peer implements Connection {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress = '127.0.0.1';
  readonly localPort = 6379;
  queuedBytes = 0;
  paused = false;
  ended = false;
  destroyed = false;
  /** Bytes the connection still takes. */
  room = Number.POSITIVE_INFINITY;
  handler: ConnectionHandler | null = null;
  #got = '';

  constructor(remotePort: number, remoteAddress = '127.0.0.1') {
    this.remotePort = remotePort;
    this.remoteAddress = remoteAddress;
  }

  write(bytes: Uint8Array, offset: number, length: number): number {
    const taken = Math.min(length, this.room);
    this.room -= taken;
    this.#got += Buffer.from(bytes.slice(offset, offset + taken)).toString('latin1');
    return taken;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  close(): void {
    this.ended = true;
  }

  setNoDelay(): void {}

  setKeepAlive(): void {}

  end(): void {
    this.ended = true;
  }

  destroy(): void {
    this.destroyed = true;
  }

  /** What came since the last call. */
  got(): string {
    const got = this.#got;
    this.#got = '';
    return got;
  }

  send(text: string): void {
    // As from a transport: the range is ours only during the call.
    const bytes = new Uint8Array(Buffer.from(`??${text}`, 'latin1'));
    this.handler?.onData(bytes, 2, bytes.length - 2);
    bytes.fill(0xee);
  }

  ask(...words: string[]): string {
    this.send(encode(words));
    return this.got();
  }
}

export function encode(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
}

export interface Parts {
  readonly server: Server;
  readonly clock: ManualClock;
  readonly scheduler: ManualScheduler;
  connect(address?: string): Peer;
}

/** A server that knows these commands; `lolwut` goes by the name of `picture`, if it is among them. */
export function serverOf(commands: readonly CommandSpec[], change: (config: Config) => void = () => {}): Parts {
  const config = createConfig();
  config.save = [];
  change(config);
  const clock = new ManualClock();
  const random = new SeededRandom(1);
  const scheduler = new ManualScheduler();
  let elapsed = 0;
  const server = new Server({
    config,
    keyspace: new Keyspace(new Arena(), clock, random, 16),
    commands,
    renames: commands.some(({ name }) => name === 'lolwut') ? [['lolwut', 'picture']] : [],
    clock,
    random,
    scheduler,
    stopwatch: () => (elapsed += 3),
    log: silentLog,
  });
  let port = 1000;
  const connect = (address?: string): Peer => {
    const peer = new Peer(port++, address);
    peer.handler = server.accept(peer);
    return peer;
  };
  return { server, clock, scheduler, connect };
}
