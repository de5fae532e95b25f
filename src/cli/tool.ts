// What a `wiredis` tool is, and the two ways it may fail on purpose: a wrong command line (exit 2) and a wish
// that cannot be met here (exit 1). Both are one line for the person, never a stack trace. Imported by src/cli only.
import { type ParseArgsConfig, parseArgs } from 'node:util';

export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

export interface Tool {
  /** The text of `--help`: usage lines first, then options and examples. Ends without a newline. */
  readonly help: string;
  /** @returns the process's exit code. */
  run(args: string[]): Promise<number>;
}

/** Something the person has to change; the message is one line that says what. */
export class CliError extends Error {
  readonly code: string;
  readonly exitCode: number;
  constructor(code: string, message: string, exitCode: number = EXIT_FAILED) {
    super(message);
    this.name = 'CliError';
    this.code = code;
    this.exitCode = exitCode;
  }
}

export class UsageError extends CliError {
  constructor(message: string) {
    super('USAGE', message, EXIT_USAGE);
    this.name = 'UsageError';
  }
}

/** `util.parseArgs`, strict, with its complaint turned into a `UsageError` of one line. */
export function parseOptions<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError(complaint(error as Error, Object.keys(config.options ?? {})));
  }
}

/** What is wrong with a command line, in our words. @param options that there are, without dashes. */
function complaint({ message }: Error, options: readonly string[]): string {
  const [what] = message.split(/[.\n]/, 1);
  const unknown = /^Unknown option '(-*)([^']*)'/.exec(message);
  if (unknown !== null) {
    const nearest = unknown[1] === '--' ? nearestName(unknown[2], options) : null;
    const known = options.map((name) => `--${name}`).join(', ');
    const hint = nearest !== null ? `did you mean '--${nearest}'?` : `there are ${known || 'none'}`;
    return `unknown option '${unknown[1]}${unknown[2]}'; ${hint}`;
  }
  const lacking = /^Option '(?:-\w, )?(--[\w-]+) <value>' argument missing/.exec(message);
  if (lacking !== null) return `${lacking[1]} wants a value`;
  const dashed = /^Option '(?:-\w, )?(--[\w-]+)(?: <value>)?' argument is ambiguous/.exec(message);
  return dashed === null ? what : `${dashed[1]} wants a value, and what follows looks like an option`;
}

/** @throws UsageError unless `text` is a whole number of at least `minimum`. */
export function wholeNumber(text: string, option: string, minimum: number): number {
  if (!/^\d{1,15}$/.test(text) || Number(text) < minimum) {
    throw new UsageError(`--${option} wants a whole number of at least ${minimum}, not '${text}'`);
  }
  return Number(text);
}

const PORT_MAX = 65535;

/** @throws UsageError unless `text` is the number of a port. */
export function portNumber(text: string): number {
  const port = wholeNumber(text, 'port', 1);
  if (port > PORT_MAX) throw new UsageError(`--port wants at most ${PORT_MAX}, not '${text}'`);
  return port;
}

/** @throws UsageError unless `text` is a number of seconds within the limits. @returns whole milliseconds */
export function secondsIn(text: string, option: string, minimum: number, maximum: number): number {
  const seconds = text.trim() === '' ? Number.NaN : Number(text);
  if (!(seconds >= minimum && seconds <= maximum)) {
    throw new UsageError(`--${option} wants ${minimum} to ${maximum} seconds, not '${text}'`);
  }
  return Math.round(seconds * 1000);
}

/** The candidate most like `word`, or null when none is near enough to be what was meant. */
export function nearestName(word: string, candidates: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Math.max(2, word.length >> 1) + 1;
  for (const candidate of candidates) {
    const distance = candidate.startsWith(word) && word.length > 0 ? 0 : editDistance(word, candidate);
    if (distance < bestDistance) {
      bestDistance = distance;
      best = candidate;
    }
  }
  return best;
}

/** Levenshtein's distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(row[j - 1] + 1, above[j] + 1, above[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    above = row;
  }
  return above[b.length];
}
