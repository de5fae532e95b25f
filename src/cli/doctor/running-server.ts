// The running server that doctor is about: the one that was named, or the one on the same interface.
import { readFileSync, readlinkSync } from 'node:fs';
import { ask, ControlClientError, findControlPath } from '../../observe/control-client.ts';
import { listControlPaths } from '../../observe/control-path.ts';
import type { StackFacts } from '../../transports/userspace.ts';
import { patiently, personsError } from '../observe/server-option.ts';
import { CliError } from '../tool.ts';

/** What the control socket says of the server as such. */
export interface ServerFacts {
  readonly pid: number;
  readonly transport: 'userspace' | 'kernel';
  readonly netdev: string;
  readonly port: number;
  readonly bind: readonly string[];
  readonly clients: number;
  /** Commands processed since the start, as in INFO; a relay counts none. */
  readonly commands?: number;
}

export interface RunningServer {
  /** Of its control socket. */
  readonly path: string;
  readonly facts: ServerFacts;
  /** Null: it uses the kernel's. */
  readonly stack: StackFacts | null;
}

/** @throws CliError */
export async function namedServer(wanted: string): Promise<RunningServer> {
  try {
    const server = await look(findControlPath(wanted));
    if (!isHere(server.facts.pid)) {
      const { pid } = server.facts;
      const enter = `nsenter --net --target ${pid} wiredis doctor --server ${pid}`;
      throw new CliError('OTHER_NETWORK', `server ${pid} is in another network namespace: ${enter}`);
    }
    return server;
  } catch (error) {
    throw personsError(error);
  }
}

/** Every server of this user in this network namespace. */
export async function runningServers(): Promise<RunningServer[]> {
  const servers: RunningServer[] = [];
  for (const { path, pid } of listControlPaths()) {
    if (!isHere(pid)) continue;
    try {
      servers.push(await look(path));
    } catch (error) {
      if (!(error instanceof ControlClientError)) throw error;
    }
  }
  return servers;
}

async function look(path: string): Promise<RunningServer> {
  const facts = (await patiently(ask(path, 'server'))) as ServerFacts;
  return { path, facts, stack: facts.transport === 'kernel' ? null : ((await ask(path, 'stack')) as StackFacts) };
}

/** In our network namespace, as far as we may know. */
export function isHere(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`) === readlinkSync('/proc/self/ns/net');
  } catch {
    return true;
  }
}

/** Name of a process, for people. */
export function processName(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return 'a process';
  }
}
