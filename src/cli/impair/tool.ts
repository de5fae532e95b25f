// `wiredis impair`: a bridge between two interfaces with the faults of a bad network, for kernels without netem and for
// anything that has to be repeatable from a seed.

import { EngineError, type FrameEngine } from '../../../io-engine/frame-engine.ts';
import type { Impairment } from '../../../io-engine/memory-wire.ts';
import { openEngine } from '../../../io-engine/open.ts';
import { systemStopwatch } from '../../platform/stopwatch.ts';
import { SystemScheduler } from '../../platform/timers.ts';
import { onInterrupt } from '../interrupt.ts';
import { CliError, EXIT_OK, parseOptions, type Tool, UsageError, wholeNumber } from '../tool.ts';
import { Bridge } from './bridge.ts';
import { parseRate, parseShare, parseSize, parseTime } from './units.ts';

const help = `Usage: wiredis impair [options] INTERFACE INTERFACE

Forwards every frame between two interfaces, both ways alike, and treats it as a bad network would. The interfaces
must be up and without addresses, frames untagged; turn segmentation offload off on whatever sends into them (ethtool -K IF tso off
gso off tx off), or frames longer than the MTU are lost. Runs until Ctrl-C and then prints what it did.

Options (each also as --OPTION-back for the way from the second interface to the first):
  --delay TIME        how long every frame takes (default 0ms)
  --jitter TIME       up to this much more; frames keep their order
  --loss SHARE        frames that vanish, as 1% or 0.01
  --reorder SHARE     frames that are held back, so that later ones overtake them
  --reorder-by TIME   for how long (default 1ms)
  --duplicate SHARE   frames that come twice
  --corrupt SHARE     frames with a bit turned over
  --rate RATE         as 100mbit; none: as fast as it goes
  --queue SIZE        with a rate: bytes that may wait, the rest is dropped (default 256kb)
  --mtu BYTES         longer packets vanish, as behind a router that sends no ICMP (default 0: none)
  --seed N            the same seed and frames give the same faults (default 1)
  --in-flight N       frames on their way at a time (default 32768)

Example:
  wiredis impair --delay 10ms --loss 1% --rate 100mbit veth-a veth-b`;

const FAULTS = ['delay', 'jitter', 'loss', 'reorder', 'reorder-by', 'duplicate', 'corrupt', 'rate', 'queue'] as const;
type Given = Readonly<Record<string, string | boolean | undefined>>;

async function run(args: string[]): Promise<number> {
  const text = { type: 'string' } as const;
  const names = [...FAULTS, ...FAULTS.map((name) => `${name}-back`), 'mtu', 'seed', 'in-flight'];
  const { values, positionals } = parseOptions({
    args,
    allowPositionals: true,
    options: Object.fromEntries(names.map((name) => [name, text])),
  });
  const given = values as Given;
  if (positionals.length !== 2) throw new UsageError("impair wants two interfaces; 'wiredis help impair' tells more");
  if (positionals[0] === positionals[1]) throw new UsageError('impair wants two interfaces, not the same one twice');
  const options = {
    impairments: [impairment(given, ''), impairment(given, '-back')] as const,
    seed: wholeNumber(String(given.seed ?? '1'), 'seed', 0),
    mtu: wholeNumber(String(given.mtu ?? '0'), 'mtu', 0),
    inFlight: wholeNumber(String(given['in-flight'] ?? '32768'), 'in-flight', 64),
  };
  const first = await open(positionals[0]);
  const second = await open(positionals[1]).catch((error) => {
    first.close();
    throw error;
  });
  const bridge = new Bridge([first, second], options, systemStopwatch, new SystemScheduler());
  process.stdout.write(`impair: ${positionals[0]} and ${positionals[1]} are joined\n`);
  await new Promise<void>(onInterrupt);
  bridge.close();
  const counted = Object.entries(bridge.counters).map(([name, count]) => `${name} ${count}`);
  process.stdout.write(`impair: ${counted.join(', ')}\n`);
  return EXIT_OK;
}

/** One direction; what is not given for the way back is as on the way there. */
function impairment(given: Given, suffix: string): Partial<Impairment> {
  const read = <T>(name: string, parse: (text: string, option: string) => T, otherwise: T): T => {
    const text = given[name + suffix] ?? given[name];
    return typeof text === 'string' ? parse(text, name + suffix) : otherwise;
  };
  return {
    delayUs: read('delay', parseTime, 0),
    jitterUs: read('jitter', parseTime, 0),
    loss: read('loss', parseShare, 0),
    reorder: read('reorder', parseShare, 0),
    reorderUs: read('reorder-by', parseTime, 1000),
    duplicate: read('duplicate', parseShare, 0),
    corrupt: read('corrupt', parseShare, 0),
    rate: read('rate', parseRate, 0),
    queueBytes: read('queue', parseSize, 256 * 1024),
  };
}

async function open(name: string): Promise<FrameEngine> {
  try {
    return await openEngine({
      engine: 'afpacket',
      interface: name,
      mac: null,
      mtu: 0,
      rxRing: 4096,
      txRing: 4096,
      vlan: 0,
      ipv6: true,
      allFrames: true,
      queues: 1,
      addresses: [],
      rxChecksum: 'trust',
      tso: 'auto',
      busyPollUs: 0,
      coalesceUs: 0,
    });
  } catch (error) {
    if (error instanceof EngineError) throw new CliError(error.code, error.message);
    throw error;
  }
}

export const impair: Tool = { help, run };
