// One running command: who calls, with which words, and where the reply goes. The dispatcher keeps one and reuses
// it; commands read their words in place, as ranges of `bytes`, and never keep them past the call.
import { parseInteger } from '../data/integer.ts';
import type { ReplyWriter } from '../resp/reply-writer.ts';
import type { BlockRequest } from './blocking.ts';
import type { Client } from './client.ts';
import type { CommandSpec } from './command.ts';
import type { Database } from './database.ts';
import { NOT_AN_INTEGER } from './errors.ts';
import { PROPAGATE_ALL, type Word } from './propagation.ts';
import type { Server } from './server.ts';

export class Call {
  server!: Server;
  client!: Client;
  db!: Database;
  reply!: ReplyWriter;
  spec!: CommandSpec;

  /** Where the words lie: the received frame itself, or the client's query buffer. */
  bytes: Uint8Array = new Uint8Array(0);
  /** Number of words, the command's name included. */
  argc = 0;
  /** Offset and length of each word in `bytes`. */
  offsets = new Int32Array(64);
  lengths = new Int32Array(64);

  /** PROPAGATE_* bits: told to even when nothing changed, not told to. Reset before each command. */
  forcedTargets = 0;
  deniedTargets = 0;

  /** Word `i` as a Latin-1 string: one character a byte, nothing lost. */
  latin1(i: number): string {
    const { bytes } = this;
    const start = this.offsets[i];
    return Buffer.from(bytes.buffer, bytes.byteOffset + start, this.lengths[i]).toString('latin1');
  }

  /** Word `i` up to its first zero byte, as C prints it: for errors that quote a word. */
  cText(i: number): string {
    const text = this.latin1(i);
    const end = text.indexOf('\0');
    return end < 0 ? text : text.slice(0, end);
  }

  /** Word `i` decoded as UTF-8, for messages and file names. */
  text(i: number): string {
    const { bytes } = this;
    return Buffer.from(bytes.buffer, bytes.byteOffset + this.offsets[i], this.lengths[i]).toString('utf8');
  }

  /** A copy of word `i`. */
  copy(i: number): Uint8Array {
    return this.bytes.slice(this.offsets[i], this.offsets[i] + this.lengths[i]);
  }

  /** Word `i` where it lies: for the time of the call only. */
  word(i: number): Uint8Array {
    return this.bytes.subarray(this.offsets[i], this.offsets[i] + this.lengths[i]);
  }

  /** Whether `propagateAs` has an effect: ask before making words for it. */
  get propagates(): boolean {
    return this.server.propagation.wanted !== 0;
  }

  /** Tells the append-only file and replicas this in place of the command's own words; several calls: several commands. */
  propagateAs(...words: readonly Word[]): void {
    const { propagation } = this.server;
    this.deniedTargets = PROPAGATE_ALL;
    propagation.append(this.db.index, propagation.allowed, words);
  }

  /** Nobody is told of this command, though it changed something. @param targets PROPAGATE_* bits. */
  dontPropagate(targets: number = PROPAGATE_ALL): void {
    this.deniedTargets |= targets;
  }

  /** The command is told though it changed nothing that is counted. @param targets PROPAGATE_* bits. */
  forcePropagation(targets: number = PROPAGATE_ALL): void {
    this.forcedTargets |= targets;
  }

  /** Words that nobody else may see: passwords. Reset before each command. */
  redacted: Set<number> | null = null;

  /** Word `i` is shown to nobody: not to MONITOR, not in the slow log. */
  redact(i: number): void {
    this.redacted ??= new Set();
    this.redacted.add(i);
  }

  /** Word `i`, Latin-1, for people to read. */
  shown(i: number): string {
    return this.redacted?.has(i) === true ? '(redacted)' : this.latin1(i);
  }

  /** Whether word `i` is `lowerCase`, any case. */
  is(i: number, lowerCase: string): boolean {
    const length = this.lengths[i];
    if (length !== lowerCase.length) return false;
    const { bytes } = this;
    const start = this.offsets[i];
    for (let k = 0; k < length; k++) {
      const byte = bytes[start + k];
      const folded = byte >= 65 && byte <= 90 ? byte + 32 : byte;
      if (folded !== lowerCase.charCodeAt(k)) return false;
    }
    return true;
  }

  /**
   * Word `i` as a signed 64-bit integer, rounded to a double when beyond 2^53.
   * @returns NaN after having written the error reply (`message`) when it is not one.
   */
  integer(i: number, message: string = NOT_AN_INTEGER): number {
    const value = parseInteger(this.bytes, this.offsets[i], this.lengths[i]);
    if (Number.isNaN(value)) this.reply.error(message);
    return value;
  }

  /** Whether word `i` is more than word `j`, both integers, to the last digit where doubles are not that exact. */
  isGreater(i: number, j: number): boolean {
    const { bytes, lengths, offsets } = this;
    const a = parseInteger(bytes, offsets[i], lengths[i]);
    const b = parseInteger(bytes, offsets[j], lengths[j]);
    if (a !== b || Number.isSafeInteger(a)) return a > b;
    return BigInt(this.latin1(i)) > BigInt(this.latin1(j));
  }

  /** The command cannot go on yet: the client waits, and the rest is up to `request`. Nothing more may be replied. */
  block(request: BlockRequest): void {
    this.server.blocking.block(this, request);
  }

  syntaxError(): void {
    this.reply.error('ERR syntax error');
  }
}
