// A replica as its master sees it: what it said of itself by REPLCONF, how far its synchronization is, and its place in
// the replication stream, which is sent as fast as the connection takes it. Only src/replication/ makes one; clients
// hold theirs.
import { closeSync, openSync, readSync } from 'node:fs';
import type { Client } from '../core/client.ts';
import type { StreamReader } from './stream-buffer.ts';

/**
 * `none`: no replica yet; `wait-start`: for a snapshot to begin; `wait-end`: for it to end; `send-file`: the dump file is
 * being sent; `online`: gets the stream; `done`: wanted the snapshot alone and has it.
 */
export type ReplicaState = 'none' | 'wait-start' | 'wait-end' | 'send-file' | 'online' | 'done';

const STATE_NAMES: Readonly<Record<ReplicaState, string>> = {
  none: '',
  'wait-start': 'wait_bgsave',
  'wait-end': 'wait_bgsave',
  'send-file': 'send_bulk',
  online: 'online',
  done: 'rdb_transmitted',
};
const FILE_PIECE = 64 * 1024;

export class Replica {
  readonly client: Client;
  state: ReplicaState = 'none';
  // --- what it says of itself ---
  listeningPort = 0;
  /** Empty: the connection's. */
  announcedAddress = '';
  capableOfEof = false;
  capableOfPsync2 = false;
  /** Wants the snapshot and no stream. */
  rdbOnly = false;
  /** Wants no keys, no functions in the snapshot. */
  withoutData = false;
  withoutFunctions = false;
  /** Came by SYNC: knows no offsets. */
  oldProtocol = false;
  // --- where it is ---
  ackOffset = 0;
  /** Unix time, seconds. */
  ackTime = 0;
  /** The stream begins when it has acknowledged the snapshot. */
  startsOnAck = false;
  /** Offset at which the snapshot it gets was taken. */
  initialOffset = 0;
  /** When its connection began not to take all of the snapshot, Unix time, seconds; 0: it does. */
  stuckSince = 0;
  reader: StreamReader | null = null;
  /** Told when the connection has taken what waited. */
  onProgress: () => void = () => {};
  #file = -1;
  #onFileSent: () => void = () => {};

  constructor(client: Client) {
    this.client = client;
  }

  get address(): string {
    return this.announcedAddress === '' ? this.client.connection.remoteAddress : this.announcedAddress;
  }

  /** For the log. */
  get name(): string {
    const { address, listeningPort } = this;
    if (listeningPort === 0) return `${address}:<unknown-replica-port>`;
    return address.includes(':') ? `[${address}]:${listeningPort}` : `${address}:${listeningPort}`;
  }

  get stateName(): string {
    return STATE_NAMES[this.state];
  }

  /** What a snapshot for it leaves out: replicas that want the same can share one. */
  get filter(): number {
    return (this.withoutData ? 1 : 0) | (this.withoutFunctions ? 2 : 0);
  }

  /** Bytes of the stream that it has not got. */
  get pending(): number {
    return this.reader?.pending ?? 0;
  }

  /** Sends what the connection takes of the stream. */
  pull(): void {
    const { client, reader } = this;
    if (this.state !== 'online' || this.startsOnAck || reader === null || client.outputBytes > 0 || client.closing)
      return;
    const { connection, server } = client;
    for (;;) {
      const { block, position } = reader;
      if (block === null) return;
      const left = block.used - position;
      if (left > 0) {
        const taken = connection.write(block.bytes, position, left);
        reader.position = position + taken;
        server.stats.netOutputBytes += taken;
        server.stats.replicationOutputBytes += taken;
        if (taken < left) return;
      }
      if (!reader.advance()) return;
    }
  }

  /** The connection takes more, and the client's own output is out. */
  onDrain(): void {
    this.stuckSince = 0;
    if (this.#file !== -1) this.#sendFilePiece();
    this.pull();
    this.onProgress();
  }

  // --- a dump file ---

  /** Sends `$length` and the file behind it. @throws the system's error. */
  sendFile(path: string, length: number, onSent: () => void): void {
    this.#file = openSync(path, 'r');
    this.#onFileSent = onSent;
    this.state = 'send-file';
    const header = Buffer.from(`$${length}\r\n`);
    this.client.send(header, header.length);
    this.#sendFilePiece();
  }

  #sendFilePiece(): void {
    const { client } = this;
    const piece = new Uint8Array(FILE_PIECE);
    while (client.outputBytes === 0 && !client.closing) {
      const length = readSync(this.#file, piece, 0, FILE_PIECE, null);
      if (length === 0) {
        this.#closeFile();
        this.#onFileSent();
        return;
      }
      client.server.stats.replicationOutputBytes += length;
      client.send(piece, length);
    }
  }

  #closeFile(): void {
    if (this.#file !== -1) closeSync(this.#file);
    this.#file = -1;
  }

  /** The client is gone. */
  forget(): void {
    this.#closeFile();
    this.reader?.close();
    this.reader = null;
    this.state = 'none';
    this.onProgress();
  }
}
