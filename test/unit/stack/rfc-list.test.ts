// Every RFC that the stack follows is named, with a section, by a test that runs: a unit test's name or comment, or the first
// line of a packet script.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const root = new URL('../../../', import.meta.url).pathname;
/** TCP and what it stands on, as README.md claims it. */
const FOLLOWED = [
  ...[
    9293, 7323, 2018, 6675, 2883, 6298, 8985, 5681, 6582, 9438, 9406, 6928, 3042, 5682, 1122, 8961, 5482, 6528, 5961,
    4987,
  ],
  ...[1337, 6191, 6056, 3168, 5927, 4821, 8899, 5227],
];

function filesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(test\.ts|pkt)$/.test(name) && !name.endsWith('rfc-list.test.ts'))
    .map((name) => readFileSync(join(root, folder, name), 'utf8'))
    .map((text) => text.slice(0, text.startsWith('#') ? text.indexOf('\n') : undefined));
}

const texts = ['test/unit', 'test/packets', 'stack', 'io-engine'].flatMap(filesUnder);

it.each(FOLLOWED)('RFC %i', (number) => {
  const named = new RegExp(`RFC ${number} (§ ?|section )?(\\d+(\\.\\d+)*|[A-H]\\.\\d)\\b`);
  expect(texts.some((text) => named.test(text))).toBe(true);
});
