// A disk that fills up soon: a tmpfs of its own. Needs root. For the tests of what a full disk may not cost.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasProgram } from '../../src/cli/lab/process.ts';

export const mayMount = process.getuid?.() === 0 && hasProgram('mount');

export class SmallDisk {
  readonly folder = mkdtempSync(join(tmpdir(), 'wiredis-small-disk-'));

  /** @param kib how much it holds. */
  constructor(kib: number) {
    this.#mount(`size=${kib}k`);
  }

  /** It is found larger. */
  grow(kib: number): void {
    this.#mount(`remount,size=${kib}k`);
  }

  remove(): void {
    execFileSync('umount', [this.folder]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #mount(options: string): void {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'wiredis-crash', this.folder]);
  }
}
