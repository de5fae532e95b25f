// Two `Net`s over a memory wire: what one listens on, the other reaches.
import { MemoryWire, type MemoryWireOptions } from '../../io-engine/memory-wire.ts';
import { Net } from '../../src/net/net.ts';
import { SystemClock } from '../../src/platform/clock.ts';
import { SeededRandom } from '../../src/platform/random.ts';
import { SystemScheduler } from '../../src/platform/timers.ts';
import { UserspaceTransport } from '../../src/transports/userspace.ts';
import { parseNetdevConf } from '../../stack/config.ts';

export interface NetPair {
  readonly server: Net;
  readonly client: Net;
  /** The server's address. */
  readonly host: string;
  close(): Promise<void>;
}

export function openNetPair(options: MemoryWireOptions = { seed: 3 }): NetPair {
  const wire = new MemoryWire(options);
  const scheduler = new SystemScheduler();
  const open = (end: number): Net => {
    const transport = new UserspaceTransport({
      engine: wire.ends[end],
      config: parseNetdevConf(`interface = memory${end}\naddress = 10.9.0.${end + 1}/24`, 'netdev.conf'),
      clock: new SystemClock(),
      scheduler,
      random: new SeededRandom(end),
    });
    return new Net(transport, scheduler);
  };
  const server = open(0);
  const client = open(1);
  return {
    server,
    client,
    host: '10.9.0.1',
    async close() {
      await client.close();
      await server.close();
    },
  };
}
