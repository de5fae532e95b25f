// Bytes of V8's heap that a request costs: the heap before and after, with room enough that nothing is collected between.
import { CliError } from '../../tool.ts';
import { fillKeyspace, type Load } from '../load.ts';
import type { RunningServer } from '../paths.ts';
import { type Context, type Measured, runLoad, type Scenario, warmUp } from '../scenario.ts';

/** MiB; what the run allocates has to fit. */
const ROOM = 256;

export const heap: Scenario = {
  name: 'heap',
  summary: "bytes of V8's heap per GET and SET",
  paths: ['afxdp', 'afpacket'],
  columns: ['heapBytes'],
  roundsMax: 1,
  async run(context) {
    const nodeFlags = [`--max-semi-space-size=${ROOM}`, `--min-semi-space-size=${ROOM}`];
    const server = await context.serve({ nodeFlags });
    const keyspace = 10_000;
    await fillKeyspace(context.lab, server, keyspace, 3);
    const measured: Measured[] = [];
    for (const test of ['get', 'set']) {
      for (const pipeline of [1, 16]) {
        const requests = (context.effort === 'quick' ? 20_000 : 100_000) * (pipeline === 1 ? 1 : 5);
        const load: Load = { test, pipeline, clients: 50, valueBytes: 3, keyspace, requests };
        await warmUp(context, server, load);
        const few = await allocated(context, server, load);
        const many = await allocated(context, server, { ...load, requests: requests * 3 });
        // What the connections cost is in both.
        const heapBytes = Math.max(0, many - few) / (requests * 2);
        measured.push({ test: test.toUpperCase(), pipeline, values: { heapBytes } });
      }
    }
    return measured;
  },
};

/** Bytes that the heap grows by during a run. */
async function allocated(context: Context, server: RunningServer, load: Load): Promise<number> {
  const before = await heapUsed(server);
  await runLoad(context, server, load);
  return (await heapUsed(server)) - before;
}

async function heapUsed(server: RunningServer): Promise<number> {
  const used = /V8's heap: (\d+)/.exec(await server.ask('MEMORY', 'MALLOC-STATS'));
  if (used === null) throw new CliError('SERVER_FAILED', 'the server does not tell what its heap holds');
  return Number(used[1]);
}
