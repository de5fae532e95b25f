// `wiredis top`: what top and htop are for a machine, for a running server.
import type { TopReading } from '../../observe/top-feed.ts';
import { onInterrupt } from '../interrupt.ts';
import { listenToServer, personsError, SERVER_HELP, SERVER_OPTION } from '../observe/server-option.ts';
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
    const stream = await listenToServer(values.server, 'top', { intervalMs });
    const colour = !values['no-colour'] && !values['no-color'];
    const view = values.json ? new JsonView(() => stream.close()) : new View(colour, sort, () => stream.close());
    view.open(values.once);
    try {
      do view.show((await stream.line()) as TopReading);
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

class JsonView {
  /** Whoever read it has gone. */
  isOver = false;
  readonly #onOver: () => void;

  constructor(onOver: () => void) {
    this.#onOver = onOver;
  }

  open(): void {
    process.stdout.once('error', this.#end);
  }

  show(reading: TopReading): void {
    process.stdout.write(`${JSON.stringify(reading)}\n`);
  }

  close(): void {
    process.stdout.off('error', this.#end);
  }

  readonly #end = (): void => {
    this.isOver = true;
    this.#onOver();
  };
}

class View {
  /** The person has seen enough. */
  isOver = false;
  readonly #terminal: Terminal;
  readonly #onOver: () => void;
  #sort: Sort;
  #isPaused = false;
  #isOnce = false;
  #latest: TopReading | null = null;

  constructor(colour: boolean, sort: Sort, onOver: () => void) {
    this.#sort = sort;
    this.#onOver = onOver;
    this.#terminal = new Terminal(
      colour,
      (key) => this.#key(key),
      () => this.#draw(),
    );
  }

  open(once: boolean): void {
    this.#isOnce = once;
    if (once) return;
    this.#terminal.open();
    onInterrupt(this.#end);
    process.stdout.once('error', this.#end);
  }

  show(reading: TopReading): void {
    if (this.#isPaused) return;
    this.#latest = reading;
    this.#draw();
  }

  close(): void {
    process.stdout.off('error', this.#end);
    this.#terminal.close();
  }

  readonly #end = (): void => {
    this.isOver = true;
    this.#onOver();
  };

  #key(key: string): void {
    if (key === 'q' || key === '\x03') this.#end();
    else if (key === 's') this.#sort = SORTS[(SORTS.indexOf(this.#sort) + 1) % SORTS.length];
    else if (key === 'p' || key === ' ') this.#isPaused = !this.#isPaused;
    else return;
    if (!this.isOver) this.#draw();
  }

  #draw(): void {
    if (this.#latest === null) return;
    const { isScreen, colour, size } = this.#terminal;
    const fills = isScreen && !this.#isOnce;
    const lines = screenLines(this.#latest, {
      width: fills ? size.columns : Number.POSITIVE_INFINITY,
      height: fills ? size.rows : Number.POSITIVE_INFINITY,
      colour,
      sort: this.#sort,
      isPaused: this.#isPaused,
      keys: fills,
    });
    if (fills) this.#terminal.draw(lines);
    else process.stdout.write(`${lines.join('\n')}\n${this.#isOnce ? '' : '\n'}`);
  }
}
