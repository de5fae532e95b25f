// Two hosts in this process, 10.9.0.1 and 10.9.0.2, or as told: two user-space transports over a memory wire.
import { MemoryWire, type MemoryWireOptions } from '../../io-engine/memory-wire.ts';
import { SystemClock } from '../../src/platform/clock.ts';
import { SeededRandom } from '../../src/platform/random.ts';
import { SystemScheduler } from '../../src/platform/timers.ts';
import { UserspaceTransport } from '../../src/transports/userspace.ts';
import { parseNetdevConf } from '../../stack/config.ts';

/** The first host's address. */
export const PAIR_HOST = '10.9.0.1';

export function openUserspacePair(
  options: MemoryWireOptions = { seed: 3 },
  prefix = '10.9.0.',
  prefixLength = 24,
): [first: UserspaceTransport, second: UserspaceTransport] {
  const wire = new MemoryWire(options);
  const scheduler = new SystemScheduler();
  const open = (end: number): UserspaceTransport =>
    new UserspaceTransport({
      engine: wire.ends[end],
      config: parseNetdevConf(`interface = memory${end}\naddress = ${prefix}${end + 1}/${prefixLength}`, 'netdev.conf'),
      clock: new SystemClock(),
      scheduler,
      random: new SeededRandom(end),
    });
  return [open(0), open(1)];
}
