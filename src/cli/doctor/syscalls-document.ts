// `wiredis doctor --syscalls-document`: docs/syscalls.md. In a lab of its own redis-server and wiredis-server over both
// transports run under strace, from exec to the end; four phases are cut out of each log by the clock.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageVersion } from '../../package-version.ts';
import { SystemClock } from '../../platform/clock.ts';
import { sleep } from '../../platform/sleep.ts';
import { paths, redisVersion } from '../bench/paths.ts';
import type { Lab } from '../lab/lab.ts';
import { buildOwnLab } from '../lab/own.ts';
import { isAlive, requirePrograms, stopProcesses } from '../lab/process.ts';
import { CliError, EXIT_OK } from '../tool.ts';

const PORT = 6379;
const IDLE_SECONDS = 10;
const COMMANDS = 1000;
const KEYS = 10_000;
/** Start-up under strace is slow. */
const START_MS = 60_000;
/** After a phase, so that its last calls are written before the next begins. */
const SETTLE_MS = 500;
/** Until an idle server rests. */
const REST_MS = 3000;

const SERVERS: readonly (readonly [heading: string, path: string])[] = [
  ['redis-server', 'redis'],
  ['--transport kernel', 'kernel'],
  ['--transport userspace', 'afxdp'],
];

type Phase = 'start-up' | 'idle' | 'command' | 'save';

/** When a phase began and ended, seconds since the Unix epoch. */
type Marks = Record<Phase, readonly [begin: number, end: number]>;

/** Calls by name, for each phase. */
export type PhaseCalls = Record<Phase, Map<string, number>>;

export async function printDocument(): Promise<number> {
  requirePrograms(['strace', 'redis-server', 'redis-cli']);
  const version = redisVersion();
  const lab = await buildOwnLab('wiredis-syscalls', () => {});
  try {
    const columns: PhaseCalls[] = [];
    for (const [, path] of SERVERS) columns.push(await trace(lab, path));
    process.stdout.write(`${documentText(columns, version ?? 'unknown')}\n`);
  } finally {
    await lab.down();
  }
  return EXIT_OK;
}

async function trace(lab: Lab, name: string): Promise<PhaseCalls> {
  const path = paths.find((one) => one.name === name)!;
  const directory = mkdtempSync(join(tmpdir(), 'wiredis-syscalls-'));
  const log = join(directory, 'strace');
  const words = [...path.command(lab, PORT), '--enable-debug-command', 'yes'];
  const begin = now();
  const child = lab.start('server', ['strace', '-f', '-qq', '-ttt', '-s', '120', '-o', log, ...words], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    const address = lab.plan.links[path.link].serverAddress;
    const cli = (...command: string[]) =>
      lab.run('client', ['timeout', '60', 'redis-cli', '-h', address, '-p', String(PORT), ...command]);
    for (const giveUp = begin + START_MS / 1000; (await cli('PING')).stdout.trim() !== 'PONG'; await sleep(200)) {
      if (now() > giveUp || child.exitCode !== null) throw new CliError('SERVER_FAILED', `${name} does not answer`);
    }
    const marks = { 'start-up': [begin, readySecond(log)] } as unknown as Record<Phase, [number, number]>;
    await cli('DEBUG', 'POPULATE', String(KEYS), 'key', '100');
    await sleep(REST_MS);
    marks.idle = [now(), 0];
    await sleep(IDLE_SECONDS * 1000);
    marks.idle[1] = now();
    for (const [phase, command] of [
      ['command', ['-r', String(COMMANDS), 'GET', 'key:1']],
      ['save', ['SAVE']],
    ] as const) {
      marks[phase] = [now(), 0];
      await cli(...command);
      marks[phase][1] = now();
      await sleep(SETTLE_MS);
    }
    await stopTraced(child.pid!);
    return cutPhases(readFileSync(log, 'utf8'), marks);
  } finally {
    await stopTraced(child.pid!);
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The server ends when it is told to, and strace with it. */
async function stopTraced(strace: number): Promise<void> {
  if (!isAlive(strace)) return;
  const children = readFileSync(`/proc/${strace}/task/${strace}/children`, 'utf8').split(' ').filter(Boolean);
  await stopProcesses(children.map(Number), 10_000);
  for (let waitedMs = 0; isAlive(strace) && waitedMs < 5000; waitedMs += 20) await sleep(20);
}

/** When it wrote that it is ready. */
function readySecond(log: string): number {
  const ready = /^\d+ +([\d.]+) write.*Ready to accept connections/m.exec(readFileSync(log, 'utf8'));
  if (ready === null) throw new CliError('SERVER_FAILED', 'the log of strace does not tell when the server was ready');
  return Number(ready[1]);
}

function now(): number {
  return new SystemClock().unixMs / 1000;
}

/** Lines are `PID SECONDS name(...`; those that only resume another one's are not calls of their own. */
export function cutPhases(log: string, marks: Marks): PhaseCalls {
  const phases = Object.keys(marks) as Phase[];
  const calls = Object.fromEntries(phases.map((phase) => [phase, new Map<string, number>()])) as PhaseCalls;
  for (const [, second, name] of log.matchAll(/^\d+ +([\d.]+) ([a-z]\w*)\(/gm)) {
    const at = Number(second);
    const phase = phases.find((one) => at >= marks[one][0] && at < marks[one][1]);
    if (phase !== undefined) calls[phase].set(name, (calls[phase].get(name) ?? 0) + 1);
  }
  return calls;
}

const SECTIONS: readonly {
  readonly phase: Phase;
  readonly heading: string;
  readonly text: string;
  readonly per: number;
  readonly digits: number;
}[] = [
  {
    phase: 'start-up',
    heading: 'Start-up',
    text: 'Calls from `exec` until the log says `Ready to accept connections`, every thread. Node itself makes most of those of wiredis: it reads the files of the program, and V8 sets up its heap and its threads.',
    per: 1,
    digits: 0,
  },
  {
    phase: 'idle',
    heading: 'Idle',
    text: `Calls a second with no client, over ${IDLE_SECONDS} seconds. Node asks epoll twice each time it goes to sleep: once without waiting, then with.`,
    per: IDLE_SECONDS,
    digits: 1,
  },
  {
    phase: 'command',
    heading: 'One command',
    text: `Calls a GET, one client that waits for each reply: a run of ${COMMANDS} GETs, divided; opening and closing the connection is in it.`,
    per: COMMANDS,
    digits: 2,
  },
  {
    phase: 'save',
    heading: 'SAVE',
    text: `Calls of one SAVE with ${KEYS} keys of 100 bytes, and of the connection that asks for it.`,
    per: 1,
    digits: 0,
  },
];

function documentText(columns: readonly PhaseCalls[], redis: string): string {
  const machine = `${cpus().length} cores, Linux ${release()}, Node ${process.versions.node}`;
  const lines = [
    '# System calls',
    '',
    'Made by `wiredis doctor --syscalls-document > docs/syscalls.md` (root, strace); do not edit. The calls that redis-server',
    `${redis} and wiredis ${packageVersion()} make, counted by strace in a lab on one machine (${machine}).`,
    '`--transport userspace` is over AF_XDP. For a server of yours: `wiredis doctor --syscalls 10`.',
  ];
  for (const { phase, heading, text, per, digits } of SECTIONS) {
    lines.push('', `## ${heading}`, '', text, '', ...markdownTable(columns, phase, per, digits));
  }
  return lines.join('\n');
}

/** Calls fewer than half of the last digit are left out of their row; rows with nothing at all are. */
function markdownTable(columns: readonly PhaseCalls[], phase: Phase, per: number, digits: number): string[] {
  const text = (count: number): string => {
    const shown = (count / per).toFixed(digits);
    return Number(shown) === 0 ? '' : shown;
  };
  const names = new Set(columns.flatMap((column) => [...column[phase].keys()]));
  const counts = [...names].map((name) => ({ name, of: columns.map((column) => column[phase].get(name) ?? 0) }));
  counts.sort((a, b) => Math.max(...b.of) - Math.max(...a.of) || a.name.localeCompare(b.name));
  const total = columns.map((column) => [...column[phase].values()].reduce((sum, count) => sum + count, 0));
  return [
    `| system call | ${SERVERS.map(([heading]) => `\`${heading}\``).join(' | ')} |`,
    `|---|${SERVERS.map(() => '--:|').join('')}`,
    ...counts
      .filter(({ of }) => of.some((count) => text(count) !== ''))
      .map(({ name, of }) => `| ${name} | ${of.map(text).join(' | ')} |`),
    `| **all** | ${total.map((count) => (count / per).toFixed(digits)).join(' | ')} |`,
  ];
}
