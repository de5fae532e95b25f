// A lab that is up: run commands on its hosts, look at it, take it down. Building one is build.ts.
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { existsSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CliError } from '../tool.ts';
import { type BridgePlan, type Host, type LabPlan, type LinkName, netdevFile, planLab } from './plan.ts';
import { enterWords, type Holder, holderLives } from './privilege.ts';
import { must, type Result, run, start, stopProcesses } from './process.ts';
import { pinNapiThreads } from './steering.ts';

/** What `up` leaves for later commands, as lab.json in the lab's directory. */
export interface LabNotes {
  /** null: made by root. */
  readonly holder: Holder | null;
  readonly cores: Readonly<Record<Host, number>>;
  /** Links that could be made here, and why another could not. */
  readonly links: readonly LinkName[];
  /** Several server hosts in place of those links; null: one. */
  readonly bridge: BridgePlan | null;
  readonly warnings: readonly string[];
}

const HOST_NAME = /^(server|client|switch|host\d+)$/;

/** Seconds are for a server that saves a large dataset on SIGTERM. */
const STOP_GRACE_MS = 5000;

/** Who enters another file system stands at its root: a server would save its dataset there, and may not. */
const LEAVE_FOLDER = ['sh', '-c', 'LAB_FOLDER=$(pwd -P); export LAB_FOLDER; exec "$@"', 'sh'];
const FIND_FOLDER = ['sh', '-c', 'cd "$LAB_FOLDER" 2>/dev/null; unset LAB_FOLDER; exec "$@"', 'sh'];

export class Lab {
  readonly plan: LabPlan;
  readonly notes: LabNotes;

  constructor(plan: LabPlan, notes: LabNotes) {
    this.plan = plan;
    this.notes = notes;
  }

  /** @throws CliError when there is no such lab. */
  static async attach(name: string): Promise<Lab> {
    const plan = planLab(name);
    const notes = readNotes(plan);
    if (notes === null || (notes.holder !== null && !holderLives(notes.holder))) {
      throw new CliError('NO_LAB', `lab '${name}' is not up: ${upCommand(name)}`);
    }
    if (!isComplete(plan, notes, await namespacesOf(plan, notes.holder))) {
      throw new CliError('NO_LAB', `lab '${name}' is damaged: 'wiredis lab down', then ${upCommand(name)}`);
    }
    return new Lab(plan, notes);
  }

  /** The whole command line that runs `command` on `host`, on that host's core. Every word execs: pids stay. */
  argv(host: string, command: readonly string[]): string[] {
    const { holder, cores, bridge } = this.notes;
    const place = [...enterWords(holder), 'ip', 'netns', 'exec', this.namespaceOf(host)];
    // Many hosts share what cores there are.
    const core = bridge === null ? ['taskset', '-c', String(cores[host as Host])] : [];
    if (holder === null) return [...place, ...core, ...command];
    return [...LEAVE_FOLDER, ...place, ...FIND_FOLDER, ...core, ...command];
  }

  /** Names of the hosts, the client's last. */
  get hosts(): string[] {
    const { bridge } = this.notes;
    return bridge === null ? ['server', 'client'] : [...bridge.hosts.map(({ name }) => name), 'client'];
  }

  /** @throws CliError when there is no such host. */
  namespaceOf(host: string): string {
    if (!this.hosts.includes(host)) {
      throw new CliError('NO_HOST', `no host '${host}' in the lab '${this.plan.name}': ${this.hosts.join(', ')}`);
    }
    return host === 'server' ? this.plan.namespaces.server : `${this.plan.name}-${host}`;
  }

  /** Pulls both cables of a server host, or puts them back. @throws CliError when it has none that can be pulled. */
  async plug(host: string, isIn: boolean): Promise<void> {
    const { bridge, holder } = this.notes;
    const named = bridge?.hosts.find(({ name }) => name === host);
    if (bridge === null || named === undefined) {
      throw new CliError(
        'NO_HOST',
        `only hosts on a bridge have cables to pull ('wiredis lab up --hosts N'), not '${host}'`,
      );
    }
    for (const device of [named.device, named.kernelDevice]) {
      const words = ['-n', bridge.switch, 'link', 'set', device, isIn ? 'up' : 'down'];
      await must([...enterWords(holder), 'ip', ...words]);
    }
  }

  start(host: string, command: readonly string[], options: SpawnOptions): ChildProcess {
    return start(this.argv(host, command), options);
  }

  run(host: string, command: readonly string[], input?: string | Uint8Array): Promise<Result> {
    return run(this.argv(host, command), input);
  }

  must(host: string, command: readonly string[]): Promise<string> {
    return must(this.argv(host, command));
  }

  has(link: LinkName): boolean {
    return this.notes.links.includes(link);
  }

  netdevFile(link: 'direct' | 'tap'): string {
    return netdevFile(this.plan, link);
  }

  /** After a server has attached XDP: its NAPI thread exists now and moves to the server's core. */
  async pinReceiveThreads(): Promise<number[]> {
    if (this.notes.holder !== null || this.notes.bridge !== null) return [];
    return pinNapiThreads(this.plan.links.direct.veth, this.notes.cores.server);
  }

  /** Pids of everything that runs on `host`. */
  async processes(host: string): Promise<number[]> {
    return processesIn(this.namespaceOf(host), this.notes.holder);
  }

  down(progress: (line: string) => void = () => {}): Promise<boolean> {
    return takeDown(this.plan.name, progress);
  }
}

/**
 * Removes a lab or whatever is left of one: processes, namespaces (and with them every interface), notes.
 * @returns whether there was anything.
 */
export async function takeDown(name: string, progress: (line: string) => void): Promise<boolean> {
  const plan = planLab(name);
  const notes = readNotes(plan);
  const holder = notes?.holder ?? null;
  let found = existsSync(plan.directory);
  if (holder === null || holderLives(holder)) {
    for (const namespace of await namespacesOf(plan, holder)) {
      found = true;
      const pids = await processesIn(namespace, holder);
      if (pids.length > 0) progress(`stopping in ${namespace}: ${pids.map(describeProcess).join(', ')}`);
      await stopProcesses(pids, STOP_GRACE_MS);
      await must([...enterWords(holder), 'ip', 'netns', 'delete', namespace]);
      progress(`removed namespace ${namespace}`);
    }
  }
  if (holder !== null && holderLives(holder)) await stopProcesses([holder.pid], 0);
  rmSync(plan.directory, { recursive: true, force: true });
  try {
    rmdirSync(dirname(plan.directory)); // shared by all labs of this user: goes with the last one
  } catch {
    // another lab's notes are in it, or it never was
  }
  return found;
}

/** @returns null when there are none, or when what is there was cut off half-way. */
export function readNotes(plan: LabPlan): LabNotes | null {
  try {
    return JSON.parse(readFileSync(join(plan.directory, 'lab.json'), 'utf8'));
  } catch {
    return null;
  }
}

/** Whether everything that the notes speak of is there. */
export function isComplete(plan: LabPlan, { links, bridge }: LabNotes, existing: readonly string[]): boolean {
  const wanted =
    bridge === null
      ? Object.values(plan.namespaces)
      : [plan.namespaces.client, bridge.switch, ...bridge.hosts.map(({ namespace }) => namespace)];
  return (bridge !== null || links.length > 0) && wanted.every((namespace) => existing.includes(namespace));
}

/** Namespaces that belong to such a lab, of either kind. */
export async function namespacesOf(plan: LabPlan, holder: Holder | null): Promise<string[]> {
  const listed = (await must([...enterWords(holder), 'ip', 'netns', 'list']))
    .split('\n')
    .map((row) => row.split(' ')[0]);
  return listed.filter((namespace) => {
    return namespace.startsWith(`${plan.name}-`) && HOST_NAME.test(namespace.slice(plan.name.length + 1));
  });
}

async function processesIn(namespace: string, holder: Holder | null): Promise<number[]> {
  const listed = await run([...enterWords(holder), 'ip', 'netns', 'pids', namespace]);
  return listed.stdout.split(/\s+/).filter(Boolean).map(Number);
}

function describeProcess(pid: number): string {
  try {
    return `${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()} (${pid})`;
  } catch {
    return String(pid);
  }
}

export function upCommand(name: string): string {
  return name === 'wiredis' ? "'wiredis lab up'" : `'wiredis lab up --name ${name}'`;
}
