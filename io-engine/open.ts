// From options to an open engine, with `auto` picking the best one that works here. With adopt.ts the way
// into io-engine for whoever opens a device.
import { openAfPacket } from './af-packet.ts';
import { attachForWorkers, openAfXdp } from './af-xdp.ts';
import { EngineError, type FrameEngine } from './frame-engine.ts';
import { openLibpcap } from './libpcap.ts';
import { requireEthernet } from './linux/interfaces.ts';
import { detach } from './linux/xdp-program.ts';
import type { EngineChoice, EngineOptions } from './options.ts';
import { openRawIp } from './raw-ip.ts';
import { openTap } from './tap.ts';

type Opener = (options: EngineOptions) => FrameEngine | Promise<FrameEngine>;

const OPENERS: Readonly<Record<Exclude<EngineChoice, 'auto'>, Opener>> = {
  afxdp: openAfXdp,
  afpacket: openAfPacket,
  pcap: openLibpcap,
  tap: openTap,
  raw: openRawIp,
};

/** What `auto` tries, best first. */
const BEST_FIRST = ['afxdp', 'afpacket', 'pcap'] as const;

/**
 * Opens the engine that the options ask for.
 * @param log told once, one line, when `auto` had to pass over an engine: which one is used and why not a better one.
 * @throws EngineError whose message is one line that says what to do
 */
export async function openEngine(options: EngineOptions, log?: (line: string) => void): Promise<FrameEngine> {
  return options.engine === 'auto' ? openBest(options, log) : OPENERS[options.engine](options);
}

async function openBest(options: EngineOptions, log?: (line: string) => void): Promise<FrameEngine> {
  // What is wrong with the interface itself is no reason to try the next engine.
  requireEthernet(options);
  const refusals: EngineError[] = [];
  for (const choice of BEST_FIRST) {
    try {
      const engine = await OPENERS[choice]({ ...options, engine: choice });
      if (refusals.length > 0) log?.(`engine ${choice} on ${options.interface}, because ${reasons(refusals)}`);
      return engine;
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      refusals.push(error);
    }
  }
  const code = refusals.every((refusal) => refusal.code === refusals[0].code) ? refusals[0].code : 'NOT_SUPPORTED';
  throw new EngineError(code, `no engine works on ${options.interface}: ${reasons(refusals)}`);
}

function reasons(refusals: readonly EngineError[]): string {
  return refusals.map((refusal, i) => `${BEST_FIRST[i]} refused (${refusal.message})`).join('; ');
}

/** An interface that several processes are going to serve, each as its `share`. */
export interface SharedInterface {
  readonly engine: 'afxdp' | 'afpacket';
  /** Descriptor of the program's socket map, to be inherited; -1: there is none. */
  readonly map: number;
  readonly generic: boolean;
  close(): void;
}

/**
 * Prepares an interface for `workers` processes: with as many receive queues, an XDP program that they share; otherwise AF_PACKET
 * sockets that part flows by a hash.
 * @param log told why `auto` had to pass over afxdp. @throws EngineError
 */
export function shareInterface(options: EngineOptions, workers: number, log: (line: string) => void): SharedInterface {
  const { engine } = options;
  const parted: SharedInterface = { engine: 'afpacket', map: -1, generic: false, close() {} };
  if (engine === 'afpacket') return parted;
  if (engine !== 'auto' && engine !== 'afxdp') {
    throw new EngineError('NOT_SUPPORTED', `several workers want engine afxdp or afpacket, not ${engine}`);
  }
  try {
    const program = attachForWorkers(options, workers);
    return { engine: 'afxdp', map: program.map, generic: program.mode === 'generic', close: () => detach(program) };
  } catch (error) {
    if (engine === 'afxdp' || !(error instanceof EngineError)) throw error;
    log(`engine afpacket on ${options.interface}, because afxdp refused (${error.message})`);
    return parted;
  }
}
