// BullMQ under load: jobs in bulk, with priorities, delays and retries, done by several workers at once. Prints counts as JSON.
//   bullmq.js HOST PORT JOBS
import { Queue, QueueEvents, Worker } from 'bullmq';

const [host, port, jobs] = process.argv.slice(2);
const connection = { host, port: Number(port), maxRetriesPerRequest: null };
const total = Number(jobs);
const queue = new Queue('load', { connection });
await queue.obliterate({ force: true });
const events = new QueueEvents('load', { connection });
await events.waitUntilReady();
const done = new Map();
const failures = new Set();
const workers = Array.from(
  { length: 3 },
  () =>
    new Worker(
      'load',
      async (job) => {
        if (job.data.value % 10 === 3 && job.attemptsMade === 0) throw new Error('once');
        await job.updateProgress(50);
        return job.data.value * 2;
      },
      { connection, concurrency: 5 },
    ),
);
const finished = new Promise((resolve) => {
  events.on('completed', ({ jobId, returnvalue }) => {
    done.set(jobId, Number(returnvalue));
    if (done.size === total) resolve();
  });
  events.on('failed', ({ jobId }) => failures.add(jobId));
});
await queue.addBulk(
  Array.from({ length: total }, (_, value) => ({
    name: 'double',
    data: { value },
    opts: { priority: 1 + (value % 3), attempts: 2, delay: value % 20 === 0 ? 100 : 0 },
  })),
);
await finished;
const counts = await queue.getJobCounts('completed', 'failed', 'waiting', 'active', 'delayed', 'prioritized');
for (const worker of workers) await worker.close();
await events.close();
await queue.close();
const sum = [...done.values()].reduce((a, b) => a + b, 0);
process.stdout.write(JSON.stringify({ done: done.size, sum, failures: failures.size, counts }));
