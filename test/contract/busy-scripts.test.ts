// A script that does not come to an end, over kernel sockets: who is connected and who comes is told so, and the script
// can be ended by another client unless it has written.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { BuiltServer } from '../support/built-server.ts';
import { freePort, type Peer } from '../support/redis-server.ts';

const LOOP = 'while true do end';
const CATCHING_LOOP = "while true do pcall(function() while true do redis.call('ping') end end) end";
const BUSY = /^BUSY Redis is busy running a script/;

let server: BuiltServer;
let runner: Peer;
let other: Peer;

beforeEach(async () => {
  server = await BuiltServer.start({ 'busy-reply-threshold': 10 });
  runner = server.connect();
  other = server.connect();
  await other.ask('PING');
}, 60_000);

afterEach(async () => {
  runner.close();
  other.close();
  await server.stop();
});

async function error(peer: Peer, ...words: string[]): Promise<string> {
  const reply = await peer.ask(...words);
  return reply !== null && typeof reply === 'object' && 'error' in reply ? reply.error : JSON.stringify(reply);
}

/** Asks until the script is known to be busy. */
async function untilBusy(peer: Peer): Promise<void> {
  for (;;) if (BUSY.test(await error(peer, 'PING'))) return;
}

it.each([LOOP, CATCHING_LOOP])('%s is ended by SCRIPT KILL', async (script) => {
  const result = runner.ask('EVAL', script, '0');
  await untilBusy(other);
  const late = server.connect();
  expect(await error(late, 'GET', 'x')).toMatch(BUSY);
  expect(await error(late, 'FUNCTION', 'KILL')).toMatch(BUSY);
  expect(await late.ask('SCRIPT', 'KILL')).toEqual({ type: '+', text: 'OK' });
  expect(await result).toMatchObject({ error: expect.stringContaining('Script killed by user with SCRIPT KILL') });
  expect(await late.ask('PING')).toEqual({ type: '+', text: 'PONG' });
  late.close();
});

it('what the caller has sent behind the script is run afterwards', async () => {
  const results = runner.run([
    ['EVAL', LOOP, '0'],
    ['SET', 'k', 'v'],
    ['GET', 'k'],
  ]);
  await untilBusy(other);
  await other.ask('SCRIPT', 'KILL');
  const [, set, get] = await results;
  expect([set.reply, get.reply]).toEqual([{ type: '+', text: 'OK' }, 'v']);
  expect(await runner.ask('GET', 'k')).toBe('v');
});

it('a script that has written is not killed; SHUTDOWN NOSAVE ends it with the server', async () => {
  const result = runner.ask('EVAL', "redis.call('set', 'x', 'y') while true do end", '0').catch(() => 'closed');
  await untilBusy(other);
  expect(await error(other, 'SCRIPT', 'KILL')).toMatch(/^UNKILLABLE/);
  expect(await error(other, 'SHUTDOWN')).toMatch(BUSY);
  await expect(other.ask('SHUTDOWN', 'NOSAVE')).rejects.toThrow();
  await result;
});

it('a function is shown by FUNCTION STATS and ended by FUNCTION KILL', async () => {
  await other.ask('FUNCTION', 'LOAD', `#!lua name=l\nredis.register_function('f', function() ${LOOP} end)`);
  const result = runner.ask('FCALL', 'f', '1', 'key');
  await untilBusy(other);
  expect(JSON.stringify(await other.ask('FUNCTION', 'STATS'))).toContain('"FCALL","f","1","key"');
  expect(await error(other, 'SCRIPT', 'KILL')).toMatch(/You can only call FUNCTION KILL/);
  expect(await other.ask('FUNCTION', 'KILL')).toEqual({ type: '+', text: 'OK' });
  expect(await result).toMatchObject({ error: expect.stringContaining('killed') });
});

it('a TLS client is told so and ends the script that another TLS client runs', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'wiredis-busy-tls-'));
  const words = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=s -keyout s.key';
  execFileSync('openssl', [...words.split(' '), '-out', 's.crt'], { cwd: folder, stdio: 'ignore' });
  const port = await freePort();
  const secured = await BuiltServer.start({
    'busy-reply-threshold': 10,
    'tls-port': port,
    'tls-auth-clients': 'no',
    'tls-cert-file': join(folder, 's.crt'),
    'tls-key-file': join(folder, 's.key'),
  });
  const clients = await Promise.all(Array.from({ length: 3 }, () => secureClient(port)));
  const [running, watching, ending] = clients;
  const plain = secured.connect();
  // Behind two round trips nothing that was written to the others is on its way any more.
  for (let i = 0; i < 2; i++) await plain.ask('PING');
  running.socket.write(`EVAL '${LOOP}' 0\r\n`);
  await untilBusy(plain);
  watching.socket.write('GET x\r\n');
  await watching.until(/-BUSY .*\r\n/);
  ending.socket.write('SCRIPT KILL\r\n');
  await ending.until(/\+OK\r\n/);
  await running.until(/killed by user/);
  for (const client of clients) {
    client.socket.write('PING\r\n');
    await client.until(/\+PONG\r\n$/);
    client.socket.destroy();
  }
  plain.close();
  await secured.stop();
  rmSync(folder, { recursive: true });
}, 60_000);

interface SecureClient {
  readonly socket: tls.TLSSocket;
  /** Resolves when all that has come so far is like that. */
  until(what: RegExp): Promise<void>;
}

async function secureClient(port: number): Promise<SecureClient> {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await once(socket, 'secureConnect');
  const until = async (what: RegExp): Promise<void> => {
    while (!what.test(text)) await once(socket, 'data');
  };
  // Served once: the server has it.
  socket.write('PING\r\n');
  await until(/PONG/);
  return { socket, until };
}
