// The log with `log-format json`: one object a line, by pino, for those who collect logs instead of reading them. Levels are
// Redis's, by name; an event of a connection carries its number and address. Only the composition root makes one.
import pino from 'pino';
import { LEVELS, Log, type LogFacts, type LogSink } from './log.ts';

export class JsonLog extends Log {
  /** pino writes synchronously into it. */
  #line = '';
  readonly #pino: pino.Logger<'debug' | 'verbose' | 'notice' | 'warning'>;

  constructor(sink: LogSink, unixMs: () => number = Date.now) {
    super(sink, unixMs);
    const into = {
      write: (line: string): void => {
        this.#line = line;
      },
    };
    this.#pino = pino(
      {
        base: { pid: process.pid },
        // Log drops what is below its own threshold, which can change.
        level: 'debug',
        customLevels: { debug: 20, verbose: 25, notice: 30, warning: 40 },
        useOnlyCustomLevels: true,
        timestamp: false,
        formatters: { level: (label) => ({ level: label }) },
      },
      into,
    );
  }

  protected override format(level: number, unixMs: number, message: string, facts?: LogFacts): string {
    this.#pino[LEVELS[level]]({ time: new Date(unixMs).toISOString(), role: this.role, ...facts }, message);
    return this.#line;
  }
}
