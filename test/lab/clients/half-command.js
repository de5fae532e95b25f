// Opens connections, sends the first half of a command on each, says `ready`, and then: closes them all at once
// (`close`), or keeps them until it is killed (`hold`).
//   half-command.js HOST PORT COUNT close|hold [LOCAL ADDRESS]
import { connect } from 'node:net';

const [host, port, count, then, localAddress] = process.argv.slice(2);
const sockets = [];
for (let i = 0; i < Number(count); i++) {
  const socket = connect({ host, port: Number(port), ...(localAddress ? { localAddress } : {}) });
  sockets.push(
    new Promise((resolve, reject) => {
      socket.on('error', reject);
      socket.on('connect', () => socket.write('*3\r\n$3\r\nSET\r\n$5\r\nab', () => resolve(socket)));
    }),
  );
}
const open = await Promise.all(sockets);
process.stdout.write('ready\n');
if (then === 'close') {
  for (const socket of open) socket.destroy();
} else {
  setInterval(() => {}, 1000);
}
