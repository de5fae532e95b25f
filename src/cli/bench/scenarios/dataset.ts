// A large dataset: what a key costs in memory, and the longest time that another client has to wait while it is
// written and read. The probe asks PING each millisecond over a connection of its own.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CliError } from '../../tool.ts';
import { benchmarkWords, fillKeyspace, type Load, readBenchmark } from '../load.ts';
import type { RunningServer } from '../paths.ts';
import type { Context, Measured, Scenario } from '../scenario.ts';
import type { ProbeResult } from '../workers/pause-probe.ts';

const worker = join(dirname(fileURLToPath(import.meta.url)), '..', 'workers', 'pause-probe.js');
const VALUE_BYTES = 64;

export const dataset: Scenario = {
  name: 'dataset',
  summary: '10 million keys of 16 bytes with values of 64: memory, and the longest wait while writing and reading them',
  paths: ['redis', 'afxdp'],
  columns: ['rssBytesPerKey', 'rate', 'p99Ms', 'maxMs'],
  roundsMax: 1,
  async run(context) {
    const keys = context.effort === 'quick' ? 200_000 : 10_000_000;
    const server = await context.serve();
    const empty = await residentBytes(server);
    const fill = await probed(context, server, 'fill', keys, () =>
      fillKeyspace(context.lab, server, keys, VALUE_BYTES),
    );
    const rssBytesPerKey = ((await residentBytes(server)) - empty) / keys;
    const load: Load = {
      test: 'get',
      pipeline: 16,
      clients: 50,
      valueBytes: VALUE_BYTES,
      keyspace: keys,
      requests: keys / 5,
    };
    const read = await probed(context, server, 'read', load.requests, async () => {
      readBenchmark(await context.lab.run('client', benchmarkWords(server.address, server.port, load)));
    });
    context.progress(`${context.path.name}: ${rssBytesPerKey.toFixed(1)} bytes a key`);
    return [{ ...fill, values: { ...fill.values, rssBytesPerKey } }, read];
  },
};

async function residentBytes(server: RunningServer): Promise<number> {
  return (await server.fact('used_memory_rss')) ?? 0;
}

/** Runs `work` with the probe beside it. */
async function probed(
  { lab, path, progress }: Context,
  server: RunningServer,
  test: string,
  requests: number,
  work: () => Promise<void>,
): Promise<Measured> {
  // The probe shares the client's core with the load: it goes first, so that it measures the server.
  const first = lab.notes.holder === null ? ['chrt', '-f', '10'] : [];
  const words = [...first, process.execPath, worker, server.address, String(server.port)];
  const probe = lab.start('client', words, { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  probe.stdout!.on('data', (chunk) => (output += chunk));
  const ended = new Promise((resolve) => probe.on('close', resolve));
  try {
    await work();
  } finally {
    probe.stdin!.end();
    await ended;
  }
  if (output === '') throw new CliError('LOAD_FAILED', 'the probe said nothing');
  const { seconds, p50Us, p99Us, maxUs } = JSON.parse(output) as ProbeResult;
  progress(`${path.name}: ${test}, longest wait ${(maxUs / 1000).toFixed(1)} ms`);
  const values = { rate: requests / seconds, p50Ms: p50Us / 1000, p99Ms: p99Us / 1000, maxMs: maxUs / 1000 };
  return { test, pipeline: 1, values };
}
