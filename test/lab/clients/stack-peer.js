// The kernel's side of test/lab/stack-linux.test.ts: one exchange with the user-space stack, told as one JSON line.
//   stack-peer.js echo|source|refused|many HOST PORT [BYTES]   or   stack-peer.js serve ADDRESS PORT
import { connect, createServer } from 'node:net';

const [what, host, port, size] = process.argv.slice(2);
const total = Number(size ?? 0);
const byteAt = (i) => ((i % 65536) * 7 + (i >> 16)) & 0xff;
const pattern = Buffer.from(Uint8Array.from({ length: total }, (_, i) => byteAt(i)));
const tell = (result) => process.stdout.write(`${JSON.stringify(result)}\n`);

function transfer(write) {
  let received = 0;
  let wrong = 0;
  let error = null;
  const socket = connect({ host, port: Number(port), allowHalfOpen: true }, () => {
    if (write) socket.write(pattern);
    socket.end();
  });
  socket.on('data', (chunk) => {
    for (let i = 0; i < chunk.length; i++) if (chunk[i] !== byteAt(received + i)) wrong++;
    received += chunk.length;
  });
  socket.on('error', ({ code }) => (error = code));
  socket.on('close', () => tell({ received, wrong, error }));
}

function many() {
  let left = 100;
  let replies = 0;
  for (let i = 0; i < 100; i++) {
    let round = 0;
    const socket = connect({ host, port: Number(port) }, () => socket.write('ping'));
    socket.on('data', () => {
      replies++;
      if (++round === 20) socket.end();
      else socket.write('ping');
    });
    socket.on('error', ({ code }) => tell({ error: code }));
    socket.on('close', () => --left === 0 && tell({ replies }));
  }
}

if (what === 'echo') transfer(true);
else if (what === 'source' || what === 'refused') transfer(false);
else if (what === 'many') many();
else {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.pipe(socket);
    socket.on('close', () => server.close());
  });
  server.listen(Number(port), host, () => tell({ listening: true }));
}
