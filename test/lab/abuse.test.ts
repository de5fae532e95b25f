// What others may try on a server that works, over IPv4 and IPv6: blind segments for somebody's connection (RFC 5961),
// and clients that ask and never read. A live redis-cli session stays the connection it was, and memory is given back.
import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { describeLab, dist, eventually, LabServer, linkOf, OVER, type Over, openLab, PORT, root } from './fixture.ts';

/** Every in-window value is hit several times with windows of 64 KiB and more. */
const STEP = 16_384;
const SQUATTERS = 20;
const engines = OVER.filter((over) => over === 'afxdp' || over === 'afpacket');
const OUR_IPV6 = 'fd77::1';
const PEER_IPV6 = 'fd77::2';
/** TCP does not know which family it is over: one engine is enough for the second. */
const runs = engines.flatMap((over): (readonly [Over, 4 | 6])[] =>
  over === 'afpacket'
    ? [
        [over, 4],
        [over, 6],
      ]
    : [[over, 4]],
);

/** redis-cli that stays connected; replies come back as text. */
class Session {
  readonly #child: ChildProcess;
  #said = '';
  #asked = 0;

  constructor(lab: Lab, address: string) {
    this.#child = lab.start('client', ['redis-cli', '-h', address], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdout!.on('data', (chunk) => (this.#said += chunk));
  }

  async ask(command: string): Promise<string> {
    const mark = `asked-${++this.#asked}`;
    this.#said = '';
    this.#child.stdin!.write(`${command}\nECHO ${mark}\n`);
    const text = await eventually(
      async () => this.#said,
      (said) => said.includes(mark),
      20_000,
    );
    return text.slice(0, text.indexOf(mark)).trim();
  }

  close(): void {
    this.#child.kill();
  }
}

describeLab('abuse', () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await openLab();
    const { veth } = linkOf(lab, 'afpacket');
    await lab.must('client', ['sysctl', '-qw', `net.ipv6.conf.${veth}.disable_ipv6=0`]);
    await lab.must('client', ['ip', 'addr', 'add', `${PEER_IPV6}/64`, 'dev', veth, 'nodad']);
  });

  afterAll(() => lab?.down());

  function startServer(over: Over, family: 4 | 6, directives: readonly string[] = [], netdev = ''): Promise<LabServer> {
    const six = family === 6 ? { address: OUR_IPV6, netdev: `address = ${OUR_IPV6}/64\n${netdev}` } : { netdev };
    return LabServer.start(lab, { over, arguments: directives, ...six });
  }

  /** Clients that ask `requests` times for a value of `size` bytes and read nothing; `body` runs while they do. */
  async function withSquatters(
    over: Over,
    family: 4 | 6,
    size: string,
    requests: string,
    body: (server: LabServer, before: Map<string, string>) => Promise<void>,
  ): Promise<void> {
    const limit = ['--client-output-buffer-limit', 'normal 4mb 0 0'];
    const server = await startServer(over, family, limit, 'send-buffer = 256kb');
    const script = `${root}/test/lab/clients/never-reads.js`;
    let squatters: ChildProcess | null = null;
    try {
      await server.cli(['SETRANGE', 'large', size, 'end']);
      const before = await server.info();
      const received = Number(before.get('total_connections_received'));
      const words = [process.execPath, script, server.address, String(PORT), String(SQUATTERS), requests, 'large'];
      squatters = lab.start('client', words, { stdio: 'ignore' });
      await eventually(
        () => server.info(),
        (info) => Number(info.get('total_connections_received')) >= received + SQUATTERS,
        15_000,
      );
      await body(server, before);
      expect((await server.cli(['PING'])).stdout.trim()).toBe('PONG');
    } finally {
      squatters?.kill();
      await server.stop();
    }
  }

  for (const [over, family] of runs) {
    const name = `${over}, IPv${family}`;
    it(`${name}: blind RSTs, SYNs and data over the whole sequence space leave a session alone`, async () => {
      const { veth, ...link } = linkOf(lab, over);
      const [serverAddress, clientAddress] =
        family === 4 ? [link.serverAddress, link.clientAddress] : [OUR_IPV6, PEER_IPV6];
      const server = await startServer(over, family);
      const session = new Session(lab, serverAddress);
      try {
        await session.ask('SET precious treasure');
        const id = await session.ask('CLIENT ID');
        const port = / addr=\S+:(\d+) /.exec(await session.ask('CLIENT INFO'))?.[1];
        const mac = (await lab.must('server', ['cat', `/sys/class/net/${veth}/address`])).trim();
        const script = `${root}/test/lab/clients/blind-attack.js`;
        const words = [dist, veth, mac, clientAddress, String(port), serverAddress, String(PORT), String(STEP)];
        const attack = lab.run('client', [process.execPath, script, ...words]);
        // It goes on working in the meantime.
        const during: string[] = [];
        for (let i = 0; i < 20; i++) during.push(await session.ask(`INCR during`));
        const result = await attack;
        expect(result.code, result.stderr).toBe(0);
        const sent = JSON.parse(result.stdout);
        expect(sent.rst).toBe(2 ** 32 / STEP);
        expect(during.at(-1)).toMatch(/20$/);
        // The same connection, not one that redis-cli made anew.
        expect(await session.ask('CLIENT ID')).toBe(id);
        expect(await session.ask('GET precious')).toMatch(/treasure/);
        const info = await server.info();
        expect(Number(info.get('tcpInSegs'))).toBeGreaterThan(sent.rst * 2);
        expect(info.get('tcpEstabResets')).toBe('0');
        // Some were inside the window and asked back about, at a limited rate.
        expect(Number(info.get('tcpChallengeAcks'))).toBeGreaterThan(0);
      } finally {
        session.close();
        await server.stop();
      }
    });

    it(`${name}: a client that does not read its reply ends at client-output-buffer-limit`, async () => {
      await withSquatters(over, family, '6000000', '1', async (server) => {
        // `flows` counts those that the stack still has, whoever owns them.
        const info = await eventually(
          () => server.info(),
          (fields) => fields.get('flows') === '1' && Number(fields.get('buffer-bytes')) < 1 << 20,
          15_000,
        );
        expect(info.get('client_output_buffer_limit_disconnections') ?? '20').toBe('20');
      });
    });

    it(`${name}: however much is asked for and not read, what is kept is bounded`, async () => {
      await withSquatters(over, family, '1000000', '64', async (server, before) => {
        await new Promise((resolve) => setTimeout(resolve, 3000));
        const info = await server.info();
        // Of 64 MB asked for: a reply or two, and the stack's send buffer.
        expect(Number(info.get('buffer-bytes'))).toBeLessThanOrEqual(SQUATTERS * (512 << 10));
        const grown = Number(info.get('used_memory_rss')) - Number(before.get('used_memory_rss'));
        expect(grown).toBeLessThan(SQUATTERS * (8 << 20));
      });
    });
  }
});
