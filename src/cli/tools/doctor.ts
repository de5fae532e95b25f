// `wiredis doctor`: what stands in the way of a server here, and what is wrong with a running one; each finding with the
// command that mends it. The checks are in src/cli/doctor.
import { resolve } from 'node:path';
import type { EngineChoice } from '../../../io-engine/options.ts';
import { createConfig } from '../../core/config.ts';
import { examine, rowLines, summary } from '../doctor/checks.ts';
import { namedServer, type RunningServer, runningServers } from '../doctor/running-server.ts';
import { type DoctorOptions, Situation } from '../doctor/situation.ts';
import { showSyscalls } from '../doctor/syscalls.ts';
import { printDocument } from '../doctor/syscalls-document.ts';
import { SERVER_HELP, SERVER_OPTION } from '../observe/server-option.ts';
import { EXIT_FAILED, EXIT_OK, parseOptions, portNumber, type Tool, UsageError, wholeNumber } from '../tool.ts';

const help = `Usage: wiredis doctor [--netdev FILE] [--engine NAME] [--peer ADDRESS] [--bind ADDRESS] [--json]
       wiredis doctor --transport kernel [--port PORT] [--bind ADDRESS] [--json]
       wiredis doctor --server PID|PATH [--peer ADDRESS] [--json]
       wiredis doctor --syscalls SECONDS [--json] [--server PID|PATH]

Looks for what keeps a server from working here, a line a check: pass, warn or fail, what was found, and the command
that mends it. Before a start it opens the interface for a few seconds as the server would, unless the kernel uses it.
Where a server runs on that interface it is asked instead, and what it loses is looked at too. Exit code 1: a check fails.

Options:
  --netdev FILE        the server's netdev.conf (default: that of the server that runs here, else ./netdev.conf)
  --engine NAME        as the server's: auto, afxdp, afpacket, pcap, tap, raw
  --transport NAME     userspace (default) or kernel
  --bind ADDRESS       the server's bind
  --port PORT          the server's port (default 6379)
  --workers N          the server's workers (default 1)
  --peer ADDRESS       a client that should be able to reach the server: does it answer, how large may packets be
                       (may be given again: its IPv6 address beside its IPv4 one tells what is wrong with either)
  --json               for programs: { "ok": true, "checks": [{ "name", "verdict", "text", "mend" }] }
  --syscalls SECONDS   count the system calls of a running server, by name and by request (strace, or perf trace)
  --syscalls-document  run redis-server and wiredis-server under strace in a lab and print docs/syscalls.md (root)
${SERVER_HELP}

Examples:
  wiredis doctor --netdev netdev.conf --peer 192.0.2.20
  wiredis doctor --json | jq -r '.checks[] | select(.verdict == "fail") | .mend'`;

const ENGINES: readonly EngineChoice[] = ['auto', 'afxdp', 'afpacket', 'pcap', 'tap', 'raw'];
const TRANSPORTS = ['userspace', 'kernel'] as const;
const DEFAULT_PORT = 6379;

export const doctor: Tool = {
  help,
  async run(args: string[]): Promise<number> {
    const { values } = parseOptions({
      args,
      options: {
        netdev: { type: 'string' },
        engine: { type: 'string', default: 'auto' },
        transport: { type: 'string', default: 'userspace' },
        bind: { type: 'string', default: '' },
        port: { type: 'string', default: String(DEFAULT_PORT) },
        workers: { type: 'string', default: '1' },
        peer: { type: 'string', multiple: true, default: [] },
        json: { type: 'boolean', default: false },
        syscalls: { type: 'string' },
        'syscalls-document': { type: 'boolean', default: false },
        ...SERVER_OPTION,
      },
    });
    if (values['syscalls-document']) return printDocument();
    if (values.syscalls !== undefined) {
      const seconds = wholeNumber(values.syscalls, 'syscalls', 1);
      const here = values.server === '' ? await runningServers() : [];
      return showSyscalls(here.length === 1 ? here[0].path : values.server, seconds, values.json);
    }
    const port = portNumber(values.port);
    const engine = oneOf(values.engine, 'engine', ENGINES);
    const transport = oneOf(values.transport, 'transport', TRANSPORTS);
    const running = await runningServers();
    const server = await chooseServer(values.server, values.netdev, transport, running);
    const options: DoctorOptions = {
      transport: server?.facts.transport ?? transport,
      netdev: resolve(values.netdev ?? server?.facts.netdev ?? createConfig().netdev),
      engine,
      port,
      workers: wholeNumber(values.workers, 'workers', 1),
      bind: values.bind,
      peers: values.peer,
    };
    return report(new Situation(options, server, running), values.json);
  },
};

function oneOf<T extends string>(value: string, option: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value);
  if (found === undefined) throw new UsageError(`--${option} wants one of ${allowed.join(', ')}, not '${value}'`);
  return found;
}

/** The server that is to be looked at: the one named, the one with that netdev.conf, or the only one. */
async function chooseServer(
  wanted: string,
  netdev: string | undefined,
  transport: DoctorOptions['transport'],
  running: readonly RunningServer[],
): Promise<RunningServer | null> {
  if (wanted !== '') return namedServer(wanted);
  if (transport === 'kernel') return null;
  const candidates = running.filter(
    ({ facts, stack }) => stack !== null && (netdev === undefined || facts.netdev === resolve(netdev)),
  );
  // Workers are servers of the same netdev.conf: any of them will do.
  const isOne = candidates.every(({ facts }) => facts.netdev === candidates[0].facts.netdev);
  return isOne ? (candidates[0] ?? null) : null;
}

async function report(situation: Situation, asJson: boolean): Promise<number> {
  const print = (lines: readonly string[]): void => void process.stdout.write(`${lines.join('\n')}\n`);
  const rows = await examine(situation, (row) => {
    if (!asJson) print(rowLines(row));
  });
  const ok = rows.every(({ verdict }) => verdict !== 'fail');
  print(asJson ? [JSON.stringify({ ok, checks: rows }, null, 2)] : ['', summary(rows)]);
  return ok ? EXIT_OK : EXIT_FAILED;
}
