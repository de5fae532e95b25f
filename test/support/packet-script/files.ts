// Finds and reads the scripts of test/packets. For the tests that run them.
import { readdirSync, readFileSync } from 'node:fs';
import { parseScript } from './parse.ts';
import type { Script } from './syntax.ts';

export const PACKETS = new URL('../../packets/', import.meta.url).pathname;

/** Every script, by path; files are named from the repository's root. */
export function loadScripts(): Script[] {
  const names = readdirSync(PACKETS, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.pkt'));
  return names.sort().map((name) => parseScript(readFileSync(PACKETS + name, 'utf8'), `test/packets/${name}`));
}
