// Redis commands over `wiredis/net`, from a stack of our own on the client's host: for links that Linux's own TCP is not
// on. Each argument is one command as inline words; prints the raw replies as JSON, or the error's code.
import { pathToFileURL } from 'node:url';

const [entry, netdev, host, port, ...commands] = process.argv.slice(2);
const { openNet } = await import(pathToFileURL(entry).href);
const net = await openNet(netdev, { engine: 'afpacket' });

const socket = net.connect({ host, port: Number(port) });
let received = '';
socket.on('connect', () => socket.end(`${[...commands, 'QUIT'].join('\r\n')}\r\n`));
socket.on('data', (chunk) => (received += chunk.toString('latin1')));
socket.on('error', (error) => finish({ error: error.code }));
socket.on('end', () => finish({ received }));

async function finish(result) {
  console.log(JSON.stringify(result));
  await net.close();
}
