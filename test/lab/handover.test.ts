// A new process in place of a running server, over a real wire: busy clients see a pause and nothing else, sessions in the
// middle of something come to their end, and what goes wrong leaves the old process as it was. WIREDIS_HANDOVERS=100
// has it happen that often under load (scripts/handover.sh).
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildLab } from '../../src/cli/lab/build.ts';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { defaultCores } from '../../src/cli/lab/plan.ts';
import { hasProgram, stopProcesses } from '../../src/cli/lab/process.ts';
import {
  Capture,
  cliScript,
  describeLab,
  dist,
  eventually,
  LabServer,
  openLab,
  PORT,
  parseInfo,
  RST_FILTER,
  root,
} from './fixture.ts';

const HANDOVERS = Number(process.env.WIREDIS_HANDOVERS ?? 3);
const CLIENTS = 50;

const program = (name: string): string => join(root, 'test', 'handover', name);

interface Done {
  readonly pid: number;
  readonly pauseMs: number;
}

/** A program on the client's host that speaks line by line. */
class Program {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #waiting: ((line: string) => void)[] = [];
  readonly #come: string[] = [];

  constructor(lab: Lab, words: readonly string[]) {
    this.#child = lab.start('client', [process.execPath, ...words], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout! });
    this.#lines.on('line', (line) => {
      const next = this.#waiting.shift();
      if (next === undefined) this.#come.push(line);
      else next(line);
    });
    this.#lines.on('close', () => {
      for (const next of this.#waiting.splice(0)) next('{"error":"it ended"}');
    });
  }

  line(): Promise<string> {
    const line = this.#come.shift();
    return line === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(line);
  }

  say(): void {
    this.#child.stdin!.write('\n');
  }

  end(): void {
    this.#child.stdin!.end();
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}

/** A server with all that came in its place. */
class Lineage {
  pid: number;
  readonly first: LabServer;
  readonly #lab: Lab;

  constructor(lab: Lab, first: LabServer) {
    this.#lab = lab;
    this.first = first;
    this.pid = first.pid;
  }

  async upgrade(script = cliScript): Promise<Done> {
    const result = await this.#lab.run('server', [
      process.execPath,
      script,
      'upgrade',
      '--json',
      '--server',
      String(this.pid),
    ]);
    if (result.code !== 0) throw new Error(result.stderr);
    const done = JSON.parse(result.stdout.trim().split('\n').at(-1)!) as Done;
    this.pid = done.pid;
    return done;
  }

  async stop(): Promise<void> {
    await stopProcesses([this.pid], 10_000);
    await this.first.stop();
  }
}

describeLab('a server that is replaced while it runs', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await openLab();
  });
  afterAll(() => lab?.down());

  const over = ['afxdp', 'afpacket'] as const;

  const patience = { timeout: 120_000 + HANDOVERS * 30_000 };
  it.each(over)(
    `over %s, ${HANDOVERS} times under ${CLIENTS} busy clients: nothing is reset, lost or doubled`,
    patience,
    async (engine) => {
      const server = await LabServer.start(lab, {
        over: engine,
        arguments: ['--appendonly', 'yes', '--enable-debug-command', 'yes'],
      });
      const lineage = new Lineage(lab, server);
      const capture = await Capture.start(lab, lab.plan.links.direct.veth, RST_FILTER);
      const clients = new Program(lab, [program('clients.js'), server.address, String(PORT), String(CLIENTS), '4']);
      const pauses: number[] = [];
      const waits: number[] = [];
      try {
        expect(JSON.parse(await clients.line())).toEqual({ open: CLIENTS });
        clients.say();
        let before = JSON.parse(await clients.line()).commands as number;
        for (let i = 0; i < HANDOVERS; i++) {
          pauses.push((await lineage.upgrade()).pauseMs);
          await eventually(
            async () => {
              clients.say();
              return JSON.parse(await clients.line()) as { commands: number; longestMs: number; error?: string };
            },
            ({ commands, error, longestMs }) => {
              if (error !== undefined) throw new Error(error);
              waits.push(longestMs);
              const goesOn = commands > before + CLIENTS * 8;
              if (goesOn) before = commands;
              return goesOn;
            },
            30_000,
          );
        }
        clients.end();
        const last = JSON.parse(await clients.line());
        expect(last).not.toHaveProperty('error');
        expect(await capture.stop()).toEqual([]);
        // Every INCR that was acknowledged has happened once, also in the append-only file.
        const info = await server.info();
        expect(Number(info.get('total_commands_processed'))).toBeGreaterThanOrEqual(last.commands);
        const values = async (): Promise<string> =>
          (
            await server.cli([
              'EVAL',
              "local s = '' for i = 0, 49 do s = s .. redis.call('GET', 'busy:' .. i) .. ' ' end return s",
              '0',
            ])
          ).stdout;
        const counted = await values();
        expect(await server.typed('DEBUG LOADAOF')).toMatch(/^OK/);
        expect(await values()).toBe(counted);
        const sorted = pauses.toSorted((a, b) => a - b);
        console.log(
          `${engine}: ${HANDOVERS} handovers under ${CLIENTS} clients, pauses ${sorted[0]} to ${sorted.at(-1)} ms, median ` +
            `${sorted[sorted.length >> 1]} ms; longest wait of a client ${Math.max(...waits)} ms; ${last.commands} commands`,
        );
      } finally {
        clients.stop();
        await lineage.stop();
      }
    },
  );

  it.each(over)('over %s, sessions in the middle of something come to their end', async (engine) => {
    const server = await LabServer.start(lab, { over: engine, arguments: ['--save', ''] });
    const lineage = new Lineage(lab, server);
    const sessions = new Program(lab, [program('sessions.js'), server.address, String(PORT)]);
    try {
      expect(await sessions.line()).toBe('ready');
      await lineage.upgrade();
      // And by signal, from the second process to a third.
      const second = lineage.pid;
      process.kill(second, 'SIGUSR2');
      const third = /Handover: process (\d+) is to take the place of (\d+)/g;
      const successor = (): number => {
        const found = [...server.output.matchAll(third)].find((match) => Number(match[2]) === second);
        return found === undefined ? 0 : Number(found[1]);
      };
      await eventually(
        async () => server.output,
        () => successor() > 0,
        30_000,
      );
      await eventually(
        async () => server.output,
        (text) => text.includes(`process ${successor()} serves`),
        30_000,
      );
      lineage.pid = successor();
      sessions.say();
      const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;
      expect(JSON.parse(await sessions.line())).toEqual({
        published: ':1\r\n',
        subscriber: `*3\r\n${bulk('message')}${bulk('news')}${bulk('hello')}`,
        pushed: ':1\r\n',
        waiting: `*2\r\n${bulk('queue')}${bulk('a')}`,
        transaction: '*1\r\n:2\r\n',
        invalidated: expect.stringContaining(bulk('cached')),
        name: bulk('tracker'),
        sameId: true,
        half: '+OK\r\n',
        length: ':200000\r\n',
        large: true,
        user: '+OK\r\n',
        refused: expect.stringMatching(/^-NOPERM/),
        setting: expect.stringContaining(bulk('7')),
        script: ':42\r\n',
        function: ':42\r\n',
        blocked: ':1\r\n',
        hurried: '*-1\r\n',
      });
      // Only the last of the three is left.
      expect((await lab.processes('server')).filter((pid) => [server.pid, second].includes(pid))).toEqual([]);
    } finally {
      sessions.stop();
      await lineage.stop();
    }
  });

  it('as a master and as a replica of redis-server, goes on by partial resynchronizations', async () => {
    const server = await LabServer.start(lab, { over: 'afpacket', arguments: ['--save', ''] });
    const lineage = new Lineage(lab, server);
    const { clientAddress } = lab.plan.links.direct;
    const directory = mkdtempSync(join(tmpdir(), 'wiredis-lab-replica-'));
    const redisPort = '7001';
    const place = ['--bind', clientAddress, '--port', redisPort, '--protected-mode', 'no', '--dir', directory];
    const redis = lab.start('client', ['redis-server', ...place, '--save', '', '--repl-diskless-sync-delay', '0'], {
      stdio: 'ignore',
    });
    const there = async (...words: string[]): Promise<string> =>
      (
        await lab.run('client', ['timeout', '5', 'redis-cli', '-h', clientAddress, '-p', redisPort, ...words])
      ).stdout.trim();
    const here = async (...words: string[]): Promise<string> => (await server.cli(words)).stdout.trim();
    const becomes = (probe: () => Promise<string>, value: string): Promise<string> =>
      eventually(probe, (text) => text === value, 30_000);
    try {
      await becomes(() => there('PING'), 'PONG');
      expect(await here('CONFIG', 'SET', 'repl-diskless-sync-delay', '0')).toBe('OK');
      expect(await here('SET', 'before', '1')).toBe('OK');
      await there('REPLICAOF', server.address, String(PORT));
      await becomes(() => there('GET', 'before'), '1');
      await lineage.upgrade();
      expect(await here('SET', 'after', '2')).toBe('OK');
      await becomes(() => there('GET', 'after'), '2');
      const master = await server.info();
      expect([master.get('sync_full'), master.get('sync_partial_ok')]).toEqual(['0', '1']);
      expect(await here('CONFIG', 'GET', 'repl-diskless-sync-delay')).toMatch(/\n0$/);

      await there('REPLICAOF', 'NO', 'ONE');
      expect(await here('REPLICAOF', clientAddress, redisPort)).toBe('OK');
      await becomes(async () => (await server.info()).get('master_link_status') ?? '', 'up');
      const partial = Number(parseInfo(await there('INFO', 'stats')).get('sync_partial_ok'));
      await lineage.upgrade();
      expect(await there('SET', 'third', '3')).toBe('OK');
      await becomes(() => here('GET', 'third'), '3');
      expect((await server.info()).get('role')).toBe('slave');
      const stats = parseInfo(await there('INFO', 'stats'));
      expect(Number(stats.get('sync_partial_ok'))).toBe(partial + 1);
      expect(await here('SET', 'refused', '1')).toMatch(/^READONLY/);
    } finally {
      await stopProcesses([redis.pid!], 10_000);
      rmSync(directory, { recursive: true, force: true });
      await lineage.stop();
    }
  });

  it.skipIf(!hasProgram('python3'))(
    'as a service that has dropped its privileges, tells systemd who goes on',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'wiredis-lab-notify-'));
      chmodSync(folder, 0o777);
      const socket = join(folder, 'notify');
      const program =
        'import os,socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);s.bind(sys.argv[1]);os.chmod(sys.argv[1],0o777)\n' +
        'while True: print(s.recv(4096).decode(),flush=True)';
      const listener = spawn('python3', ['-uc', program, socket]);
      let told = '';
      listener.stdout.on('data', (data) => {
        told += data;
      });
      await eventually(async () => existsSync(socket), Boolean, 10_000);
      const words = ['env', `NOTIFY_SOCKET=${socket}`, process.execPath, join(dist, 'src/cli/wiredis-server.js')];
      const place = [
        '--netdev',
        lab.netdevFile('direct'),
        '--engine',
        'afxdp',
        '--bind',
        '10.77.0.1',
        '--protected-mode',
        'no',
      ];
      const service = ['--supervised', 'systemd', '--user-after-open', 'nobody', '--dir', folder, '--save', ''];
      const child = lab.start('server', [...words, ...place, ...service], { stdio: ['ignore', 'pipe', 'inherit'] });
      let log = '';
      child.stdout!.on('data', (data) => {
        log += data;
      });
      const pids: number[] = [child.pid!];
      try {
        await eventually(
          async () => told,
          (text) => text.includes('READY=1'),
          20_000,
        );
        for (let i = 0; i < 2; i++) {
          told = '';
          process.kill(pids.at(-1)!, 'SIGUSR2');
          const text = await eventually(
            async () => told,
            (text) => /MAINPID=\d+[\s\S]*READY=1/.test(text),
            30_000,
          );
          pids.push(Number(/MAINPID=(\d+)/.exec(text)?.[1]));
        }
        const status = readFileSync(`/proc/${pids.at(-1)}/status`, 'utf8');
        expect(/^CapEff:\s*(\S+)/m.exec(status)?.[1]).toBe('0000000000000000');
        const pong = await lab.run('client', ['timeout', '5', 'redis-cli', '-h', '10.77.0.1', 'PING']);
        expect(pong.stdout, log).toBe('PONG\n');
      } finally {
        await stopProcesses(pids, 10_000);
        listener.kill('SIGKILL');
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );

  it('goes on when the new process fails, and says why', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'wiredis-lab-handover-'));
    // A copy of the program that can be broken.
    const copy = join(directory, 'dist');
    cpSync(dist, copy, { recursive: true });
    cpSync(join(dirname(dist), 'package.json'), join(directory, 'package.json'));
    symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
    const netdev = join(directory, 'netdev.conf');
    writeFileSync(netdev, readFileSync(lab.netdevFile('direct')));
    const words = [
      join(copy, 'src/cli/wiredis-server.js'),
      '--netdev',
      netdev,
      '--bind',
      '10.77.0.1',
      '--port',
      String(PORT),
    ];
    const child = lab.start(
      'server',
      [process.execPath, ...words, '--protected-mode', 'no', '--save', '', '--dir', directory],
      {
        stdio: 'ignore',
      },
    );
    const cli = (...command: string[]): Promise<string> =>
      lab
        .run('client', ['timeout', '5', 'redis-cli', '-h', '10.77.0.1', ...command])
        .then(({ stdout }) => stdout.trim());
    let pid = child.pid!;
    const upgrade = (): Promise<string> =>
      lab
        .run('server', [process.execPath, cliScript, 'upgrade', '--server', String(pid)])
        .then(({ code, stderr, stdout }) => (code === 0 ? stdout : stderr));
    let clients: Program | null = null;
    try {
      await eventually(
        () => cli('PING'),
        (reply) => reply === 'PONG',
        20_000,
      );
      clients = new Program(lab, [program('clients.js'), '10.77.0.1', String(PORT), '10', '2']);
      expect(JSON.parse(await clients.line())).toEqual({ open: 10 });
      // The new version does not even begin.
      const broken = join(copy, 'src/handover/taker.js');
      const whole = readFileSync(broken, 'utf8');
      writeFileSync(broken, 'throw new Error("broken on purpose");\n');
      expect(await upgrade()).toMatch(/no handover, this process goes on: the new process has ended/);
      // It fails at the very last step, when the old one stands still.
      writeFileSync(broken, whole.replace('waitForWord() {', 'waitForWord() { throw new Error("stumbles"); '));
      expect(await upgrade()).toMatch(/no handover, this process goes on: stumbles/);
      // It hangs there.
      writeFileSync(broken, whole.replace('waitForWord() {', 'waitForWord() { return new Promise(() => {}); '));
      expect(await upgrade()).toMatch(
        /no handover, this process goes on: the new process did not take over within 5 s/,
      );
      // Its configuration is wrong.
      writeFileSync(broken, whole);
      const fine = readFileSync(netdev, 'utf8');
      writeFileSync(netdev, `${fine}\nno-such-key = 1\n`);
      expect(await upgrade()).toMatch(/no handover, this process goes on: .*no-such-key/);
      writeFileSync(netdev, fine);
      expect(await upgrade()).toMatch(/process \d+ serves/);
      const left = (await lab.processes('server')).filter((one) => one !== pid);
      expect(left).toHaveLength(1);
      [pid] = left;
      clients.end();
      expect(JSON.parse(await clients.line())).not.toHaveProperty('error');
    } finally {
      clients?.stop();
      await stopProcesses([child.pid!, pid], 10_000);
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('is refused in clear words where it cannot be', async () => {
    const server = await LabServer.start(lab, { over: 'kernel' });
    try {
      const result = await lab.run('server', [process.execPath, cliScript, 'upgrade', '--server', String(server.pid)]);
      expect([result.code, result.stderr]).toEqual([
        1,
        expect.stringMatching(/the kernel's sockets stay with the process/),
      ]);
      expect((await server.cli(['PING'])).stdout).toBe('PONG\n');
    } finally {
      await server.stop();
    }
  });
});

describeLab('a server that moves to another host', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await buildLab({ name: `wdmove-${process.pid}`, cores: defaultCores(), hosts: 2, progress: () => {} });
  });
  afterAll(() => lab?.down());

  const SECRET = 'a secret of the lab';
  const MOVE_PORT = 7000;

  it(`takes ${CLIENTS} busy clients and its address with it, and comes back`, async () => {
    const bridge = lab.notes.bridge!;
    const directory = mkdtempSync(join(tmpdir(), 'wiredis-lab-move-'));
    const address = bridge.hosts[0].address;
    const children: ChildProcess[] = [];
    const logs: string[] = [];
    const start = (i: number, ...more: string[]): ChildProcess => {
      const { name, netdevFile } = bridge.hosts[i];
      const netdev = join(directory, `${name}.conf`);
      writeFileSync(netdev, readFileSync(netdevFile, 'utf8').replaceAll(bridge.hosts[i].address, address));
      const place = ['--netdev', netdev, '--bind', address, '--port', String(PORT), '--protected-mode', 'no'];
      const own = ['--save', '', '--dir', mkdtempSync(join(directory, name)), '--move-secret', SECRET, ...more];
      const child = lab.start(name, [process.execPath, join(dist, 'src/cli/wiredis-server.js'), ...place, ...own], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const at = logs.push('') - 1;
      child.stdout!.on('data', (chunk) => {
        logs[at] += chunk;
      });
      children.push(child);
      return child;
    };
    const placeOf = (i: number): string => `${bridge.hosts[i].kernelAddress}:${MOVE_PORT}`;
    const move = (from: ChildProcess, to: string): Promise<{ code: number; stdout: string; stderr: string }> =>
      lab.run(bridge.hosts[0].name, [process.execPath, cliScript, 'move', to, '--json', '--server', String(from.pid)]);
    const ready = (text: string): Promise<string> =>
      eventually(
        async () => logs.at(-1)!,
        (log) => log.includes(text),
        30_000,
      );
    let clients: Program | null = null;
    try {
      const first = start(0);
      await ready('Ready to accept connections');
      clients = new Program(lab, [program('clients.js'), address, String(PORT), String(CLIENTS), '4']);
      expect(JSON.parse(await clients.line())).toEqual({ open: CLIENTS });
      // Nobody waits there; then somebody with another secret.
      expect((await move(first, placeOf(1))).stderr).toMatch(/no answer|ECONNREFUSED/);
      const stranger = start(1, '--move-listen', placeOf(1), '--move-secret', 'another');
      await ready('waiting for');
      expect((await move(first, placeOf(1))).stderr).toMatch(/refused: is move-secret the same there/);
      await stopProcesses([stranger.pid!], 10_000);
      const second = start(1, '--move-listen', placeOf(1));
      await ready('waiting for');
      const there = await move(first, placeOf(1));
      expect([there.code, there.stderr]).toEqual([0, '']);
      await eventually(
        async () => first.exitCode,
        (code) => code === 0,
        10_000,
      );
      const third = start(0, '--move-listen', placeOf(0));
      await ready('waiting for');
      clients.say();
      const before = JSON.parse(await clients.line());
      await eventually(
        async () => {
          clients!.say();
          return JSON.parse(await clients!.line()) as { commands: number; error?: string };
        },
        ({ commands, error }) => error !== undefined || commands > before.commands + CLIENTS * 8,
        30_000,
      );
      const back = await move(second, placeOf(0));
      expect([back.code, back.stderr]).toEqual([0, '']);
      const pauses = [there, back].map(({ stdout }) => (JSON.parse(stdout.trim().split('\n').at(-1)!) as Done).pauseMs);
      // New clients find it too.
      const pong = await lab.run('client', ['timeout', '5', 'redis-cli', '-h', address, 'PING']);
      expect(pong.stdout).toBe('PONG\n');
      clients.end();
      const last = JSON.parse(await clients.line());
      expect(last).not.toHaveProperty('error');
      expect(third.exitCode).toBeNull();
      console.log(
        `moved there and back under ${CLIENTS} clients, pauses ${pauses.join(' and ')} ms; ${last.commands} commands`,
      );
    } finally {
      clients?.stop();
      await stopProcesses(
        children.map(({ pid }) => pid!),
        10_000,
      );
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
