// redis-benchmark over every way a request can take: how many requests, how long they take, and what they cost either
// core. The scenario that the command line's own flags shape, and those with other commands, sizes and numbers of clients.
import { fillKeyspace, type Load } from '../load.ts';
import type { RunningServer } from '../paths.ts';
import type { Values } from '../sample.ts';
import {
  type Context,
  type Effort,
  LOAD_COLUMNS,
  type Measured,
  runLoad,
  runLoads,
  type Scenario,
  warmUp,
} from '../scenario.ts';

export interface LoadSettings {
  readonly tests: readonly string[];
  readonly pipelines: readonly number[];
  /** Requests a run at pipeline 1; ten times as many when pipelined. */
  readonly requests: number;
  readonly clients: number;
  readonly valueBytes: number;
  readonly keyspace: number;
}

function loadsOf({ tests, pipelines, requests, clients, valueBytes, keyspace }: LoadSettings): Load[] {
  return tests.flatMap((test) =>
    pipelines.map((pipeline) => ({
      ...{ test, pipeline, clients, valueBytes, keyspace },
      requests: pipeline === 1 ? requests : requests * 10,
    })),
  );
}

export function throughput(settings: LoadSettings): Scenario {
  return {
    name: 'throughput',
    summary: 'GET and SET over every path, alone and pipelined (shaped by the options below)',
    paths: ['redis', 'kernel', 'afxdp', 'afpacket', 'pcap', 'tap', 'relay'],
    columns: LOAD_COLUMNS,
    run: (context) => runLoads(context, loadsOf(settings)),
  };
}

export const amount = (effort: Effort, full: number): number => (effort === 'quick' ? Math.ceil(full / 50) : full);
const keysOf = (effort: Effort): number => amount(effort, 1_000_000);

export const commands: Scenario = {
  name: 'commands',
  summary: 'LPUSH, RPOP, SADD, HSET, INCR, ZADD and LRANGE_100, alone and pipelined',
  paths: ['redis', 'afxdp'],
  columns: LOAD_COLUMNS,
  run(context) {
    const tests = ['lpush', 'rpop', 'sadd', 'hset', 'incr', 'zadd', 'lrange_100'];
    const loads = tests.flatMap((test) =>
      [1, 16].map((pipeline): Load => {
        // LRANGE_100 moves two hundred times as many bytes a request.
        const isLong = test === 'lrange_100';
        const full = pipeline === 1 ? 80_000 : isLong ? 200_000 : 500_000;
        return { test, pipeline, clients: 50, valueBytes: 3, keyspace: 0, requests: amount(context.effort, full) };
      }),
    );
    return runLoads(context, loads);
  },
};

/** Frames that the device, or a full ring, lost before the stack saw them. */
async function receiveDrops(server: RunningServer): Promise<number> {
  return (await server.fact('receive-drops')) ?? 0;
}

export const bulk: Scenario = {
  name: 'bulk',
  summary: '500 clients that SET 4 KiB values, four at a time: receive rings, and stalls',
  paths: ['redis', 'afxdp', 'afpacket'],
  columns: ['rate', 'p50Ms', 'p99Ms', 'maxMs', 'drops', 'serverUs', 'clientUs', 'bothUs'],
  async run(context) {
    const { effort } = context;
    const server = await context.serve();
    const requests = amount(effort, 400_000);
    const load: Load = { test: 'set', pipeline: 4, clients: 500, valueBytes: 4096, keyspace: 10_000, requests };
    await warmUp(context, server, load);
    const before = await receiveDrops(server);
    const { values, ...rest } = await runLoad(context, server, load);
    return [{ ...rest, values: { ...values, drops: (await receiveDrops(server)) - before } }];
  },
};

export const largeValues: Scenario = {
  name: 'large-values',
  summary: 'GET of 1 MiB values over the tap, which cuts segments, and by the kernel over the same bridge',
  paths: ['redis-bridge', 'tap'],
  columns: LOAD_COLUMNS,
  async run(context) {
    const { effort } = context;
    const server = await context.serve();
    const value = 1 << 20;
    const common = { pipeline: 1, clients: 10, valueBytes: value, keyspace: 20 };
    await fillKeyspace(context.lab, server, common.keyspace, value);
    const load: Load = { ...common, test: 'get', requests: amount(effort, 5000) };
    await warmUp(context, server, { ...load, requests: Math.min(load.requests, 500) });
    const { values } = await runLoad(context, server, load);
    return [{ test: 'GET 1 MiB', pipeline: 1, values }];
  },
};

export const largeSets: Scenario = {
  name: 'large-sets',
  summary:
    'SET of 64 KiB and 1 MiB values, ten clients: what a frame a segment costs, where kernels hand each other 64 KiB at a time',
  paths: ['redis', 'afxdp', 'afpacket'],
  columns: LOAD_COLUMNS,
  async run(context) {
    const server = await context.serve();
    const measured: Measured[] = [];
    for (const [name, valueBytes, full] of [
      ['SET 64 KiB', 1 << 16, 40_000],
      ['SET 1 MiB', 1 << 20, 3000],
    ] as const) {
      const requests = amount(context.effort, full);
      const load: Load = { test: 'set', pipeline: 1, clients: 10, valueBytes, keyspace: 20, requests };
      await warmUp(context, server, { ...load, requests: Math.ceil(requests / 10) });
      const { values } = await runLoad(context, server, load);
      measured.push({ test: name, pipeline: 1, values });
    }
    return measured;
  },
};

const MANY = 10_000;

export const manyConnections: Scenario = {
  name: 'many-connections',
  summary: '10,000 clients that all ask, and 50',
  paths: ['redis', 'afxdp'],
  columns: LOAD_COLUMNS,
  async run(context: Context): Promise<Measured[]> {
    const { effort } = context;
    const server = await context.serve({ words: ['--maxclients', String(MANY + 100)] });
    const keyspace = keysOf(effort);
    await fillKeyspace(context.lab, server, keyspace, 3);
    const measured: Measured[] = [];
    for (const clients of [50, MANY]) {
      const load: Load = {
        test: 'get',
        pipeline: 1,
        clients,
        valueBytes: 3,
        keyspace,
        requests: amount(effort, 300_000),
      };
      await warmUp(context, server, load);
      const { values } = await runLoad(context, server, load);
      measured.push({ test: `GET, ${clients} clients`, pipeline: 1, values });
    }
    const [few, many] = measured.map(({ values }) => values.rate ?? 0);
    const kept: Values = { rate: few > 0 ? many / few : 0 };
    return [...measured, { test: 'rate kept', pipeline: 1, values: kept }];
  },
};
