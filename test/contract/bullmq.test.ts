// BullMQ on our server over kernel sockets: real jobs with delays, priorities, retries and a flow, by its own scripts.
import { FlowProducer, type Job, Queue, QueueEvents, Worker } from 'bullmq';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { commandTable } from '../../src/commands/table.ts';
import { OurServer } from '../support/our-server.ts';

const hasStreams = commandTable.some(({ name }) => name === 'xadd');
let server: OurServer;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  server = await OurServer.start();
});

afterAll(async () => {
  for (const one of open.reverse()) await one.close();
  await server.stop();
});

/** Closed at the end. */
function kept<T extends { close(): Promise<void> }>(one: T): T {
  open.push(one);
  return one;
}

const connection = (): { host: string; port: number; maxRetriesPerRequest: null } => ({
  host: '127.0.0.1',
  port: server.port,
  maxRetriesPerRequest: null,
});

it.skipIf(!hasStreams)(
  'runs jobs by priority, with delays and retries, and tells of their end',
  async () => {
    const queue = kept(new Queue('work', { connection: connection() }));
    const events = kept(new QueueEvents('work', { connection: connection() }));
    await events.waitUntilReady();
    const jobs: Job[] = [];
    for (let i = 0; i < 100; i++) {
      jobs.push(
        await queue.add('square', { value: i }, { priority: 1 + (i % 3), attempts: 2, delay: i % 10 === 0 ? 50 : 0 }),
      );
    }
    expect(await queue.getJobCounts('prioritized', 'delayed')).toEqual({ prioritized: 90, delayed: 10 });
    const failedOnce = new Set<string>();
    const worker = new Worker(
      'work',
      async (job: Job) => {
        if (job.data.value % 7 === 0 && !failedOnce.has(job.id!)) {
          failedOnce.add(job.id!);
          throw new Error('once');
        }
        await job.updateProgress(50);
        return job.data.value ** 2;
      },
      { connection: connection(), concurrency: 4 },
    );
    kept(worker);
    const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 15_000)));
    expect(results).toEqual(jobs.map((job) => job.data.value ** 2));
    expect(failedOnce.size).toBe(15);
    expect(await queue.getJobCounts('completed', 'failed', 'waiting', 'active')).toEqual({
      completed: 100,
      failed: 0,
      waiting: 0,
      active: 0,
    });
  },
  30_000,
);

it.skipIf(!hasStreams)(
  'runs a parent when its children are done',
  async () => {
    const flow = kept(new FlowProducer({ connection: connection() }));
    const events = kept(new QueueEvents('parents', { connection: connection() }));
    await events.waitUntilReady();
    kept(new Worker('children', async (job: Job) => job.data.n * 2, { connection: connection() }));
    kept(
      new Worker(
        'parents',
        async (job: Job) => Object.values(await job.getChildrenValues<number>()).reduce((a, b) => a + b, 0),
        { connection: connection() },
      ),
    );
    const children = [1, 2, 3].map((n) => ({ name: 'child', queueName: 'children', data: { n } }));
    const { job } = await flow.add({ name: 'sum', queueName: 'parents', children });
    expect(await job.waitUntilFinished(events, 15_000)).toBe(12);
  },
  30_000,
);
