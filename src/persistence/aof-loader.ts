// Runs an append-only file's commands into the databases, slice by slice, so that a big one does not keep the server
// from answering: the base (an RDB file or commands), then the increments. A tail that was cut off by a crash is taken
// off the file, if the last file has it and `aof-load-truncated` allows. Imported by dataset-files.ts.
import { closeSync, fstatSync, openSync, readSync, truncateSync } from 'node:fs';
import type { Client } from '../core/client.ts';
import { EXPIRY_IGNORE } from '../core/keyspace.ts';
import { RAN, WordList } from '../core/nested-call.ts';
import type { Server } from '../core/server.ts';
import { ReplyWriter } from '../resp/reply-writer.ts';
import { reasonOf } from './append-only-file.ts';
import { RdbError } from './rdb-format.ts';
import { RdbInput } from './rdb-input.ts';
import { RdbReader } from './rdb-reader.ts';

/** An append-only file that cannot be loaded; the message is what Redis would log. */
export class AofError extends Error {
  readonly code = 'AOF';
}

const SLICE_COMMANDS = 1024;
const SLICE_BYTES = 2 << 20;
const LINE_MAX = 1024;

/** The end came in the middle of a command. */
class CutOff extends Error {}

export class AofFileLoad {
  /** Whether a tail was taken off. */
  truncated = false;
  readonly #server: Server;
  readonly #path: string;
  readonly #name: string;
  readonly #file: number;
  readonly #bytes: number;
  readonly #input: RdbInput;
  readonly #client: Client;
  readonly #reply = new ReplyWriter();
  readonly #words = new WordList();
  readonly #expiryMode: number;
  /** Commands between MULTI and EXEC; null: not there. */
  #queue: WordList[] | null = null;
  /** Offsets behind the latest whole command, and before the latest MULTI. */
  #validUpTo = 0;
  #validBeforeMulti = 0;
  #rdb: RdbReader | null = null;
  #started = false;

  /** @throws AofError */
  constructor(server: Server, path: string, name: string) {
    this.#server = server;
    this.#path = path;
    this.#name = name;
    try {
      this.#file = openSync(path, 'r');
    } catch (error) {
      throw new AofError(`Fatal error: can't open the append log file ${name} for reading: ${reasonOf(error)}`);
    }
    this.#bytes = fstatSync(this.#file).size;
    this.#input = RdbInput.fromSource((into, offset, length) => readSync(this.#file, into, offset, length, null));
    this.#client = server.nested.createClient('aof');
    this.#client.obeyed = true;
    this.#expiryMode = server.keyspace.expiryMode;
    server.keyspace.expiryMode = EXPIRY_IGNORE;
  }

  /** Loads on for a while. @returns whether there is more. @throws AofError */
  slice(): boolean {
    const begin = this.#input.offset;
    try {
      if (!this.#started) this.#start();
      for (let count = 0; count < SLICE_COMMANDS && this.#input.offset - begin < SLICE_BYTES; count++) {
        if (!this.#next()) return false;
      }
      return true;
    } catch (error) {
      if (error instanceof CutOff) {
        this.#cutTail();
        return false;
      }
      if (error instanceof RdbError) throw this.#rdbProblem(error);
      throw error;
    }
  }

  close(): void {
    this.#server.keyspace.expiryMode = this.#expiryMode;
    closeSync(this.#file);
  }

  get #oldStyle(): boolean {
    return this.#name === this.#server.config.appendfilename;
  }

  #rdbProblem(error: RdbError): AofError {
    const { log } = this.#server;
    const what = this.#oldStyle ? 'the RDB preamble of the AOF' : 'the RDB base';
    log.warning(`Error reading ${what} file ${this.#name}, AOF loading aborted: ${error.message}`);
    if (error.message !== 'Unexpected end of data') {
      return new AofError(`Unrecoverable error reading the append only file ${this.#name}: ${error.message}`);
    }
    // Nothing of an RDB file counts without its end.
    return this.#endOfFile();
  }

  /** An RDB file, or a preamble of that form, starts with its own name. */
  #start(): void {
    this.#started = true;
    const { config, keyspace, log } = this.#server;
    if (this.#bytes < 5 || !this.#input.startsWith('REDIS')) {
      this.#input.verifyChecksum = false;
      return;
    }
    log.notice(this.#oldStyle ? 'Reading RDB preamble from AOF file...' : 'Reading RDB base file on AOF loading...');
    this.#input.verifyChecksum = config.rdbchecksum;
    this.#rdb = new RdbReader(this.#input, keyspace, config);
    this.#rdb.sanitize = config.sanitizeDumpPayload === 'yes';
    this.#rdb.keepExpired = true;
  }

  /** @returns false at the end. */
  #next(): boolean {
    if (this.#rdb !== null) {
      if (!this.#rdb.next()) this.#endPreamble();
      return true;
    }
    if (this.#input.atEnd) {
      if (this.#queue === null) return false;
      this.#server.log.warning(`Revert incomplete MULTI/EXEC transaction in AOF file ${this.#name}`);
      this.#validUpTo = this.#validBeforeMulti;
      throw new CutOff();
    }
    if (!this.#readCommand()) return true;
    this.#run();
    this.#validUpTo = this.#input.offset;
    return true;
  }

  #endPreamble(): void {
    this.#rdb = null;
    this.#input.verifyChecksum = false;
    this.#validUpTo = this.#input.offset;
    if (this.#oldStyle) this.#server.log.notice('Reading the remaining AOF tail...');
  }

  /** Reads the words of the next command. @returns false after a comment. */
  #readCommand(): boolean {
    const first = this.#line();
    if (first.startsWith('#')) return false;
    const count = Number.parseInt(first.slice(1), 10);
    if (!first.startsWith('*') || !(count >= 1)) throw this.#badFormat();
    const words = this.#words.reset();
    for (let i = 0; i < count; i++) {
      const header = this.#line();
      const length = Number.parseInt(header.slice(1), 10);
      if (!header.startsWith('$') || !(length >= 0)) throw this.#badFormat();
      const at = this.#take(length);
      words.addBytes(this.#input.bytes, at, length);
      this.#take(2);
    }
    return true;
  }

  #line(): string {
    let text = '';
    for (;;) {
      // Taken first: it may put other bytes in the place of these.
      const at = this.#take(1);
      const byte = this.#input.bytes[at];
      if (byte === 10) return text.endsWith('\r') ? text.slice(0, -1) : text;
      text += String.fromCharCode(byte);
      if (text.length > LINE_MAX) throw this.#badFormat();
    }
  }

  #take(length: number): number {
    try {
      return this.#input.take(length);
    } catch (error) {
      if (error instanceof RdbError) throw new CutOff();
      throw error;
    }
  }

  #badFormat(): AofError {
    return new AofError(
      `Bad file format reading the append only file ${this.#name}: make a backup of your AOF file, then use ` +
        './redis-check-aof --fix <filename.manifest>',
    );
  }

  #run(): void {
    const words = this.#words;
    const name = Buffer.from(words.bytes.buffer, words.offsets[0], words.lengths[0]).toString('latin1').toLowerCase();
    if (name === 'multi') {
      this.#validBeforeMulti = this.#validUpTo;
      this.#queue = [];
    } else if (name === 'exec' && this.#queue !== null) {
      const queue = this.#queue;
      this.#queue = null;
      for (const queued of queue) this.#runWords(queued, '');
    } else if (this.#queue !== null) {
      this.#queue.push(copyOf(words));
    } else {
      this.#runWords(words, name);
    }
  }

  #runWords(words: WordList, name: string): void {
    const reply = this.#reply;
    reply.reset();
    const status = this.#server.nested.run(this.#client, words, reply);
    if (status === RAN) return;
    throw new AofError(
      `Unknown command '${name || Buffer.from(words.bytes.buffer, words.offsets[0], words.lengths[0]).toString('latin1')}' ` +
        `reading the append only file ${this.#name}`,
    );
  }

  #cutTail(): void {
    const { config, log } = this.#server;
    if (!config.aofLoadTruncated) throw this.#endOfFile();
    log.warning(`!!! Warning: short read while loading the AOF file ${this.#name}!!!`);
    log.warning(`!!! Truncating the AOF ${this.#name} at offset ${this.#validUpTo} !!!`);
    try {
      truncateSync(this.#path, this.#validUpTo);
    } catch (error) {
      log.warning(`Error truncating the AOF file ${this.#name}: ${reasonOf(error)}`);
      throw this.#endOfFile();
    }
    log.warning(`AOF ${this.#name} loaded anyway because aof-load-truncated is enabled`);
    this.truncated = true;
  }

  #endOfFile(): AofError {
    return new AofError(
      `Unexpected end of file reading the append only file ${this.#name}. You can: 1) Make a backup of your AOF file, ` +
        "then use ./redis-check-aof --fix <filename.manifest>. 2) Alternatively you can set the 'aof-load-truncated' " +
        'configuration option to yes and restart the server.',
    );
  }
}

function copyOf(words: WordList): WordList {
  const copy = new WordList();
  for (let i = 0; i < words.argc; i++) copy.addBytes(words.bytes, words.offsets[i], words.lengths[i]);
  return copy;
}
