// A script that does not come to an end, on a real link: clients on another host are told so, and end it. The package
// behind engine `pcap` hears of frames from Node's event loop alone, which stands still then.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { describeLab, eventually, LabServer, OVER, openLab } from './fixture.ts';

describeLab('a script that loops', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await openLab();
  });
  afterAll(() => lab?.down());

  it.each(OVER.filter((over) => over !== 'pcap'))('over %s is ended by SCRIPT KILL from another host', async (over) => {
    const server = await LabServer.start(lab, { over, arguments: ['--busy-reply-threshold', '50'] });
    try {
      const result = server.cli(['EVAL', 'while true do end', '0'], 60);
      await eventually(
        async () => (await server.cli(['PING'])).stdout,
        (text) => text.startsWith('BUSY Redis is busy running a script'),
        30_000,
      );
      // Long enough for retransmissions, delayed acknowledgements and many rounds of the rings.
      for (let i = 0; i < 20; i++) expect((await server.cli(['SET', 'x', 'y'.repeat(5000)])).stdout).toMatch(/^BUSY/);
      expect((await server.cli(['SCRIPT', 'KILL'])).stdout.trim()).toBe('OK');
      expect((await result).stdout).toContain('Script killed by user with SCRIPT KILL');
      expect((await server.cli(['PING'])).stdout.trim()).toBe('PONG');
      const stopped = server.cli(['EVAL', "redis.call('set', 'x', 'y') while true do end", '0'], 60);
      await eventually(
        async () => (await server.cli(['SCRIPT', 'KILL'])).stdout,
        (text) => text.startsWith('UNKILLABLE'),
        30_000,
      );
      await server.cli(['SHUTDOWN', 'NOSAVE']);
      await stopped;
      await eventually(
        async () => server.hasEnded(),
        (ended) => ended,
        10_000,
      );
    } finally {
      await server.stop();
    }
  });
});
