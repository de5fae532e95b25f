// Real redis-server 7.0.15 and our server side by side, for tests that ask both the same. Only for tests where
// redis-server 7.0 is installed.
import { afterAll, beforeAll } from 'vitest';
import { OurServer } from './our-server.ts';
import { type Peer, RedisServer } from './redis-server.ts';

export class ServerPair {
  #servers: readonly [RedisServer, OurServer] | null = null;
  /** A connection to each, redis-server's first. */
  peers: readonly Peer[] = [];

  /** Redis-server's first. */
  get ports(): readonly number[] {
    return this.#servers?.map(({ port }) => port) ?? [];
  }

  async start(): Promise<void> {
    this.#servers = await Promise.all([RedisServer.start(), OurServer.start()]);
    this.peers = this.#servers.map((server) => server.connect());
  }

  async stop(): Promise<void> {
    for (const peer of this.peers) peer.close();
    await Promise.all(this.#servers?.map((server) => server.stop()) ?? []);
  }

  /** Does the same with each. */
  async both<T>(task: (port: number) => Promise<T>): Promise<T[]> {
    return Promise.all(this.ports.map(task));
  }
}

/** To be called in a `describe`: the pair is there for its tests. */
export function serverPair(): ServerPair {
  const pair = new ServerPair();
  beforeAll(() => pair.start());
  afterAll(() => pair.stop());
  return pair;
}
