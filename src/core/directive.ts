// What a redis.conf directive is, and the kinds there are: how its words become a typed value and back. The messages
// are Redis's own: clients and its test suite compare them. src/core/config-directives.ts lists the directives.

export const IMMUTABLE = 1;
/** Only `CONFIG SET` from where `enable-protected-configs` allows. */
export const PROTECTED = 2;
/** Takes several words, in the file and in CONFIG SET. */
export const MULTI_WORD = 4;
/** Never printed in the log. */
export const SENSITIVE = 8;
export const DENY_LOADING = 16;
/** Only found by its whole name: for tests. */
export const HIDDEN = 32;

/** A value that a directive refuses; the message names neither directive nor file. */
export class DirectiveError extends Error {}

export interface Directive<T = unknown> {
  readonly fallback: T;
  readonly flags: number;
  /** Old name that means the same. */
  readonly alias: string | undefined;
  /** @param previous value so far: some directives change only a part. @throws DirectiveError */
  parse(words: readonly string[], previous: T): T;
  /** As CONFIG GET prints it. */
  format(value: T): string;
  /** One line per entry as CONFIG REWRITE writes it, without the name; absent: `format`, quoted. */
  readonly lines?: (value: T) => string[];
  /** What a value other than the default does here; absent: what it does in Redis. */
  readonly limit?: Limit;
}

/** The settings that decide whether another one asks for something. */
export interface LimitContext {
  readonly maxmemory: number;
}

/**
 * A directive that is understood but not put into effect. Without `refusal` that is harmless: the log says so. With it
 * data, access or durability would depend on it: the server neither starts nor changes to it.
 */
export interface Limit {
  /** What is not supported and what to do instead, for a person. */
  readonly refusal?: string;
  /** Whether a value other than the default asks for it; absent: always. */
  readonly when?: ((config: LimitContext) => boolean) | undefined;
}

interface Options {
  readonly flags?: number;
  readonly alias?: string;
}

const INTEGER = /^(-?[1-9][0-9]{0,18}|0)$/;
const MEMORY_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1000,
  kb: 1024,
  m: 1000 ** 2,
  mb: 1024 ** 2,
  g: 1000 ** 3,
  gb: 1024 ** 3,
};
export const INT_MAX = 0x7fffffff;
export const INT_MIN = -0x80000000;
export const UINT_MAX = 0xffffffff;
/** LONG_MAX as near as a double comes; messages print the exact figure. */
export const LONG_MAX = 2 ** 63;
export const ULONG_MAX = 2 ** 64;

/** @returns bytes, or NaN. Units: none, b, k, kb, m, mb, g, gb, in any case. No digits are 0, as in Redis. */
export function parseMemory(text: string): number {
  const match = /^([0-9]*)([a-z]*)$/i.exec(text);
  const unit = match === null ? undefined : MEMORY_UNITS[match[2].toLowerCase()];
  return match === null || unit === undefined ? Number.NaN : Math.min(Number(match[1]) * unit, ULONG_MAX);
}

function single(words: readonly string[]): string {
  if (words.length !== 1) throw new DirectiveError('wrong number of arguments');
  return words[0];
}

export function bool(fallback: boolean, options: Options = {}): Directive<boolean> {
  return {
    fallback,
    flags: options.flags ?? 0,
    alias: options.alias,
    parse(words) {
      const text = single(words).toLowerCase();
      if (text !== 'yes' && text !== 'no') throw new DirectiveError("argument must be 'yes' or 'no'");
      return text === 'yes';
    },
    format: (value) => (value ? 'yes' : 'no'),
  };
}

/** Accepted without effect. */
export function ignored<T>(directive: Directive<T>): Directive<T> {
  return { ...directive, limit: {} };
}

/** Any value but the default is refused: ignoring it would be dangerous. */
export function refused<T>(directive: Directive<T>, refusal: string, when?: Limit['when']): Directive<T> {
  return { ...directive, limit: { refusal, when } };
}

interface TextOptions extends Options {
  readonly check?: (text: string) => string | null;
}

export function text(fallback: string, options: TextOptions = {}): Directive<string> {
  return {
    fallback,
    flags: options.flags ?? 0,
    alias: options.alias,
    parse(words) {
      const value = single(words);
      const problem = options.check?.(value) ?? null;
      if (problem !== null) throw new DirectiveError(problem);
      return value;
    },
    format: (value) => value,
  };
}

export function choice<const T extends string>(
  fallback: NoInfer<T>,
  values: readonly T[],
  options: Options = {},
): Directive<T> {
  return {
    fallback,
    flags: options.flags ?? 0,
    alias: options.alias,
    parse(words) {
      const word = single(words).toLowerCase();
      const value = values.find((candidate) => candidate === word);
      if (value === undefined) throw notOneOf(values);
      return value;
    },
    format: (value) => value,
  };
}

/** Several of `values` at once, kept in the order of `values`. */
export function choices<const T extends string>(
  fallback: readonly NoInfer<T>[],
  values: readonly T[],
): Directive<readonly T[]> {
  return {
    fallback,
    flags: MULTI_WORD,
    alias: undefined,
    parse(words) {
      const given = words.flatMap((word) => word.split(' ')).map((word) => word.toLowerCase());
      if (given.length === 0 || given.some((word) => !values.some((value) => value === word))) throw notOneOf(values);
      const chosen = values.filter((value) => given.includes(value));
      // The first one stands for "nothing else".
      return chosen.length > 1 ? chosen.filter((value) => value !== values[0]) : chosen;
    },
    format: (value) => value.join(' '),
    lines: (value) => [value.join(' ')],
  };
}

function notOneOf(values: readonly string[]): DirectiveError {
  return new DirectiveError(`argument(s) must be one of the following: ${values.join(', ')}`);
}

interface NumberOptions extends Options {
  /** `memory`: takes units; `percent`: takes units or `N%`, kept negative; `octal`: file mode. */
  readonly as?: 'integer' | 'memory' | 'percent' | 'octal';
  readonly check?: (value: number) => string | null;
}

export function number(fallback: number, min: number, max: number, options: NumberOptions = {}): Directive<number> {
  const as = options.as ?? 'integer';
  return {
    fallback,
    flags: options.flags ?? 0,
    alias: options.alias,
    parse(words) {
      const value = parseNumber(single(words), as);
      if (value > max || value < min) throw outOfRange(value, min, max, as);
      const problem = options.check?.(value) ?? null;
      if (problem !== null) throw new DirectiveError(problem);
      return value;
    },
    format: (value) => formatNumber(value, as),
  };
}

function parseNumber(word: string, as: string): number {
  if (as === 'memory' || as === 'percent') {
    const percent = as === 'percent' ? /^([0-9]+)%$/.exec(word) : null;
    const value = percent === null ? parseMemory(word) : -Number(percent[1]);
    if (!Number.isNaN(value)) return value;
    throw new DirectiveError(
      as === 'percent' ? 'argument must be a memory or percent value' : 'argument must be a memory value',
    );
  }
  if (as === 'octal') {
    if (/^[0-7]+$/.test(word)) return Number.parseInt(word, 8);
    throw new DirectiveError("argument couldn't be parsed as an octal number");
  }
  if (INTEGER.test(word) && BigInt.asIntN(64, BigInt(word)) === BigInt(word)) return Number(word);
  throw new DirectiveError("argument couldn't be parsed into an integer");
}

function outOfRange(value: number, min: number, max: number, as: string): DirectiveError {
  if (as === 'octal')
    return new DirectiveError(`argument must be between ${min.toString(8)} and ${max.toString(8)} inclusive`);
  if (as === 'percent' && value < 0) return new DirectiveError(`percentage argument must be less or equal to ${-min}`);
  return new DirectiveError(`argument must be between ${exact(min)} and ${exact(max)} inclusive`);
}

/** The figure that a limit stands for. */
function exact(value: number): string {
  if (value === LONG_MAX) return '9223372036854775807';
  return value === ULONG_MAX ? '18446744073709551615' : String(value);
}

function formatNumber(value: number, as: string): string {
  if (as === 'octal') return value.toString(8);
  return as === 'percent' && value < 0 ? `${-value}%` : exact(value);
}
