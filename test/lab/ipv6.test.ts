// IPv6 on real links, against Linux: clients, ping, neighbour discovery, a duplicate address, and a router that
// configures us.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { checksumErrors, describeLab, LabServer, linkOf, OVER, openLab, parseInfo, serverCommand } from './fixture.ts';

const engines = OVER.filter((over) => over !== 'redis' && over !== 'kernel');

describeLab('IPv6', () => {
  let lab: Lab;
  let folder: string;

  beforeAll(async () => {
    lab = await openLab();
    folder = mkdtempSync(join(tmpdir(), 'wiredis-ipv6-'));
  });

  afterAll(async () => {
    await lab?.down();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The client's host has fd77::2/64 on the link while `body` runs. */
  async function withClient(veth: string, body: () => Promise<void>): Promise<void> {
    // The lab's links have IPv6 off.
    await lab.must('client', ['sysctl', '-qw', `net.ipv6.conf.${veth}.disable_ipv6=0`]);
    await lab.must('client', ['ip', 'addr', 'add', 'fd77::2/64', 'dev', veth, 'nodad']);
    try {
      await body();
    } finally {
      await lab.run('client', ['sysctl', '-qw', `net.ipv6.conf.${veth}.disable_ipv6=1`]);
    }
  }

  for (const over of engines) {
    it(`${over}: redis-cli and redis-benchmark by IPv6 and IPv4 side by side`, async () => {
      const { veth, serverAddress } = linkOf(lab, over);
      await withClient(veth, async () => {
        const server = await LabServer.start(lab, {
          over,
          netdev: 'address = fd77::1/64',
          address: 'fd77::1',
          bind: `fd77::1 ${serverAddress}`,
        });
        try {
          expect((await server.cli(['SET', 'six', 'yes'])).stdout.trim()).toBe('OK');
          // Several full segments each way.
          expect((await server.cli(['SETRANGE', 'large', '300000', 'end'])).stdout.trim()).toBe('300003');
          expect((await server.cli(['GET', 'large'])).stdout.length).toBe(300_004);
          const clients = await server.cli(['CLIENT', 'LIST']);
          expect(clients.stdout).toMatch(/addr=\[fd77::2\]:\d+ laddr=\[fd77::1\]:6379/);
          const old = await lab.run('client', ['redis-cli', '-h', serverAddress, 'GET', 'six']);
          expect(old.stdout.trim()).toBe('yes');
          const benchmark = [
            'redis-benchmark',
            '-h',
            'fd77::1',
            '-n',
            '20000',
            '-c',
            '50',
            '-P',
            '4',
            '-q',
            '-t',
            'get,set',
          ];
          expect((await lab.run('client', benchmark)).stdout).toMatch(/GET: .* requests per second/);
          const ping = await lab.run('client', ['ping', '-6', '-c', '1', '-W', '10', '-s', '1400', 'fd77::1']);
          expect(ping.stdout).toContain('1 received');
          // In fragments, and all of it back.
          for (const at of ['fd77::1', serverAddress]) {
            const long = await lab.run('client', ['ping', '-c', '1', '-W', '10', '-s', '4000', at]);
            expect(long.stdout).toMatch(/^4008 bytes from/m);
          }
          expect(parseInfo((await server.cli(['INFO', 'wiredis'])).stdout).get('ipReasmOKs')).toBe('2');
          expect(await checksumErrors(lab)).toBe(0);
        } finally {
          await server.stop();
        }
      });
    });
  }

  it('an address that another host has: the start fails and names its hardware address (RFC 4862 5.4)', async () => {
    const { veth, serverAddress } = linkOf(lab, 'afpacket');
    await withClient(veth, async () => {
      const netdev = join(folder, 'taken.conf');
      writeFileSync(netdev, `${readFileSync(lab.netdevFile('direct'), 'utf8')}\naddress = fd77::2/64\n`);
      const mac = (await lab.must('client', ['cat', `/sys/class/net/${veth}/address`])).trim();
      const command = serverCommand(lab, { over: 'afpacket', address: serverAddress }, netdev);
      const result = await lab.run('server', command);
      expect(result.code).toBe(1);
      expect(result.stdout + result.stderr).toContain(`the address is taken: fd77::2 is at ${mac}`);
    });
  });
});
