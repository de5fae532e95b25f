// Which system calls a running process makes, counted by strace or, without it, by perf trace. Both see every thread;
// attaching slows the process down for as long as it lasts and loses it nothing. For `wiredis doctor --syscalls`.
import type { ChildProcess } from 'node:child_process';
import { sleep } from '../../platform/sleep.ts';
import { systemStopwatch } from '../../platform/stopwatch.ts';
import { onInterrupt } from '../interrupt.ts';
import { hasProgram, start } from '../lab/process.ts';
import { CliError } from '../tool.ts';

export interface SyscallCount {
  readonly by: 'strace' | 'perf trace';
  /** How long was counted. */
  readonly seconds: number;
  /** Calls by name, most frequent first. */
  readonly calls: ReadonlyMap<string, number>;
}

/** How long an attached program may take to say so. */
const ATTACH_MS = 10_000;

interface Counter {
  readonly by: SyscallCount['by'];
  readonly program: string;
  words(pid: number): string[];
  parse(text: string): Map<string, number>;
}

const COUNTERS: readonly Counter[] = [
  {
    by: 'strace',
    program: 'strace',
    words: (pid) => ['strace', '-c', '-f', '-p', String(pid)],
    parse: parseStrace,
  },
  {
    by: 'perf trace',
    program: 'perf',
    words: (pid) => ['perf', 'trace', '-s', '-p', String(pid)],
    parse: parsePerf,
  },
];

/**
 * Counts for `seconds`, or until Ctrl-C. @param during called when counting has begun, and once more when it is about to end.
 * @throws CliError NO_PROGRAM, or NO_PRIVILEGE with what the program said.
 */
export async function countSyscalls(
  pid: number,
  seconds: number,
  during: (edge: 'begin' | 'end') => Promise<void> = async () => {},
): Promise<SyscallCount> {
  const counter = COUNTERS.find(({ program }) => hasProgram(program));
  if (counter === undefined) {
    throw new CliError('NO_PROGRAM', 'counting system calls needs strace (or perf): sudo apt-get install strace');
  }
  const child = start(counter.words(pid), { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr!.on('data', (chunk: Buffer) => (said += chunk));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  // A program that is left attached would keep the next one out.
  const interrupted = new AbortController();
  onInterrupt(() => interrupted.abort());
  let counted = seconds;
  try {
    await attached(child, counter, () => said);
    await during('begin');
    const beganUs = systemStopwatch();
    await sleep(seconds * 1000, interrupted.signal);
    if (interrupted.signal.aborted) counted = Math.max(0.1, Math.round((systemStopwatch() - beganUs) / 1e5) / 10);
    await during('end');
  } finally {
    child.kill('SIGINT');
    await ended;
  }
  const calls = counter.parse(said);
  return { by: counter.by, seconds: counted, calls: new Map([...calls].sort(([, a], [, b]) => b - a)) };
}

async function attached(child: ChildProcess, { by, program }: Counter, said: () => string): Promise<void> {
  for (let waitedMs = 0; waitedMs < ATTACH_MS; waitedMs += 20) {
    if (child.exitCode !== null || child.signalCode !== null) break;
    // perf says nothing; what it misses in its first moments it does not count.
    if (program === 'perf' ? waitedMs >= 500 : said().includes('attached')) return;
    await sleep(20);
  }
  const why = said().trim().split('\n', 1)[0] || 'no answer';
  const mend = process.getuid?.() === 0 ? 'does another debugger look at it?' : 'run this with sudo';
  throw new CliError('NO_PRIVILEGE', `${by} cannot look at the server (${why}): ${mend}`);
}

/** The table of `strace -c`: `% time, seconds, usecs/call, calls, errors, syscall`. */
export function parseStrace(text: string): Map<string, number> {
  const calls = new Map<string, number>();
  for (const [, count, name] of text.matchAll(/^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?([a-z]\w*)$/gm)) {
    if (name !== 'total') calls.set(name, Number(count));
  }
  return calls;
}

/** The tables of `perf trace -s`, one a thread: `syscall, calls, errors, total, min, avg, max, stddev`. */
export function parsePerf(text: string): Map<string, number> {
  const calls = new Map<string, number>();
  for (const [, name, count] of text.matchAll(/^ +([a-z]\w*) +(\d+) +\d+ +[\d.]+ +[\d.]+ /gm)) {
    calls.set(name, (calls.get(name) ?? 0) + Number(count));
  }
  return calls;
}
