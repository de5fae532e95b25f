// `wiredis/net` as a program uses it: an http server of Node's on the user-space stack that curl reads a gigabyte from,
// and a client on the stack that reads from Linux. Nothing is left running when the work is done.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { hasProgram } from '../../src/cli/lab/process.ts';
import { Capture, cliScript, describeLab, eventually, linkOf, OVER, openLab, RST_FILTER, root } from './fixture.ts';

const program = join(root, 'test', 'lab', 'clients', 'net-program.js');
const entry = join(dirname(dirname(cliScript)), 'net', 'index.js');
const PORT = 8080;
const BODY = process.env.WIREDIS_LAB_FULL === '1' ? 1 << 30 : 64 << 20;

/** SHA-256 of the first `length` bytes that net-program.js serves. */
function servedDigest(length: number): string {
  const block = Buffer.alloc(65536, 'wiredis over the wire. ');
  const hash = createHash('sha256');
  for (let left = length; left > 0; left -= block.length) hash.update(block.subarray(0, Math.min(left, block.length)));
  return hash.digest('hex');
}

describeLab('wiredis/net', () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await openLab();
  });

  afterAll(() => lab?.down());

  const netdev = (over: string): string => lab.netdevFile(over === 'tap' ? 'tap' : 'direct');

  // The packages behind `pcap` hold the process by themselves, so a program over it has to call net.close().
  for (const over of OVER.filter((name) => name !== 'redis' && name !== 'kernel' && name !== 'pcap')) {
    it.skipIf(!hasProgram('curl'))(`${over}: curl reads a large body from an http server on the stack`, async () => {
      const { serverAddress, veth } = linkOf(lab, over);
      const words = [process.execPath, program, entry, netdev(over), over, 'serve', serverAddress, String(PORT)];
      const server = lab.start('server', words, { stdio: ['ignore', 'pipe', 'inherit'] });
      const exited = once(server, 'exit');
      let said = '';
      server.stdout!.on('data', (chunk) => (said += chunk));
      await eventually(
        async () => said,
        (text) => text.includes('listening'),
        10_000,
      );
      const capture = await Capture.start(lab, veth, RST_FILTER);
      const fetched = await lab.must('client', [
        'sh',
        '-c',
        `curl -sS --max-time 120 http://${serverAddress}:${PORT}/${BODY} | sha256sum`,
      ]);
      expect(fetched.split(' ')[0]).toBe(servedDigest(BODY));
      expect(await capture.stop()).toEqual([]);
      server.kill('SIGTERM');
      // Keep-alive of http would hold an idle connection for 5 s; curl has closed its own.
      expect((await exited)[0]).toBe(0);
    });
  }

  it('a client on the stack reads from Linux, and the process ends by itself', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'wiredis-net-'));
    const { clientAddress } = linkOf(lab, 'afpacket');
    writeFileSync(join(folder, 'page'), Buffer.alloc(5_000_000, 'from Linux '));
    const web = lab.start('client', ['python3', '-m', 'http.server', '8000', '--bind', clientAddress, '-d', folder], {
      stdio: 'ignore',
    });
    try {
      const words = [
        process.execPath,
        program,
        entry,
        netdev('afpacket'),
        'afpacket',
        'fetch',
        clientAddress,
        '8000',
        '/page',
      ];
      const result = await eventually(
        () => lab.run('server', words),
        ({ code }) => code === 0,
        20_000,
      );
      const sha256 = createHash('sha256').update(Buffer.alloc(5_000_000, 'from Linux ')).digest('hex');
      expect(JSON.parse(result.stdout)).toEqual({ length: 5_000_000, sha256 });
    } finally {
      web.kill();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
