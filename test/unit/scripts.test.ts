// Every script says what it is for: --help prints the whole comment that it begins with, and does nothing else.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Sourced by others. */
const PARTS = ['help.sh', 'lab-server.sh', 'long-test.sh'];
/** Of wiredis itself, with its own help. */
const WRAPPERS = ['goodput', 'impair', 'lab.sh', 'tool.sh'];

const scripts = ['scripts', 'scripts/bench']
  .flatMap((folder) => readdirSync(folder, { withFileTypes: true }).map((entry) => ({ folder, entry })))
  .filter(({ entry }) => entry.isFile() && /^[^.]*(\.sh)?$/.test(entry.name))
  .filter(({ entry }) => ![...PARTS, ...WRAPPERS].includes(entry.name))
  .map(({ folder, entry }) => join(folder, entry.name));

describe('scripts', () => {
  it('are found', () => {
    expect(scripts).toEqual(expect.arrayContaining(['scripts/test.sh', 'scripts/bench/snapshots.sh']));
  });

  it.each(scripts)('%s --help', (script) => {
    accessSync(script, constants.X_OK);
    const comment = /^#!\/bin\/sh\n((?:#.*\n)+)/.exec(readFileSync(script, 'utf8'))?.[1] ?? '';
    expect(comment.split('\n').length).toBeGreaterThan(2);
    const { status, stdout, stderr } = spawnSync('sh', [script, '--help'], { encoding: 'utf8' });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: comment.replace(/^# ?/gm, ''), stderr: '' });
  });
});

/** What setup.sh looks for, of a clone that is only used and of one that is tested: a machine that already has it hides a missing line. */
const [used, tested] = [...readFileSync('scripts/setup.sh', 'utf8').matchAll(/<<LIST\n(.*?)\nLIST/gs)].map(([, list]) =>
  (list ?? '').split('\n').map((line) => line.split(' ')[0]),
) as [string[], string[]];

/** Comes with every Debian, or with what the list has; systemd is the machine's to have or not. */
const ELSEWHERE = ['apt-get', 'mount', 'node', 'redis-check-aof', 'redis-cli', 'systemd-analyze', 'unshare'];

describe('setup.sh installs', () => {
  it('what quickstart.sh runs on its two hosts', () => {
    const script = readFileSync('scripts/quickstart.sh', 'utf8');
    const words = [...script.matchAll(/(?:\bclient|lab exec .* --) (?:timeout \S+ )?([a-z][\w-]*)/g)].map(
      ([, word]) => word,
    );
    expect(words).toEqual(expect.arrayContaining(['ping', 'redis-cli', 'ss']));
    const known = [...used, ...ELSEWHERE];
    expect(words.filter((word) => !known.includes(word as string))).toEqual([]);
  });

  it('what tests ask for by name', () => {
    const files = ['test', 'src'].flatMap((folder) =>
      (readdirSync(folder, { recursive: true }) as string[])
        .filter((name) => name.endsWith('.ts'))
        .map((name) => join(folder, name)),
    );
    const names = files.flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/\bhasProgram\('([^']+)'\)/g)].map(([, name]) => name),
    );
    expect(names).toContain('tshark');
    const known = [...used, ...tested, ...ELSEWHERE];
    expect([...new Set(names)].filter((name) => !known.includes(name as string))).toEqual([]);
  });
});
