// Clients that misbehave leave nothing behind, and real client libraries see no difference from redis-server.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { isAlive } from '../../src/cli/lab/process.ts';
import { describeLab, eventually, LabServer, linkOf, OVER, openLab, PORT, root, runClient } from './fixture.ts';

const VANISHING = 200;
/** Of the vanishing clients' address: it goes away with them, so that nothing answers for them, not even with RST. */
const GHOST_HOST = '77';

const GARBAGE: readonly (readonly [string, string | Buffer])[] = [
  ['a count that is no number', '*x\r\n'],
  ['too many words', '*2147483648\r\n'],
  ['a word without its length', '*1\r\nfoo\r\n'],
  ['a length that is no number', '*1\r\n$x\r\n'],
  ['a length beyond the limit', '*1\r\n$536870913\r\n'],
  ['an open quote', 'SET "x\r\n'],
  ['an endless line', Buffer.alloc(70_000, 0x61)],
  ['a command before the garbage', '*1\r\n$4\r\nPING\r\n*-x\r\n'],
];

describeLab('clients', () => {
  let lab: Lab;
  let redis: LabServer;
  beforeAll(async () => {
    lab = await openLab();
    redis = await LabServer.start(lab, { over: 'redis', arguments: ['--save', ''] });
  });
  afterAll(async () => {
    await redis?.stop();
    await lab?.down();
  });

  const exchange = (server: LabServer, bytes: string | Buffer) =>
    runClient(lab, 'exchange.js', [server.address, String(PORT)], bytes);

  describe.each(OVER)('over %s', (engine) => {
    let server: LabServer;
    beforeAll(async () => {
      server = await LabServer.start(lab, { over: engine, arguments: ['--save', ''] });
    });
    afterAll(() => server?.stop());

    it.each(GARBAGE)('that send %s are told as redis-server tells them, and closed', async (_name, bytes) => {
      const expected = await exchange(redis, bytes);
      expect(expected).toMatchObject({ reply: expect.stringContaining('-ERR Protocol error'), end: 'fin' });
      expect(await exchange(server, bytes)).toEqual(expected);
    });

    it('that close in the middle of a command leave nothing behind', async () => {
      const script = `${root}/test/lab/clients/half-command.js`;
      const words = [process.execPath, script, server.address, String(PORT), String(VANISHING), 'close'];
      expect(await lab.run('client', words)).toMatchObject({ code: 0, stdout: 'ready\n' });
      await eventually(
        async () => (await server.info()).get('connected_clients'),
        (count) => count === '1',
        5000,
      );
    });

    it.each([
      ['ioredis', '2'],
      ['ioredis', '3'],
      ['redis', '2'],
      ['redis', '3'],
    ])('%s with RESP%s see no difference', async (library, resp) => {
      const expected = await runClient(lab, 'library.js', [library, redis.address, String(PORT), resp]);
      expect(expected).toContainEqual(['back', true]);
      expect(await runClient(lab, 'library.js', [library, server.address, String(PORT), resp])).toEqual(expected);
    });
  });

  it.each(OVER)('that vanish without a FIN do not stay, over %s', async (engine) => {
    const options = { over: engine, arguments: ['--save', '', '--tcp-keepalive', '1'] };
    const server = await LabServer.start(lab, options);
    const { veth, serverAddress } = linkOf(lab, engine);
    const ghost = serverAddress.replace(/[0-9]+$/, GHOST_HOST);
    try {
      await lab.must('client', ['ip', 'address', 'add', `${ghost}/24`, 'dev', veth]);
      const script = `${root}/test/lab/clients/half-command.js`;
      const words = [process.execPath, script, server.address, String(PORT), String(VANISHING), 'hold', ghost];
      const ghosts = lab.start('client', words, { stdio: ['ignore', 'pipe', 'inherit'] });
      await new Promise((resolve) => ghosts.stdout!.once('data', resolve));
      const clients = async () => Number((await server.info()).get('connected_clients'));
      await eventually(clients, (count) => count === VANISHING + 1, 5000);

      await lab.must('client', ['ip', 'address', 'delete', `${ghost}/24`, 'dev', veth]);
      ghosts.kill('SIGKILL');
      await eventually(
        async () => isAlive(ghosts.pid!),
        (alive) => !alive,
        5000,
      );
      await eventually(clients, (count) => count === 1, 15_000);
    } finally {
      await server.stop();
    }
  });
});
