// Bulk transfer, one connection, every byte checked at both ends:
//   bulk.js kernel|ENTRY,NETDEV,ENGINE serve|connect ADDRESS PORT BYTES
// The one that connects sends BYTES, then the one that serves does, then both at once. `kernel` is node:net; else ENTRY is
// the built wiredis/net. Prints JSON: `{"listening":true}` when it serves, then what it received and in how many seconds.
import { once } from 'node:events';
import nodeNet from 'node:net';
import { pathToFileURL } from 'node:url';

const [where, role, host, port, count] = process.argv.slice(2);
const bytes = Number(count);
const PERIOD = 65521;
const pattern = Buffer.from({ length: 4 * PERIOD }, () => 0);
for (let i = 0; i < pattern.length; i++) pattern[i] = ((i % PERIOD) * 7 + ((i % PERIOD) >> 8)) & 0xff;

let net = nodeNet;
let close = async () => {};
if (where !== 'kernel') {
  const [entry, netdev, engine] = where.split(',');
  const { openNet } = await import(pathToFileURL(entry).href);
  net = await openNet(netdev, { engine });
  close = () => net.close();
}

const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

async function send(socket) {
  for (let sent = 0; sent < bytes; ) {
    const from = sent % PERIOD;
    const length = Math.min(2 * PERIOD, bytes - sent);
    sent += length;
    if (!socket.write(pattern.subarray(from, from + length))) await once(socket, 'drain');
  }
}

/** Checks what comes, transfer after transfer; each begins at the pattern's start. */
class Checker {
  #transfers = 0;
  #done = null;
  wrong = 0;
  total = 0;

  constructor(socket) {
    socket.on('data', (chunk) => this.#take(chunk));
  }

  #take(chunk) {
    for (let from = 0; from < chunk.length; ) {
      const at = this.total % bytes;
      const place = at % PERIOD;
      const length = Math.min(chunk.length - from, PERIOD, bytes - at);
      if (!chunk.subarray(from, from + length).equals(pattern.subarray(place, place + length))) this.wrong++;
      from += length;
      this.total += length;
    }
    this.#look();
  }

  #look() {
    if (this.#done === null || this.total < this.#transfers * bytes) return;
    this.#done();
    this.#done = null;
  }

  /** The next transfer is here. */
  receive() {
    this.#transfers++;
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#look();
    });
  }
}

async function transfer(socket) {
  const begin = performance.now();
  const checker = new Checker(socket);
  const closed = once(socket, 'close');
  const first = role === 'connect' ? send : () => checker.receive();
  const second = role === 'connect' ? () => checker.receive() : send;
  await first(socket);
  await second(socket);
  await Promise.all([send(socket), checker.receive()]);
  socket.end();
  const [hadError] = await closed;
  const seconds = Number(((performance.now() - begin) / 1000).toFixed(2));
  say({ received: checker.total, wrong: checker.wrong, hadError: hadError === true, seconds });
  // A stack that ends with its process cannot send a lost FIN again: it waits for those connections.
  await close();
  process.exit(0);
}

if (role === 'serve') {
  const server = net.createServer((socket) => transfer(socket));
  server.listen(Number(port), host, () => say({ listening: true }));
} else {
  const socket = net.connect({ host, port: Number(port) });
  await once(socket, 'connect');
  await transfer(socket);
}
