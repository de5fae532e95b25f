// Running other programs for the lab and the benchmark: output collected, failures as one line, and a missing
// program answered with the package that has it.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { sleep } from '../../platform/sleep.ts';
import { CliError } from '../tool.ts';

export interface Result {
  /** Exit code; 128 + signal number is not used: a killed program has -1. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The Debian and Ubuntu package of each program that the tools call. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  ss: 'iproute2',
  ethtool: 'ethtool',
  strace: 'strace',
  perf: 'linux-perf',
  tcpdump: 'tcpdump',
  ping: 'iputils-ping',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  taskset: 'util-linux',
  'redis-server': 'redis-server',
  'redis-cli': 'redis-tools',
  'redis-benchmark': 'redis-tools',
};

/** Root's PATH without the sbin folders is common (su, cron): `ip` and `ethtool` live there. */
const SEARCH_PATH = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];

const childEnvironment: NodeJS.ProcessEnv = { ...process.env, PATH: SEARCH_PATH.join(delimiter) };

export function hasProgram(name: string): boolean {
  return SEARCH_PATH.some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return folder !== '';
    } catch {
      return false;
    }
  });
}

/** @throws CliError naming every program that is missing and the packages to install. */
export function requirePrograms(names: readonly string[]): void {
  const missing = names.filter((name) => !hasProgram(name));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((name) => PACKAGES[name] ?? name))];
  throw new CliError('NO_PROGRAM', `${missing.join(', ')} not found: apt-get install ${packages.join(' ')}`);
}

/** Starts `argv` with the tools' environment. */
export function start(argv: readonly string[], options: SpawnOptions): ChildProcess {
  return spawn(argv[0], argv.slice(1), { env: childEnvironment, ...options });
}

/** Runs `argv` to its end and collects what it says. @param input written to its stdin. */
export function run(argv: readonly string[], input?: string | Uint8Array): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = start(argv, { stdio: ['pipe', 'pipe', 'pipe'] });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout!.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr!.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.stdin!.on('error', () => {}); // it may end without reading everything; the exit code tells
    child.on('error', reject);
    child.on('close', (code) =>
      resolve({
        code: code ?? -1,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      }),
    );
    child.stdin!.end(input);
  });
}

/** Runs `argv` and returns its stdout. @throws CliError with the program's own first complaint when it fails. */
export async function must(argv: readonly string[]): Promise<string> {
  const result = await run(argv);
  if (result.code !== 0) {
    const complaint = (result.stderr.trim() || result.stdout.trim()).split('\n', 1)[0];
    throw new CliError('COMMAND_FAILED', `'${argv.join(' ')}' failed: ${complaint || `exit code ${result.code}`}`);
  }
  return result.stdout;
}

/** Resolves with the exit code, or 128 + signal number as a shell would say. */
export function exitCodeOf(child: ChildProcess, signals: Readonly<Record<string, number>>): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signals[signal!] ?? 0)));
  });
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** SIGTERM, up to `graceMs` to obey it, then SIGKILL; returns when all are gone. */
export async function stopProcesses(pids: readonly number[], graceMs: number): Promise<void> {
  signalAll(pids, 'SIGTERM');
  for (let waitedMs = 0; waitedMs < graceMs && pids.some(isAlive); waitedMs += 20) await sleep(20);
  const stubborn = pids.filter(isAlive);
  signalAll(stubborn, 'SIGKILL');
  for (let waitedMs = 0; waitedMs < 2000 && stubborn.some(isAlive); waitedMs += 20) await sleep(20);
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // gone already
    }
  }
}
