// What the checks look at: the command line, netdev.conf, the interface, and either a running server or a stack that is
// opened for as long as the checks need it, as the server would open it. Made once; each fact is found once.
import { readFileSync } from 'node:fs';
import { EngineError } from '../../../io-engine/frame-engine.ts';
import { findInterface, type InterfaceInfo } from '../../../io-engine/linux/interfaces.ts';
import type { EngineChoice } from '../../../io-engine/options.ts';
import { NetdevConfigError, parseNetdevConf, type StackConfig } from '../../../stack/config.ts';
import { formatMac } from '../../../stack/wire/ethernet.ts';
import { SystemClock } from '../../platform/clock.ts';
import { Log } from '../../platform/log.ts';
import { SystemRandom } from '../../platform/random.ts';
import { sleep } from '../../platform/sleep.ts';
import { SystemScheduler } from '../../platform/timers.ts';
import { TransportError } from '../../transports/transport.ts';
import type { ProbeFacts, StackFacts, UserspaceTransport } from '../../transports/userspace.ts';
import { openUserspace } from '../../transports/userspace-open.ts';
import { askServer } from '../observe/server-option.ts';
import { CliError } from '../tool.ts';
import { type Address, type HostAddress, hostAddresses, ownAddresses } from './host-addresses.ts';
import type { RunningServer } from './running-server.ts';

/** How long another host may take to answer. */
const ANSWER_MS = 1500;
/** Between two looks at what grows. */
const WATCH_MS = 1000;

export interface DoctorOptions {
  readonly transport: 'userspace' | 'kernel';
  /** Path of netdev.conf. */
  readonly netdev: string;
  readonly engine: EngineChoice;
  /** Empty: wherever. */
  readonly bind: string;
  readonly port: number;
  /** Processes that share the interface. */
  readonly workers: number;
  /** Hosts that are to be reached. */
  readonly peers: readonly string[];
}

/** A stack that is open for the checks, or why there is none. */
export type Opened =
  | { readonly transport: UserspaceTransport; readonly said: readonly string[] }
  | { readonly error: EngineError | TransportError };

export class Situation {
  readonly options: DoctorOptions;
  /** Null: none runs on this interface. */
  readonly server: RunningServer | null;
  /** The one that has the interface though it is not to be looked at. */
  readonly rival: RunningServer | null;
  readonly workers: number;
  /** Null: kernel transport, or it cannot be used for what `problem` says. */
  config: StackConfig | null = null;
  problem: Error | null = null;
  /** The interface of netdev.conf, null when there is none. */
  info: InterfaceInfo | null = null;
  readonly kernelAddresses: readonly HostAddress[] = hostAddresses();
  /** A check has failed already: what fails now may only follow from that. */
  hasFailed = false;
  #opened: Promise<Opened> | null = null;
  #later: Promise<StackFacts> | null = null;

  /** @param running every server here; `server` is one of them. */
  constructor(options: DoctorOptions, server: RunningServer | null, running: readonly RunningServer[]) {
    this.options = options;
    this.server = server;
    const name = this.#readConfig();
    const owners = running.filter(({ stack }) => stack?.interface === name);
    this.rival = server === null ? (owners[0] ?? null) : null;
    this.workers = server === null ? options.workers : Math.max(1, owners.length);
  }

  /** @returns the name of the interface. */
  #readConfig(): string | null {
    if (this.options.transport === 'kernel') return null;
    const { options } = this;
    try {
      const chosen = options.engine === 'auto' ? [] : ([['engine', options.engine]] as const);
      this.config = parseNetdevConf(readFileSync(options.netdev, 'utf8'), options.netdev, chosen);
      this.info = findInterface(this.config.engine.interface);
      return this.config.engine.interface;
    } catch (error) {
      if (!(error instanceof NetdevConfigError) && (error as NodeJS.ErrnoException).code === undefined) throw error;
      this.problem = error as Error;
      return null;
    }
  }

  /** As it is used, or will be tried. */
  get engine(): EngineChoice {
    return (this.server?.stack?.engine as EngineChoice | undefined) ?? this.config?.engine.engine ?? 'auto';
  }

  /** AF_XDP with a queue a worker cannot be opened by one process; AF_PACKET sees the frames of all queues. */
  get triedEngine(): EngineChoice {
    return this.options.workers > 1 && this.mayUse('afxdp') ? 'afpacket' : this.options.engine;
  }

  /** Ours, where an interface is there. */
  get ownMac(): string | null {
    if (this.server?.stack) return this.server.stack.mac;
    const mac = this.config?.engine.mac ?? this.info?.mac ?? null;
    return mac === null ? null : formatMac(mac, 0);
  }

  /** Whether it is, or may turn out to be, one of these. */
  mayUse(...engines: readonly EngineChoice[]): boolean {
    if (this.config === null) return false;
    const candidates: readonly EngineChoice[] = this.engine === 'auto' ? ['afxdp', 'afpacket', 'pcap'] : [this.engine];
    return engines.some((engine) => candidates.includes(engine));
  }

  /** Those of netdev.conf. */
  get own(): readonly Address[] {
    return this.config === null ? [] : ownAddresses(this.config);
  }

  /** One of ours that the kernel has, on whichever interface. */
  get ownedByKernel(): HostAddress | null {
    return this.kernelAddresses.find(({ address }) => this.own.some((one) => one.address === address)) ?? null;
  }

  /** Addresses that the kernel has on the interface, other than those we are to have. */
  get addressesBesides(): readonly HostAddress[] {
    const name = this.config?.engine.interface;
    return this.kernelAddresses.filter(
      (one) => one.name === name && !one.isLinkLocal && !this.own.some(({ address }) => address === one.address),
    );
  }

  /**
   * Opens the engine and the stack as the server would. Null where that must not be tried: a server has the interface
   * already, what is missing was found before, or the kernel would lose connections that go over it.
   */
  async open(): Promise<Opened | null> {
    const { config, info } = this;
    if (config === null || this.server !== null || this.rival !== null) return null;
    const { engine } = config.engine;
    if (engine !== 'tap' && (info === null || !info.isUp)) return null;
    if (engine !== 'raw' && this.ownedByKernel !== null) return null;
    if (engine !== 'raw' && engine !== 'tap' && this.addressesBesides.length > 0) return null;
    this.#opened ??= this.#open([]);
    return this.#opened;
  }

  /** Whether nobody else has the address. */
  async isFree(address: string): Promise<boolean> {
    const opened = await this.#open([['address', address]]);
    if ('transport' in opened) await opened.transport.close(0);
    return 'transport' in opened;
  }

  async #open(overrides: readonly (readonly [string, string])[]): Promise<Opened> {
    const said: string[] = [];
    const clock = new SystemClock();
    const log = new Log({ write: (line) => said.push(line.replace(/^\S+ .*? \S /, '').trim()) });
    const world = { clock, log, random: new SystemRandom(), scheduler: new SystemScheduler() };
    const { netdev } = this.options;
    const engine = this.triedEngine;
    try {
      const settings = { ...world, netdevFile: netdev, engine, overrides, keepAliveSeconds: () => 0 };
      return { transport: await openUserspace(settings), said };
    } catch (error) {
      if (error instanceof EngineError || error instanceof TransportError) return { error };
      throw error;
    }
  }

  /** As `probe`, from a stack with other settings than netdev.conf has, in place of the opened one. */
  async probeWith(overrides: readonly (readonly [string, string])[], address: string): Promise<ProbeFacts | null> {
    if (this.server !== null) return null;
    await this.close();
    this.#opened = null;
    try {
      const opened = await this.#open(overrides);
      if ('error' in opened) return null;
      try {
        return await opened.transport.probe(address, ANSWER_MS);
      } finally {
        await opened.transport.close(0);
      }
    } catch (error) {
      if (error instanceof NetdevConfigError || error instanceof TransportError) return null;
      throw error;
    }
  }

  /** Asks a host whether it is there, from the running server or the opened stack. Null: there is neither. */
  async probe(address: string): Promise<ProbeFacts | Error | null> {
    try {
      if (this.server !== null) {
        return await askServer<ProbeFacts>(this.server.path, 'probe', { address, timeoutMs: ANSWER_MS });
      }
      const opened = await this.open();
      if (opened === null || !('transport' in opened)) return null;
      return await opened.transport.probe(address, ANSWER_MS);
    } catch (error) {
      if (error instanceof TransportError || error instanceof CliError) return error;
      throw error;
    }
  }

  /** The running server's stack as it is a second after it was looked at first. */
  async later(): Promise<StackFacts | null> {
    const { server } = this;
    if (server === null || server.stack === null) return null;
    this.#later ??= sleep(WATCH_MS).then(() => askServer<StackFacts>(server.path, 'stack'));
    return this.#later;
  }

  async close(): Promise<void> {
    const opened = await this.#opened;
    this.#opened = null;
    if (opened !== null && 'transport' in opened) await opened.transport.close(0);
  }
}
