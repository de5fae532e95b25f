// What a script or function says of itself: `#!lua flags=...` and the flags of redis.register_function.
import { FLAG_DENYOOM, FLAG_MAY_REPLICATE, FLAG_STALE, FLAG_WRITE } from '../core/command-table.ts';
import { splitArgs } from '../resp/split-args.ts';

export const NO_WRITES = 1;
export const ALLOW_OOM = 2;
export const ALLOW_STALE = 4;
export const NO_CLUSTER = 8;
export const ALLOW_CROSS_SLOT = 16;
/** A script without a first line of its own: nothing is known of it, each of its commands is judged by itself. */
export const UNDECLARED = 32;

/** In the order in which FUNCTION LIST prints them. */
export const SCRIPT_FLAGS: readonly (readonly [name: string, bit: number])[] = [
  ['no-writes', NO_WRITES],
  ['allow-oom', ALLOW_OOM],
  ['allow-stale', ALLOW_STALE],
  ['no-cluster', NO_CLUSTER],
  ['allow-cross-slot-keys', ALLOW_CROSS_SLOT],
];

export function scriptFlag(name: string): number {
  return SCRIPT_FLAGS.find(([known]) => known === name)?.[1] ?? 0;
}

/** FLAG_* bits of the command that runs a script with these flags. */
export function commandFlags(flags: number, script: number): number {
  let result = flags & ~(FLAG_STALE | FLAG_DENYOOM | FLAG_WRITE | FLAG_MAY_REPLICATE);
  if ((script & (ALLOW_OOM | NO_WRITES)) === 0) result |= FLAG_DENYOOM;
  if ((script & NO_WRITES) === 0) result |= FLAG_WRITE;
  if ((script & ALLOW_STALE) !== 0) result |= FLAG_STALE;
  return result;
}

export interface Shebang {
  readonly flags: number;
  /** Bytes of the first line, without its end: what Lua must not see. */
  readonly length: number;
}

/** Reads the first line of an EVAL script. @param body Latin-1. @returns what is wrong, or what it says. */
export function readShebang(body: string): Shebang | string {
  if (!body.startsWith('#!')) return { flags: UNDECLARED, length: 0 };
  const length = body.indexOf('\n');
  if (length < 0) return 'ERR Invalid script shebang';
  const parts = splitArgs(body.slice(0, length));
  if (parts === null || parts.length === 0) return 'ERR Invalid engine in script shebang';
  if (parts[0] !== '#!lua') return `ERR Unexpected engine in script shebang: ${parts[0]}`;
  let flags = 0;
  for (const part of parts.slice(1)) {
    if (!part.startsWith('flags=')) return `ERR Unknown lua shebang option: ${part}`;
    const names = part.slice('flags='.length);
    for (const name of names === '' ? [] : names.split(',')) {
      const flag = scriptFlag(name);
      if (flag === 0) return `ERR Unexpected flag in script shebang: ${name}`;
      flags |= flag;
    }
  }
  return { flags, length };
}
