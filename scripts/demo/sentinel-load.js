// Load on the master that Redis Sentinel names, noting what was acknowledged: run until SIGTERM, then every acknowledged write
// is looked for. Half of the writers confirm each write with WAIT, half do not. Prints one line of JSON.
//   node sentinel-load.js SENTINEL[,SENTINEL...] PORT NAME
import { Redis } from 'ioredis';
import { Ledger, setAndWait } from './ledger.js';

const WRITERS = 8;

const [hosts, port, name] = process.argv.slice(2);
const open = () =>
  new Redis({
    sentinels: hosts.split(',').map((host) => ({ host, port: Number(port) })),
    name,
    failoverDetector: true,
    connectTimeout: 2000,
    sentinelCommandTimeout: 2000,
    // A host that is cut off answers nothing at all.
    commandTimeout: 3000,
    autoResendUnfulfilledCommands: false,
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  }).on('error', () => {});
const [confirming, plain] = [open(), open()];

const ledger = new Ledger();
const writers = Array.from({ length: WRITERS }, (_, writer) =>
  ledger.run(writer, async (key) => {
    if (writer % 2 === 0) return setAndWait(confirming, key, 1000);
    await plain.set(key, key);
    return false;
  }),
);
await Promise.all(writers);
console.log(JSON.stringify(await ledger.verify('ioredis', (key) => plain.get(key))));
confirming.disconnect();
plain.disconnect();
