// Latency where servers are meant to live: at half of what redis-server can do. Requests leave on a schedule, whatever
// the answers do, and count from when they should have left, so that a stall is seen whole.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CliError } from '../../tool.ts';
import { fillKeyspace, type Load } from '../load.ts';
import { runLoad, type Scenario, warmUp, withCores } from '../scenario.ts';
import type { PacedResult } from '../workers/paced-load.ts';

const worker = join(dirname(fileURLToPath(import.meta.url)), '..', 'workers', 'paced-load.js');
const PEAK = 'peak';

export const halfLoad: Scenario = {
  name: 'half-load',
  summary: 'latency of GET at half the rate that redis-server reaches, on a schedule',
  paths: ['redis', 'afxdp', 'afpacket'],
  columns: ['rate', 'p50Ms', 'p99Ms', 'maxMs', 'serverUs', 'serverIdle', 'clientIdle'],
  async run(context) {
    const { lab, effort, notes } = context;
    const keyspace = effort === 'quick' ? 10_000 : 1_000_000;
    const server = await context.serve();
    await fillKeyspace(lab, server, keyspace, 3);
    const requests = effort === 'quick' ? 10_000 : 150_000;
    const load: Load = { test: 'get', pipeline: 1, clients: 50, valueBytes: 3, keyspace, requests };
    await warmUp(context, server, load);
    // The reference comes first, and its peak counts for all.
    if (!notes.has(PEAK)) notes.set(PEAK, (await runLoad(context, server, load)).values.rate ?? 0);
    const rate = Math.round((notes.get(PEAK) ?? 0) / 2);
    const seconds = effort === 'quick' ? 1 : 8;
    const words = [server.address, server.port, rate, seconds, load.clients, keyspace].map(String);
    const [output, coresOver] = await withCores(lab, () => lab.run('client', [process.execPath, worker, ...words]));
    if (output.code !== 0) throw new CliError('LOAD_FAILED', `paced load failed: ${output.stderr.trim()}`);
    const { asked, answered, p50Us, p99Us, maxUs } = JSON.parse(output.stdout) as PacedResult;
    context.progress(`${context.path.name}: ${rate} rps on schedule, p99 ${Math.round(p99Us)} us`);
    const times = { p50Ms: p50Us / 1000, p99Ms: p99Us / 1000, maxMs: maxUs / 1000 };
    return [{ test: 'GET', pipeline: 1, values: { rate: answered / seconds, ...times, ...coresOver(asked) } }];
  },
};
