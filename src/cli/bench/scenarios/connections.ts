// New connections: connect, one GET, close. By a client of our own, the same for every server, which has time left where the
// servers have none; and by redis-benchmark, whose kernel takes as long for a connection as a server does.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CliError } from '../../tool.ts';
import type { RunningServer } from '../paths.ts';
import { type Context, LOAD_COLUMNS, type Measured, runLoad, type Scenario, warmUp, withCores } from '../scenario.ts';
import type { ConnectResult } from '../workers/connect-load.ts';
import { amount } from './throughput.ts';

const worker = join(dirname(fileURLToPath(import.meta.url)), '..', 'workers', 'connect-load.js');
/** Connections at a time: so many that our server never waits for the client, and as many as redis-benchmark has. */
const MANY = 200;
const FEW = 50;
/** Of the network's addresses the client's own: the kernel has others. */
const HOST_NUMBER = '77';

async function connect(
  { lab, path }: Context,
  server: RunningServer,
  lanes: number,
  connections: number,
): Promise<ConnectResult> {
  const { veth, clientAddress } = lab.plan.links[path.link];
  const address = clientAddress.replace(/\d+$/, HOST_NUMBER);
  const words = [veth, address, server.address, server.port, lanes, connections].map(String);
  const output = await lab.run('client', [process.execPath, worker, ...words]);
  if (output.code !== 0) throw new CliError('LOAD_FAILED', `connecting failed: ${output.stderr.trim()}`);
  return JSON.parse(output.stdout) as ConnectResult;
}

async function byOwnClient(context: Context, server: RunningServer, lanes: number): Promise<Measured> {
  const connections = amount(context.effort, 150_000);
  await connect(context, server, lanes, Math.ceil(connections / 5));
  await server.settle();
  const [result, coresOver] = await withCores(context.lab, () => connect(context, server, lanes, connections));
  const { seconds, p50Us, p99Us, maxUs, again, resets } = result;
  if (resets > 0) throw new CliError('LOAD_FAILED', `${resets} of ${connections} connections were reset`);
  const rate = connections / seconds;
  context.progress(
    `${context.path.name}: ${Math.round(rate)} connections a second${again > 0 ? `, ${again} segments sent again` : ''}`,
  );
  const times = { p50Ms: p50Us / 1000, p99Ms: p99Us / 1000, maxMs: maxUs / 1000 };
  const test = lanes === MANY ? 'CONNECT+GET' : `CONNECT+GET, ${lanes} at a time`;
  return { test, pipeline: 1, values: { rate, ...times, ...coresOver(connections) } };
}

async function byRedisBenchmark(context: Context, server: RunningServer): Promise<Measured> {
  // The client closes first and keeps the port in TIME-WAIT: he needs more of them, and them back.
  const settings = ['ip_local_port_range=1024 65535', 'tcp_tw_reuse=1', 'tcp_max_tw_buckets=65536'];
  for (const setting of settings) await context.lab.must('client', ['sysctl', '-q', '-w', `net.ipv4.${setting}`]);
  const load = { test: 'get', pipeline: 1, clients: FEW, valueBytes: 3, keyspace: 0, reconnects: true };
  const run = { ...load, requests: amount(context.effort, 60_000) };
  await warmUp(context, server, run);
  const { values } = await runLoad(context, server, run);
  return { test: 'CONNECT+GET, redis-benchmark', pipeline: 1, values };
}

export const connections: Scenario = {
  name: 'connections',
  summary: 'a new connection for every GET, connect, ask, close: by a client without sockets, and by redis-benchmark',
  paths: ['redis', 'afxdp', 'afpacket'],
  columns: LOAD_COLUMNS,
  async run(context) {
    const server = await context.serve();
    const own = [await byOwnClient(context, server, MANY), await byOwnClient(context, server, FEW)];
    return [...own, await byRedisBenchmark(context, server)];
  },
};
