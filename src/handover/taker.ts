// The new process's part in a hand-over: hears what it has to know before it makes a server, reads the dataset, carries
// out what changes meanwhile, and when the old process stands still takes over sessions and TCP state. It serves when
// the old one says that it never will again, or is gone. server.ts uses it.
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Client } from '../core/client.ts';
import { type Server, ServerStartError } from '../core/server.ts';
import { importCounters, importSessions, resumeSessions } from '../core/session-state.ts';
import { seedKeyHash } from '../data/key-hash.ts';
import type { SuspendedTransport, UserspaceTransport } from '../transports/userspace.ts';
import {
  BlockingChannel,
  Channel,
  decode,
  FAILED,
  GO,
  HELLO,
  LOADED,
  type Message,
  PLACE,
  READY,
  STATE,
  STREAM,
  TAKEN,
  WHERE,
} from './channel.ts';
import { DatasetFollower, readDataset } from './dataset.ts';
import { applyModuleSettings, applyUsers, loadScripts } from './settings.ts';
import { applyPersistenceFacts, type FinalState, type Hello, PROTOCOL } from './states.ts';

/** Tells the new process that it is one. */
export const HANDOVER_MARK = 'WIREDIS_HANDOVER';
const CHANNEL_FD = 3;
/** The device's descriptors begin here. */
const FIRST_DEVICE_FD = 4;

/** The end of a process that has not taken over; the old one says so in its log. */
class AbandonedError extends ServerStartError {}

export class Taker {
  readonly hello: Hello;
  /** The old process is on another host: the device is our own, and only its word lets us serve. */
  readonly isFar: boolean;
  readonly #blocking: BlockingChannel;
  readonly #stream: () => Duplex;
  #channel: Channel | null = null;
  #follower: DatasetFollower | null = null;

  /** @returns null: this process is a server's first. @throws ServerStartError */
  static find(env: NodeJS.ProcessEnv): Taker | null {
    if (env[HANDOVER_MARK] === undefined) return null;
    delete env[HANDOVER_MARK];
    return new Taker(new BlockingChannel(CHANNEL_FD), () => new Socket({ fd: CHANNEL_FD }), false);
  }

  /** @param stream the same way, when there is an event loop again. @throws ServerStartError */
  constructor(channel: BlockingChannel, stream: () => Duplex, isFar: boolean) {
    this.#blocking = channel;
    this.#stream = stream;
    this.isFar = isFar;
    const message = channel.read();
    if (message === null || message.kind !== HELLO) throw new AbandonedError('the old process is gone');
    this.hello = decode(message);
    const { protocol } = this.hello;
    if (protocol !== PROTOCOL) {
      this.fail(
        `the old process speaks version ${protocol} of the handover, this one ${PROTOCOL}: that takes a restart`,
      );
    }
    seedKeyHash(...this.hello.keyHash);
  }

  /** Tells the old process why it has to go on. @throws AbandonedError */
  fail(why: string): never {
    this.report(why);
    throw new AbandonedError(why);
  }

  report(why: string): void {
    try {
      this.#blocking.value(FAILED, why);
    } catch {
      // It is gone, too.
    }
  }

  // --- the dataset ---

  /** The server has its modules: reads the dataset into it, and waits for nothing else. */
  load(server: Server): void {
    this.#blocking.value(READY, 0);
    const first = this.#blocking.read();
    if (first === null || first.kind !== PLACE) throw new AbandonedError('the old process is gone');
    const follower = new DatasetFollower(server, decode(first));
    const keys = readDataset(server, this.#blocking);
    this.#follower = follower;
    this.#blocking.value(LOADED, keys);
    server.log.notice(`Handover: ${keys} keys are loaded`);
  }

  /** Carries out the stream until the old process stands still. @returns its state. */
  follow(): Promise<FinalState> {
    const channel = new Channel(this.#stream());
    const follower = this.#follower as DatasetFollower;
    this.#channel = channel;
    return new Promise((resolve, reject) => {
      channel.onEnd = () => reject(new AbandonedError('the old process is gone'));
      channel.onMessage = (message: Message) => {
        try {
          if (message.kind === STREAM) follower.receive(message.bytes);
          else if (message.kind === WHERE) follower.report(channel);
          else if (message.kind === STATE) resolve(this.#complete(decode(message), follower));
        } catch (error) {
          reject(error);
        }
      };
    });
  }

  #complete(state: FinalState, follower: DatasetFollower): FinalState {
    const { offset } = follower;
    if (offset !== state.place.offset) {
      throw new Error(`the stream ends at ${offset}, and should at ${state.place.offset}`);
    }
    return state;
  }

  // --- taking over ---

  /** Sessions and connections; the listeners are open. */
  takeOver(server: Server, transport: UserspaceTransport, state: FinalState): void {
    applyModuleSettings(server, state.moduleSettings);
    applyUsers(server, state.users);
    loadScripts(server, state.scripts);
    const { place } = state;
    Object.assign(server.replication, { id: place.id, id2: place.id2, id2Offset: place.id2Offset });
    const connections = transport.takeOver(state.transport.stack);
    const clients = importSessions(server, state.sessions, connections);
    for (const [id, client] of clients) transport.attach(connections.get(id)!, client);
    importCounters(server, state.counters);
    applyPersistenceFacts(server, state.persistence);
    const lost = state.sessions.clients.length - clients.size;
    if (lost > 0) server.log.warning(`Handover: ${lost} connections cannot go on: their address is not ours any more`);
  }

  /** The open device, as this process has it. @throws AbandonedError */
  device({ transport: { engine } }: FinalState): NonNullable<SuspendedTransport['engine']> {
    if (engine === null) this.fail('the device belongs to one process only');
    return { ...engine, fds: engine.fds.map((_, i) => FIRST_DEVICE_FD + i) };
  }

  /** Everything is in place: resolves when this process is the one that serves. */
  waitForWord(): Promise<void> {
    const channel = this.#channel as Channel;
    return new Promise((resolve, reject) => {
      channel.onMessage = ({ kind }) => {
        if (kind === GO) resolve();
      };
      channel.onEnd = () => {
        // Gone: there is nobody else to serve. On another host it may as well be only out of reach.
        if (this.isFar) reject(new AbandonedError('the other host is out of reach: who serves is left to it'));
        else resolve();
      };
      if (channel.ended) channel.onEnd();
      else channel.value(TAKEN, 0);
    });
  }

  /** Resolves when the old process is gone, and all that it had with it. */
  waitForEnd(): Promise<void> {
    const channel = this.#channel as Channel;
    if (this.isFar) {
      channel.onEnd = () => {};
      channel.close();
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      if (channel.ended) resolve();
      else channel.onEnd = resolve;
    });
  }

  /** After `waitForWord`: sessions go on with what was in transit. */
  resume(server: Server, state: FinalState): void {
    const clients = new Map(state.sessions.clients.map(({ id }) => [id, server.clients.get(id)]));
    const here = [...clients].filter((entry): entry is [number, Client] => entry[1] !== undefined);
    resumeSessions(server, state.sessions, new Map(here));
  }
}
