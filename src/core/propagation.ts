// What the dataset's changes look like to others: each command that changed something, as RESP bytes, to the
// append-only file and to replicas. Commands that depend on time or chance say here what they did in other words. What
// belongs together (EXEC, a script, a command with several effects) is collected and handed on between MULTI and EXEC.
// The dispatcher opens and closes such units; with no sink it makes one comparison. core/, commands/ and what provides
// a sink import it.
import { copyBytes } from '../data/bytes.ts';
import { INTEGER_DIGITS_MAX, writeInteger } from '../data/integer.ts';
import type { Call } from './call.ts';

/** Bits: for whom a command is. */
export const PROPAGATE_AOF = 1;
export const PROPAGATE_REPLICAS = 2;
export const PROPAGATE_ALL = PROPAGATE_AOF | PROPAGATE_REPLICAS;

/** A word of a command: Latin-1 text, bytes, or an integer. */
export type Word = string | Uint8Array | number;

export interface PropagationSink {
  /** PROPAGATE_AOF or PROPAGATE_REPLICAS. */
  readonly target: number;
  /** Database that the stream has selected, kept by Propagation; the sink's owner sets -1 where a stream starts anew. */
  selectedDb: number;
  /**
   * Takes one whole command; a SELECT, where one is needed, is a command of its own before it.
   * @param db the command's database. The bytes are readable during the call only.
   */
  feed(db: number, bytes: Uint8Array, offset: number, length: number): void;
}

const MULTI = encodeWords(['MULTI']);
const EXEC = encodeWords(['EXEC']);
const HEADER_MAX = INTEGER_DIGITS_MAX + 3;
const INITIAL_BYTES = 4096;
/** A buffer above this is given back when its unit is over. */
const KEPT_BYTES = 1 << 20;

/** Command `i` of a unit: for whom, in which database, where its bytes lie. */
const TARGETS = 0;
const DB = 1;
const START = 2;
const END = 3;
const FIELDS = 4;

export class Propagation {
  /** Targets someone listens for: with 0 nothing needs to be told. */
  wanted = 0;
  /** Targets that commands may be told to: a script narrows it (`redis.set_repl`). Expiry and eviction ignore it. */
  allowed = PROPAGATE_ALL;
  readonly #sinks: PropagationSink[] = [];
  #paused = false;
  /** Units open, one within another. */
  #depth = 0;
  #apart = false;
  #bytes = new Uint8Array(INITIAL_BYTES);
  #length = 0;
  #commands = new Int32Array(8 * FIELDS);
  #count = 0;
  readonly #select: Uint8Array[] = [];

  addSink(sink: PropagationSink): void {
    this.#sinks.push(sink);
    this.#updateWanted();
  }

  removeSink(sink: PropagationSink): void {
    const at = this.#sinks.indexOf(sink);
    if (at >= 0) this.#sinks.splice(at, 1);
    this.#updateWanted();
  }

  /** While a file is being loaded nothing is told to anyone. */
  set paused(value: boolean) {
    this.#paused = value;
    this.#updateWanted();
  }

  get paused(): boolean {
    return this.#paused;
  }

  #updateWanted(): void {
    this.wanted = 0;
    if (!this.#paused) for (const sink of this.#sinks) this.wanted |= sink.target;
  }

  // --- units ---

  /** What follows up to the matching `end` belongs together. */
  begin(): void {
    this.#depth++;
  }

  /**
   * The running command comes upon any keys, and those that have expired do not belong together: where it is the whole
   * unit, their ends are told one by one.
   */
  standApart(): void {
    this.#apart = this.#depth === 1;
  }

  /** Ends a unit; the outermost one's commands are handed on. */
  end(): void {
    if (--this.#depth > 0) return;
    if (this.#count > 0) this.#flush();
    this.#apart = false;
  }

  /** Ends the unit of a command that has run. @param dirtyBefore `server.dirty` before it ran. */
  endCommand(call: Call, dirtyBefore: number): void {
    let targets = call.server.dirty > dirtyBefore ? PROPAGATE_ALL : 0;
    targets = (targets | call.forcedTargets) & ~call.deniedTargets & this.allowed & this.wanted;
    if (targets !== 0) this.#appendCall(call, targets);
    this.end();
  }

  // --- commands ---

  /** A command that nobody sent: the key that expired, the effect of a client that waited. */
  command(db: number, ...words: readonly Word[]): void {
    this.append(db, PROPAGATE_ALL, words);
  }

  append(db: number, targets: number, words: readonly Word[]): void {
    if ((targets & this.wanted) === 0) return;
    const start = this.#length;
    this.#header(42 /* * */, words.length);
    for (const word of words) {
      if (typeof word !== 'object') this.#text(typeof word === 'string' ? word : String(word));
      else this.#bulk(word, 0, word.length);
    }
    this.#finish(db, targets & this.wanted, start);
    if (this.#depth === 0) this.#flush();
  }

  #appendCall(call: Call, targets: number): void {
    const start = this.#length;
    this.#header(42, call.argc);
    for (let i = 0; i < call.argc; i++) this.#bulk(call.bytes, call.offsets[i], call.lengths[i]);
    this.#finish(call.db.index, targets, start);
  }

  #finish(db: number, targets: number, start: number): void {
    const at = this.#count++ * FIELDS;
    if (at === this.#commands.length) {
      const grown = new Int32Array(at * 2);
      grown.set(this.#commands);
      this.#commands = grown;
    }
    this.#commands[at + TARGETS] = targets;
    this.#commands[at + DB] = db;
    this.#commands[at + START] = start;
    this.#commands[at + END] = this.#length;
  }

  #header(prefix: number, value: number): void {
    this.#ensure(HEADER_MAX);
    const bytes = this.#bytes;
    let at = this.#length;
    bytes[at++] = prefix;
    at += writeInteger(bytes, at, value);
    bytes[at++] = 13;
    bytes[at++] = 10;
    this.#length = at;
  }

  #bulk(source: Uint8Array, offset: number, length: number): void {
    this.#header(36 /* $ */, length);
    this.#ensure(length + 2);
    copyBytes(this.#bytes, this.#length, source, offset, length);
    this.#endLine(length);
  }

  #text(text: string): void {
    this.#header(36, text.length);
    this.#ensure(text.length + 2);
    for (let i = 0; i < text.length; i++) this.#bytes[this.#length + i] = text.charCodeAt(i);
    this.#endLine(text.length);
  }

  #endLine(length: number): void {
    const at = this.#length + length;
    this.#bytes[at] = 13;
    this.#bytes[at + 1] = 10;
    this.#length = at + 2;
  }

  #ensure(extra: number): void {
    if (this.#length + extra <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + extra));
    copyBytes(grown, 0, this.#bytes, 0, this.#length);
    this.#bytes = grown;
  }

  // --- handing on ---

  #flush(): void {
    const wrapped = this.#count > 1 && !this.#apart;
    for (const sink of this.#sinks) this.#flushTo(sink, wrapped);
    this.#count = 0;
    this.#length = 0;
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = new Uint8Array(INITIAL_BYTES);
  }

  #flushTo(sink: PropagationSink, wrapped: boolean): void {
    const commands = this.#commands;
    let db = commands[DB];
    if (wrapped) this.#feed(sink, db, MULTI, 0, MULTI.length);
    for (let i = 0; i < this.#count; i++) {
      const at = i * FIELDS;
      if ((commands[at + TARGETS] & sink.target) === 0) continue;
      db = commands[at + DB];
      this.#feed(sink, db, this.#bytes, commands[at + START], commands[at + END] - commands[at + START]);
    }
    if (wrapped) this.#feed(sink, db, EXEC, 0, EXEC.length);
  }

  #feed(sink: PropagationSink, db: number, bytes: Uint8Array, offset: number, length: number): void {
    if (sink.selectedDb !== db) {
      sink.selectedDb = db;
      const select = (this.#select[db] ??= encodeWords(['SELECT', String(db)]));
      sink.feed(db, select, 0, select.length);
    }
    sink.feed(db, bytes, offset, length);
  }
}

/** A command as RESP. @param words Latin-1 text, or bytes. */
export function encodeWords(words: readonly (string | Uint8Array)[]): Uint8Array {
  const parts: Uint8Array[] = [Buffer.from(`*${words.length}\r\n`)];
  for (const word of words) {
    const bytes = typeof word === 'string' ? Buffer.from(word, 'latin1') : word;
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat(parts);
}
