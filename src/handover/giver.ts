// The old process's part in a hand-over: starts the new one, sends the dataset while it goes on serving, and when the new
// one has caught up stands still, sends the rest of the stream, the sessions and the TCP state, and ends. Until the new
// one says that it serves, anything that goes wrong leaves this process as it was. server.ts makes one.
import { Client } from '../core/client.ts';
import type { PersistenceControl } from '../core/persistence.ts';
import type { Server } from '../core/server.ts';
import { exportCounters, exportSessions, hasUnmovableWaits } from '../core/session-state.ts';
import type { Alarm } from '../platform/timers.ts';
import type { Transport } from '../transports/transport.ts';
import type { UserspaceTransport } from '../transports/userspace.ts';
import {
  AT,
  type Channel,
  decode,
  FAILED,
  GO,
  HELLO,
  LOADED,
  type Message,
  READY,
  STATE,
  TAKEN,
  WHERE,
} from './channel.ts';
import { DatasetSender } from './dataset.ts';
import { scriptsOf } from './settings.ts';
import { type FinalState, helloOf, moduleSettings, persistenceFacts } from './states.ts';

const STEP_MS = 5;
/** The new process is close enough behind: what is left takes milliseconds. */
const NEAR_BYTES = 256 * 1024;
/** How long the new process may take to begin, and to catch up, milliseconds. */
const START_MS_MAX = 60_000;
const BUSY_MS_MAX = 60_000;
const CATCH_UP_MS_MAX = 120_000;
/** How long another host may take to say that it has heard the last word, milliseconds. */
const FINISH_MS_MAX = 3000;
/** Longer than this nobody stands still: the new process is ended and this one goes on. */
const STILL_MS_MAX = 5000;

/** Why there is no hand-over; the message is one line for the person. */
export class HandoverError extends Error {
  readonly code = 'HANDOVER';
}

/** The process that is to take over. */
export interface Successor {
  /** The way to it; what it says is heard from the moment this is handed in. */
  readonly channel: Channel;
  /** As people name it. */
  readonly name: string;
  /** 0: it is on another host. */
  readonly pid: number;
  /** Ends it. Resolves when it is certain that it will never serve. */
  end(): Promise<void>;
}

/** What the process around the server does for a hand-over. */
export interface GiverHost {
  readonly server: Server;
  readonly transport: Transport;
  readonly files: PersistenceControl & { standStill(): void; goOn(): void };
  /** Settings as files and command line had them. */
  readonly settings: ReadonlyMap<string, string>;
  /** Who is to take over. @param fds of the open device. */
  start(fds: readonly number[]): Successor;
  /** What only one process can have is let go of: socket files, ports of the kernel's; and taken again. */
  letGo(): void;
  takeAgain(): Promise<void>;
  /** The new process is on another host. */
  readonly isFar: boolean;
}

export interface Progress {
  readonly phase: 'starting' | 'copying' | 'catching-up' | 'done';
  readonly text: string;
  readonly pid?: number;
  readonly pauseMs?: number;
}

type Phase = 'starting' | 'waiting' | 'copying' | 'loading' | 'following' | 'still' | 'over';

export class Giver {
  readonly #host: GiverHost;
  readonly #server: Server;
  readonly #transport: UserspaceTransport;
  readonly #successor: Successor;
  readonly #channel: Channel;
  readonly #alarm: Alarm;
  readonly #tell: (progress: Progress) => void;
  /** The new process's id, when it serves: this one is to end at once. Rejects with a HandoverError when this one goes on. */
  readonly done: Promise<number>;
  #resolve: (pid: number) => void = () => {};
  #reject: (error: HandoverError) => void = () => {};
  #phase: Phase = 'starting';
  /** When this phase must be over, stopwatch microseconds. */
  #deadlineUs = 0;
  #sender: DatasetSender | null = null;
  #remoteOffset = -1;
  #asked = false;
  #stillSinceUs = 0;

  /** @param tell what happens. @throws as `refuseUnmovable`. */
  constructor(host: GiverHost, tell: (progress: Progress) => void) {
    this.#host = host;
    this.#server = host.server;
    this.#transport = refuseUnmovable(host);
    this.#tell = tell;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const { server } = host;
    this.#successor = host.start(this.#transport.handedFds ?? []);
    const { name } = this.#successor;
    server.log.notice(`Handover: to ${name}`);
    tell({ phase: 'starting', text: `starting: ${name}` });
    this.#channel = this.#successor.channel;
    this.#channel.onMessage = (message) => this.#hear(message);
    this.#channel.onEnd = () => this.#fail('the new process has ended: its own lines in the log say why');
    this.#alarm = server.scheduler.createAlarm(() => this.#step());
    this.#enter('starting', START_MS_MAX);
    this.#channel.value(HELLO, helloOf(server, host.settings, this.#isNear));
  }

  /** The new process is on this host: it gets the device itself. */
  get #isNear(): boolean {
    return this.#successor.pid !== 0;
  }

  #enter(phase: Phase, milliseconds: number): void {
    this.#phase = phase;
    this.#deadlineUs = this.#server.stopwatch() + milliseconds * 1000;
    this.#alarm.arm(STEP_MS);
  }

  get #isLate(): boolean {
    return this.#server.stopwatch() > this.#deadlineUs;
  }

  // --- what the new process says ---

  #hear(message: Message): void {
    if (this.#phase === 'over') return;
    switch (message.kind) {
      case READY:
        this.#enter('waiting', BUSY_MS_MAX);
        break;
      case LOADED:
        this.#server.log.notice(`Handover: the new process has loaded ${decode<number>(message)} keys`);
        this.#enter('following', CATCH_UP_MS_MAX);
        break;
      case AT:
        this.#remoteOffset = decode(message);
        this.#asked = false;
        break;
      case TAKEN:
        if (this.#phase === 'still') this.#taken();
        break;
      case FAILED:
        this.#fail(decode(message));
        break;
    }
  }

  // --- step by step ---

  #step(): void {
    if (this.#phase === 'over') return;
    this.#server.clock.update();
    if (this.#phase === 'starting') {
      if (this.#isLate) this.#fail(`the new process does not begin within ${START_MS_MAX / 1000} s`);
    } else if (this.#phase === 'waiting') this.#beginCopy();
    else if (this.#phase === 'loading') this.#sender?.pump(false);
    else if (this.#phase === 'following') this.#follow();
    else if (this.#phase === 'still' && this.#isLate) {
      this.#fail(`the new process did not take over within ${STILL_MS_MAX / 1000} s`);
    }
    if (!this.#isOver) this.#alarm.arm(STEP_MS);
  }

  get #isOver(): boolean {
    return this.#phase === 'over';
  }

  /** As soon as nothing else is being written in the background. */
  #beginCopy(): void {
    const { persistence, log } = this.#server;
    if (persistence.job !== null) {
      if (this.#isLate)
        this.#fail('a save, a rewrite or a full synchronization is under way: try again when it is over');
      return;
    }
    this.#enter('copying', Number.POSITIVE_INFINITY);
    log.notice('Handover: copying the dataset');
    this.#tell({ phase: 'copying', text: 'copying the dataset, while it is served' });
    this.#sender = new DatasetSender(this.#server, this.#host.files, this.#channel, (error) => this.#copied(error));
  }

  #copied(error: Error | null): void {
    if (this.#phase === 'over') return;
    if (error !== null) {
      this.#fail(`the dataset could not be copied: ${error.message}`);
      return;
    }
    const megabytes = ((this.#sender?.snapshotBytes ?? 0) / 1e6).toFixed(1);
    this.#tell({ phase: 'catching-up', text: `${megabytes} MB are copied, the new process catches up` });
    this.#phase = 'loading';
  }

  /** The new process carries out what has changed since; when it is near enough, this one stands still. */
  #follow(): void {
    const { log, replication, persistence } = this.#server;
    const sender = this.#sender;
    if (sender === null) return;
    if (!sender.isIntact) {
      this.#fail('the dataset was replaced by another one meanwhile');
      return;
    }
    sender.pump(false);
    if (!this.#asked) {
      this.#asked = true;
      this.#channel.value(WHERE, 0);
    }
    const behind = replication.offset - this.#remoteOffset;
    const isBusy = persistence.job !== null || persistence.aofState === 'wait' || hasUnmovableWaits(this.#server);
    if (this.#remoteOffset >= 0 && behind < NEAR_BYTES && !isBusy) this.#standStill(sender);
    else if (this.#isLate) {
      this.#fail(
        isBusy
          ? 'a save, a rewrite or a module’s waiting client does not come to an end: try again when it has'
          : `changes come faster than the new process carries them out: it is ${behind} bytes behind`,
      );
    } else if (behind > NEAR_BYTES) log.verbose(`Handover: the new process is ${behind} bytes behind`);
  }

  #standStill(sender: DatasetSender): void {
    const server = this.#server;
    const transport = this.#transport;
    this.#stillSinceUs = server.stopwatch();
    this.#enter('still', STILL_MS_MAX);
    server.isStill = true;
    // Those whose connections stay behind are told the rest first.
    for (const client of [...server.clients.values()]) {
      if (client.link === null && !transport.carries(client.connection)) client.closeAfterReply();
    }
    server.replication.dropLinks();
    const suspended = transport.suspend(idOf);
    this.#host.files.standStill();
    this.#host.letGo();
    sender.pump(true);
    const state: FinalState = {
      place: server.replication.place,
      transport: this.#isNear ? suspended : { ...suspended, engine: null },
      sessions: exportSessions(server, (client) => transport.carries(client.connection)),
      counters: exportCounters(server),
      moduleSettings: moduleSettings(server),
      users: server.acl.lines,
      scripts: scriptsOf(server),
      persistence: persistenceFacts(server),
      appendOnly: server.persistence.aofState === 'on',
    };
    this.#channel.value(STATE, state);
  }

  // --- the end, either way ---

  #taken(): void {
    const pauseMs = Math.round((this.#server.stopwatch() - this.#stillSinceUs) / 1000);
    const { name, pid } = this.#successor;
    // The point of no return.
    this.#phase = 'over';
    this.#channel.value(GO, 0);
    this.#server.log.notice(`Handover: ${name} serves, nobody was served for ${pauseMs} ms; this process ends`);
    this.#tell({ phase: 'done', text: `${name} serves; the pause was ${pauseMs} ms`, pid, pauseMs });
    if (this.#isNear) this.#resolve(pid);
    else void this.#channel.finish(FINISH_MS_MAX).then(() => this.#resolve(pid));
  }

  /** This process goes on as if nothing had been. */
  #fail(why: string): void {
    if (this.#phase === 'over') return;
    const wasStill = this.#phase === 'still';
    this.#phase = 'over';
    this.#alarm.disarm();
    const { replication } = this.#server;
    const error = new HandoverError(`no handover, this process goes on: ${why}`);
    const goOn = (): void => {
      this.#channel.close();
      this.#sender?.close(error);
      if (wasStill) {
        this.#server.isStill = false;
        this.#host.files.goOn();
        this.#transport.resume();
        replication.linkAgain();
        void this.#host.takeAgain();
      }
      this.#reject(error);
    };
    // It serves when the channel ends: it must be gone before that, and before anything moves here.
    void this.#successor.end().then(goOn);
  }
}

function idOf(handler: unknown): number {
  return handler instanceof Client ? handler.id : 0;
}

/** @throws HandoverError when this server cannot be handed over now. */
export function refuseUnmovable({
  server,
  transport,
  isFar,
}: Pick<GiverHost, 'server' | 'transport' | 'isFar'>): UserspaceTransport {
  const refuse = (why: string): never => {
    throw new HandoverError(why);
  };
  if (transport.name === 'kernel') {
    refuse(
      "the kernel's sockets stay with the process that opened them: a server on --transport kernel is restarted, its clients reconnect",
    );
  }
  const userspace = transport as UserspaceTransport;
  if (!isFar && userspace.handedFds === null)
    refuse('engine afxdp or afpacket is needed: other devices belong to one process');
  if (isFar && userspace.stack.ip.dhcp !== null)
    refuse('the address is lent by a DHCP server to this hardware address only');
  if (server.loading) refuse('the dataset is being loaded: try again when it is');
  if (server.pendingShutdown.active || server.scheduledShutdown !== null) refuse('the server is shutting down');
  if (server.busyError !== '') refuse('a script is running: try again when it has ended');
  const { link } = server.replication;
  if (link !== null && link.state !== 'connected') refuse('the link to the master is down: try again when it is up');
  if (server.replication.failover.state !== 'none') refuse('a failover is in progress');
  return userspace;
}
