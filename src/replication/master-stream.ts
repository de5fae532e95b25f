// The commands of a master, carried out here: by nested calls, whatever limits hold for others, with the offset of each
// counted to the byte. What was carried out goes on to this replica's own replicas as it came. A transaction counts when
// it is whole. Only master-link.ts and src/handover/dataset.ts import it.
import type { Client } from '../core/client.ts';
import { FLAG_MAY_REPLICATE, FLAG_WRITE } from '../core/command-table.ts';
import { EXPIRY_IGNORE } from '../core/keyspace.ts';
import { type ArgVector, RAN, WordList } from '../core/nested-call.ts';
import { BROKEN, INCOMPLETE, REQUEST, type RequestLimits, RequestParser } from '../resp/parser.ts';
import { ReplyWriter } from '../resp/reply-writer.ts';
import type { Replication } from './replication.ts';

/** Words of a command that is logged: as many bytes of each. */
const LOGGED_LENGTH = 128;
/** Between two lines about a disk that takes nothing. */
const DISK_LOG_MS = 10_000;

export class MasterStream implements RequestLimits {
  readonly unauthenticated = false;
  /** Offset up to which everything is carried out, and up to which it has been received. */
  offset: number;
  readOffset: number;
  /** The id of the history the stream belongs to. */
  id: string;
  readonly client: Client;
  readonly #replication: Replication;
  readonly #parser = new RequestParser();
  readonly #reply = new ReplyWriter();
  readonly #words = {
    bytes: new Uint8Array(0) as Uint8Array,
    argc: 0,
    offsets: new Int32Array(0),
    lengths: new Int32Array(0),
  };
  /** Received and not carried out: what is not whole, and transactions whose end has not come. */
  #rest = new Uint8Array(0);
  #restLength = 0;
  /** With fewer bytes than this there is nothing to do. */
  #needed = 0;
  /** Where in them the first request begins that has not been looked at. */
  #next = 0;
  /** When the log last told that the disk takes nothing. */
  #diskLogMs = 0;
  /** Commands behind MULTI; null: none. */
  #queue: WordList[] | null = null;

  constructor(replication: Replication, client: Client, id: string, offset: number) {
    this.#replication = replication;
    this.client = client;
    this.id = id;
    this.offset = offset;
    this.readOffset = offset;
  }

  get bulkLengthMax(): number {
    return Number.MAX_SAFE_INTEGER;
  }

  /** @returns false when what the master says cannot be understood. */
  receive(bytes: Uint8Array, offset: number, length: number): boolean {
    const { server } = this.#replication;
    server.stats.replicationInputBytes += length;
    this.readOffset += length;
    this.client.lastInteraction = server.clock.unixMs;
    this.#keep(bytes, offset, length);
    return this.drain();
  }

  #keep(bytes: Uint8Array, offset: number, length: number): void {
    const total = this.#restLength + length;
    if (total > this.#rest.length) {
      const grown = new Uint8Array(Math.max(total, this.#rest.length * 2));
      grown.set(this.#rest.subarray(0, this.#restLength));
      this.#rest = grown;
    }
    this.#rest.set(bytes.subarray(offset, offset + length), this.#restLength);
    this.#restLength = total;
  }

  /**
   * Carries out what has come. Not while a script does not end, as the stream changes what it may be looking at, nor in
   * a pause.
   */
  drain(): boolean {
    const { server } = this.#replication;
    if (this.#restLength === 0 || this.#restLength < this.#needed || server.busyError !== '') return true;
    const { keyspace } = server;
    const mode = keyspace.expiryMode;
    keyspace.expiryMode = EXPIRY_IGNORE;
    const consumed = this.#runAll();
    keyspace.expiryMode = mode;
    if (consumed > 0) this.#drop(consumed);
    server.settle();
    return consumed >= 0;
  }

  #drop(consumed: number): void {
    this.#rest.copyWithin(0, consumed, this.#restLength);
    this.#restLength -= consumed;
    if (this.#restLength === 0 && this.#rest.length > 1 << 20) this.#rest = new Uint8Array(0);
  }

  /** @returns bytes that are done with; negative: the stream is broken. */
  #runAll(): number {
    const parser = this.#parser;
    const end = this.#restLength;
    let done = 0;
    this.#needed = 0;
    parser.begin(this.#next, this);
    for (;;) {
      const status = parser.parse(this.#rest, end);
      if (status === BROKEN) {
        this.#replication.server.log.warning(`Protocol error from master: ${parser.error}`);
        return -1;
      }
      if (status === INCOMPLETE) {
        this.#needed = Math.max(0, parser.needed - done);
        this.#next = parser.start - done;
        return done;
      }
      if (status === REQUEST && this.#mustWait(parser)) {
        this.#next = parser.start - done;
        return done;
      }
      if (status === REQUEST) this.#request(parser);
      if (this.#queue !== null) continue;
      const length = parser.position - done;
      this.offset += length;
      this.#replication.feedFromMaster(this.#rest, done, length);
      done = parser.position;
    }
  }

  /** CLIENT PAUSE holds a master's commands too; the rest is drained when it has ended. */
  #mustWait(parser: RequestParser): boolean {
    const { nested, pauses } = this.#replication.server;
    if (!pauses.active) return false;
    if (pauses.all) return true;
    const command = nested.find(this.#wordsOf(parser));
    return command !== null && (command.flags & (FLAG_WRITE | FLAG_MAY_REPLICATE)) !== 0;
  }

  #wordsOf(parser: RequestParser): ArgVector {
    const words = this.#words;
    words.bytes = parser.source;
    words.argc = parser.argc;
    words.offsets = parser.offsets;
    words.lengths = parser.lengths;
    return words;
  }

  #request(parser: RequestParser): void {
    const words = this.#wordsOf(parser);
    if (isWord(words, 'multi')) this.#queue = [];
    else if (isWord(words, 'exec') && this.#queue !== null) this.#exec(this.#queue);
    else if (this.#queue !== null) this.#queue.push(WordList.of(words));
    else this.#run(words);
  }

  #exec(queue: readonly WordList[]): void {
    const { propagation } = this.#replication.server;
    this.#queue = null;
    propagation.begin();
    for (const words of queue) this.#run(words);
    propagation.end();
  }

  #run(words: ArgVector): void {
    const { server } = this.#replication;
    const reply = this.#reply;
    reply.reset();
    const { errors } = reply;
    server.clock.update();
    if (server.diskError !== null) this.#applyWithoutDisk(words);
    const status = server.nested.run(this.client, words, reply);
    if (status !== RAN) this.#complain(words, `ERR unknown command or wrong number of arguments`);
    else if (reply.errors !== errors) this.#complain(words, reply.lastError);
    if (server.dispatcher.afterwards !== 0) server.afterCommand();
  }

  /** What cannot be kept here is not applied: the replica ends, unless `replica-ignore-disk-write-errors` says otherwise. */
  #applyWithoutDisk(words: ArgVector): void {
    const { server } = this.#replication;
    const command = server.nested.find(words);
    if (command === null || (command.flags & FLAG_WRITE) === 0) return;
    if (!server.config.replicaIgnoreDiskWriteErrors) throw new Error('Replica was unable to write command to disk.');
    if (server.clock.unixMs - this.#diskLogMs < DISK_LOG_MS) return;
    this.#diskLogMs = server.clock.unixMs;
    server.log.warning('Replica is applying a command even though it is unable to write to disk.');
  }

  /** The two servers differ, or one of them is wrong. */
  #complain(words: ArgVector, error: string): void {
    const { server } = this.#replication;
    const name = wordText(words, 0);
    server.stats.unexpectedErrorReplies++;
    server.log.warning(
      `== CRITICAL == This replica is sending an error to its master: '${error}' after processing the command '${name.toLowerCase()}'`,
    );
    const { propagationErrorBehavior, replicaReadOnly } = server.config;
    // Where clients write as well, it need not be the master's fault.
    if (propagationErrorBehavior === 'ignore' || !replicaReadOnly) return;
    throw new Error(
      `This replica panicked sending an error to its master: '${error}' (propagation-error-behavior ${propagationErrorBehavior})`,
    );
  }
}

function wordText(words: ArgVector, i: number): string {
  const start = words.offsets[i];
  const length = Math.min(words.lengths[i], LOGGED_LENGTH);
  return Buffer.from(words.bytes.buffer, words.bytes.byteOffset + start, length).toString('latin1');
}

/** Whether the command is `lowerCase`, any case. */
function isWord(words: ArgVector, lowerCase: string): boolean {
  return words.lengths[0] === lowerCase.length && wordText(words, 0).toLowerCase() === lowerCase;
}
