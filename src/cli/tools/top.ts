// `wiredis top`: what top and htop are for a machine, for a running server.
import type { TopReading } from '../../observe/top-feed.ts';
import { onInterrupt } from '../interrupt.ts';
import {
  listenToServer,
  PATIENCE_MS,
  patiently,
  personsError,
  SERVER_HELP,
  SERVER_OPTION,
  toStderr,
} from '../observe/server-option.ts';
import { Terminal } from '../observe/terminal.ts';
import { SORTS, type Sort, screenLines } from '../observe/top-screen.ts';
import { EXIT_OK, parseOptions, secondsIn, type Tool, UsageError } from '../tool.ts';

const help = `Usage: wiredis top [--interval SECONDS] [--sort WORD] [--once] [--json] [--no-colour] [--server PID|PATH]

A running server at a glance, renewed every second: rates, percentiles of command latency, what its core's time went to
(receiving and TCP, commands, transmitting, persistence), the busiest commands, drop reasons and the connections that
move the most bytes.

Of 'core relay', which passes bytes on unread, it shows answers instead of commands: how many the upstream gave, and how
long each took from a client's bytes to the first that came back (a pipeline counts as one).

Keys: q quit, s sort by the next column, p pause and go on.

Options:
  --interval SECONDS  between two looks (default 1)
  --sort WORD         connections by ${SORTS.join(', ')} (default traffic)
  --once              one look, and done
  --json              for programs: one JSON document a line
  --no-colour         no colours (nor with NO_COLOR set, nor on a dumb terminal)
${SERVER_HELP}

Examples:
  wiredis top
  wiredis top --once --json | jq .reading.commands`;

export const top: Tool = {
  help,
  async run(args: string[]): Promise<number> {
    const { values } = parseOptions({
      args,
      options: {
        interval: { type: 'string', default: '1' },
        sort: { type: 'string', default: 'traffic' },
        once: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        'no-colour': { type: 'boolean', default: false },
        'no-color': { type: 'boolean', default: false },
        ...SERVER_OPTION,
      },
    });
    const intervalMs = secondsIn(values.interval, 'interval', 0.1, 60);
    const sort = SORTS.find((word) => word === values.sort);
    if (sort === undefined) throw new UsageError(`--sort wants one of ${SORTS.join(', ')}, not '${values.sort}'`);
    const patienceMs = Math.max(PATIENCE_MS, 2 * intervalMs);
    const stream = await listenToServer(values.server, 'top', { intervalMs });
    const colour = !values['no-colour'] && !values['no-color'];
    const view = values.json ? new JsonView(() => stream.close()) : new ScreenView(colour, sort, () => stream.close());
    view.open(values.once);
    try {
      do view.show((await patiently(stream.line(), (why) => view.wonder(why), patienceMs)) as TopReading);
      while (!values.once);
    } catch (error) {
      if (!view.isOver) throw personsError(error);
    } finally {
      stream.close();
      view.close();
    }
    return EXIT_OK;
  },
};

/** Shows readings until whoever reads them has seen enough. */
abstract class View {
  isOver = false;
  readonly #onOver: () => void;

  constructor(onOver: () => void) {
    this.#onOver = onOver;
  }

  open(_once: boolean): void {
    process.stdout.once('error', this.end);
  }

  abstract show(reading: TopReading): void;

  /** A reading is overdue. */
  wonder(why: string): void {
    toStderr(why);
  }

  close(): void {
    process.stdout.off('error', this.end);
  }

  protected readonly end = (): void => {
    this.isOver = true;
    this.#onOver();
  };
}

class JsonView extends View {
  show(reading: TopReading): void {
    process.stdout.write(`${JSON.stringify(reading)}\n`);
  }
}

class ScreenView extends View {
  readonly #terminal: Terminal;
  #sort: Sort;
  #isPaused = false;
  #isOnce = false;
  #isOverdue = false;
  #latest: TopReading | null = null;

  constructor(colour: boolean, sort: Sort, onOver: () => void) {
    super(onOver);
    this.#sort = sort;
    this.#terminal = new Terminal(
      colour,
      (key) => this.#key(key),
      () => this.#draw(),
    );
  }

  override open(once: boolean): void {
    this.#isOnce = once;
    if (once) return;
    super.open(once);
    this.#terminal.open();
    onInterrupt(this.end);
  }

  show(reading: TopReading): void {
    this.#isOverdue = false;
    if (this.#isPaused) return;
    this.#latest = reading;
    this.#draw();
  }

  override wonder(why: string): void {
    if (this.#latest === null || !this.#fills) {
      super.wonder(why);
    } else {
      this.#isOverdue = true;
      this.#draw();
    }
  }

  override close(): void {
    super.close();
    this.#terminal.close();
  }

  get #fills(): boolean {
    return this.#terminal.isScreen && !this.#isOnce;
  }

  #key(key: string): void {
    if (key === 'q' || key === '\x03') this.end();
    else if (key === 's') this.#sort = SORTS[(SORTS.indexOf(this.#sort) + 1) % SORTS.length];
    else if (key === 'p' || key === ' ') this.#isPaused = !this.#isPaused;
    else return;
    if (!this.isOver) this.#draw();
  }

  #draw(): void {
    if (this.#latest === null) return;
    const { colour, size } = this.#terminal;
    const fills = this.#fills;
    const lines = screenLines(this.#latest, {
      width: fills ? size.columns : Number.POSITIVE_INFINITY,
      height: fills ? size.rows : Number.POSITIVE_INFINITY,
      colour,
      sort: this.#sort,
      isPaused: this.#isPaused,
      isOverdue: this.#isOverdue,
      keys: fills,
    });
    if (fills) this.#terminal.draw(lines);
    else process.stdout.write(`${lines.join('\n')}\n${this.#isOnce ? '' : '\n'}`);
  }
}
