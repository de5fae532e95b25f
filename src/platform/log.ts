// The server's log in Redis's line format, to standard output or a file: `pid:role date time mark message`.
import { appendFileSync } from 'node:fs';

export type LogLevel = 'debug' | 'verbose' | 'notice' | 'warning';

export const LEVELS: readonly LogLevel[] = ['debug', 'verbose', 'notice', 'warning'];
const MARKS = '.-*#';
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Of the connection that an event belongs to. */
export interface LogFacts {
  /** CLIENT LIST's number. */
  readonly connection: number;
  readonly address: string;
}

export interface LogSink {
  write(line: string): void;
}

export class Log {
  readonly #sink: LogSink;
  readonly #unixMs: () => number;
  #threshold = 2;
  /** Of the server, as Redis's lines tell it: M, S. */
  role = 'M';

  /** Whether it is worth making a line for `verbose`: those come with each connection. */
  get isVerbose(): boolean {
    return this.#threshold <= 1;
  }

  /** @param unixMs gives the wall clock for the lines' date: the system's, as the server's own moves only once a tick. */
  constructor(sink: LogSink, unixMs: () => number = Date.now) {
    this.#sink = sink;
    this.#unixMs = unixMs;
  }

  set level(level: LogLevel) {
    this.#threshold = LEVELS.indexOf(level);
  }

  debug(message: string, facts?: LogFacts): void {
    this.#write(0, message, facts);
  }

  verbose(message: string, facts?: LogFacts): void {
    this.#write(1, message, facts);
  }

  notice(message: string, facts?: LogFacts): void {
    this.#write(2, message, facts);
  }

  warning(message: string, facts?: LogFacts): void {
    this.#write(3, message, facts);
  }

  #write(level: number, message: string, facts?: LogFacts): void {
    if (level < this.#threshold) return;
    this.#sink.write(this.format(level, this.#unixMs(), message, facts));
  }

  /** One line, or what stands for it. @param _facts only the structured format has a place for them. */
  protected format(level: number, unixMs: number, message: string, _facts?: LogFacts): string {
    return `${process.pid}:${this.role} ${logTime(unixMs)} ${MARKS[level]} ${message}\n`;
  }
}

/** `21 Nov 2026 01:55:09.123`, local time. */
function logTime(unixMs: number): string {
  const date = new Date(unixMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${two(date.getDate())} ${MONTHS[date.getMonth()]} ${date.getFullYear()}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day} ${time}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

export const standardOutput: LogSink = {
  write(line) {
    process.stdout.write(line);
  },
};

/** Appends to a file, opened anew for each line so that it can be rotated. A full disk costs the line, nothing else. */
export function fileSink(path: string): LogSink {
  return {
    write(line) {
      try {
        appendFileSync(path, line);
      } catch {
        // There is nowhere left to say so.
      }
    },
  };
}

export const silentLog = new Log({ write() {} }, () => 0);
