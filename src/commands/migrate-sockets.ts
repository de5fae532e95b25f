// Connections that MIGRATE has made and may use again: one to each server, for ten seconds after its last use, as in
// Redis. Whoever passes a password has it asked for again; who passes none is who the connection was. For migrate.ts.
import type { Server } from '../core/server.ts';
import type { Alarm } from '../platform/timers.ts';
import type { CloseReason, Connection, ConnectionHandler } from '../transports/transport.ts';

const SOCKETS_MAX = 64;
const IDLE_MS = 10_000;

/** A connection, and what is done over it at the moment. */
export class MigrateSocket implements ConnectionHandler {
  readonly connection: Connection;
  /** Null: it is kept for the next one. */
  user: ConnectionHandler | null = null;
  /** Not the first time that it is used. */
  used = false;
  lastUse = 0;
  open = true;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  onData(bytes: Uint8Array, offset: number, length: number): void {
    // Nobody asked: it is of no more use.
    if (this.user === null) this.close();
    else this.user.onData(bytes, offset, length);
  }

  onDrain(): void {
    this.user?.onDrain();
  }

  onEnd(): void {
    if (this.user === null) this.close();
    else this.user.onEnd();
  }

  onClose(reason: CloseReason): void {
    this.open = false;
    this.user?.onClose(reason);
  }

  close(): void {
    this.user = null;
    if (this.open) this.connection.close();
    this.open = false;
  }
}

export class MigrateSockets {
  readonly #server: Server;
  readonly #sockets = new Map<string, MigrateSocket>();
  readonly #alarm: Alarm;

  constructor(server: Server) {
    this.#server = server;
    this.#alarm = server.scheduler.createAlarm(() => this.#closeIdle(), true);
  }

  /** A connection that is kept, or null. */
  take(host: string, port: number): MigrateSocket | null {
    const name = `${host}:${port}`;
    const socket = this.#sockets.get(name) ?? null;
    this.#sockets.delete(name);
    this.#count();
    return socket?.open === true ? socket : null;
  }

  /** Keeps one for later. */
  keep(host: string, port: number, socket: MigrateSocket): void {
    const name = `${host}:${port}`;
    socket.user = null;
    socket.used = true;
    socket.lastUse = this.#server.clock.unixMs;
    this.#sockets.get(name)?.close();
    this.#sockets.delete(name);
    const [oldest] = this.#sockets.keys();
    if (this.#sockets.size >= SOCKETS_MAX) this.#close(oldest);
    this.#sockets.set(name, socket);
    this.#count();
    if (this.#sockets.size === 1) this.#alarm.arm(IDLE_MS);
  }

  #close(name: string): void {
    this.#sockets.get(name)?.close();
    this.#sockets.delete(name);
    this.#count();
  }

  #count(): void {
    this.#server.stats.migrateCachedSockets = this.#sockets.size;
  }

  /** Oldest first: the first that may stay is the end of it. */
  #closeIdle(): void {
    const { unixMs } = this.#server.clock;
    for (const [name, { lastUse, open }] of this.#sockets) {
      const left = lastUse + IDLE_MS - unixMs;
      if (open && left > 0) {
        this.#alarm.arm(left);
        return;
      }
      this.#close(name);
    }
  }
}

const ofServer = new WeakMap<Server, MigrateSockets>();

export function migrateSocketsOf(server: Server): MigrateSockets {
  let sockets = ofServer.get(server);
  if (sockets === undefined) {
    sockets = new MigrateSockets(server);
    ofServer.set(server, sockets);
  }
  return sockets;
}
