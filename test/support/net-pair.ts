// Two `Net`s over a memory wire: what one listens on, the other reaches.
import type { MemoryWireOptions } from '../../io-engine/memory-wire.ts';
import { Net } from '../../src/net/net.ts';
import { SystemScheduler } from '../../src/platform/timers.ts';
import { openUserspacePair, PAIR_HOST } from './userspace-pair.ts';

export interface NetPair {
  readonly server: Net;
  readonly client: Net;
  /** The server's address. */
  readonly host: string;
  close(): Promise<void>;
}

export function openNetPair(options: MemoryWireOptions = { seed: 3 }): NetPair {
  const scheduler = new SystemScheduler();
  const [server, client] = openUserspacePair(options).map((transport) => new Net(transport, scheduler));
  return {
    server,
    client,
    host: PAIR_HOST,
    async close() {
      await client.close();
      await server.close();
    },
  };
}
