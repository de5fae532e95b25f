// promtool, for tests of what Prometheus is given: of the path, or where scripts/setup.sh --tests leaves it.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'wiredis', 'bin');
const program = [...(process.env.PATH ?? '').split(delimiter), cache]
  .map((folder) => join(folder, 'promtool'))
  .find(existsSync);

/** Why there is none; null when there is. */
export const promtoolObstacle: string | null =
  program === undefined ? "needs promtool: Debian's package prometheus, or scripts/setup.sh --tests" : null;

/** @returns its exit code, and what it said on both streams. */
export function promtool(words: readonly string[], input = ''): Promise<{ code: number; said: string }> {
  return new Promise((resolve) => {
    const child = execFile(program!, words, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), said: stdout + stderr });
    });
    child.stdin!.end(input);
  });
}
