// A mixed load with everything that may leak: expiry, eviction, snapshots, rewrites, subscribers, blocked clients, slow readers
// and clients that die. Prints a JSON line every few seconds ({ sample }) and one in the end ({ end }). Plain JavaScript,
// since it may run on another host than the test.
//   load.js HOST PORT SECONDS
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { Redis } from 'ioredis';

const [host, portWord, secondsWord] = process.argv.slice(2);
const port = Number(portWord);
const seconds = Number(secondsWord);
const WRITERS = 6;
const BATCH = 40;
/** Between a writer's batches: the load is to be steady, not the machine's limit. */
const PACE_MS = 4;
const KEYS = 20_000;
const SAMPLE_MS = Math.max(1000, Math.min(10_000, (seconds * 1000) / 30));
const deadline = performance.now() + seconds * 1000;
const isOn = () => performance.now() < deadline;

const errors = new Map();
const latencies = [];
const counts = {
  operations: 0,
  published: 0,
  heard: 0,
  unblocked: 0,
  timedOut: 0,
  slow: 0,
  died: 0,
  snapshots: 0,
  rewrites: 0,
};
const fail = (where, error) => {
  const text = `${where}: ${error.message}`;
  errors.set(text, (errors.get(text) ?? 0) + 1);
};
const open = () => {
  // On a busy machine this process may get no turn for longer than the ten seconds that ioredis waits.
  const client = new Redis({ host, port, maxRetriesPerRequest: 0, retryStrategy: () => null, connectTimeout: 60_000 });
  client.on('error', (error) => fail('connection', error));
  return client;
};
const below = (limit) => Math.floor(Math.random() * limit);
const value = () => 'v'.repeat(below(40) === 0 ? 20_000 : below(300));

const COMMANDS = [
  (p, k) => p.set(`s:${k}`, value(), 'EX', 1 + below(20)),
  (p, k) => p.set(`t:${k}`, value()),
  (p, k) => p.get(`s:${k}`),
  (p, k) => p.incrby(`n:${k}`, below(1000)),
  (p, k) => p.append(`a:${k % 500}`, 'x'.repeat(below(50))),
  (p, k) => p.del(`a:${k % 500}`),
  (p, k) => p.hset(`h:${k % 2000}`, `f${below(50)}`, value()),
  (p, k) => p.hdel(`h:${k % 2000}`, `f${below(50)}`),
  (p, k) => p.zadd(`z:${k % 1000}`, Math.random(), `m${below(300)}`),
  (p, k) => p.zremrangebyrank(`z:${k % 1000}`, 0, 3),
  (p, k) => p.lpush(`l:${k % 1000}`, value()),
  (p, k) => p.ltrim(`l:${k % 1000}`, 0, 50),
  (p, k) => p.sadd(`u:${k % 1000}`, below(5000), `w${below(50)}`),
  (p, k) => p.spop(`u:${k % 1000}`),
  (p, k) => p.xadd(`x:${k % 200}`, 'MAXLEN', '~', 100, '*', 'f', value()),
  (p, k) => p.expire(`h:${k % 2000}`, 5 + below(20)),
  (p, k) => p.pfadd(`p:${k % 100}`, below(100_000)),
  (p, k) => p.setbit(`b:${k % 100}`, below(100_000), 1),
  (p, k) => p.eval("return redis.call('incr', KEYS[1])", 1, `e:${k}`),
  (p, k) => p.multi().set(`m:${k}`, '1').expire(`m:${k}`, 3).exec(),
  (p, k) => p.lpush(`jobs:${k % 8}`, 'job'),
];

async function writer() {
  const client = open();
  while (isOn()) {
    const pipeline = client.pipeline();
    for (let i = 0; i < BATCH; i++) COMMANDS[below(COMMANDS.length)](pipeline, below(KEYS));
    for (const [error] of await pipeline.exec()) if (error !== null) fail('command', error);
    counts.operations += BATCH;
    await sleep(PACE_MS);
  }
  client.disconnect();
}

/** How long a command takes that is sent alone; on a thread of its own, which the load does not hold up. */
function probe() {
  const thread = new Worker(new URL(import.meta.url), { argv: process.argv.slice(2) });
  return new Promise((resolve, reject) => {
    thread.on('message', (measured) => latencies.push(...measured));
    thread.on('error', reject);
    thread.on('exit', resolve);
  });
}

async function measure() {
  const client = open();
  await client.set('probe', 'x');
  while (isOn()) {
    const start = performance.now();
    await client.exists('probe');
    latencies.push(performance.now() - start);
    await sleep(3);
  }
  client.disconnect();
  for (let at = 0; at < latencies.length; at += 10_000) parentPort.postMessage(latencies.slice(at, at + 10_000));
}

async function subscriber() {
  while (isOn()) {
    const client = open();
    client.on('message', () => counts.heard++);
    client.on('pmessage', () => counts.heard++);
    await client.subscribe('news', `own:${below(10)}`);
    await client.psubscribe('n*');
    await sleep(2000 + below(3000));
    client.disconnect();
  }
}

async function publisher() {
  const client = open();
  while (isOn()) {
    await client.publish(['news', 'own:3', 'other'][below(3)], value());
    counts.published++;
    await sleep(10);
  }
  client.disconnect();
}

/** Some get a job, some wait in vain, some die waiting. */
async function waiter() {
  while (isOn()) {
    const client = open();
    const waiting = client
      .blpop(below(4) === 0 ? 'jobs:none' : `jobs:${below(8)}`, 'jobs:never', 0.5)
      .then((got) => (got === null ? counts.timedOut++ : counts.unblocked++))
      .catch(() => {});
    if (below(4) === 0) await sleep(below(200));
    else await waiting;
    client.disconnect();
  }
}

const request = (...words) => `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
function raw(...chunks) {
  const socket = connect({ host, port });
  socket.on('error', () => {});
  socket.on('connect', () => {
    for (const chunk of chunks) socket.write(chunk);
  });
  return socket;
}

/** Asks for much, or subscribes, and never reads: the server has to hold it, and in the end to let go. */
async function slowReader() {
  const setup = open();
  await setup.set('large', 'x'.repeat(100_000));
  while (isOn()) {
    const words = below(2) === 0 ? request('GET', 'large').repeat(30) : request('PSUBSCRIBE', '*');
    const socket = raw(words);
    socket.pause();
    await sleep(1000 + below(2000));
    socket.destroy();
    counts.slow++;
    await setup.set('large', 'x'.repeat(100_000)).catch((error) => fail('slow reader', error));
  }
  setup.disconnect();
}

async function dying() {
  while (isOn()) {
    const socket = raw(
      [
        '*3\r\n$3\r\nSET\r\n$5\r\nab',
        request('WATCH', 's:1') + request('MULTI') + request('SET', 's:1', 'x'),
        request('CLIENT', 'TRACKING', 'on') + request('GET', 's:1'),
        '*1\r\n$9999\r\nxx',
      ][below(4)],
    );
    await sleep(below(60));
    if (below(2) === 0) socket.resetAndDestroy();
    else socket.destroy();
    counts.died++;
  }
}

async function saver() {
  const client = open();
  for (let i = 0; isOn(); i++) {
    await sleep(Math.min(7000, (seconds * 1000) / 8));
    try {
      if (i % 2 === 0) await client.bgsave('SCHEDULE').then(() => counts.snapshots++);
      else await client.bgrewriteaof().then(() => counts.rewrites++);
    } catch (error) {
      if (!/in progress/i.test(error.message)) fail('saving', error);
    }
  }
  client.disconnect();
}

const field = (text, name) => Number(new RegExp(`^${name}:(\\S+)`, 'm').exec(text)?.[1]);

async function look(client) {
  const info = await client.info();
  return {
    second: Math.round(seconds - (deadline - performance.now()) / 1000),
    operations: counts.operations,
    used: field(info, 'used_memory'),
    resident: field(info, 'used_memory_rss'),
    // The arena and V8's heap.
    allocated: field(info, 'allocator_allocated'),
    clients: field(info, 'connected_clients'),
    blocked: field(info, 'blocked_clients'),
    expired: field(info, 'expired_keys'),
    evicted: field(info, 'evicted_keys'),
    snapshot: /rdb_last_bgsave_status:ok/.test(info),
    rewrite: /aof_last_bgrewrite_status:ok/.test(info),
  };
}

async function sampler() {
  const client = open();
  while (isOn()) {
    await sleep(SAMPLE_MS);
    console.log(JSON.stringify({ sample: await look(client) }));
  }
  client.disconnect();
}

/** The server evicts from the beginning: what grows later is no dataset. */
async function fill() {
  const client = open();
  for (let i = 0; i < 20; i++) {
    const pipeline = client.pipeline();
    for (let k = 0; k < 100; k++) pipeline.set(`fill:${i}:${k}`, 'f'.repeat(10_000));
    for (const [error] of await pipeline.exec()) if (error !== null) fail('fill', error);
  }
  client.disconnect();
}

const several = (count, actor) => Array.from({ length: count }, actor);
if (!isMainThread) {
  await measure();
  process.exit();
}
await fill();
await Promise.all([
  ...several(WRITERS, writer),
  ...several(3, subscriber),
  ...several(4, waiter),
  ...several(2, slowReader),
  ...several(2, dying),
  probe(),
  publisher(),
  saver(),
  sampler(),
]);

// Everybody is gone: so must be what the server kept for them.
const client = open();
let left = await look(client);
for (let i = 0; i < 100 && (left.clients > 1 || left.blocked > 0); i++) {
  await sleep(100);
  left = await look(client);
}
const [channels, patterns] = [await client.pubsub('CHANNELS'), await client.pubsub('NUMPAT')];
client.disconnect();
latencies.sort((a, b) => a - b);
const percentile = (part) => Math.round(latencies[Math.floor(latencies.length * part)] * 1000) / 1000;
console.log(
  JSON.stringify({
    end: {
      counts,
      errors: [...errors],
      latencyMs: { p50: percentile(0.5), p99: percentile(0.99), p999: percentile(0.999) },
      left: { clients: left.clients, blocked: left.blocked, channels: channels.length, patterns },
    },
  }),
);
