// `wiredis doctor --syscalls SECONDS`: the system calls of a running server, by name and by request.
import { sleep } from '../../platform/sleep.ts';
import { askServer } from '../observe/server-option.ts';
import { tableLines } from '../observe/table.ts';
import { EXIT_OK } from '../tool.ts';
import type { ServerFacts } from './running-server.ts';
import { countSyscalls, type SyscallCount } from './syscall-count.ts';

export async function showSyscalls(server: string, seconds: number, asJson: boolean): Promise<number> {
  const { pid, transport } = await askServer<ServerFacts>(server, 'server');
  const { counted, requests } = await countBoth(server, pid, seconds);
  const total = [...counted.calls.values()].reduce((sum, count) => sum + count, 0);
  const facts = {
    pid,
    transport,
    by: counted.by,
    seconds: counted.seconds,
    requests,
    total,
    calls: Object.fromEntries(counted.calls),
  };
  const lines = asJson ? [JSON.stringify(facts, null, 2)] : describe(facts);
  process.stdout.write(`${lines.join('\n')}\n`);
  return EXIT_OK;
}

/** How long a server is watched to tell whether it is idle. */
const GLANCE_MS = 200;

/**
 * System calls and requests of the same time: a traced server is slower, so the control socket is asked for them while
 * it is traced. It is left alone when nobody asks it for anything, or the calls would be mostly our own.
 */
async function countBoth(
  server: string,
  pid: number,
  seconds: number,
): Promise<{ counted: SyscallCount; requests: number }> {
  const commands = async (): Promise<number> => (await askServer<ServerFacts>(server, 'server')).commands ?? 0;
  const first = await commands();
  await sleep(GLANCE_MS);
  const isIdle = (await commands()) === first;
  const seen: number[] = [];
  const look = async (): Promise<void> => void seen.push(await commands());
  const counted = await countSyscalls(pid, seconds, isIdle ? undefined : look);
  return { counted, requests: isIdle ? (await commands()) - first : seen[1] - seen[0] };
}

interface Facts {
  readonly pid: number;
  readonly transport: string;
  readonly by: string;
  readonly seconds: number;
  readonly requests: number;
  readonly total: number;
  readonly calls: Readonly<Record<string, number>>;
}

function describe({ pid, transport, by, seconds, requests, total, calls }: Facts): string[] {
  const row = ([name, count]: [string, number]) => [
    name,
    count,
    Number((count / seconds).toFixed(1)),
    requests === 0 ? '-' : Number((count / requests).toFixed(3)),
  ];
  return [
    `wiredis-server ${pid}, transport ${transport}: ${requests} requests in ${seconds} s, counted by ${by}`,
    '',
    ...tableLines(
      ['System call', 'Calls', 'Per second', 'Per request'],
      [...Object.entries(calls), ['total', total] as [string, number]].map(row),
    ),
  ];
}
