// Sends bytes as they are and prints what came back and how it ended: { reply (latin1), end }.
//   exchange.js HOST PORT <BYTES
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

const [host, port] = process.argv.slice(2);
const bytes = readFileSync(0);
const chunks = [];
let end = 'open';
const socket = connect({ host, port: Number(port), allowHalfOpen: true });
socket.on('connect', () => socket.write(bytes));
socket.on('data', (chunk) => chunks.push(chunk));
socket.on('end', () => {
  end = 'fin';
  socket.end();
});
socket.on('error', (error) => {
  end = error.code;
});
const limit = setTimeout(() => socket.destroy(), 3000);
socket.on('close', () => {
  clearTimeout(limit);
  process.stdout.write(JSON.stringify({ reply: Buffer.concat(chunks).toString('latin1'), end }));
});
