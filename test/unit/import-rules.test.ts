// The layout's rules: who may import whom, and who may ask for the time or for randomness. A violation is printed
// as file, line and rule. Tests themselves are free of the rules.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const FOLDERS = ['io-engine', 'stack', 'src'];

interface Rule {
  /** Which files, by path from the root. */
  readonly applies: (file: string) => boolean;
  /** True if the import is fine: a package name, `node:...`, or a path from the root. */
  readonly allows: (imported: string) => boolean;
  readonly text: string;
}

const under = (folder: string) => (path: string) => path.startsWith(`${folder}/`);
const ENGINE_PACKAGES = ['koffi', 'cap', 'raw-socket', 'pcap-parser'];
/** Modules that come with the server, each a file on its own that the server loads by path. */
const BUNDLED = 'src/modules/bundled';
const CONTRACT = ['io-engine/frame-engine.ts', 'io-engine/options.ts'];
const mayTouchNetwork = (file: string) =>
  /^src\/transports\/(userspace(-[a-z]+)*|connection-trace)\.ts$/.test(file) ||
  file === 'src/server.ts' ||
  under('src/cli')(file);

const RULES: readonly Rule[] = [
  {
    applies: under('io-engine'),
    allows: (imported) =>
      imported.startsWith('node:') || ENGINE_PACKAGES.includes(imported) || under('io-engine')(imported),
    text: `io-engine/ imports node:, ${ENGINE_PACKAGES.join(', ')} and itself only`,
  },
  {
    applies: under('stack'),
    allows: (imported) => imported === 'lru-cache' || CONTRACT.includes(imported) || under('stack')(imported),
    text: `stack/ imports itself, lru-cache and ${CONTRACT.join(', ')} only`,
  },
  {
    applies: under('stack/wire'),
    allows: under('stack/wire'),
    text: 'stack/wire/ imports nothing outside itself',
  },
  {
    applies: under('src/data'),
    allows: under('src/data'),
    text: 'src/data/ imports nothing outside itself',
  },
  {
    applies: under('src/core'),
    allows: (imported) => !under('src/commands')(imported),
    text: 'src/core/ never imports src/commands/: the command table is handed in',
  },
  {
    applies: (file) => under('src/modules')(file) && !under(BUNDLED)(file),
    allows: (imported) =>
      !imported.startsWith('src/') ||
      ['src/core', 'src/resp', 'src/data', 'src/platform', 'src/modules'].some((folder) => under(folder)(imported)),
    text: 'src/modules/ imports src/core/, src/resp/, src/data/, types of src/platform/ and itself only',
  },
  {
    applies: under(BUNDLED),
    allows: (imported) =>
      imported === 'src/modules/api.ts' || (/^[a-z@]/.test(imported) && !imported.startsWith('src/')),
    text: 'bundled modules import src/modules/api.ts and packages only',
  },
  {
    applies: (file) => under('src')(file) && !mayTouchNetwork(file),
    allows: (imported) => !under('stack')(imported) && !under('io-engine')(imported),
    text: 'of src/, only transports/userspace*.ts, server.ts and cli/ touch stack/ or io-engine/',
  },
  {
    applies: (file) => under('src')(file) && !/^src\/(handover|cli)\/|^src\/(running-)?server\.ts$/.test(file),
    allows: (imported) => !under('src/handover')(imported),
    text: 'src/handover/ is for server.ts, running-server.ts and cli/',
  },
  {
    applies: under('src'),
    allows: (imported) => !ENGINE_PACKAGES.includes(imported),
    text: `${ENGINE_PACKAGES.join(', ')} belong to io-engine/`,
  },
  {
    applies: () => true,
    allows: (imported) => !under('test')(imported) && imported !== 'vitest' && imported !== 'fast-check',
    text: 'what is built knows no test',
  },
];

/** Where the server, the tools and the packages' entries begin; the tools are found in their folder. */
const ENTRIES = [
  'src/cli/wiredis-server.ts',
  'src/cli/wiredis.ts',
  'src/net/index.ts',
  'src/modules/api.ts',
  'src/observe/web/app.ts',
];
const isEntry = (file: string) =>
  ENTRIES.includes(file) ||
  under('src/cli/tools')(file) ||
  under('src/cli/bench/workers')(file) ||
  under(BUNDLED)(file);

/** A socket's own idle time-out, `socket.setTimeout`, is its own business. */
const TIME_AND_CHANCE =
  /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|(?<!\b(?:socket|this)\.)\bsetTimeout\b(?!\(ms: number)|\bsetInterval\b|\bperformance\.now\b/g;
const mayTellTime = (file: string) => under('src/platform')(file) || under('io-engine')(file);

const IMPORTS = [
  /^[ \t]*(?:import|export)\b[^'";=]*?\bfrom\s+['"]([^'"]+)['"]/gm,
  /^[ \t]*import\s+['"]([^'"]+)['"]/gm,
  /\bimport\(\s*['"]([^'"]+)['"]/g,
  /\brequire\(\s*['"]([^'"]+)['"]/g,
];

/** `file:line: rule` for everything in `text` that breaks a rule. */
function violations(file: string, text: string): string[] {
  const found: string[] = [];
  const code = withoutComments(text);
  for (const pattern of IMPORTS) {
    for (const match of code.matchAll(pattern)) {
      const line = lineOf(code, match.index + match[0].length);
      const imported = resolveImport(file, match[1]);
      if (match[1].startsWith('.') && !/\.(ts|json)$/.test(match[1])) {
        found.push(`${file}:${line}: relative imports end in .ts (it imports ${match[1]})`);
      }
      for (const rule of RULES) {
        if (rule.applies(file) && !rule.allows(imported))
          found.push(`${file}:${line}: ${rule.text} (it imports ${imported})`);
      }
    }
  }
  if (!mayTellTime(file)) {
    for (const match of code.matchAll(TIME_AND_CHANCE)) {
      const line = lineOf(code, match.index);
      found.push(`${file}:${line}: ${match[0]} outside src/platform/ and io-engine/: time and chance are handed in`);
    }
  }
  return found;
}

/** Files of src/ that nothing which is run imports: what only tests use belongs to test/support/. */
function unused(files: readonly string[]): string[] {
  const reached = new Set<string>();
  const visit = (file: string): void => {
    if (reached.has(file)) return;
    reached.add(file);
    const code = withoutComments(readFileSync(join(ROOT, file), 'utf8'));
    for (const pattern of IMPORTS) {
      for (const match of code.matchAll(pattern)) {
        const imported = resolveImport(file, match[1]);
        if (files.includes(imported)) visit(imported);
      }
    }
  };
  files.filter(isEntry).forEach(visit);
  return files.filter((file) => under('src')(file) && !reached.has(file));
}

/** Who may import a file, in the words of its header: `Only a.ts, b.ts and src/c/ import this`. */
const ONLY = [
  /\bOnly ([\w./-]+(?:(?:, | and )[\w./-]+)*) imports? (?:this|it)\b/,
  /\b(?:Used by|For) ([\w./-]+(?:(?:, | and )[\w./-]+)*) only\b/,
];

/** @returns files and folders; null when the header says nothing of the kind, or speaks of people. */
function importersNamed(text: string): readonly string[] | null {
  const header = /^(?:(?:#!|\/\/).*\n)+/.exec(text)?.[0].replace(/\n?\/\/+ ?/g, ' ') ?? '';
  const names = ONLY.map((pattern) => pattern.exec(header)?.[1])
    .find((found) => found !== undefined)
    ?.split(/, | and /);
  return names?.every((name) => /\/|\.ts$/.test(name)) ? names : null;
}

/** `file: it is not said to be imported by other`: importers that its header leaves out. */
function unnamedImporters(texts: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  for (const [importer, text] of texts) {
    for (const match of withoutComments(text).matchAll(IMPORTS[0])) {
      const file = resolveImport(importer, match[1]);
      const names = importersNamed(texts.get(file) ?? '');
      const isNamed = (name: string) => `/${importer}`.includes(`/${name}`);
      if (names !== null && !names.some(isNamed)) {
        found.push(`${file}: its header names ${names.join(', ')}, not ${importer}`);
      }
    }
  }
  return found;
}

function resolveImport(file: string, specifier: string): string {
  return specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : specifier;
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

/** Blanks comments, keeping the lines. Block comments count where a line starts with them: that is where ours stand. */
function withoutComments(text: string): string {
  const blank = (comment: string) => comment.replace(/[^\n]/g, ' ');
  return text.replace(/^[ \t]*\/\*[\s\S]*?\*\//gm, blank).replace(/(^|\s)\/\/.*$/gm, blank);
}

function sourceFiles(): string[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts'))
      .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).split(sep).join('/')),
  );
}

describe('import rules', () => {
  it('hold in every source file', () => {
    const files = sourceFiles();
    expect(files).toContain('stack/wire/tcp.ts');
    expect(files.flatMap((file) => violations(file, readFileSync(join(ROOT, file), 'utf8')))).toEqual([]);
  });

  it('are what the headers of the files say', () => {
    const texts = new Map(sourceFiles().map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]));
    expect(unnamedImporters(texts)).toEqual([]);
  });

  it.each([
    ['// A thing. Only b.ts imports it.\n', 'its header names b.ts, not src/c.ts'],
    ['// A thing. Only\n// b.ts and src/x/ import this file.\n', 'its header names b.ts, src/x/, not src/c.ts'],
    ['// A thing. Used by src/x only.\n', 'its header names src/x, not src/c.ts'],
    ['// A thing. For src/x/ only.\n', 'its header names src/x/, not src/c.ts'],
  ])('see who is not named in %j', (header, problem) => {
    const texts = new Map([
      ['src/a.ts', header],
      ['src/b.ts', "import { a } from './a.ts';\n"],
      ['src/x/d.ts', "import { a } from '../a.ts';\n"],
      ['src/c.ts', "import { a } from './a.ts';\n"],
    ]);
    expect(unnamedImporters(texts)).toContain(`src/a.ts: ${problem}`);
    expect(
      unnamedImporters(new Map([...texts].map(([file, text]) => [file, text.replace(header, '// It.\n')]))),
    ).toEqual([]);
  });

  it('nothing in src/ is there for tests only', () => {
    expect(unused(sourceFiles())).toEqual([]);
  });

  it.each([
    ['src/core/call.ts', "import { a } from '../../test/support/replies.ts';", 'what is built knows no test'],
    ['stack/wire/tcp.ts', "import { x } from '../ip.ts';", 'stack/wire/ imports nothing outside itself'],
    ['stack/ip.ts', "import fs from 'node:fs';", 'stack/ imports itself'],
    ['stack/ip.ts', "import { open } from '../io-engine/open.ts';", 'stack/ imports itself'],
    ['stack/ip.ts', "export * from '../src/server.ts';", 'stack/ imports itself'],
    ['stack/tcp/input.ts', "import {\n  a,\n  b,\n} from '../../src/core/call.ts';", 'stack/ imports itself'],
    ['io-engine/tap.ts', "import type { A } from '../stack/clock.ts';", 'io-engine/ imports node:'],
    ['io-engine/tap.ts', "const x = await import('lru-cache');", 'io-engine/ imports node:'],
    ['src/data/dict.ts', "import { y } from '../core/call.ts';", 'src/data/ imports nothing'],
    ['src/core/server.ts', "import '../commands/table.ts';", 'src/core/ never imports'],
    ['src/core/server.ts', "import { ip } from '../../stack/ip.ts';", 'of src/, only'],
    ['src/transports/kernel.ts', "import { Stack } from '../../stack/stack.ts';", 'of src/, only'],
    ['src/cli/wiredis.ts', "import koffi from 'koffi';", 'belong to io-engine/'],
    ['src/modules/modules.ts', "import { a } from '../commands/table.ts';", 'src/modules/ imports'],
    ['src/modules/bundled/a.ts', "import { a } from '../../core/call.ts';", 'bundled modules import'],
    ['src/core/server.ts', "import { Giver } from '../handover/giver.ts';", 'src/handover/ is for'],
    ['src/core/server.ts', "import { x } from './call.js';", 'relative imports end in .ts'],
    ['src/core/expire.ts', 'const a = 1;\nconst now = Date.now();', 'Date.now outside'],
    ['stack/ip.ts', '/* a */ setTimeout(f, 1);', 'setTimeout outside'],
  ])('see what %s must not do: %s', (file, text, rule) => {
    const found = violations(file, text);
    expect(found.length).toBeGreaterThan(0);
    expect(found.join('\n')).toContain(rule);
    expect(found[0]).toMatch(new RegExp(`^${file}:${text.split('\n').length}: `));
  });

  it.each([
    ['stack/ip.ts', "import { NO_FRAME } from '../io-engine/frame-engine.ts';\nimport { LRUCache } from 'lru-cache';"],
    ['io-engine/tap.ts', "import { readFileSync } from 'node:fs';\nimport koffi from 'koffi';\nsetTimeout(f, 1);"],
    ['src/server.ts', "import { Stack } from '../stack/stack.ts';"],
    ['src/cli/tools/arp.ts', "import { formatIpv4 } from '../../../stack/wire/ipv4.ts';"],
    ['src/core/a.ts', "// Date.now() would be wrong\n/**\n * setTimeout\n */\nconst x = 'from';\nexport const y = 1;"],
    ['src/modules/bundled/a.ts', "import { a } from '../api.ts';\nimport { LRUCache } from 'lru-cache';"],
    ['src/platform/clock.ts', 'const t = Date.now();'],
  ])('leave %s alone', (file, text) => {
    expect(violations(file, text)).toEqual([]);
  });
});
