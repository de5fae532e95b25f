// What scanners and packet makers send, answered as RFC 9293 3.10.7 says: nmap's scans, fragments, odd flags, wrong options and
// lengths, urgent data, from programs that others wrote. The server serves on, and nothing is left behind.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { hasProgram } from '../../src/cli/lab/process.ts';
import { describeLab, eventually, LabServer, linkOf, OVER, openLab, PORT } from './fixture.ts';

const engines = OVER.filter((over) => over === 'afxdp' || over === 'afpacket');
const NEEDED = ['nmap', 'hping3'];
const missing = NEEDED.filter((name) => !hasProgram(name));
const title = `oddities${missing.length > 0 ? ` [skipped: no ${missing.join(', ')}; scripts/setup.sh --tests installs them]` : ''}`;
const CLOSED = 6380;
const OUR_IPV6 = 'fd77::1';

describeLab(title, () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await openLab();
  });

  afterAll(() => lab?.down());

  /** What nmap says of the open port and of one that is closed. */
  async function scan(address: string, ...words: string[]): Promise<string[]> {
    const six = address.includes(':') ? ['-6'] : [];
    const ports = ['-p', `${PORT},${CLOSED}`];
    const command = ['timeout', '60', 'nmap', '-n', '-Pn', '--max-retries', '2', ...six, ...ports, ...words, address];
    const { code, stdout, stderr } = await lab.run('client', command);
    expect(code, stderr).toBe(0);
    return [PORT, CLOSED].map((port) => new RegExp(`^${port}/tcp +(\\S+)`, 'm').exec(stdout)?.[1] ?? 'none');
  }

  /** Flags of the answers that hping3 got to `count` packets, by its own letters. */
  async function probe(address: string, ...words: string[]): Promise<string[]> {
    const command = ['timeout', '20', 'hping3', '-n', '-c', '2', '-i', 'u20000', ...words, address];
    const { stdout } = await lab.run('client', command);
    return [...stdout.matchAll(/^(?:len=|DUP! len=).* flags=(\S+)/gm)].map(([, flags]) => flags);
  }

  /** The same where there have to be two answers: hping3 waits a second for them, a busy machine may need longer. */
  const answers = (address: string, ...words: string[]): Promise<string[]> =>
    eventually(
      () => probe(address, ...words),
      ({ length }) => length >= 2,
      30_000,
    );

  for (const over of engines) {
    const withServer = async (body: (server: LabServer, address: string) => Promise<void>): Promise<void> => {
      const { veth, serverAddress } = linkOf(lab, over);
      await lab.must('client', ['sysctl', '-qw', `net.ipv6.conf.${veth}.disable_ipv6=0`]);
      await lab.must('client', ['ip', 'addr', 'replace', 'fd77::2/64', 'dev', veth, 'nodad']);
      const server = await LabServer.start(lab, {
        over,
        netdev: `address = ${OUR_IPV6}/64`,
        bind: `${serverAddress} ${OUR_IPV6}`,
      });
      try {
        await server.cli(['SET', 'still', 'here']);
        // hping3 takes the last segment of any connection for an answer.
        await eventually(
          async () => (await lab.run('client', ['ss', '-Htn', 'dst', serverAddress])).stdout,
          (open) => open === '',
          20_000,
        );
        await body(server, serverAddress);
        // Half-open ones go when the scanner's own kernel resets them, or in their time; nothing else is left.
        const info = await eventually(
          () => server.info(),
          (fields) => fields.get('half-open') === '0' && fields.get('flows') === '1',
          70_000,
        );
        expect(info.get('connected_clients')).toBe('1');
        expect(info.get('tcpCurrEstab')).toBe('1');
        expect(Number(info.get('buffer-bytes'))).toBeLessThan(1 << 20);
        expect((await server.cli(['GET', 'still'])).stdout.trim()).toBe('here');
        expect(server.output).not.toMatch(/Error|assert|exception/i);
      } finally {
        await server.stop();
      }
    };

    it.skipIf(missing.length > 0)(`${over}: scans find what RFC 9293 has them find`, async () => {
      await withServer(async (_server, serverAddress) => {
        for (const address of [serverAddress, OUR_IPV6]) {
          expect(await scan(address, '-sS'), `${address} SYN`).toEqual(['open', 'closed']);
          expect(await scan(address, '-sT'), `${address} connect`).toEqual(['open', 'closed']);
          // No ACK, no SYN, no RST: a port that listens says nothing, one that does not says RST.
          for (const kind of ['-sN', '-sF', '-sX']) {
            expect(await scan(address, kind), `${address} ${kind}`).toEqual(['open|filtered', 'closed']);
          }
          // An ACK for nothing gets RST from either.
          expect(await scan(address, '-sA'), `${address} ACK`).toEqual(['unfiltered', 'unfiltered']);
          expect(await scan(address, '-sM'), `${address} FIN,ACK`).toEqual(['closed', 'closed']);
        }
        // The TCP header in pieces of eight bytes.
        expect(await scan(serverAddress, '-sS', '-f')).toEqual(['open', 'closed']);
        expect(await scan(serverAddress, '-sS', '--ip-options', 'R')).toEqual(['open', 'closed']);
        expect(await scan(serverAddress, '-sS', '--badsum')).toEqual(['filtered', 'filtered']);
        // With data in the SYN.
        expect(await scan(serverAddress, '-sS', '--data-length', '500')).toEqual(['open', 'closed']);
      });
    });

    it.skipIf(missing.length > 0)(`${over}: what packet makers make is answered or dropped`, async () => {
      await withServer(async (_server, at) => {
        const open = ['-p', String(PORT)];
        const closed = ['-p', String(CLOSED)];
        expect(await answers(at, '-S', ...open)).toEqual(['SA', 'SA']);
        expect(await answers(at, '-S', ...closed)).toEqual(['RA', 'RA']);
        expect(await answers(at, '-A', ...open)).toEqual(['R', 'R']);
        expect(await probe(at, '-R', ...open)).toEqual([]);
        expect(await probe(at, '-R', ...closed)).toEqual([]);
        expect(await probe(at, ...open)).toEqual([]);
        expect(await answers(at, ...closed)).toEqual(['RA', 'RA']);
        expect(await answers(at, '-S', '-A', ...open)).toEqual(['R', 'R']);
        expect(await probe(at, '-S', '-F', ...open)).toEqual([]);
        expect(await probe(at, '-S', '-R', ...open)).toEqual([]);
        expect(await probe(at, '-F', '-P', '-U', ...open)).toEqual([]);
        expect(await answers(at, '-F', '-P', '-U', ...closed)).toEqual(['RA', 'RA']);
        expect(await answers(at, '-S', '-X', '-Y', ...open)).toHaveLength(2); // ECN's bits: an ECN-setup SYN
        // Urgent data and a closed window in a SYN mean nothing yet.
        expect(await answers(at, '-S', '-U', '-w', '0', ...open)).toEqual(['SA', 'SA']);
        // A bad checksum, and a data offset beyond the segment: dropped.
        expect(await probe(at, '-S', '-b', ...open)).toEqual([]);
        expect(await probe(at, '-S', '-O', '15', ...open)).toEqual([]);
        expect(await answers(at, '-S', '-f', '-d', '200', ...open)).toEqual(['SA', 'SA']);
        expect(await answers(at, '-S', '--tcp-timestamp', '-t', '1', ...open)).toEqual(['SA', 'SA']);
        // Other protocols: answered or not, nothing comes of them.
        for (const words of [
          ['-1'],
          ['-2', '-p', '53'],
          ['-0', '--ipproto', '200'],
          ['-1', '-C', '13'],
          ['-1', '-C', '3'],
        ]) {
          await probe(at, ...words);
        }
        const echo = await lab.run('client', ['timeout', '20', 'hping3', '-n', '-c', '2', '-1', at]);
        expect(echo.stdout).toContain('icmp_seq=');
      });
    });

    it.skipIf(missing.length > 0)(`${over}: nmap -O gets its answers`, async () => {
      await withServer(async (server, address) => {
        const before = Number((await server.info()).get('tcpInSegs'));
        const words = ['-n', '-Pn', '-O', '--osscan-guess', '--max-os-tries', '1', '-p', `${PORT},${CLOSED}`, address];
        const { code, stdout } = await lab.run('client', ['timeout', '100', 'nmap', ...words]);
        expect(code).toBe(0);
        expect(stdout).toMatch(/OS detection performed|No exact OS matches|Too many fingerprints/);
        // Its probes: a sequence of SYNs, odd flags at both ports, ICMP and UDP.
        expect(Number((await server.info()).get('tcpInSegs')) - before).toBeGreaterThan(12);
      });
    });
  }
});
