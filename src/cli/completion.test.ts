import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bashCompletion, fishCompletion, manualPage, serverOptions, wordsOf, zshCompletion } from './completion.ts';
import { tools } from './tools/table.ts';

const HELP = `Usage: wiredis lab up|down [--name PREFIX]
       wiredis lab exec [--name PREFIX] server -- COMMAND

Two hosts - on this machine.

Options:
  --name PREFIX   start of the names
  -h, --help      this`;

const words = wordsOf(HELP, 'wiredis lab');
const has = (program: string): boolean => {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

describe('completion', () => {
  it('reads subcommands and options from a help text', () => {
    expect(words).toEqual({ subcommands: ['up', 'down', 'exec'], options: ['--name', '--help'] });
  });

  it('knows every directive of redis.conf, and ours', () => {
    expect(serverOptions()).toEqual(expect.arrayContaining(['--maxmemory', '--metrics-port', '--transport']));
    expect(serverOptions()).not.toContain('--key-load-delay');
  });

  it.skipIf(!has('bash'))('completes in bash', () => {
    const ask = (typed: string[]): string =>
      execFileSync(
        'bash',
        [
          '-c',
          `${bashCompletion(new Map([['lab', words]]))}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _wiredis; echo "\${COMPREPLY[@]}"`,
          'bash',
          ...typed,
        ],
        { encoding: 'utf8' },
      ).trim();
    expect(ask(['wiredis', 'la'])).toBe('lab');
    expect(ask(['wiredis', 'lab', ''])).toBe('up down exec --name --help');
    expect(ask(['wiredis', 'lab', '--n'])).toBe('--name');
  });

  it.skipIf(!has('zsh'))('is a script that zsh accepts', () => {
    execFileSync('zsh', ['-n'], { input: zshCompletion(new Map([['lab', words]])) });
  });

  it.skipIf(!has('fish'))('completes in fish', () => {
    const script = fishCompletion(new Map([['lab', words]]));
    const ask = (typed: string): string[] => {
      // A folder of its own: fish keeps files in it.
      const home = mkdtempSync(join(tmpdir(), 'wiredis-fish-'));
      const env = { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_DATA_HOME: home };
      try {
        const words = ['-c', `${script}\ncomplete -C ${JSON.stringify(typed)}`];
        return execFileSync('fish', words, { encoding: 'utf8', env, cwd: home }).trim().split('\n');
      } finally {
        rmSync(home, { recursive: true, force: true });
      }
    };
    expect(ask('wiredis la')).toEqual(['lab']);
    expect(ask('wiredis lab ')).toEqual(['down', 'exec', 'up']);
    expect(ask('wiredis lab --n')).toEqual(['--name']);
    expect(ask('wiredis-server --metrics-p')).toEqual(['--metrics-port']);
  });

  it('has words for every tool that there is', async () => {
    for (const { name, load } of tools) {
      const { options } = wordsOf((await load()).help, `wiredis ${name}`);
      expect(options, name).toContain('--help');
    }
  });
});

describe('a manual page', () => {
  it.skipIf(!has('man') || !has('col'))('is one for man', () => {
    const page = manualPage('wiredis-lab', 'two hosts', HELP, '1.2.3');
    const shown = execFileSync('man', ['-l', '-'], {
      input: page,
      encoding: 'utf8',
      env: { ...process.env, MANPAGER: 'cat', PAGER: 'cat', TERM: 'dumb', MANWIDTH: '100', LC_ALL: 'C' },
    });
    // col takes out how man prints bold: each letter twice, with a backspace between.
    const plain = execFileSync('col', ['-bx'], { input: shown, encoding: 'utf8' });
    expect(plain).toContain('wiredis-lab - two hosts');
    expect(plain).toMatch(/SYNOPSIS\n\s+wiredis lab up\|down \[--name PREFIX\]/);
    expect(plain).toMatch(/OPTIONS\n\s+--name PREFIX {3}start of the names/);
  });
});
