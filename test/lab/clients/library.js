// The same work through a real client library; prints its answers as JSON.
//   library.js ioredis|redis HOST PORT RESP(2|3)
import { Redis } from 'ioredis';
import { createClient } from 'redis';

const [library, host, port, resp] = process.argv.slice(2);

/** How each library takes a command as words. */
async function open() {
  if (library === 'ioredis') {
    const client = new Redis({ host, port: Number(port), maxRetriesPerRequest: 0, protocol: Number(resp) });
    client.on('error', () => {});
    return { send: (words) => client.call(...words), close: () => client.quit() };
  }
  const client = createClient({ socket: { host, port: Number(port), reconnectStrategy: false }, RESP: Number(resp) });
  await client.connect();
  return { send: (words) => client.sendCommand(words), close: () => client.close() };
}

const COMMANDS = [
  ['FLUSHALL'],
  ['SET', 'text', 'grüße \u0000 \r\n'],
  ['GET', 'text'],
  ['GET', 'missing'],
  ['INCRBY', 'n', '41'],
  ['INCR', 'n'],
  ['INCRBYFLOAT', 'f', '3.5'],
  ['HSET', 'h', 'a', '1', 'b', '2'],
  ['HGETALL', 'h'],
  ['HGET', 'h', 'nothing'],
  ['RPUSH', 'l', 'x', 'y', 'z'],
  ['LRANGE', 'l', '0', '-1'],
  ['LPOP', 'l', '2'],
  ['LPOP', 'nolist', '2'],
  ['ZADD', 'z', '1.5', 'one', '2', 'two'],
  ['ZRANGE', 'z', '0', '-1', 'WITHSCORES'],
  ['ZSCORE', 'z', 'one'],
  ['SADD', 's', 'm'],
  ['SMEMBERS', 's'],
  ['EXISTS', 'l', 'z', 'nothing'],
  ['MSET', 'a', '1', 'b', '2'],
  ['MGET', 'a', 'missing', 'b'],
  ['EXPIRE', 'a', '100'],
  ['TTL', 'a'],
  ['TYPE', 'z'],
  ['GET', 'l'],
  ['NOSUCHCOMMAND', 'x'],
  ['SET', 'too', 'many', 'words'],
  ['DBSIZE'],
];

/** Maps, sets and errors in a form that JSON keeps. */
function plain(value) {
  if (value instanceof Error) return { error: value.message };
  if (value instanceof Map) return { map: [...value].map(([key, item]) => [plain(key), plain(item)]) };
  if (value instanceof Set) return { set: [...value].map(plain) };
  if (Array.isArray(value)) return value.map(plain);
  if (value !== null && typeof value === 'object')
    return { object: Object.entries(value).map(([k, v]) => [k, plain(v)]) };
  return value;
}

const client = await open();
const answers = [];
for (const words of COMMANDS) {
  const answer = await client.send(words).catch((error) => error);
  answers.push([words[0], plain(answer)]);
}
// Many at once on one connection: the library pipelines them.
const many = await Promise.all(
  Array.from({ length: 2000 }, (_, i) => client.send(['SET', `many:${i}`, 'v'.repeat(i)])),
);
const back = await Promise.all(Array.from({ length: 2000 }, (_, i) => client.send(['GET', `many:${i}`])));
answers.push(['many', many.every((answer) => answer === 'OK')]);
answers.push(['back', back.every((answer, i) => answer === 'v'.repeat(i))]);
await client.close();
process.stdout.write(JSON.stringify(answers));
