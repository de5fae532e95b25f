// Many idle clients on our own stack, in the client's namespace: idle-clients.js DIST NETDEV PORT COUNT ADDRESS...
// Each address gets its share of COUNT connections. Prints a JSON line when they are there; a line on stdin has a
// sample of them send PING and prints how many were answered; stays until stdin ends.
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [dist, netdev, port, count, ...addresses] = process.argv.slice(2);
const { openNet } = await import(pathToFileURL(`${dist}/src/net/index.js`).href);
const net = await openNet(netdev, { engine: 'afpacket' });
const total = Number(count);
const AT_ONCE = 200;
const SAMPLE = 200;

const sockets = [];
let failed = 0;

function open(address) {
  return new Promise((resolve) => {
    const socket = net.connect({ host: address, port: Number(port) }, () => {
      sockets.push(socket);
      resolve();
    });
    socket.on('error', () => {
      failed++;
      resolve();
    });
  });
}

const start = performance.now();
for (let made = 0; made < total; made += AT_ONCE) {
  const opening = [];
  for (let i = made; i < Math.min(made + AT_ONCE, total); i++) opening.push(open(addresses[i % addresses.length]));
  await Promise.all(opening);
}
console.log(JSON.stringify({ open: sockets.length, failed, seconds: (performance.now() - start) / 1000 }));

function ask(socket) {
  return new Promise((resolve) => {
    socket.once('data', (reply) => resolve(reply.toString() === '+PONG\r\n'));
    socket.once('close', () => resolve(false));
    socket.write('PING\r\n');
  });
}

for await (const _ of createInterface({ input: process.stdin })) {
  const step = Math.max(1, Math.floor(sockets.length / SAMPLE));
  const asked = sockets.filter((_socket, i) => i % step === 0);
  const answers = await Promise.all(asked.map(ask));
  console.log(JSON.stringify({ asked: asked.length, answered: answers.filter(Boolean).length }));
}
process.exit(0);
