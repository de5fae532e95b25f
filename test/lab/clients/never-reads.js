// Clients that ask and never read, so that their windows close: never-reads.js HOST PORT COUNT REQUESTS KEY. Stays until it is
// killed.
import { connect } from 'node:net';

const [host, port, count, requests, key] = process.argv.slice(2);

for (let i = 0; i < Number(count); i++) {
  const socket = connect({ host, port: Number(port) }, () => socket.write(`GET ${key}\r\n`.repeat(Number(requests))));
  socket.pause();
  socket.on('error', () => {});
}
setInterval(() => {}, 1000);
