// The composition root: puts clock, memory, databases, commands and a transport together, loads the dump file, listens,
// and takes it all down again. The only place besides the CLI that knows which transport there is.
import type { ChildProcess } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { datasetMemory } from '../io-engine/linux/dataset-memory.ts';
import { commandDetails } from './commands/command-details.ts';
import { commandTable } from './commands/table.ts';
import type { UserDefinition } from './core/acl/rule-words.ts';
import { type Config, ignoredSettings, isIgnored, refusedSettings } from './core/config.ts';
import { DirectiveError } from './core/directive.ts';
import { Keyspace } from './core/keyspace.ts';
import { REDIS_VERSION, type ReloadRequest, Server, ServerStartError, type ShutdownRequest } from './core/server.ts';
import { Arena, type SegmentSource } from './data/arena.ts';
import { Giver, type GiverHost, HandoverError, type Progress } from './handover/giver.ts';
import { applySettings, logRefused, settingsOf } from './handover/settings.ts';
import type { FinalState } from './handover/states.ts';
import type { Taker } from './handover/taker.ts';
import { upgradeAnswer } from './handover/upgrade-answer.ts';
import { Listening } from './listening.ts';
import { type EarlySetting, Modules } from './modules/modules.ts';
import { controlAnswers } from './observe/control-answers.ts';
import { openControl } from './observe/open-control.ts';
import { openObserve } from './observe/open-observe.ts';
import { packageVersion } from './package-version.ts';
import { DatasetFiles } from './persistence/dataset-files.ts';
import { loadSnapshotNow, SnapshotError } from './persistence/snapshot.ts';
import { type ServerClock, SystemClock } from './platform/clock.ts';
import { JsonLog } from './platform/json-log.ts';
import { fileSink, Log, type LogSink, standardOutput } from './platform/log.ts';
import { OomScore } from './platform/oom-score.ts';
import { PidFile } from './platform/pid-file.ts';
import { processTitle } from './platform/process-title.ts';
import { type Random, SystemRandom } from './platform/random.ts';
import { type Stopwatch, systemStopwatch } from './platform/stopwatch.ts';
import { type Scheduler, SystemScheduler, waitFor } from './platform/timers.ts';
import { RelayServer } from './relay/relay-server.ts';
import { refuseCoreSettings } from './relay/relay-settings.ts';
import { listenToParent, MAP_FD, seatConfig, tellParent, type WorkerSeat } from './relay/worker-seat.ts';
import { Workers } from './relay/workers.ts';
import { functionLibraries } from './scripting/scripting.ts';
import { KernelTransport, type SocketCalls } from './transports/kernel.ts';
import type { Listener, Transport, TransportName } from './transports/transport.ts';
import type { UserspaceTransport } from './transports/userspace.ts';

/** How long clients have at shutdown to take what was written to them, milliseconds. */
const CLOSE_GRACE_MS = 1000;
/** Directives that `ps` shows. */
const TITLE_DIRECTIVES: readonly string[] = ['proc-title-template', 'bind', 'port', 'tls-port', 'unixsocket'];

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
    datasetMemory,
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

const unclaimedSetting = (name: string): Error => new ServerStartError(`No module has the setting '${name}'`);

/** A server that is loaded and listening. */
export class RunningServer {
  readonly server: Server;
  readonly transport: Transport;
  readonly #files: DatasetFiles;
  /** Closed when the server stops: what shows it to the outside. */
  readonly companions: { close(): void }[] = [];
  /** Called when interface and ports are open, before any file of the dataset is. @throws ServerStartError */
  onOpened: () => void = () => {};
  /** Told what `ps` is to show. */
  onTitle: (title: string) => void = () => {};
  /** Called when clients are served. */
  onReady: () => void = () => {};
  /** Called when everything is closed after SHUTDOWN or `shutdown()`. */
  onStopped: () => void = () => {};
  /** `user` lines of redis.conf. */
  users: readonly UserDefinition[] = [];
  /** Settings as files and command line have them: what differs was changed while the server ran. */
  settings: ReadonlyMap<string, string> = new Map();
  /**
   * Starts another process of this program with these descriptors, the way to it at number 3 and the rest behind it; null:
   * this process is not a program of its own.
   */
  launch: ((fds: readonly number[]) => ChildProcess) | null = null;
  /** Another process, with that id, is the server now: this one ends at once. */
  onHandedOver: (pid: number) => void = () => {};
  #giver: Giver | null = null;
  readonly #listening: Listening;
  #stopping = false;
  readonly #oomScore = new OomScore();
  readonly #pidFile: PidFile;

  readonly #unclaimed: (name: string) => Error;

  /** @param unclaimed the error for a setting that no module has. @param calls for `Listening`. */
  constructor(server: Server, transport: Transport, unclaimed = unclaimedSetting, calls?: SocketCalls) {
    this.#unclaimed = unclaimed;
    this.server = server;
    this.transport = transport;
    this.#listening = new Listening(server, transport, calls);
    this.#pidFile = new PidFile(server.log);
    this.#files = new DatasetFiles(server, () => {
      this.removePidFile();
      process.exit(1);
    });
    server.beforeOutput = () => {
      server.replication.beforeOutput();
      this.#files.beforeOutput();
    };
    transport.beforeOutput = () => server.beforeOutput();
    server.hooks = {
      shutdown: (request) => this.shutdown(request),
      finishShutdown: (request) => this.#finishShutdown(request),
      persistence: this.#files,
      loadAof: () => this.#files.loadAofNow(),
      reload: (request) => this.#reload(request),
      connect: (host, port, attach, signal) => this.#listening.connect(host, port, attach, signal),
      serveClients: () => this.#listening.serveNow(),
      pendingChange: () => this.#listening.takePending(),
      roleChanged: () => this.adjustOomScore(),
      transportFacts: () => transport.facts?.() ?? [],
      configChanged: (named) => {
        if (isIgnored(server.config, named)) server.log.warning(`'${named.name}' has no effect in this version`);
        if (named.name === 'loglevel') server.log.level = server.config.loglevel;
        if (named.name === 'appendonly' && !this.#files.setAppendOnly(server.config.appendonly)) {
          throw new DirectiveError('Unable to turn on AOF. Check server logs.');
        }
        if (named.name.startsWith('oom-score-adj') && !this.adjustOomScore()) {
          throw new DirectiveError('Failed to apply new oom_score_adj configuration, check server logs.');
        }
        this.#listening.changed(named.name);
        if (TITLE_DIRECTIVES.includes(named.name)) this.#setTitle();
      },
    };
  }

  get config(): Config {
    return this.server.config;
  }

  get log(): Log {
    return this.server.log;
  }

  /** Where the server listens. */
  get listeners(): readonly Listener[] {
    return this.#listening.listeners;
  }

  /** @throws ServerStartError, TransportError or SnapshotError with one line that says what to do. */
  async start(): Promise<void> {
    const { server } = this;
    const { log } = server;
    server.loading = true;
    this.#warnOfIgnoredSettings();
    server.replication.startAsConfigured();
    this.adjustOomScore();
    // The port is open before the users are known: their commands may be brought by modules.
    if (this.#definesUsers) server.acl.suspend();
    await this.#listening.open();
    log.notice(
      `wiredis is starting, compatible with Redis ${REDIS_VERSION}. Port: ${server.config.port}, PID: ${process.pid}`,
    );
    this.#pidFile.write(server.config);
    this.onOpened();
    this.#setTitle();
    server.start();
    await loadModules(server, this.#unclaimed);
    if (this.#stopping) return;
    if (this.#definesUsers) this.#loadUsers();
    await this.#files.load({
      pause: () => this.#afterTick(),
      abandoned: () => this.#stopping,
      keyDelayUs: () => server.config.keyLoadDelay,
      wait: (milliseconds) => waitFor(server.scheduler, milliseconds),
    });
    if (this.#stopping) return;
    server.dirty = 0;
    server.loading = false;
    server.updateExpiryMode();
    server.replication.connectAtStart();
    log.notice('Ready to accept connections');
    this.onReady();
  }

  // --- another process in place of this one ---

  /**
   * Starts a new process and hands everything over to it; this one goes on when that fails.
   * @param tell what happens. @returns when the new process serves: this one ends.
   * @throws HandoverError why not.
   */
  async handOver(tell: (progress: Progress) => void = () => {}): Promise<void> {
    try {
      this.onHandedOver(await this.#handOver(tell));
    } catch (error) {
      if (error instanceof HandoverError) this.log.warning(`Handover: ${error.message}`);
      throw error;
    }
  }

  /** @returns the new process's id. */
  async #handOver(tell: (progress: Progress) => void): Promise<number> {
    const { server, launch } = this;
    if (this.#stopping) throw new HandoverError('the server is shutting down');
    if (this.#giver !== null) throw new HandoverError('a handover is under way already');
    if (launch === null) throw new HandoverError('only wiredis-server can start another one');
    const host: GiverHost = {
      server,
      transport: this.transport,
      files: this.#files,
      settings: this.settings,
      start: launch,
      letGo: () => this.#listening.closeSocketFile(),
      takeAgain: () => this.#listening.openSocketFile(),
    };
    const giver = new Giver(host, tell);
    this.#giver = giver;
    try {
      return await giver.done;
    } finally {
      this.#giver = null;
    }
  }

  /** In place of `start`: goes on with what another process had; the server has the dataset. @throws what `start` does. */
  async goOn(taker: Taker, transport: UserspaceTransport, state: FinalState): Promise<void> {
    const { server } = this;
    await this.#listening.openPorts();
    taker.takeOver(server, transport, state);
    if (state.appendOnly) this.#files.continueAppendOnly();
    await taker.waitForWord();
    server.loading = false;
    server.updateExpiryMode();
    server.replication.goOn(state.place);
    server.start();
    taker.resume(server, state);
    transport.resume();
  }

  /** After `goOn`: what only one process can have, when the other one is gone. */
  async settleIn(): Promise<void> {
    const { server } = this;
    await this.#listening.openSocketFile();
    this.#pidFile.write(server.config);
    this.adjustOomScore();
    this.onOpened();
    this.#setTitle();
    server.log.notice('Ready to accept connections');
    this.onReady();
  }

  get #definesUsers(): boolean {
    return this.users.length > 0 || this.server.config.aclfile !== '';
  }

  /** @throws ServerStartError */
  #loadUsers(): void {
    const { acl, config, log } = this.server;
    if (config.aclfile !== '' && this.users.length > 0) {
      throw new ServerStartError("Users are defined both by 'user' lines and by 'aclfile': leave one of the two.");
    }
    const problem = acl.start(this.users, config.aclfile);
    if (problem === null) return;
    log.warning(`Aborting Redis startup because of ACL errors: ${problem}`);
    throw new ServerStartError(problem);
  }

  /** `oom-score-adj`, and again whenever the server becomes a replica or a master. @returns whether the kernel took it. */
  adjustOomScore(): boolean {
    const { config, log } = this.server;
    const [asMaster, asReplica] = config.oomScoreAdjValues;
    const value = this.server.replication.isReplica ? asReplica : asMaster;
    const problem = this.#oomScore.apply(config.oomScoreAdj, value);
    if (problem !== null) log.warning(`Unable to change oom_score_adj: ${problem}`);
    return problem === null;
  }

  #setTitle(): void {
    const { config, configFile } = this.server;
    const { port, tlsPort, unixsocket } = config;
    if (!config.setProcTitle) return;
    const facts = {
      title: 'wiredis-server',
      'listen-addr':
        port === 0 && tlsPort === 0
          ? unixsocket
          : `${config.bind[0]?.replace(/^-/, '') ?? ''}:${port === 0 ? tlsPort : port}`,
      'server-mode': '',
      port,
      'tls-port': tlsPort,
      unixsocket,
      'config-file': configFile,
    };
    this.onTitle(processTitle(config.procTitleTemplate, facts));
  }

  #warnOfIgnoredSettings(): void {
    const names = ignoredSettings(this.server.config);
    if (names.length > 0) {
      this.server.log.warning(`Settings without effect in this version: ${names.join(', ')}`);
    }
  }

  #afterTick(): Promise<void> {
    return new Promise((done) => this.server.scheduler.soon(done));
  }

  /** DEBUG RELOAD. @returns what went wrong, or null. */
  #reload({ save, flush, merge }: ReloadRequest): string | null {
    const { config, keyspace } = this.server;
    const problem = save ? this.#files.save() : null;
    if (problem !== null) return problem;
    if (flush) {
      for (const db of keyspace.databases) db.clear();
      keyspace.functions?.clear();
    }
    try {
      const loaded = loadSnapshotNow(keyspace, config, merge);
      return loaded === null ? 'Error trying to load the RDB dump' : null;
    } catch (error) {
      if (!(error instanceof SnapshotError)) throw error;
      this.server.log.warning(error.message);
      return 'Error trying to load the RDB dump';
    }
  }

  /** SHUTDOWN. @returns an error reply, or null when the server is closing; `onStopped` follows. */
  shutdown(request: ShutdownRequest): string | null {
    const { log, pendingShutdown } = this.server;
    if (this.#stopping || pendingShutdown.active) return null;
    log.warning('User requested shutdown...');
    return pendingShutdown.begin(request) ? null : this.#finishShutdown(request);
  }

  #finishShutdown(request: ShutdownRequest): string | null {
    const { config, log } = this.server;
    const wanted = request.save === 'save' || (request.save === 'default' && config.save.length > 0);
    if (!this.server.loading && !this.#files.prepareForExit(request.force)) return this.#cannotExit();
    // What is loaded so far must not replace the file it comes from.
    if (wanted && !this.server.loading) {
      log.notice('Saving the final RDB snapshot before exiting.');
      if (this.#files.save() !== null) {
        log.warning(`Error trying to save the DB${request.force ? '. Exit anyway.' : ", can't exit."}`);
        if (!request.force) return this.#cannotExit();
      }
    }
    this.#stopping = true;
    void this.#stop();
    return null;
  }

  #cannotExit(): string {
    this.server.log.warning('Errors trying to shut down the server. Check the logs for more information.');
    return 'ERR Errors trying to SHUTDOWN. Check logs.';
  }

  async #stop(): Promise<void> {
    const { server } = this;
    server.stop();
    for (const companion of this.companions) companion.close();
    server.replication.stop();
    this.#listening.closeListeners();
    for (const client of server.clients.values()) client.closeAfterReply();
    // SHUTDOWN may stand behind other commands: their replies leave first.
    await this.#afterTick();
    await this.#listening.close(CLOSE_GRACE_MS);
    this.removePidFile();
    server.log.warning('Redis is now ready to exit, bye bye...');
    this.onStopped();
  }

  /** Also when the process ends by a bug. */
  removePidFile(): void {
    this.#pidFile.remove();
  }
}

/** Before the dataset, which may hold what is theirs. @throws ServerStartError */
async function loadModules(server: Server, unclaimed: (name: string) => Error): Promise<void> {
  const { config, log, modules } = server;
  const { loadmodule, moduleAdd } = config;
  if (modules === null || loadmodule.length + moduleAdd.length === 0) return;
  modules.logBuiltin();
  for (const [path, ...args] of loadmodule) {
    if ((await modules.load(path, args)) === null) continue;
    log.warning(`Can't load module from ${path}: server aborting`);
    throw new ServerStartError(`Can't load module from ${path}; the log says why`);
  }
  for (const [path, ...args] of moduleAdd) await modules.add(path, args);
  const [early] = modules.earlySettings;
  if (early !== undefined) throw unclaimed(early.name);
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
  const upgrade = upgradeAnswer((tell) => running.handOver(tell));
  const control = await openControl(server.config, server.log, { ...controlAnswers(server, transport), upgrade });
  if (control !== null) companions.push(control);
  const observe = await openObserve(server, transport);
  if (observe !== null) companions.push(observe);
}

/**
 * Goes on in place of another process of this program, which hands everything over.
 * @param created as in `startServer`; what it has to wait for is waited for when this process serves. @throws errors for a person; the other process goes on then.
 */
export async function startInPlace(
  settings: ServerSettings,
  taker: Taker,
  created: (running: RunningServer) => void | Promise<void>,
): Promise<void> {
  try {
    const preparing: unknown[] = [];
    const running = await takePlace(settings, taker, (made) => preparing.push(created(made)));
    await Promise.all(preparing);
    await taker.waitForEnd();
    await openCompanions(running);
    await running.settleIn();
  } catch (error) {
    taker.report(messageOf(error));
    throw error;
  }
}

/** @param made gets the server just before it serves. @returns it, which serves already. */
async function takePlace(
  settings: ServerSettings,
  taker: Taker,
  made: (running: RunningServer) => void,
): Promise<RunningServer> {
  const { config } = settings;
  const asGiven = settingsOf(config);
  const refused = applySettings(config, taker.hello.settings);
  if (config.core === 'relay' || config.transport === 'kernel')
    taker.fail('core and transport cannot change on the way');
  // The files name the master and the modules of the start; the old process tells those that there are now.
  Object.assign(config, { replicaof: null, moduleAdd: [], loadmodule: taker.hello.modules });
  const world = systemWorld(config);
  const { log, stopwatch } = world;
  logRefused(log, refused);
  prepareProcess(config);
  log.notice(`Handover: process ${process.pid} is to take the place of ${taker.hello.pid}`);
  const server = createServer(settings, world, 'userspace');
  server.loading = true;
  await loadModules(server, settings.unclaimed ?? unclaimedSetting);
  const { prepareAdoption } = await import('./transports/userspace-open.ts');
  const keepAliveSeconds = (): number => config.tcpKeepalive;
  const adopt = prepareAdoption({ ...world, netdevFile: config.netdev, engine: config.engine, keepAliveSeconds });
  const calls = await socketCalls();
  taker.load(server);
  const state = await taker.follow();
  const began = stopwatch();
  const transport = adopt(taker.device(state));
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
  const calls = await import('../io-engine/linux/libc.ts');
  const relay = new RelayServer(config, world, await openTransport(config, world), calls);
  await created(relay);
  await relay.start();
  return relay;
}

/**
 * `workers`: several processes, each a relay of its own over a part of the interface's flows.
 * @param command of a worker: this process's own. @param input what it read from standard input. @param created as in `startServer`.
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
  const calls = await import('../io-engine/linux/libc.ts');
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

/** Whether this is an error meant for a person: print its message, not its stack. */
export function isPersonsError(error: unknown): error is Error {
  return error instanceof Error && ('code' in error || error instanceof DirectiveError);
}

/** Paths of the command line are relative to where the process began. */
export function absolutePath(path: string): string {
  return isAbsolute(path) ? path : resolve(path);
}
