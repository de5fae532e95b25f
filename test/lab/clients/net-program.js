// A program on `wiredis/net`, run in the server's namespace: `serve` answers http on the netdev.conf's address with as
// many bytes as the path says; `fetch` reads a page from another host and prints its length and SHA-256. Both end by
// themselves when nothing holds the process any more: that is part of what is tested.
import { createHash } from 'node:crypto';
import http from 'node:http';
import { pathToFileURL } from 'node:url';

const [entry, netdev, engine, what, host, port, path] = process.argv.slice(2);
const { openNet } = await import(pathToFileURL(entry).href);
const net = await openNet(netdev, { engine });

const BLOCK = Buffer.alloc(65536, 'wiredis over the wire. ');

function answer(request, response) {
  let left = Number(request.url.slice(1));
  response.setHeader('content-length', left);
  const write = () => {
    while (left > 0) {
      const block = BLOCK.subarray(0, Math.min(left, BLOCK.length));
      left -= block.length;
      if (!response.write(block) && left > 0) {
        response.once('drain', write);
        return;
      }
    }
    response.end();
  };
  write();
}

if (what === 'serve') {
  const web = http.createServer(answer);
  const server = net.createServer({ noDelay: true }, (socket) => web.emit('connection', socket));
  server.listen(Number(port), host, () => console.log('listening'));
  // The last word of the test: nobody is connected any more, and closing the server lets the process go.
  process.on('SIGTERM', () => server.close());
} else {
  http.get({ host, port, path, createConnection: () => net.connect({ port: Number(port), host }) }, (response) => {
    const hash = createHash('sha256');
    let length = 0;
    response.on('data', (chunk) => {
      length += chunk.length;
      hash.update(chunk);
    });
    response.on('end', () => console.log(JSON.stringify({ length, sha256: hash.digest('hex') })));
  });
}
