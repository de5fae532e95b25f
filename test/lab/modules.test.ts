// A module's commands typed by hand at the user-space address: inline requests, in any case, from a plain TCP client.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { hasProgram } from '../../src/cli/lab/process.ts';
import { describeLab, fillInChecksums, LabServer, OVER, openLab, PORT } from './fixture.ts';

const TYPED = ['tmemPut a b', 'TMEMGET a', 'tmemget nothing', 'TmemInval a', 'tMemGet a', 'POONG', 'QUIT'];
const ANSWERED = '+OK\r\n$1\r\nb\r\n$-1\r\n+OK\r\n$-1\r\n+POOOOOOOOOONG\r\n+OK\r\n';

/** Commands that send their standard input to an address and print what comes back. */
const CLIENTS: readonly (readonly [program: string, (address: string) => string[]])[] = [
  ['nc', (address) => ['timeout', '20', 'nc', address, String(PORT)]],
  ['bash', (address) => ['timeout', '20', 'bash', '-c', `exec 3<>/dev/tcp/${address}/${PORT}; cat >&3; cat <&3`]],
];

describeLab('commands of modules, typed', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await openLab();
  });
  afterAll(() => lab?.down());

  it.each(OVER)('over %s', async (over) => {
    await fillInChecksums(lab, over);
    const modules = over === 'redis' ? [] : ['--module-add', 'tmem', '--module-add', 'poong'];
    const server = await LabServer.start(lab, { over, arguments: modules });
    try {
      for (const [program, command] of CLIENTS) {
        if (!hasProgram(program)) continue;
        const { stdout } = await lab.run('client', command(server.address), `${TYPED.join('\r\n')}\r\n`);
        expect([program, stdout]).toEqual([program, ANSWERED]);
      }
    } finally {
      await server.stop();
    }
  });
});
