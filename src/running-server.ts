// A server that is loaded and listening, with what belongs to it: listeners, files, pid file, and its end, be it that it
// stops or that another process goes on in its place. server.ts makes one.
import type { UserDefinition } from './core/acl/rule-words.ts';
import { type Config, ignoredSettings, isIgnored } from './core/config.ts';
import { DirectiveError } from './core/directive.ts';
import { REDIS_VERSION, type Server, ServerStartError } from './core/server.ts';
import type { ReloadRequest, ShutdownRequest } from './core/server-parts.ts';
import { reachSuccessor } from './handover/far.ts';
import { Giver, type GiverHost, HandoverError, type Progress, refuseUnmovable } from './handover/giver.ts';
import type { FinalState } from './handover/states.ts';
import type { Taker } from './handover/taker.ts';
import { Listening } from './listening.ts';
import { DatasetFiles } from './persistence/dataset-files.ts';
import { loadSnapshotNow, SnapshotError } from './persistence/snapshot.ts';
import type { Log } from './platform/log.ts';
import { OomScore } from './platform/oom-score.ts';
import { PidFile } from './platform/pid-file.ts';
import { processTitle } from './platform/process-title.ts';
import { waitFor } from './platform/timers.ts';
import type { SocketCalls } from './transports/kernel.ts';
import type { Listener, Transport } from './transports/transport.ts';
import type { UserspaceTransport } from './transports/userspace.ts';

/** How long clients have at shutdown to take what was written to them, milliseconds. */
const CLOSE_GRACE_MS = 1000;
/** Directives that `ps` shows. */
const TITLE_DIRECTIVES: readonly string[] = ['proc-title-template', 'bind', 'port', 'tls-port', 'unixsocket'];

export const unclaimedSetting = (name: string): Error => new ServerStartError(`No module has the setting '${name}'`);

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
  /** Starts another process of this program, which has these descriptors too; null: this process is not a program of its own. */
  launch: GiverHost['start'] | null = null;
  /** Another process, with that id or on another host (0), is the server now: this one ends at once. */
  onHandedOver: (pid: number) => void = () => {};
  #isGiving = false;
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
  handOver(tell: (progress: Progress) => void = () => {}): Promise<void> {
    return this.#giveAway(tell, false, () => {
      if (this.launch === null) throw new HandoverError('only wiredis-server can start another one');
      return this.launch;
    });
  }

  /** As `handOver`, to the server that waits at `place` (HOST:PORT) on another host of the same network. */
  moveTo(place: string, tell: (progress: Progress) => void = () => {}): Promise<void> {
    return this.#giveAway(tell, true, async () => {
      const successor = await reachSuccessor(place, this.config.moveSecret);
      return () => successor;
    });
  }

  async #giveAway(
    tell: (progress: Progress) => void,
    isFar: boolean,
    find: () => GiverHost['start'] | Promise<GiverHost['start']>,
  ): Promise<void> {
    const { server, transport, settings } = this;
    if (this.#isGiving) throw new HandoverError('a handover is under way already');
    this.#isGiving = true;
    try {
      if (this.#stopping) throw new HandoverError('the server is shutting down');
      const host = {
        server,
        transport,
        settings,
        isFar,
        files: this.#files,
        letGo: () => this.#listening.closeSocketFile(),
        takeAgain: () => this.#listening.openSocketFile(),
      };
      refuseUnmovable(host);
      this.onHandedOver(await new Giver({ ...host, start: await find() }, tell).done);
    } catch (error) {
      if (error instanceof HandoverError) this.log.warning(`Handover: ${error.message}`);
      throw error;
    } finally {
      this.#isGiving = false;
    }
  }

  /** In place of `start`: goes on with what another process had; the server has the dataset. @throws what `start` does. */
  async goOn(taker: Taker, transport: UserspaceTransport, state: FinalState): Promise<void> {
    const { server } = this;
    await this.#listening.openPorts();
    taker.takeOver(server, transport, state);
    if (state.appendOnly && !taker.isFar) this.#files.continueAppendOnly();
    await taker.waitForWord();
    server.loading = false;
    server.updateExpiryMode();
    server.replication.goOn(state.place);
    server.start();
    taker.resume(server, state);
    transport.resume();
    // On another host the hardware address is another one, and here netdev.conf may have other addresses than before.
    transport.announce();
    // A file that is on the other host: this one begins with a base of its own.
    if (taker.isFar && server.config.appendonly) this.#files.setAppendOnly(true);
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
      keyspace.clear(false);
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
export async function loadModules(server: Server, unclaimed: (name: string) => Error): Promise<void> {
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
