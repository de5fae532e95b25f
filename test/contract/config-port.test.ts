// CONFIG SET of port and bind: the reply tells whether the server listens there; if not, all is as it was.
import { createServer } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { OurServer } from '../support/our-server.ts';
import { freePort, Peer } from '../support/redis-server.ts';

const OK = { type: '+', text: 'OK' };
let server: OurServer | null = null;

afterEach(async () => {
  await server?.stop();
  server = null;
});

it('a new port is open when the reply comes, the old one closed', async () => {
  server = await OurServer.start();
  const peer = server.connect();
  const port = await freePort();
  expect(await peer.ask('config', 'set', 'port', String(port), 'hz', '50')).toEqual(OK);
  const other = new Peer(port);
  expect(await other.ask('ping')).toEqual({ type: '+', text: 'PONG' });
  await expect(server.connect().ask('ping')).rejects.toThrow('closed');
  // Who was connected stays so.
  expect(await peer.ask('config', 'get', 'hz')).toMatchObject({ items: ['hz', '50'] });
  other.close();
  peer.close();
});

it('a port that is in use changes nothing', async () => {
  server = await OurServer.start();
  const peer = server.connect();
  const port = await freePort();
  const taken = createServer().listen(port, '127.0.0.1');
  await new Promise((done) => taken.once('listening', done));
  expect(await peer.ask('config', 'set', 'hz', '50', 'port', String(port))).toEqual({
    error:
      "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs.",
  });
  expect(await peer.ask('config', 'get', 'hz')).toMatchObject({ items: ['hz', '10'] });
  expect(await peer.ask('config', 'get', 'port')).toMatchObject({ items: ['port', String(server.port)] });
  // A later setting that is refused takes the port back too.
  const free = await freePort();
  expect(await peer.ask('config', 'set', 'port', String(free), 'dir', '/no/such/folder', 'hz', '60')).toMatchObject({
    error: expect.stringContaining("'dir'"),
  });
  const other = server.connect();
  expect(await other.ask('config', 'get', 'port')).toMatchObject({ items: ['port', String(server.port)] });
  await expect(new Peer(free).ask('ping')).rejects.toThrow('closed');
  other.close();
  peer.close();
  await new Promise((done) => taken.close(done));
});
