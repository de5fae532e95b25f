// MIGRATE: keys go to another server by RESTORE, and here they are deleted when it has acknowledged them. The client
// waits meanwhile; others go on, so a key that one of them changed after it was sent is kept, and MIGRATE fails.
// table.ts lists it.
import type { Call } from '../core/call.ts';
import type { Client } from '../core/client.ts';
import type { CommandSpec } from '../core/command.ts';
import type { Database } from '../core/database.ts';
import { NOTIFY_GENERIC } from '../core/notify-flags.ts';
import type { Server } from '../core/server.ts';
import type { Connection, ConnectionHandler } from '../transports/transport.ts';
import { dumpPayload } from './dump.ts';
import { MigrateSocket, type MigrateSockets, migrateSocketsOf } from './migrate-sockets.ts';

const DEFAULT_TIMEOUT_MS = 1000;
const NOT_CONNECTED = 'IOERR error or timeout connecting to the client';
const NOT_READ = 'IOERR error or timeout reading to target instance';
const CHANGED = 'IOERR a key was changed while it was sent: it is on both servers';

interface Request {
  host: string;
  port: number;
  database: number;
  timeoutMs: number;
  copy: boolean;
  replace: boolean;
  /** Words of AUTH; none: empty. */
  auth: string[];
  /** Words that are keys. */
  firstKey: number;
  keys: number;
}

interface Sent {
  readonly key: Uint8Array;
  readonly payload: Uint8Array;
}

/** @returns null after an error was replied. */
function parse(call: Call): Request | null {
  const request: Request = {
    host: call.text(1),
    port: Number(call.latin1(2)),
    database: 0,
    timeoutMs: 0,
    copy: false,
    replace: false,
    auth: [],
    firstKey: 3,
    keys: 1,
  };
  for (let i = 6; i < call.argc; i++) {
    const rest = call.argc - 1 - i;
    if (call.is(i, 'copy')) request.copy = true;
    else if (call.is(i, 'replace')) request.replace = true;
    else if (call.is(i, 'auth') && rest >= 1) {
      request.auth = [call.latin1(++i)];
      call.redact(i);
    } else if (call.is(i, 'auth2') && rest >= 2) {
      request.auth = [call.latin1(++i), call.latin1(++i)];
      call.redact(i - 1);
      call.redact(i);
    } else if (call.is(i, 'keys')) {
      if (call.lengths[3] > 0) {
        call.reply.error('ERR When using MIGRATE KEYS option, the key argument must be set to the empty string');
        return null;
      }
      request.firstKey = i + 1;
      request.keys = rest;
      break;
    } else {
      call.syntaxError();
      return null;
    }
  }
  request.timeoutMs = call.integer(5);
  if (Number.isNaN(request.timeoutMs)) return null;
  request.database = call.integer(4);
  if (Number.isNaN(request.database)) return null;
  if (request.timeoutMs <= 0) request.timeoutMs = DEFAULT_TIMEOUT_MS;
  return request;
}

class Output {
  readonly #parts: Buffer[] = [];

  command(...words: readonly (string | Uint8Array)[]): void {
    this.#parts.push(Buffer.from(`*${words.length}\r\n`));
    for (const word of words) {
      const bytes = typeof word === 'string' ? Buffer.from(word, 'latin1') : word;
      this.#parts.push(Buffer.from(`$${bytes.length}\r\n`), Buffer.from(bytes), Buffer.from('\r\n'));
    }
  }

  bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts));
  }
}

function migrate(call: Call): void {
  const request = parse(call);
  if (request === null) return;
  const { db, server } = call;
  const output = new Output();
  if (request.auth.length > 0) output.command('AUTH', ...request.auth);
  output.command('SELECT', String(request.database));
  const sent: Sent[] = [];
  for (let i = request.firstKey; i < request.firstKey + request.keys; i++) {
    const entry = db.findForRead(call.bytes, call.offsets[i], call.lengths[i]);
    if (entry === 0) continue;
    const key = call.copy(i);
    const payload = dumpPayload(db, entry, server.config.rdbcompression);
    const expiry = db.expiryOf(entry);
    const ttl = expiry === -1 ? 0 : Math.max(1, expiry - server.clock.unixMs);
    output.command('RESTORE', key, String(ttl), payload, ...(request.replace ? ['REPLACE'] : []));
    sent.push({ key, payload });
  }
  if (sent.length === 0) {
    call.reply.simple('NOKEY');
    return;
  }
  const transfer = new Transfer(server, call.client, db, request, sent, output.bytes());
  call.block({
    kind: 'module',
    timeoutMs: request.timeoutMs,
    onTimeout: (reply) => reply.error(transfer.connected ? NOT_READ : NOT_CONNECTED),
    onEnd: () => transfer.stop(),
  });
  transfer.start();
}

/** One connection to the other server: everything is written at once, then one line a command is read. */
class Transfer implements ConnectionHandler {
  connected = false;
  readonly #server: Server;
  readonly #client: Client;
  readonly #db: Database;
  readonly #request: Request;
  readonly #sent: readonly Sent[];
  readonly #output: Uint8Array;
  readonly #abort = new AbortController();
  readonly #sockets: MigrateSockets;
  #socket: MigrateSocket | null = null;
  #written = 0;
  #input = '';
  #over = false;

  constructor(
    server: Server,
    client: Client,
    db: Database,
    request: Request,
    sent: readonly Sent[],
    output: Uint8Array,
  ) {
    this.#server = server;
    this.#client = client;
    this.#db = db;
    this.#request = request;
    this.#sent = sent;
    this.#output = output;
    this.#sockets = migrateSocketsOf(server);
  }

  start(): void {
    if (this.#over) return;
    const { host, port } = this.#request;
    const kept = this.#sockets.take(host, port);
    if (kept === null) {
      this.#connect();
      return;
    }
    this.connected = true;
    this.#socket = kept;
    kept.user = this;
    this.onDrain();
  }

  #connect(): void {
    const { host, port } = this.#request;
    const { connect } = this.#server.hooks;
    if (connect === undefined || !(port > 0 && port < 65536)) {
      this.#later(NOT_CONNECTED);
      return;
    }
    connect(host, port, (connection) => this.#attach(connection), this.#abort.signal).then(
      () => this.onDrain(),
      () => this.#finish(NOT_CONNECTED),
    );
  }

  /** The client that waits is answered in another tick than the one in which it began to wait. */
  #later(problem: string): void {
    this.#server.scheduler.soon(() => this.#finish(problem));
  }

  #attach(connection: Connection): ConnectionHandler {
    this.connected = true;
    this.#socket = new MigrateSocket(connection);
    this.#socket.user = this;
    return this.#socket;
  }

  /** The client waits no longer, or all is done. */
  stop(): void {
    this.#over = true;
    this.#abort.abort();
    this.#socket?.close();
    this.#socket = null;
  }

  onDrain(): void {
    const output = this.#output;
    if (this.#socket === null || this.#written === output.length) return;
    this.#written += this.#socket.connection.write(output, this.#written, output.length - this.#written);
  }

  onData(bytes: Uint8Array, offset: number, length: number): void {
    this.#input += Buffer.from(bytes.slice(offset, offset + length)).toString('latin1');
    const lines = this.#input.split('\r\n');
    const head = 1 + (this.#request.auth.length > 0 ? 1 : 0);
    if (lines.length - 1 >= head + this.#sent.length) this.#settle(lines, head);
  }

  onEnd(): void {
    this.#broken();
  }

  onClose(): void {
    this.#broken();
  }

  /** A connection that was kept may have been closed by the other side meanwhile: it has carried out nothing. */
  #broken(): void {
    const wasKept = this.#socket?.used === true && this.#input === '';
    this.#socket?.close();
    this.#socket = null;
    if (!wasKept || this.#over) {
      this.#finish(NOT_READ);
      return;
    }
    this.#written = 0;
    this.connected = false;
    this.#connect();
  }

  #settle(lines: readonly string[], head: number): void {
    let problem: string | null = null;
    const moved: Uint8Array[] = [];
    // Who answers in any other way is no such server, and has nothing.
    if (lines.slice(0, head + this.#sent.length).some((line) => !/^[+-]/.test(line))) {
      this.#finish(NOT_READ);
      return;
    }
    const refused = lines.slice(0, head).find((line) => line.startsWith('-'));
    for (const [k, { key, payload }] of this.#sent.entries()) {
      const failure = refused ?? (lines[head + k].startsWith('-') ? lines[head + k] : null);
      if (failure !== null) problem ??= `ERR Target instance replied with error: ${failure.slice(1)}`;
      else if (!this.#request.copy) {
        if (this.#delete(key, payload)) moved.push(key);
        else problem ??= CHANGED;
      }
    }
    if (moved.length > 0 && this.#server.propagation.wanted !== 0) {
      this.#server.propagation.command(this.#db.index, 'DEL', ...moved);
    }
    this.#keepSocket();
    this.#finish(problem);
  }

  /** All that was asked for is answered: the next one can go on with the connection. */
  #keepSocket(): void {
    const { host, port } = this.#request;
    if (this.#socket !== null) this.#sockets.keep(host, port, this.#socket);
    this.#socket = null;
  }

  /** @returns false when the key is no longer what was sent. */
  #delete(key: Uint8Array, payload: Uint8Array): boolean {
    const db = this.#db;
    const entry = db.peek(key, 0, key.length);
    if (entry === 0) return true;
    if (Buffer.compare(dumpPayload(db, entry, this.#server.config.rdbcompression), payload) !== 0) return false;
    db.deleteEntry(entry);
    db.keyspace.hooks.keyModified(db, key, 0, key.length);
    db.keyspace.event(NOTIFY_GENERIC, 'del', db, key, 0, key.length);
    this.#server.dirty++;
    return true;
  }

  #finish(problem: string | null): void {
    if (this.#over) return;
    this.#over = true;
    this.#server.blocking.unblock(this.#client, (reply) => {
      if (problem === null) reply.ok();
      else reply.error(problem);
    });
  }
}

export const migrateCommand: CommandSpec = {
  name: 'migrate',
  arity: -6,
  flags: ['write', 'movablekeys'],
  keys: [3, 3, 1],
  group: 'generic',
  since: '2.6.0',
  summary: 'Moves keys to another server.',
  run: migrate,
};
