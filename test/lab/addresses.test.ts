// What netdev.conf says of addresses, on real links: one that another host has is refused with its name, and a VLAN is
// kept to, over every engine.
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { hasProgram } from '../../src/cli/lab/process.ts';
import type { StackFacts } from '../../src/transports/userspace.ts';
import {
  cliScript,
  describeLab,
  eventually,
  LabServer,
  linkOf,
  netClient,
  OVER,
  openLab,
  PORT,
  serverCommand,
} from './fixture.ts';

const engines = OVER.filter((over) => over !== 'redis' && over !== 'kernel');

describeLab('addresses', () => {
  let lab: Lab;
  let folder: string;

  beforeAll(async () => {
    lab = await openLab();
    folder = mkdtempSync(join(tmpdir(), 'wiredis-addresses-'));
  });

  afterAll(async () => {
    await lab?.down();
    rmSync(folder, { recursive: true, force: true });
  });

  it('an address that another host has: the start fails and names its hardware address (RFC 5227)', async () => {
    const { clientAddress, veth } = linkOf(lab, 'afpacket');
    const base = readFileSync(lab.netdevFile('direct'), 'utf8');
    const netdev = join(folder, 'taken.conf');
    writeFileSync(netdev, base.replace(/^address = .*$/m, `address = ${clientAddress}/24`));
    const mac = (await lab.must('client', ['cat', `/sys/class/net/${veth}/address`])).trim();
    const result = await lab.run('server', serverCommand(lab, { over: 'afpacket' }, netdev));
    expect(result.code).toBe(1);
    expect(result.stdout + result.stderr).toContain(`the address is taken: ${clientAddress} is at ${mac}`);
  });

  it("redis.conf's own default for bind: every address, listened at once", async () => {
    const server = await LabServer.start(lab, { over: engines[0], bind: '* -::*' });
    try {
      const words = [process.execPath, cliScript, 'netstat', '--json', '--server', String(server.pid)];
      const { listeners } = JSON.parse(await lab.must('server', words)) as StackFacts;
      expect(listeners).toMatchObject([{ port: PORT }]);
    } finally {
      await server.stop();
    }
  });

  /** Commands from a stack of ours on the client's host; Linux's own knows no VLAN everywhere. */
  async function exchange(
    device: string,
    settings: readonly string[],
    host: string,
    commands: readonly string[],
  ): Promise<{ received?: string; error?: string }> {
    const netdev = join(folder, 'client.conf');
    writeFileSync(netdev, [`interface = ${device}`, ...settings].join('\n'));
    const words = [...netClient, netdev, host, String(PORT), ...commands];
    return JSON.parse(await lab.must('client', words));
  }

  for (const over of engines) {
    it(`${over}: a server in VLAN 42 is reached in it, and only in it`, async () => {
      const { veth, serverAddress } = linkOf(lab, over);
      const inVlan = serverAddress.replace('10.77.', '10.78.');
      const client = `address = ${inVlan.replace(/1$/, '2')}/24`;
      const base = readFileSync(lab.netdevFile(over === 'tap' ? 'tap' : 'direct'), 'utf8');
      const netdevFile = join(folder, `${over}.conf`);
      writeFileSync(netdevFile, `${base.replace(/^address = .*$/m, `address = ${inVlan}/24`)}\nvlan = 42\n`);
      const server = lab.start('server', serverCommand(lab, { over, address: inVlan }, netdevFile), {
        cwd: folder,
        stdio: 'ignore',
      });
      const ended = once(server, 'exit');
      try {
        // Several segments each way.
        const commands = [`SET tagged ${'x'.repeat(30_000)}`, 'STRLEN tagged', 'GET tagged'];
        const { received } = await eventually(
          () => exchange(veth, [client, 'vlan = 42'], inVlan, commands),
          (result) => result.error === undefined,
          10_000,
        );
        expect(received).toBe(`+OK\r\n:30000\r\n$30000\r\n${'x'.repeat(30_000)}\r\n+OK\r\n`);
        // Nobody answers our questions there.
        for (const other of ['vlan = 43', 'vlan = 0']) {
          expect(await exchange(veth, [client, other], inVlan, ['PING'])).toEqual({ error: 'EHOSTUNREACH' });
        }
      } finally {
        server.kill('SIGKILL');
        await ended;
      }
    });
  }
});

describeLab('DHCP', () => {
  let lab: Lab;
  let folder: string;

  beforeAll(async () => {
    lab = await openLab();
    folder = mkdtempSync(join(tmpdir(), 'wiredis-dhcp-'));
  });

  afterAll(async () => {
    await lab?.down();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const over of engines) {
    it.skipIf(!hasProgram('dnsmasq'))(
      `${over}: a server with address = dhcp gets one from dnsmasq and serves on it`,
      async () => {
        const { veth, serverAddress, clientAddress } = linkOf(lab, over);
        const leased = serverAddress.replace(/1$/, '77');
        const words = [
          'dnsmasq',
          '--no-daemon',
          '--conf-file=/dev/null',
          '--port=0',
          '--bind-interfaces',
          '--log-dhcp',
        ];
        const range = [`--dhcp-range=${leased},${leased},255.255.255.0,120s`, `--interface=${veth}`];
        const leases = [
          `--dhcp-leasefile=${join(folder, `${over}.leases`)}`,
          `--dhcp-option=3,${clientAddress}`,
          '--user=root',
        ];
        const dnsmasq = lab.start('client', [...words, ...range, ...leases], { stdio: ['ignore', 'pipe', 'pipe'] });
        let said = '';
        for (const stream of [dnsmasq.stdout!, dnsmasq.stderr!]) stream.on('data', (chunk) => (said += chunk));
        const ended = once(dnsmasq, 'exit');
        try {
          await eventually(
            async () => said,
            (text) => text.includes('started'),
            5000,
          );
          const base = readFileSync(lab.netdevFile(over === 'tap' ? 'tap' : 'direct'), 'utf8');
          writeFileSync(join(folder, `${over}.conf`), base.replace(/^address = .*$/m, 'address = dhcp'));
          const command = serverCommand(lab, { over, address: leased, bind: '*' }, join(folder, `${over}.conf`));
          const server = lab.start('server', command, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
          let log = '';
          for (const stream of [server.stdout!, server.stderr!]) stream.on('data', (chunk) => (log += chunk));
          const exited = once(server, 'exit');
          try {
            const reply = await eventually(
              () => lab.run('client', ['timeout', '1', 'redis-cli', '-h', leased, 'PING']),
              ({ stdout }) => stdout.trim() === 'PONG',
              15_000,
            );
            expect(reply.code).toBe(0);
            expect(log).toContain(`DHCP: ${leased}/24 from ${clientAddress} for 120 s`);
          } finally {
            server.kill('SIGTERM');
            await exited;
          }
          // It gave the address back.
          await eventually(
            async () => said,
            (text) => text.includes('DHCPRELEASE'),
            3000,
          );
        } finally {
          dnsmasq.kill('SIGTERM');
          await ended;
        }
      },
    );
  }
});
