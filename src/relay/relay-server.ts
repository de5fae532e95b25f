// `core relay` as a whole: the child if there is one, the listeners, the control socket, and the orderly end. What
// RunningServer is to the Redis core. The composition root makes it.
import type { Config } from '../core/config.ts';
import { ServerStartError } from '../core/server.ts';
import { Listening } from '../listening.ts';
import { subjectAnswers } from '../observe/control-answers.ts';
import type { ControlAnswers } from '../observe/control-server.ts';
import { openControl } from '../observe/open-control.ts';
import { relaySubject } from '../observe/relay-subject.ts';
import type { Subject } from '../observe/subject.ts';
import type { ServerClock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { PidFile } from '../platform/pid-file.ts';
import type { Scheduler } from '../platform/timers.ts';
import type { Listener, Transport } from '../transports/transport.ts';
import { type ChildAccount, RedisChild } from './child.ts';
import { Relay, type RelayFacts } from './relay.ts';
import { idleSettings } from './relay-settings.ts';
import { Upstream, type UpstreamCalls } from './upstream.ts';

/** How long ended connections have to deliver what was written to them, milliseconds. */
const CLOSE_GRACE_MS = 1000;

export interface RelayWorld {
  readonly clock: ServerClock;
  readonly scheduler: Scheduler;
  readonly log: Log;
}

/** The relay's figures, with its child's. */
export interface RelayServerFacts extends RelayFacts {
  /** Process id of the Redis server that `relay-spawn` started; null: there is none. */
  readonly childPid: number | null;
  readonly childRestarts: number;
  /** Other ports that are passed on. */
  readonly forwards: readonly ForwardFacts[];
}

export interface ForwardFacts extends RelayFacts {
  readonly port: number;
}

export class RelayServer {
  readonly config: Config;
  readonly log: Log;
  readonly relay: Relay;
  readonly transport: Transport;
  /** Called when interface and ports are open. @throws ServerStartError */
  onOpened: () => void = () => {};
  /** Called when everything is closed. @param failed whether the Redis server behind it had to be given up. */
  onStopped: (failed: boolean) => void = () => {};
  /** For the tools that show what it does. */
  readonly subject: Subject;
  readonly #listening: Listening;
  readonly #child: RedisChild | null;
  /** By port. */
  readonly #forwards = new Map<number, Relay>();
  readonly #pidFile: PidFile;
  /** What shows it to the outside. */
  readonly #companions: { close(): void }[] = [];
  #stopping = false;

  constructor(config: Config, { log, clock, scheduler }: RelayWorld, transport: Transport, calls: UpstreamCalls) {
    this.config = config;
    this.log = log;
    this.transport = transport;
    this.#pidFile = new PidFile(log);
    this.#child = config.relaySpawn.length === 0 ? null : new RedisChild(config.relaySpawn, { log, scheduler });
    const address = this.#child === null ? config.relayUpstream : `unix:${this.#child.path}`;
    const upstreamAt = (name: string): Upstream => {
      const upstream = new Upstream(name, log, calls, () => config.tcpKeepalive);
      upstream.isComing = () => this.#child?.isSupervised ?? false;
      return upstream;
    };
    this.relay = new Relay(upstreamAt(address), scheduler, config);
    for (const { port, upstream } of config.relayForward) {
      this.#forwards.set(port, new Relay(upstreamAt(upstream), scheduler, config, false));
    }
    this.subject = relaySubject(this, this.relay, clock);
    const { accept } = this.relay;
    this.#listening = new Listening({ config, log, clock, scheduler, accept, beforeOutput: () => {} }, transport);
  }

  /** The Redis server of relay-spawn is that user's from the beginning. Before `start`. */
  runChildAs(account: ChildAccount): void {
    this.#child?.runAs(account);
  }

  /** All of them by port, the main one first. */
  get relays(): ReadonlyMap<number, Relay> {
    return new Map([[this.config.port, this.relay], ...this.#forwards]);
  }

  get listeners(): readonly Listener[] {
    return this.#listening.listeners;
  }

  /** @throws ServerStartError or TransportError with one line that says what to do. */
  async start(): Promise<void> {
    const { config, log } = this;
    const idle = idleSettings(config);
    if (idle.length > 0) {
      log.warning(`Without effect here, these belong to the Redis server behind the relay: ${idle.join(', ')}`);
    }
    try {
      await this.#openCompanions();
      const answers = this.#child === null || (await this.#child.start());
      if (this.#stopping) return;
      if (!answers) {
        throw new ServerStartError('The Redis server of relay-spawn does not start: its own words are in the log');
      }
      await this.#listening.open();
      for (const [port, relay] of this.#forwards) await this.#listening.openAlso(port, relay.accept);
      this.onOpened();
    } catch (error) {
      await this.#close();
      throw error;
    }
    if (this.#child !== null) this.#child.onGone = (failed) => void this.#stop(failed);
    this.#pidFile.write(config);
    log.notice(`Relay to ${this.relay.upstream.name}. Port: ${config.port}, PID: ${process.pid}`);
    for (const [port, relay] of this.#forwards) log.notice(`Port ${port} is passed on to ${relay.upstream.name}`);
    log.notice('Ready to accept connections');
  }

  async #openCompanions(): Promise<void> {
    const { config, log, subject } = this;
    const control = await openControl(config, log, this.#answers());
    if (control !== null) this.#companions.push(control);
    const { metricsPort: port, metricsBind: bind, metricsToken: token } = config;
    if (port === 0) return;
    // Only now: without metrics neither HTTP nor the metrics library is needed.
    const { openRelayObserve } = await import('../observe/relay-observe.ts');
    this.#companions.push(await openRelayObserve({ port, bind, token }, subject, () => this.facts()));
    log.notice(`Metrics and the web page on http://${bind.includes(':') ? `[${bind}]` : bind}:${port}/`);
  }

  /**
   * Stops listening, lets replies that are on their way finish, at most `shutdown-timeout` seconds, then ends every
   * connection and the child; `onStopped` follows.
   */
  shutdown(): void {
    void this.#stop(false);
  }

  /** For a process that does not wait: the child is told to end, and does so by itself. */
  endChild(): void {
    this.#child?.tellToEnd();
  }

  /** Also when the process ends by a bug. */
  removePidFile(): void {
    this.#pidFile.remove();
  }

  facts(): RelayServerFacts {
    return {
      ...this.relay.facts(),
      childPid: this.#child?.pid ?? null,
      childRestarts: this.#child?.restarts ?? 0,
      forwards: [...this.#forwards].map(([port, relay]) => ({ port, ...relay.facts() })),
    };
  }

  async #stop(failed: boolean): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#listening.closeListeners();
    const { clients } = this.relay.facts();
    if (clients > 0) this.log.notice(`No new clients; waiting for the replies to ${clients}`);
    await this.relay.drain(this.config.shutdownTimeout * 1000);
    await this.#close();
    this.log.warning('The relay is now ready to exit, bye bye...');
    this.onStopped(failed);
  }

  async #close(): Promise<void> {
    for (const companion of this.#companions.splice(0)) companion.close();
    this.#listening.closeListeners();
    await this.#listening.close(CLOSE_GRACE_MS);
    await this.#child?.stop();
    this.removePidFile();
  }

  #answers(): ControlAnswers {
    const { config, transport, relay } = this;
    return {
      ...subjectAnswers(this.subject),
      server: () => ({
        pid: process.pid,
        transport: transport.name,
        netdev: config.netdev,
        port: config.port,
        bind: config.bind,
        clients: relay.sessions.size,
      }),
      relay: () => this.facts(),
    };
  }
}
