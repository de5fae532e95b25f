// Words of commands as RESP bytes, for files that hold the dataset as commands. command-writer.ts and
// stream-command-writer.ts import it.
import { INTEGER_DIGITS_MAX, writeInteger } from '../data/integer.ts';
import type { RdbOutput } from './rdb-output.ts';

const digits = new Uint8Array(INTEGER_DIGITS_MAX);

/** A command of so many words follows. */
export function header(out: RdbOutput, words: number): void {
  line(out, 42 /* * */, words);
}

function line(out: RdbOutput, prefix: number, value: number): void {
  out.byte(prefix);
  out.raw(digits, 0, writeInteger(digits, 0, value));
  out.byte(13);
  out.byte(10);
}

export function bulk(out: RdbOutput, bytes: Uint8Array, offset: number, length: number): void {
  beginBulk(out, length);
  out.raw(bytes, offset, length);
  endBulk(out);
}

/** A word of so many bytes follows, and then `endBulk`. */
export function beginBulk(out: RdbOutput, length: number): void {
  line(out, 36 /* $ */, length);
}

export function endBulk(out: RdbOutput): void {
  out.byte(13);
  out.byte(10);
}

/** @param value Latin-1. */
export function text(out: RdbOutput, value: string): void {
  beginBulk(out, value.length);
  out.latin1(value);
  endBulk(out);
}
