// Documents lead somewhere: links to files and headings, files and folders that are named in the text, npm scripts.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';

const FOLDERS = 'bench|docs|io-engine|packaging|scripts|src|stack|test';
/** A path in code type, up to where it is an example: `bench/results/FILE.json`. */
const PATH = new RegExp(`\`(?:[a-z ]+ )?((?:${FOLDERS})/[a-z0-9./-]*[a-z0-9])(?![A-Za-z0-9*])`, 'g');
const LINK = /\]\(([^)\s]+)\)/g;

const read = (path: string): string => readFileSync(path, 'utf8');
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
const documents = execFileSync('git', ['ls-files', '*.md'], { encoding: 'utf8' }).trim().split('\n');

/** The text without blocks of code, which have brackets of their own. */
function prose(text: string): string {
  return text.replace(/^```[\s\S]*?^```$/gm, '');
}

/** Names that a page on GitHub gives to the headings of a document. */
function anchors(text: string): string[] {
  const seen = new Map<string, number>();
  return [...prose(text).matchAll(/^#+ (.+)$/gm)].map(([, title]) => {
    const name = title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
    const times = seen.get(name) ?? 0;
    seen.set(name, times + 1);
    return times === 0 ? name : `${name}-${times}`;
  });
}

/** What of `text`, a document in `folder`, leads nowhere. */
function dead(text: string, folder: string, own: string): string[] {
  const links = [...prose(text).matchAll(LINK)].map(([, link]) => link).filter((link) => !/^https?:/.test(link));
  const paths = [...text.matchAll(PATH)].map(([, path]) => path);
  const commands = [...text.matchAll(/\bnpm run (?:--silent )?([a-z:]+)/g)].map(([, name]) => name);
  return [
    ...links.filter((link) => {
      const [path, anchor] = link.split('#');
      const file = path === '' ? own : normalize(join(folder, path));
      return !existsSync(file) || (anchor !== undefined && !anchors(read(file)).includes(anchor));
    }),
    ...paths.filter((path) => !existsSync(path)),
    ...commands.filter((name) => !(name in scripts)).map((name) => `npm run ${name}`),
  ];
}

describe('documents', () => {
  it.each(documents)('%s leads somewhere', (path) => {
    expect(dead(read(path), dirname(path), path)).toEqual([]);
  });

  it.each([
    ['a file', '[a](nowhere.md)', 'nowhere.md'],
    ['a heading', '[a](tuning.md#no-such-thing)', 'tuning.md#no-such-thing'],
    ['a named file', 'see `src/core/nothing.ts`', 'src/core/nothing.ts'],
    ['a script in a command', '`sh scripts/nothing.sh 3`', 'scripts/nothing.sh'],
    ['a script of npm', '`npm run nothing`', 'npm run nothing'],
  ])('miss %s', (_what, text, missing) => {
    expect(dead(text, 'docs', 'docs/tuning.md')).toEqual([missing]);
  });

  it('are all linked from another one', () => {
    const linked = documents.flatMap((path) =>
      [...prose(read(path)).matchAll(LINK)].map(([, link]) => normalize(join(dirname(path), link.split('#')[0]))),
    );
    expect(documents.filter((path) => path.startsWith('docs/') && !linked.includes(path))).toEqual([]);
  });

  it('know the headings of a page', () => {
    expect(anchors('# A page: of `two` words\n```\n# no heading\n```\n## Same\n## Same\n')).toEqual([
      'a-page-of-two-words',
      'same',
      'same-1',
    ]);
  });
});
