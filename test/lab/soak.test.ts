// The soak over user-space TCP, WIREDIS_SOAK_SECONDS long, with the load on another host.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { judge, SECONDS, SOAK_DIRECTIVES } from '../soak/verdict.ts';
import { describeLab, LabServer, OVER, openLab, PORT, root } from './fixture.ts';

describeLab('a soaked server', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await openLab();
  });
  afterAll(() => lab?.down());

  it.each(OVER.slice(0, 1))(
    'over %s leaves memory flat, nobody behind and no error',
    {
      timeout: SECONDS * 1500 + 120_000,
    },
    async (over) => {
      const directives = Object.entries(SOAK_DIRECTIVES).flatMap(([name, value]) => [`--${name}`, ...value.split(' ')]);
      const server = await LabServer.start(lab, { over, arguments: directives });
      try {
        const words = [process.execPath, `${root}/test/soak/load.js`, server.address, String(PORT), String(SECONDS)];
        const { code, stdout, stderr } = await lab.run('client', words);
        expect(code, `${stderr}\nThe server's last words:\n${server.output.slice(-4000)}`).toBe(0);
        console.log([over, ...judge(stdout)].join('\n'));
      } finally {
        await server.stop();
      }
    },
  );
});
