// The composition root: puts clock, memory, databases, commands and a transport together, loads the dump file, listens,
// and takes it all down again. The only place besides the CLI that knows which transport there is.
import { appendFileSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { DatasetMemory } from '../io-engine/linux/dataset-memory.ts';
import { commandDetails } from './commands/command-details.ts';
import { commandTable } from './commands/table.ts';
import type { UserDefinition } from './core/acl/rule-words.ts';
import { type Config, refusedSettings } from './core/config.ts';
import { DirectiveError } from './core/directive.ts';
import { Keyspace } from './core/keyspace.ts';
import { Server, ServerStartError } from './core/server.ts';
import { Arena, SEGMENT_BYTES, type SegmentSource } from './data/arena.ts';
import { handoverAnswers } from './handover/handover-answers.ts';
import { applySettings, logRefused, settingsOf } from './handover/settings.ts';
import type { FinalState } from './handover/states.ts';
import type { Taker } from './handover/taker.ts';
import { waitForMove } from './handover/waiting.ts';
import { type EarlySetting, Modules } from './modules/modules.ts';
import { controlAnswers } from './observe/control-answers.ts';
import { openControl } from './observe/open-control.ts';
import { openObserve } from './observe/open-observe.ts';
import { packageVersion } from './package-version.ts';
import { type ServerClock, SystemClock } from './platform/clock.ts';
import { JsonLog } from './platform/json-log.ts';
import { fileSink, Log, type LogSink, standardOutput } from './platform/log.ts';
import { limitClients } from './platform/open-files.ts';
import { type Random, SystemRandom } from './platform/random.ts';
import { type Stopwatch, systemStopwatch } from './platform/stopwatch.ts';
import { type Scheduler, SystemScheduler } from './platform/timers.ts';
import { RelayServer } from './relay/relay-server.ts';
import { refuseCoreSettings } from './relay/relay-settings.ts';
import { listenToParent, MAP_FD, seatConfig, tellParent, type WorkerSeat } from './relay/worker-seat.ts';
import { Workers } from './relay/workers.ts';
import { loadModules, RunningServer, unclaimedSetting } from './running-server.ts';
import { functionLibraries } from './scripting/scripting.ts';
import { KernelTransport, type SocketCalls } from './transports/kernel.ts';
import type { Transport, TransportName } from './transports/transport.ts';
import type { UserspaceTransport } from './transports/userspace.ts';
import type { UserspaceSettings } from './transports/userspace-open.ts';

export { RunningServer } from './running-server.ts';

export interface ServerSettings {
  readonly config: Config;
  readonly renames?: readonly (readonly [string, string])[];
  /** `user` lines of redis.conf. */
  readonly users?: readonly UserDefinition[];
  /** Path of redis.conf; absent: none. */
  readonly configFile?: string;
  /** Settings of modules that are to be loaded. */
  readonly moduleSettings?: readonly EarlySetting[];
  /** The error for a setting that none of them has. */
  readonly unclaimed?: (name: string) => Error;
}

/** Time, chance and scheduling: the system's, or a simulator's. */
export interface World {
  readonly clock: ServerClock;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly stopwatch: Stopwatch;
  readonly log: Log;
  /** Where the dataset lies; absent: anywhere. */
  readonly datasetMemory?: SegmentSource;
}

export function systemWorld(config: Config): World {
  const clock = new SystemClock();
  const sink = config.logfile === '' ? standardOutput : openLogFile(resolve(config.dir, config.logfile));
  const log = config.logFormat === 'json' ? new JsonLog(sink) : new Log(sink);
  log.level = config.loglevel;
  return {
    clock,
    random: new SystemRandom(),
    scheduler: new SystemScheduler(),
    stopwatch: systemStopwatch,
    log,
    datasetMemory: new DatasetMemory(SEGMENT_BYTES),
  };
}

/** @throws ServerStartError when it cannot be written: later on, lines that do not fit the disk are lost silently. */
function openLogFile(path: string): LogSink {
  try {
    appendFileSync(path, '');
  } catch (error) {
    throw new ServerStartError(`Can't open the log file: ${messageOf(error)}`);
  }
  return fileSink(path);
}

/** A server with all commands and empty databases, connected to nothing. */
export function createServer(settings: ServerSettings, world: World, transport: TransportName): Server {
  const { config } = settings;
  const keyspace = new Keyspace(new Arena(world.datasetMemory), world.clock, world.random, config.databases);
  const server = new Server({
    ...world,
    config,
    keyspace,
    commands: commandTable,
    details: commandDetails,
    transport,
    renames: settings.renames ?? [],
    configFile: settings.configFile === undefined ? '' : resolve(settings.configFile),
  });
  keyspace.functions = functionLibraries(server);
  server.modules = new Modules(server, packageVersion());
  server.modules.earlySettings = settings.moduleSettings ?? [];
  return server;
}

/**
 * Opens the transport that the configuration names, and starts a server on it.
 * @param created gets the server before it loads its data, so that it can be stopped meanwhile.
 */
export async function startServer(
  settings: ServerSettings,
  world = systemWorld(settings.config),
  created: (running: RunningServer) => void | Promise<void> = () => {},
): Promise<RunningServer> {
  const { config } = settings;
  const asGiven = settingsOf(config);
  prepareProcess(config);
  if (config.transport === 'kernel') limitClients(config, world.log);
  const transport = await openTransport(config, world);
  const server = createServer(settings, world, transport.name);
  const running = new RunningServer(server, transport, settings.unclaimed, await socketCalls());
  running.settings = asGiven;
  try {
    await created(running);
    running.users = settings.users ?? [];
    await openCompanions(running);
    await running.start();
    return running;
  } catch (error) {
    for (const companion of running.companions) companion.close();
    running.removePidFile();
    running.server.stop();
    await transport.close(0);
    throw error;
  }
}

/** What shows the server to the outside. */
async function openCompanions(running: RunningServer): Promise<void> {
  const { companions, server, transport } = running;
  const answers = { ...controlAnswers(server, transport), ...handoverAnswers(running) };
  const control = await openControl(server.config, server.log, answers);
  if (control !== null) companions.push(control);
  const observe = await openObserve(server, transport);
  if (observe !== null) companions.push(observe);
}

/**
 * Goes on in place of another process of this program, which hands everything over.
 * @param created as in `startServer`; what it has to wait for is waited for when this process serves.
 * @throws errors for a person; the other process goes on then.
 */
export async function startInPlace(
  settings: ServerSettings,
  taker: Taker,
  created: (running: RunningServer) => void | Promise<void>,
  place: Place | null = null,
): Promise<void> {
  try {
    const preparing: unknown[] = [];
    const running = await takePlace(settings, taker, (made) => preparing.push(created(made)), place);
    await Promise.all(preparing);
    await taker.waitForEnd();
    await openCompanions(running);
    await running.settleIn();
  } catch (error) {
    taker.report(messageOf(error));
    throw error;
  }
}

/**
 * Waits until another host hands its place over (`move-listen`), and goes on in it: with an interface of our own, and the
 * addresses that the other one had. @param created as in `startInPlace`.
 */
export async function startByMove(
  settings: ServerSettings,
  created: (running: RunningServer) => void | Promise<void>,
): Promise<void> {
  const { config } = settings;
  refuseOtherTransports(config);
  const asGiven = settingsOf(config);
  prepareProcess(config);
  const world = systemWorld(config);
  const { openWaiting } = await import('./transports/userspace-open.ts');
  const transport = await openWaiting(userspaceSettings(config, world));
  const taker = await waitForMove(config.moveListen, config.moveSecret, world.log);
  await startInPlace(settings, taker, created, { world, asGiven, adopt: () => transport.discardFrames() });
}

/** Where a server that takes another's place lives. */
interface Place {
  readonly world: World;
  /** Settings before the other process changed any. */
  readonly asGiven: ReadonlyMap<string, string>;
  readonly adopt: (state: FinalState) => UserspaceTransport;
}

/** The device is handed over as well. */
async function inheritedPlace(config: Config, taker: Taker, asGiven: Place['asGiven']): Promise<Place> {
  const world = systemWorld(config);
  const { prepareAdoption } = await import('./transports/userspace-open.ts');
  const adopt = prepareAdoption(userspaceSettings(config, world));
  return { world, asGiven, adopt: (state) => adopt(taker.device(state)) };
}

function userspaceSettings(config: Config, world: World): UserspaceSettings {
  const { engine, netdev: netdevFile } = config;
  return { ...world, netdevFile, engine, keepAliveSeconds: () => config.tcpKeepalive };
}

/** @throws ServerStartError */
function refuseOtherTransports({ core, transport }: Config): void {
  if (core === 'embedded' && transport === 'userspace') return;
  throw new ServerStartError("taking another server's place wants 'core embedded' and 'transport userspace'");
}

/** @param made gets the server just before it serves. @returns it, which serves already. */
async function takePlace(
  settings: ServerSettings,
  taker: Taker,
  made: (running: RunningServer) => void,
  place: Place | null,
): Promise<RunningServer> {
  const { config } = settings;
  const asGiven = place?.asGiven ?? settingsOf(config);
  const refused = applySettings(config, taker.hello.settings);
  refuseOtherTransports(config);
  // The files name the master and the modules of the start; the old process tells those that there are now.
  config.replicaof = null;
  if (taker.hello.modules !== null) Object.assign(config, { moduleAdd: [], loadmodule: taker.hello.modules });
  if (place === null) prepareProcess(config);
  const { world, adopt } = place ?? (await inheritedPlace(config, taker, asGiven));
  const { log, stopwatch } = world;
  log.level = config.loglevel;
  logRefused(log, refused);
  log.notice(`Handover: process ${process.pid} is to take the place of ${taker.hello.pid}`);
  const server = createServer(settings, world, 'userspace');
  server.loading = true;
  await loadModules(server, settings.unclaimed ?? unclaimedSetting);
  const calls = await socketCalls();
  server.noteStartup();
  taker.load(server);
  const state = await taker.follow();
  const began = stopwatch();
  const transport = adopt(state);
  const running = new RunningServer(server, transport, settings.unclaimed, calls);
  running.settings = asGiven;
  made(running);
  await running.goOn(taker, transport, state);
  const spentMs = ((stopwatch() - began) / 1000).toFixed(1);
  log.notice(`Handover: ${server.clients.size} clients go on here; taking over took ${spentMs} ms`);
  return running;
}

/** `core relay`: the same front, with a real Redis server behind it. @param created as in `startServer`. */
export async function startRelay(
  settings: ServerSettings,
  world = systemWorld(settings.config),
  created: (running: RelayServer) => void | Promise<void> = () => {},
): Promise<RelayServer> {
  const { config } = settings;
  refuseCoreSettings(settings);
  prepareProcess(config);
  const calls = await socketCalls();
  const relay = new RelayServer(config, world, await openTransport(config, world), calls);
  await created(relay);
  await relay.start();
  return relay;
}

/**
 * `workers`: several processes, each a relay of its own over a part of the interface's flows.
 * @param command of a worker: this process's own.
 * @param input what it read from standard input.
 * @param created as in `startServer`.
 */
export async function startWorkers(
  settings: ServerSettings,
  { command, input }: { readonly command: readonly string[]; readonly input: string },
  created: (workers: Workers) => void | Promise<void>,
): Promise<Workers> {
  const { config } = settings;
  refuseCoreSettings(settings);
  prepareProcess(config);
  const world = systemWorld(config);
  const { openSharedInterface } = await import('./transports/userspace-open.ts');
  const { netdev: netdevFile, engine } = config;
  const device = openSharedInterface({ netdevFile, engine, log: world.log }, config.workers);
  const workers = new Workers(config, { ...world, device, command, input });
  await created(workers);
  await workers.start();
  return workers;
}

/** One of those workers. @param created as in `startServer`. */
export async function startWorker(
  settings: ServerSettings,
  seat: WorkerSeat,
  created: (running: RelayServer) => void | Promise<void>,
): Promise<void> {
  const { config } = settings;
  seatConfig(config, seat);
  prepareProcess(config);
  const world = systemWorld(config);
  const calls = await socketCalls();
  const { openUserspace } = await import('./transports/userspace-open.ts');
  const { index, count, engine, generic } = seat;
  const isQueue = engine === 'afxdp';
  const share = { index, count, map: isQueue ? MAP_FD : -1, generic };
  const keepAliveSeconds = (): number => config.tcpKeepalive;
  const transport = await openUserspace({ ...world, netdevFile: config.netdev, engine, keepAliveSeconds, share });
  const relay = new RelayServer(config, world, transport, calls);
  await created(relay);
  const tell = (bytes: Uint8Array, offset: number, length: number): void =>
    tellParent({ frame: bytes.slice(offset, offset + length) });
  transport.shareAddresses(index === 0, isQueue ? tell : null);
  listenToParent(
    (frame) => transport.overhear(frame),
    () => relay.shutdown(),
  );
  await relay.start();
  tellParent({ ready: true });
}

/** @throws ServerStartError when there cannot be several workers. */
export function refuseWorkers({ workers, core, transport }: Config): void {
  if (workers === 1) return;
  if (core === 'embedded') {
    throw new ServerStartError(
      `workers ${workers} wants 'core relay': the embedded core is one thread, as Redis is; for more cores put redis-server behind several workers, or run several servers and shard`,
    );
  }
  if (transport === 'kernel') throw new ServerStartError(`workers ${workers} is for the user-space transport`);
}

function prepareProcess(config: Config): void {
  refuseWorkers(config);
  for (const { message } of refusedSettings(config)) throw new ServerStartError(message);
  if (config.dir !== '') changeDirectory(config.dir);
  config.dir = process.cwd();
}

async function openTransport(config: Config, world: World): Promise<Transport> {
  const keepAliveSeconds = (): number => config.tcpKeepalive;
  if (config.transport === 'kernel') {
    return new KernelTransport({ ...world, keepAliveSeconds, calls: await socketCalls() });
  }
  // Only now: the engines' native parts are not needed for kernel sockets.
  const { openUserspace } = await import('./transports/userspace-open.ts');
  return openUserspace({ ...world, netdevFile: config.netdev, engine: config.engine, keepAliveSeconds });
}

/** The kernel's sockets past the event loop; loaded only where something is opened. */
function socketCalls(): Promise<SocketCalls> {
  return import('../io-engine/linux/libc.ts');
}

function changeDirectory(dir: string): void {
  try {
    process.chdir(dir);
  } catch (error) {
    throw new ServerStartError(`Can't chdir to '${dir}': ${messageOf(error)}`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Node's own: calls that a program should not have made. What OpenSSL says of a person's files is no such thing. */
const PROGRAMMING_ERROR = /^ERR_(?!OSSL|SSL)/;

/** Whether this is an error meant for a person: print its message, not its stack. Ours have a code, and those of system calls. */
export function isPersonsError(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  if (error instanceof DirectiveError) return true;
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && !PROGRAMMING_ERROR.test(code);
}

/** Paths of the command line are relative to where the process began. */
export function absolutePath(path: string): string {
  return isAbsolute(path) ? path : resolve(path);
}
