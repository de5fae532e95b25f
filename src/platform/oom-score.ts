// `oom-score-adj`: how soon the kernel ends this process when the machine runs out of memory. The score that it began
// with is put back when the setting is switched off. The composition root imports it.
import { readFileSync, writeFileSync } from 'node:fs';

const FILE = '/proc/self/oom_score_adj';
const SCORE_MAX = 1000;

export type OomScoreMode = 'no' | 'yes' | 'relative' | 'absolute';

/** Where the score is kept: the kernel's file, or a test's. */
export interface ScoreFile {
  read(): string;
  write(text: string): void;
}

const KERNEL_FILE: ScoreFile = {
  read: () => readFileSync(FILE, 'latin1'),
  write: (text) => writeFileSync(FILE, text),
};

export class OomScore {
  readonly #file: ScoreFile;
  /** The score before ours; null: it is untouched. */
  #base: number | null = null;

  constructor(file: ScoreFile = KERNEL_FILE) {
    this.#file = file;
  }

  /**
   * @param value added to what the process began with, or with `absolute` in its place.
   * @returns what went wrong, or null.
   */
  apply(mode: OomScoreMode, value: number): string | null {
    if (mode === 'no' && this.#base === null) return null;
    try {
      this.#base ??= Number.parseInt(this.#file.read(), 10);
      const wanted = mode === 'no' ? this.#base : mode === 'absolute' ? value : this.#base + value;
      this.#file.write(`${Math.min(SCORE_MAX, Math.max(-SCORE_MAX, wanted))}\n`);
      if (mode === 'no') this.#base = null;
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
}
