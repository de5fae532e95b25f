// What libraries do beyond single commands: pipelines, transactions, subscriptions, scans, blocking, caching at the client.
// Prints its answers as JSON.
//   features.js ioredis|redis HOST PORT RESP(2|3)
import { Redis } from 'ioredis';
import { createClient } from 'redis';

const [library, host, port, resp] = process.argv.slice(2);
const answers = [];
const note = (name, value) => answers.push([name, value]);
const MANY = 2000;

/** `count` items from a callback that is given to `start`. */
function collect(count, start) {
  return new Promise((resolve, reject) => {
    const seen = [];
    const timer = setTimeout(() => reject(new Error(`only ${JSON.stringify(seen)}`)), 10_000);
    start((item) => {
      seen.push(item);
      if (seen.length < count) return;
      clearTimeout(timer);
      resolve(seen);
    });
  });
}

async function eventually(probe) {
  for (let i = 0; i < 100; i++) {
    const value = await probe();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return null;
}

async function withIoredis() {
  const options = { host, port: Number(port), protocol: Number(resp), maxRetriesPerRequest: 0 };
  const client = new Redis(options);
  await client.flushall();
  const pipeline = client.pipeline();
  for (let i = 0; i < MANY; i++) pipeline.set(`key:${i}`, i).get(`key:${i}`);
  const replies = await pipeline.exec();
  note(
    'pipeline',
    replies.every(([error, value], i) => error === null && value === (i % 2 ? String((i - 1) / 2) : 'OK')),
  );
  note(
    'transaction',
    await client
      .multi()
      .incr('n')
      .lpush('n', 'x')
      .get('n')
      .exec()
      .then((all) => all.map(String)),
  );
  client.defineCommand('addTwice', {
    numberOfKeys: 1,
    lua: "redis.call('incr', KEYS[1]); return redis.call('incrby', KEYS[1], ARGV[1])",
  });
  note('script', [await client.addTwice('n', 5), await client.addTwice('n', 5)]);
  const scanned = new Set();
  for await (const keys of client.scanStream({ match: 'key:*', count: 100 })) for (const key of keys) scanned.add(key);
  note('scan', scanned.size);
  const listener = new Redis(options);
  const seen = collect(3, (take) => {
    listener.on('message', (channel, message) => take(['message', channel, message]));
    listener.on('pmessage', (pattern, channel, message) => take(['pmessage', pattern, channel, message]));
  });
  await listener.subscribe('news', 'other');
  await listener.psubscribe('n*');
  note('published', [await client.publish('news', 'one'), await client.publish('other', 'two')]);
  note('heard', (await seen).map(String).sort());
  await listener.unsubscribe('news', 'other');
  await listener.punsubscribe('n*');
  note('ordinary again', await listener.get('key:7'));
  const waiting = listener.blpop('late', 5);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await client.rpush('late', 'here');
  note('blocked', await waiting);
  await client.xadd('s', '1-1', 'f', 'v');
  note('stream', await client.xread('COUNT', 1, 'STREAMS', 's', '0'));
  note('watched', await watchedIoredis(client, listener));
  note('monitor', await monitored(client, listener));
  listener.disconnect();
  await client.quit();
}

async function watchedIoredis(client, other) {
  await client.watch('w');
  await other.set('w', 'changed');
  return client.multi().get('w').exec();
}

async function monitored(client, other) {
  const monitor = await other.monitor();
  const seen = collect(1, (take) => monitor.on('monitor', (_time, words) => words[0] === 'set' && take(words)));
  await client.set('seen', 'by monitor');
  const words = await seen;
  monitor.disconnect();
  return words;
}

async function withNodeRedis() {
  const options = { socket: { host, port: Number(port), reconnectStrategy: false }, RESP: Number(resp) };
  const client = createClient(options);
  await client.connect();
  await client.flushAll();
  const replies = await Promise.all(Array.from({ length: MANY }, (_, i) => client.set(`key:${i}`, String(i))));
  note(
    'pipeline',
    replies.every((reply) => reply === 'OK'),
  );
  note('transaction', await client.multi().incr('n').incrBy('n', 41).get('n').exec());
  const scanned = new Set();
  for await (const keys of client.scanIterator({ MATCH: 'key:*', COUNT: 100 }))
    for (const key of keys) scanned.add(key);
  note('scan', scanned.size);
  const listener = client.duplicate();
  await listener.connect();
  let heard;
  const seen = collect(3, (take) => (heard = take));
  await listener.subscribe('news', (message, channel) => heard(['news', channel, message]));
  await listener.pSubscribe('n*', (message, channel) => heard(['n*', channel, message]));
  await listener.sSubscribe('shard', (message, channel) => heard(['shard', channel, message]));
  note('published', [await client.publish('news', 'one'), await client.sPublish('shard', 'two')]);
  note('heard', (await seen).map(String).sort());
  await listener.unsubscribe('news');
  await listener.pUnsubscribe('n*');
  await listener.sUnsubscribe('shard');
  const waiting = listener.blPop('late', 5);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await client.rPush('late', 'here');
  note('blocked', await waiting);
  note('hash', [await client.hSet('h', { a: '1', b: '2' }), { ...(await client.hGetAll('h')) }]);
  await client.xAdd('s', '1-1', { f: 'v' });
  note(
    'stream',
    (await client.xRange('s', '-', '+')).map(({ id, message }) => [id, { ...message }]),
  );
  if (resp === '3') await cached(options, client);
  await listener.close();
  await client.close();
}

/** CLIENT TRACKING: what another client changes leaves the cache. */
async function cached(options, other) {
  const client = createClient({ ...options, clientSideCache: { ttl: 0, maxEntries: 100, evictPolicy: 'LRU' } });
  await client.connect();
  await other.set('cached', 'one');
  const first = [await client.get('cached'), await client.get('cached')];
  await other.set('cached', 'two');
  note('cached', [first, (await eventually(async () => (await client.get('cached')) === 'two')) === true]);
  await other.flushDb();
  note('flushed', (await eventually(async () => (await client.get('cached')) === null)) === true);
  await client.close();
}

await (library === 'ioredis' ? withIoredis() : withNodeRedis());
process.stdout.write(JSON.stringify(answers));
