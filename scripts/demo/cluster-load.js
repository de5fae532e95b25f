// Load on a Redis Cluster that notes what was acknowledged: run until SIGTERM, then every acknowledged write is looked for.
// Half of the writers confirm each write with WAIT, half do not. Prints one line of JSON.
//   node cluster-load.js HOST[,HOST...] PORT
import { Cluster } from 'ioredis';
import { Ledger, setAndWait } from './ledger.js';

const WRITERS = 8;

const [hosts, port] = process.argv.slice(2);
const nodes = hosts.split(',').map((host) => ({ host, port: Number(port) }));
const cluster = new Cluster(nodes, {
  slotsRefreshInterval: 1000,
  slotsRefreshTimeout: 2000,
  retryDelayOnFailover: 100,
  // A host that is cut off answers nothing at all.
  redisOptions: { connectTimeout: 2000, commandTimeout: 3000, autoResendUnfulfilledCommands: false },
});
cluster.on('error', () => {});

const ledger = new Ledger();
const writers = Array.from({ length: WRITERS }, (_, writer) =>
  ledger.run(writer, async (key) => {
    if (writer % 2 === 0) return setAndWait(cluster, key, 1000);
    await cluster.set(key, key);
    return false;
  }),
);
await Promise.all(writers);
console.log(JSON.stringify(await ledger.verify('ioredis', (key) => cluster.get(key))));
cluster.disconnect();
