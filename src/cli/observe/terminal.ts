// The terminal of a tool that fills it: keys as they are pressed, a screen that is drawn over, and everything as it was when
// the tool ends. On one that can do none of this (TERM=dumb, a pipe) `isScreen` is false. For src/cli/tools/top.ts.

const ALTERNATE_SCREEN = '\x1b[?1049h\x1b[?25l';
const ORDINARY_SCREEN = '\x1b[?25h\x1b[?1049l';

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export class Terminal {
  /** It can be drawn over. */
  readonly isScreen: boolean;
  readonly colour: boolean;
  readonly #onKey: (key: string) => void;
  readonly #onResize: () => void;
  #isOpen = false;

  /** @param onKey called with each key's character; Ctrl-C is one. */
  constructor(colour: boolean, onKey: (key: string) => void, onResize: () => void) {
    const { env, stdout } = process;
    this.isScreen = stdout.isTTY === true && env.TERM !== 'dumb' && (env.TERM ?? '') !== '';
    this.colour = colour && this.isScreen && (env.NO_COLOR ?? '') === '';
    this.#onKey = onKey;
    this.#onResize = onResize;
  }

  get size(): TerminalSize {
    const { columns, rows } = process.stdout;
    return { columns: columns > 0 ? columns : 80, rows: rows > 0 ? rows : 24 };
  }

  open(): void {
    this.#isOpen = true;
    if (!this.isScreen) return;
    process.stdout.write(ALTERNATE_SCREEN);
    process.stdout.on('resize', this.#onResize);
    const { stdin } = process;
    if (stdin.isTTY === true) stdin.setRawMode(true);
    stdin.on('data', this.#keys);
    stdin.unref();
  }

  /** Over what was there; on a screen only. */
  draw(lines: readonly string[]): void {
    process.stdout.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\r\n')}\x1b[J`);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (!this.isScreen) return;
    const { stdin, stdout } = process;
    stdout.off('resize', this.#onResize);
    stdin.off('data', this.#keys);
    if (stdin.isTTY === true) stdin.setRawMode(false);
    stdin.pause();
    stdout.write(ORDINARY_SCREEN);
  }

  readonly #keys = (data: Buffer): void => {
    for (const key of data.toString('latin1')) this.#onKey(key);
  };
}
