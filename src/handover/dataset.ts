// The dataset on its way to the process that takes over: a snapshot, taken while commands go on, and behind it the
// replication stream from that very moment on, as a replica would get them; then the other end of both. The old
// process serves all the while. For src/handover/ only.
import { EXPIRY_IGNORE } from '../core/keyspace.ts';
import type { PersistenceControl } from '../core/persistence.ts';
import { REDIS_VERSION, type Server } from '../core/server.ts';
import { RdbInput } from '../persistence/rdb-input.ts';
import { RdbReader } from '../persistence/rdb-reader.ts';
import { rdbFormat, type SnapshotSink } from '../persistence/snapshot-job.ts';
import { MasterStream } from '../replication/master-stream.ts';
import type { HistoryPlace } from '../replication/replication.ts';
import type { StreamReader } from '../replication/stream-buffer.ts';
import { AT, type BlockingChannel, type Channel, DATASET, PLACE, STREAM } from './channel.ts';

/** Bytes of the stream that may wait in the channel. */
const BACKLOG_MAX = 1 << 20;
const NOTHING = new Uint8Array(0);

/** The snapshot goes to the channel as fast as the other process reads it. */
class ChannelSink implements SnapshotSink {
  error: Error | null = null;
  onProgress: () => void = () => {};
  sent = 0;
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
    channel.onDrain = () => this.onProgress();
  }

  get queuedBytes(): number {
    return this.#channel.backlog;
  }

  write(bytes: Uint8Array, length: number): void {
    if (this.error === null) this.#channel.bytes(DATASET, bytes.slice(0, length));
    this.sent += length;
  }

  async finish(): Promise<void> {
    if (this.error !== null) throw this.error;
    this.#channel.bytes(DATASET, NOTHING);
  }

  abort(): void {}
}

/** The old process's side. */
export class DatasetSender {
  /** Where the snapshot was taken. */
  readonly place: HistoryPlace;
  readonly #server: Server;
  readonly #channel: Channel;
  readonly #reader: StreamReader;
  readonly #sink: ChannelSink;

  /** @param done the snapshot is sent, or could not be. */
  constructor(server: Server, files: PersistenceControl, channel: Channel, done: (error: Error | null) => void) {
    const { config, replication } = server;
    this.#server = server;
    this.#channel = channel;
    replication.isFollowed = true;
    if (!replication.stream.active) {
      // Nothing before this moment can be gone on from.
      replication.changeId();
      replication.clearId2();
      replication.createBacklog();
    }
    this.place = replication.place;
    this.#reader = replication.stream.readerAt(replication.offset + 1);
    // A master's stream begins anew with the selection of a database.
    replication.selectedDb = -1;
    channel.value(PLACE, this.place);
    this.#sink = new ChannelSink(channel);
    const withIdleTime = config.maxmemoryPolicy.endsWith('lru');
    const format = rdbFormat({ redisVersion: REDIS_VERSION, withIdleTime, aux: [] }, config.rdbchecksum);
    files.startJob('replicas', this.#sink, format, done);
  }

  get snapshotBytes(): number {
    return this.#sink.sent;
  }

  /** Whether the history is still the one that the snapshot belongs to. */
  get isIntact(): boolean {
    const { replication } = this.#server;
    return replication.stream.active && replication.id === this.place.id;
  }

  /** Sends what the stream has; with `all`, whatever waits in the channel. Not before the snapshot is out. */
  pump(all: boolean): void {
    const reader = this.#reader;
    for (;;) {
      const { block, position } = reader;
      if (block === null || (!all && this.#channel.backlog > BACKLOG_MAX)) return;
      if (block.used > position) {
        this.#channel.bytes(STREAM, block.bytes.slice(position, block.used));
        reader.position = block.used;
      }
      if (!reader.advance()) return;
    }
  }

  /** The other process is gone, or serves. */
  close(error: Error | null): void {
    this.#sink.error = error;
    this.#sink.onProgress();
    this.#server.replication.isFollowed = false;
    this.#reader.close();
  }
}

/** Reads the snapshot, waiting for each piece. @throws RdbError when it is not whole. */
export function readDataset(server: Server, channel: BlockingChannel): number {
  const { config, keyspace } = server;
  let piece = NOTHING as Uint8Array;
  let at = 0;
  let ended = false;
  const input = RdbInput.fromSource((into, offset, length) => {
    while (at === piece.length && !ended) {
      const message = channel.read();
      ended = message === null || message.kind !== DATASET || message.bytes.length === 0;
      piece = message?.bytes ?? NOTHING;
      at = 0;
    }
    const count = Math.min(length, piece.length - at);
    into.set(piece.subarray(at, at + count), offset);
    at += count;
    return count;
  });
  input.verifyChecksum = config.rdbchecksum;
  const mode = keyspace.expiryMode;
  keyspace.expiryMode = EXPIRY_IGNORE;
  const reader = new RdbReader(input, keyspace, config);
  reader.keepExpired = true;
  while (reader.next());
  keyspace.expiryMode = mode;
  // The empty piece behind the last one.
  while (!ended) ended = (channel.read()?.bytes.length ?? 0) === 0;
  return reader.keysLoaded;
}

/** The new process's side: carries the stream out. */
export class DatasetFollower {
  readonly #stream: MasterStream;

  constructor(server: Server, place: HistoryPlace) {
    const client = server.nested.createClient('handover');
    client.link = 'master';
    client.obeyed = true;
    client.db = server.databases[place.db];
    client.updateGate();
    server.replication.takeUp(place);
    this.#stream = new MasterStream(server.replication, client, place.id, place.offset);
  }

  get offset(): number {
    return this.#stream.offset;
  }

  /** @throws Error when the stream cannot be understood. */
  receive(bytes: Uint8Array): void {
    if (!this.#stream.receive(bytes, 0, bytes.length)) throw new Error('the stream behind the snapshot is broken');
  }

  report(channel: Channel): void {
    channel.value(AT, this.offset);
  }
}
