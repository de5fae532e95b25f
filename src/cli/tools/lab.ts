// `wiredis lab`: two hosts on one machine, to try and measure the server without a second computer.
import { constants } from 'node:os';
import { sleep } from '../../platform/sleep.ts';
import { buildLab, describeState } from '../lab/build.ts';
import { Lab, takeDown } from '../lab/lab.ts';
import { DEFAULT_NAME, defaultCores, HOSTS_MAX, type Host } from '../lab/plan.ts';
import { exitCodeOf, requirePrograms } from '../lab/process.ts';
import { EXIT_FAILED, EXIT_OK, nearestName, parseOptions, type Tool, UsageError, wholeNumber } from '../tool.ts';

const help = `Usage: wiredis lab up [--name PREFIX] [--server-core N] [--client-core N] [--queues N] | [--hosts N]
       wiredis lab exec [--name PREFIX] server|client|hostN -- COMMAND [ARGUMENT...]
       wiredis lab unplug|plug [--name PREFIX] hostN
       wiredis lab status [--name PREFIX]
       wiredis lab down [--name PREFIX]

Two hosts on this machine, in the network namespaces PREFIX-server and PREFIX-client (default: wiredis), joined by
  direct   a veth whose server end has no kernel address   server 10.77.0.1, client 10.77.0.2
  kernel   a veth with kernel addresses, to compare with   server 10.77.1.1, client 10.77.1.2
  tap      a tap device for the server, bridged to a veth  server 10.77.2.1, client 10.77.2.2
Offloads are set so that real checksums cross the user-space links, and receive work is steered so that each host
uses its own core. 'up' writes a netdev.conf for each user-space link and prints where. 'down' stops what runs
inside and leaves nothing behind; it may be called at any time. Without root the lab is made in a user
namespace: AF_PACKET and libpcap work there, AF_XDP and steering do not.

With --hosts N there are N server hosts and the client on one bridge, for clusters and failovers:
  hostN    10.77.3.N for wiredis-server (no kernel address), 10.77.3.(100 + N) the kernel's, on a second interface
  client   10.77.3.254
each with a netdev.conf of its own; 'unplug' pulls both cables of a host, 'plug' puts them back.

Options:
  --name PREFIX     start of the namespaces' names, so that several labs can be up at once
  --hosts N         server hosts on one bridge, at most ${HOSTS_MAX}; without it, one with the three links above
  --server-core N   core of the server's host (default 0)
  --queues N        receive queues of the direct link's ends, for 'wiredis-server --workers N' (default 1)
  --client-core N   core of the client's host (default 1 where there is one)

Example:
  wiredis lab up
  wiredis lab exec server -- wiredis-server --transport userspace --netdev /run/wiredis-lab/wiredis/netdev.conf \\
    --bind 10.77.0.1 --protected-mode no
  wiredis lab exec client -- redis-cli -h 10.77.0.1
  wiredis lab down`;

const ACTIONS = ['up', 'down', 'exec', 'status', 'unplug', 'plug'] as const;
const progress = (line: string): void => void process.stdout.write(`lab: ${line}\n`);

export const lab: Tool = {
  help,
  async run(args: string[]): Promise<number> {
    const [action, ...rest] = args;
    if (action === undefined) throw new UsageError(`lab wants one of: ${ACTIONS.join(', ')}`);
    switch (action) {
      case 'up':
        return up(rest);
      case 'down':
        return down(rest);
      case 'exec':
        return execute(rest);
      case 'status':
        return status(rest);
      case 'unplug':
      case 'plug':
        return plug(rest, action === 'plug');
    }
    const nearest = nearestName(action, ACTIONS);
    throw new UsageError(
      `unknown action '${action}' of lab; ${nearest ? `did you mean '${nearest}'?` : ACTIONS.join(', ')}`,
    );
  },
};

async function up(args: string[]): Promise<number> {
  const { values } = parseOptions({
    args,
    options: {
      name: { type: 'string', default: DEFAULT_NAME },
      'server-core': { type: 'string' },
      'client-core': { type: 'string' },
      hosts: { type: 'string' },
      queues: { type: 'string', default: '1' },
    },
  });
  const hosts = values.hosts === undefined ? 0 : wholeNumber(values.hosts, 'hosts', 1);
  if (hosts > HOSTS_MAX) throw new UsageError(`--hosts wants at most ${HOSTS_MAX}, not ${hosts}`);
  const cores = defaultCores();
  if (values['server-core'] !== undefined) cores.server = wholeNumber(values['server-core'], 'server-core', 0);
  if (values['client-core'] !== undefined) cores.client = wholeNumber(values['client-core'], 'client-core', 0);
  const queues = wholeNumber(values.queues, 'queues', 1);
  await buildLab({ name: values.name, cores, hosts, queues, progress });
  return EXIT_OK;
}

async function down(args: string[]): Promise<number> {
  requirePrograms(['ip']);
  const found = await takeDown(nameOf(args), progress);
  progress(found ? 'down' : 'there was none');
  return EXIT_OK;
}

async function status(args: string[]): Promise<number> {
  requirePrograms(['ip']);
  const name = nameOf(args);
  const state = await describeState(name);
  progress(state.line);
  if (!state.up) return EXIT_FAILED;
  const found = await Lab.attach(name);
  for (const host of found.hosts) {
    const running = await found.processes(host);
    const core = found.notes.bridge === null ? `core ${found.notes.cores[host as Host]}, ` : '';
    progress(`${found.namespaceOf(host)}: ${core}${running.length} processes`);
    process.stdout.write(await found.must(host, ['ip', '-brief', 'address', 'show']));
  }
  for (const warning of found.notes.warnings) progress(`note: ${warning}`);
  return EXIT_OK;
}

/** Replaces nothing and adds nothing: stdin, stdout, stderr, signals and the exit code are the command's own. */
async function execute(args: string[]): Promise<number> {
  const end = args.indexOf('--');
  const { values, positionals } = parseOptions({
    args: end === -1 ? args : args.slice(0, end),
    options: { name: { type: 'string', default: DEFAULT_NAME } },
    allowPositionals: true,
  });
  const [host, ...inline] = positionals;
  const command = [...inline, ...(end === -1 ? [] : args.slice(end + 1))];
  if (!/^(server|client|host\d+)$/.test(host ?? '')) {
    throw new UsageError("lab exec wants 'server', 'client' or 'hostN' first");
  }
  if (command.length === 0) throw new UsageError(`lab exec wants a command: wiredis lab exec ${host} -- COMMAND`);
  const found = await Lab.attach(values.name);
  return runAttached(found, host, command);
}

async function plug(args: string[], isIn: boolean): Promise<number> {
  const { values, positionals } = parseOptions({
    args,
    options: { name: { type: 'string', default: DEFAULT_NAME } },
    allowPositionals: true,
  });
  if (positionals.length !== 1) throw new UsageError(`lab ${isIn ? 'plug' : 'unplug'} wants one host`);
  await (await Lab.attach(values.name)).plug(positionals[0], isIn);
  return EXIT_OK;
}

async function runAttached(found: Lab, host: string, command: readonly string[]): Promise<number> {
  const child = found.start(host, command, { stdio: 'inherit' });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, forward);
  const exited = exitCodeOf(child, constants.signals);
  if (host === 'server') await pinWhileStarting(found, exited);
  return exited;
}

/** A server attaches XDP in its first moments, if at all; its NAPI thread belongs on the server's core. */
async function pinWhileStarting(found: Lab, exited: Promise<number>): Promise<void> {
  let over = false;
  const done = exited.then(() => (over = true));
  for (let attempt = 0; attempt < 50 && !over; attempt++) {
    await Promise.race([sleep(200), done]);
    if (!over && (await found.pinReceiveThreads()).length > 0) return;
  }
}

function nameOf(args: string[]): string {
  return parseOptions({ args, options: { name: { type: 'string', default: DEFAULT_NAME } } }).values.name;
}
