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
/** Of the client's core. A probe that takes more starves the load beside it, and what is measured is the probe. */
const PROBE_SHARE_MAX = 0.4;

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

/** The probe shares the client's core with the load: it goes first, so that it measures the server. */
const BEFORE_OTHERS: readonly string[] = ['chrt', '-f', '10'];

/**
 * With one thread: the main one goes before all others on its core, V8's helpers among them, and after a collection it would ask
 * for the end of their sweeping over and over, never letting them come to it.
 */
export function probeCommand(address: string, port: number): string[] {
  return [process.execPath, '--single-threaded', worker, address, String(port)];
}

/** Runs `work` with the probe beside it. */
async function probed(
  { lab, path, progress }: Context,
  server: RunningServer,
  test: string,
  requests: number,
  work: () => Promise<void>,
): Promise<Measured> {
  const first = lab.notes.holder === null ? BEFORE_OTHERS : [];
  const words = [...first, ...probeCommand(server.address, server.port)];
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
  const values = valuesOf(JSON.parse(output) as ProbeResult, requests);
  progress(`${path.name}: ${test}, longest wait ${values.maxMs.toFixed(1)} ms`);
  return { test, pipeline: 1, values };
}

/** @throws CliError when the probe was in the load's way. */
export function valuesOf({ seconds, p50Us, p99Us, maxUs, coreShare }: ProbeResult, requests: number) {
  if (coreShare > PROBE_SHARE_MAX) {
    const share = `${Math.round(coreShare * 100)} % of the client's core`;
    throw new CliError('LOAD_FAILED', `the probe beside the load took ${share}: the figures would be its own`);
  }
  return { rate: requests / seconds, p50Ms: p50Us / 1000, p99Ms: p99Us / 1000, maxMs: maxUs / 1000 };
}
