// Programs of test/lab/clients that use real client libraries: each does the same work wherever it is pointed and prints
// what came of it, so that redis-server and ours can be compared. Run on loopback by test/contract, on a wire by test/lab.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const programs = resolve('test/lab/clients');

export interface ClientProgram {
  readonly name: string;
  /** Why it cannot run here; null when it can. */
  readonly obstacle: string | null;
  /** Something that every good run prints. */
  readonly shows: string;
  command(host: string, port: number): string[];
}

function works(command: string, ...words: string[]): boolean {
  try {
    execFileSync(command, words, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Debian's Python has Debian's packages; another one may come first in PATH. */
function findPython(): string | null {
  return ['python3', '/usr/bin/python3'].find((python) => works(python, '-c', 'import redis')) ?? null;
}

/** @returns the program's path, or why there is none. */
function compileHiredis(): { path: string; obstacle: string | null } {
  if (!works('cc', '--version')) return { path: '', obstacle: 'no C compiler (cc)' };
  const directory = mkdtempSync(join(tmpdir(), 'hiredis-client-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'library');
  const compiled = works('cc', '-O1', '-o', path, join(programs, 'library.c'), '-lhiredis');
  return { path, obstacle: compiled ? null : 'no libhiredis-dev' };
}

export function clientPrograms(): ClientProgram[] {
  const python = findPython();
  const hiredis = compileHiredis();
  const node = (script: string, ...words: string[]): string[] => [process.execPath, join(programs, script), ...words];
  const features = [
    ['ioredis', '2'],
    ['ioredis', '3'],
    ['redis', '2'],
    ['redis', '3'],
  ] as const;
  return [
    {
      name: 'redis-py',
      obstacle: python === null ? 'no python3-redis' : null,
      shows: '["dbsize", 5',
      command: (host, port) => [python ?? '', join(programs, 'library.py'), host, String(port)],
    },
    {
      name: 'hiredis',
      obstacle: hiredis.obstacle,
      shows: 'pipelined 20000\n5:2:4f4b \nlarge 1\n',
      command: (host, port) => [hiredis.path, host, String(port)],
    },
    ...features.map(([library, resp]) => ({
      name: `${library} with RESP${resp}: what is more than a command`,
      obstacle: null,
      shows: '["pipeline",true]',
      command: (host: string, port: number) => node('features.js', library, host, String(port), resp),
    })),
    {
      name: 'BullMQ under load',
      obstacle: null,
      shows: '"failed":0,"waiting":0,"active":0,"delayed":0,"prioritized":0',
      command: (host, port) => node('bullmq.js', host, String(port), '300'),
    },
  ];
}
