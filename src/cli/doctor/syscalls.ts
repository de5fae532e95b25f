// `wiredis doctor --syscalls SECONDS`: the system calls of a running server, by name and by request.
import { askServer } from '../observe/server-option.ts';
import { tableLines } from '../observe/table.ts';
import { EXIT_OK } from '../tool.ts';
import type { ServerFacts } from './running-server.ts';
import { countSyscalls } from './syscall-count.ts';

export async function showSyscalls(server: string, seconds: number, asJson: boolean): Promise<number> {
  const { pid, transport } = await askServer<ServerFacts>(server, 'server');
  const commands: number[] = [];
  const counted = await countSyscalls(pid, seconds, async () => {
    commands.push((await askServer<ServerFacts>(server, 'server')).commands ?? 0);
  });
  const requests = commands[1] - commands[0];
  const total = [...counted.calls.values()].reduce((sum, count) => sum + count, 0);
  const facts = { pid, transport, by: counted.by, seconds, requests, total, calls: Object.fromEntries(counted.calls) };
  const lines = asJson ? [JSON.stringify(facts, null, 2)] : describe(facts);
  process.stdout.write(`${lines.join('\n')}\n`);
  return EXIT_OK;
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
