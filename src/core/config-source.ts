// Reads configuration files from disk: text as Latin-1, one character a byte, and the paths an `include` stands for.
import { readdirSync, readFileSync as readFile } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { globToRegExp } from './glob-text.ts';

export function readFileSync(path: string): string {
  return readFile(path, 'latin1');
}

/** Files that `pattern` names, sorted; wildcards are understood in the last part only. A plain path is itself. */
export function globSync(pattern: string): string[] {
  if (!/[*?[]/.test(pattern)) return [pattern];
  const folder = dirname(pattern);
  const matches = globToRegExp(basename(pattern));
  try {
    return readdirSync(folder)
      .filter((name) => matches.test(name))
      .sort()
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}
