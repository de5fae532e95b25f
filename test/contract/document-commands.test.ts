// No command in README.md and docs/ is left to chance: its programs, options and paths are there, and a test runs it or says why
// none can. What runs in a lab is in test/lab/docs.test.ts.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { serverOptions, wordsOf } from '../../src/cli/completion.ts';
import { tools } from '../../src/cli/tools/table.ts';
import { commandsOf, DOCUMENTS, ELSEWHERE, isForm, RUN } from '../support/document-commands.ts';

const scripts = (JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }).scripts;
const optionsOf = (words: readonly string[]): string[] =>
  words.filter((word) => /^--[a-z]/.test(word)).map((word) => word.replace(/=.*/, ''));

/** Words of each simple command of a line, without what a shell adds. */
function simpleCommands(line: string): string[][] {
  const tokens = line.match(/"[^"]*"|'[^']*'|<\(|&&|[|;>)]|[^\s|;>)]+/g) ?? [];
  const commands: string[][] = [[]];
  for (const token of tokens) {
    if (/^(&&|[|;>)]|<\()$/.test(token)) commands.push([]);
    else commands.at(-1)!.push(token);
  }
  return commands
    .map((words) => words.slice(words.findIndex((word) => !/^([A-Z_]+=.*|sudo|source)$/.test(word))))
    .filter((words) => words.length > 0 && /^[a-z]/.test(words[0]));
}

async function toolComplaints([name, ...rest]: readonly string[]): Promise<string[]> {
  const row = tools.find((tool) => tool.name === name);
  if (row === undefined) return [`there is no tool ${name}`];
  const own = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest;
  const { subcommands, options } = wordsOf((await row.load()).help, `wiredis ${name}`);
  const bad = optionsOf(own).filter((option) => !options.includes(option));
  if (subcommands.length > 0 && /^[a-z]+$/.test(own[0] ?? '') && !subcommands.includes(own[0])) bad.push(own[0]);
  const inner = rest.includes('--') ? await complaints(rest.slice(rest.indexOf('--') + 1)) : [];
  return [...bad.map((word) => `wiredis ${name} has no ${word}`), ...inner];
}

const WRAPPERS: Readonly<Record<string, string>> = {
  'scripts/lab.sh': 'lab',
  'scripts/goodput': 'goodput',
  'scripts/impair': 'impair',
};

async function scriptComplaints(path: string, words: readonly string[]): Promise<string[]> {
  if (!existsSync(path)) return [`there is no ${path}`];
  if (WRAPPERS[path] !== undefined) return toolComplaints([WRAPPERS[path], ...words]);
  const program = path.endsWith('.js') ? [process.execPath, path] : [path];
  const help = execFileSync(program[0], [...program.slice(1), '--help'], { encoding: 'utf8' });
  if (help.length < 50) return [`${path} --help says nothing`];
  return optionsOf(words)
    .filter((option) => !help.includes(option))
    .map((option) => `${path} has no ${option}`);
}

async function npmComplaints([what, name, ...rest]: readonly string[]): Promise<string[]> {
  if ([name, ...rest].includes('wiredis')) return ["npm's registry has no package of ours: whose would that be?"];
  if (what !== 'run') return ['ci', 'pack', 'install', 'link'].includes(what) ? [] : [`npm ${what}?`];
  if (scripts[name] === undefined) return [`there is no npm script ${name}`];
  return name === 'bench' ? toolComplaints(['bench', ...rest.slice(rest.indexOf('--') + 1)]) : [];
}

function nodeComplaints([path, ...rest]: readonly string[]): string[] | Promise<string[]> {
  if (path.startsWith('scripts/')) return scriptComplaints(path, rest);
  const source = path.replace(/^dist\//, '').replace(/\.js$/, '.ts');
  return existsSync(source) ? [] : [`there is no ${source}`];
}

/** What is wrong with a command by what its program says of itself. */
async function complaints([program, ...words]: readonly string[]): Promise<string[]> {
  if (program === 'wiredis') return toolComplaints(words);
  if (program === 'npm') return npmComplaints(words);
  if (program === 'node') return nodeComplaints(words);
  if (program.startsWith('scripts/')) return scriptComplaints(program, words);
  if (program === 'wiredis-server') {
    const known = serverOptions();
    return optionsOf(words)
      .filter((option) => option !== '--directive' && !known.includes(option))
      .map((option) => `wiredis-server has no ${option}`);
  }
  if (program === 'npx') return words.filter((word) => word.startsWith('test/') && !existsSync(word));
  return [];
}

const commands = DOCUMENTS.flatMap(commandsOf);

describe('commands in README.md and docs/', () => {
  it('are found', () => {
    expect(commands.length).toBeGreaterThan(120);
  });

  it('have programs, options and paths that there are', async () => {
    const wrong: string[] = [];
    for (const { document, text } of commands) {
      for (const words of simpleCommands(text)) {
        for (const complaint of await complaints(words)) wrong.push(`${document}: ${text}: ${complaint}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('are each run by a test, or it is said why not', () => {
    const marked = /^(server|client|start|host)$/;
    const left = commands
      .filter((one) => !marked.test(one.block ?? '') && !isForm(one))
      .filter(({ text }) => RUN[text] === undefined && !ELSEWHERE.some(([start]) => text.startsWith(start)))
      .map(({ document, text }) => `${document}: ${text}`);
    expect(left).toEqual([]);
  });

  it('and what is said of tests elsewhere is so', () => {
    const unused = ELSEWHERE.filter(([start]) => !commands.some(({ text }) => text.startsWith(start)));
    expect(unused.map(([start]) => start)).toEqual([]);
    const gone = Object.keys(RUN).filter((text) => !commands.some((one) => one.text === text));
    expect(gone).toEqual([]);
    for (const [start, how] of ELSEWHERE) {
      if ('by' in how)
        expect(readFileSync(how.by, 'utf8').includes(how.word), `${start}: ${how.by} ${how.word}`).toBe(true);
    }
  });
});

describe('scripts/scaling-model.js', () => {
  it('finds the parts of a request in a results file, and puts its tables into the document', () => {
    const place = mkdtempSync(join(tmpdir(), 'wiredis-model-'));
    try {
      const document = join(place, 'scaling.md');
      writeFileSync(document, readFileSync('docs/scaling.md', 'utf8'));
      // A segment costs 4 us and a request 0.5, half of each in the kernel.
      const rows = ['redis', 'afxdp', 'afpacket', 'relay'].flatMap((path) =>
        [1, 16].map((pipeline) => {
          const half = (4 / pipeline + 0.5) / 2;
          const values = { serverUserUs: half, serverSystemUs: half / 2, serverSoftirqUs: half / 2 };
          return { scenario: 'throughput', path, test: 'GET', pipeline, values };
        }),
      );
      const results = join(place, 'results.json');
      writeFileSync(results, JSON.stringify({ rows }));
      const words = ['scripts/scaling-model.js', results, '--document', document];
      const said = execFileSync(process.execPath, words, { encoding: 'utf8' });
      for (const text of [said, readFileSync(document, 'utf8')]) {
        expect(text).toContain('| afxdp | 2.00 | 0.25 | 2.00 | 0.25 |');
      }
    } finally {
      rmSync(place, { recursive: true, force: true });
    }
  });
});
