// The commands of README.md and docs/ are run as they are printed: in a lab, with the lab's names in place of the examples'. Blocks
// of docs/ say where: `sh server` and `sh client` on that host, `sh start` a server that goes on, `sh host` outside of the lab;
// `sh syntax` is only parsed here. `ini FILE` is written to that file. A server started later ends the one before. Where the
// others are run: test/support/document-commands.ts.
import type { ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { hasProgram } from '../../src/cli/lab/process.ts';
import { type Block, blocksOf, commandsOf, DOCUMENTS, type Host, RUN } from '../support/document-commands.ts';
import { cliScript, describeLab, dist, eventually, obstacle, openLab, root, serverScript } from './fixture.ts';

describe('docs', () => {
  it.each(DOCUMENTS.filter((name) => name !== 'README.md'))('%s marks every command', (name) => {
    for (const { kind, argument } of blocksOf(name)) {
      if (kind === 'sh') expect(argument, 'where it is run').toMatch(/^(server|client|start|host|syntax)$/);
    }
  });
});

interface Step {
  readonly host: Host | 'syntax';
  readonly text: string;
}

/** What is run of a document, in its order: marked blocks, then what RUN names. */
function stepsOf(name: string): Step[] {
  const marked = ({ kind, argument }: Block): boolean => kind === 'sh' && argument !== '';
  return [
    ...blocksOf(name)
      .filter(marked)
      .map(({ argument, text }) => ({ host: argument as Step['host'], text })),
    ...commandsOf(name)
      .filter(({ text, block }) => RUN[text] !== undefined && (block ?? '') === '')
      .map(({ text }) => ({ host: RUN[text], text: text.startsWith('source ') ? `bash -c '${text}'` : text })),
  ];
}

const withCommands = DOCUMENTS.filter((name) => stepsOf(name).length > 0);

describeLab('commands in docs', () => {
  let lab: Lab;
  let place = '';
  let server: ChildProcess | null = null;

  beforeAll(async () => {
    lab = await openLab();
    place = mkdtempSync(join(tmpdir(), 'wiredis-docs-'));
    program('wiredis-server', `exec ${process.execPath} ${serverScript} "$@"`);
    // Other servers may run on this machine: the tools are told which one is meant.
    const chosen = `tool=$1; shift; exec ${process.execPath} ${cliScript} $tool --server $(cat ${place}/pid) "$@"`;
    program(
      'wiredis',
      // Before a server runs doctor has nobody to ask.
      `case $1 in netstat | arp | route | top | capture) ${chosen} ;; doctor) if kill -0 $(cat ${place}/pid); then ${chosen}; fi ;; esac\nexec ${process.execPath} ${cliScript} "$@"`,
    );
  });

  const program = (name: string, body: string): void => {
    writeFileSync(join(place, name), `#!/bin/sh\n${body}\n`);
    chmodSync(join(place, name), 0o755);
  };

  const stopServer = async (): Promise<void> => {
    const child = server;
    server = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
  };

  afterAll(async () => {
    await stopServer();
    await lab?.down();
    rmSync(place, { recursive: true, force: true });
  });

  /** The examples' names as the lab has them. */
  function here(text: string): string {
    const { veth, serverAddress, clientAddress } = lab.plan.links.direct;
    const name = `wdtest-${process.pid}-docs`;
    return text
      .replaceAll('192.0.2.10', serverAddress)
      .replaceAll('192.0.2.20', clientAddress)
      .replaceAll('eth1', veth)
      .replaceAll('--name docs', `--name ${name}`)
      .replaceAll('/usr/share/wiredis', root)
      .replaceAll('/etc/redis/redis.conf', join(place, 'redis.conf'))
      .replaceAll('dist/src/', `${dist}/src/`)
      .replaceAll('/run/wiredis-lab/wiredis/', `/run/wiredis-lab/${name}/`)
      .replace(/wiredis lab (up|exec|down)(?! --name)/, `wiredis lab $1 --name ${name}`)
      .replace(/.* server -- wiredis-server .*/, (line) => inBackground(line, name));
  }

  /** A server that a line of a `host` block leaves running, until it answers. */
  function inBackground(line: string, name: string): string {
    const ping = `wiredis lab exec --name ${name} client -- timeout 1 redis-cli -h 10.77.0.1 ping`;
    return `${line} >server.log 2>&1 &\ntimeout 60 sh -c 'until ${ping} 2>&1 | grep PONG; do sleep 0.2; done'`;
  }

  const inPlace = (text: string): string[] => ['sh', '-ec', `cd ${place}\nexport PATH=${place}:$PATH\n${here(text)}`];

  async function start(text: string): Promise<void> {
    await stopServer();
    let said = '';
    const words = inPlace(`exec ${text.trim()}`);
    const child = lab.start('server', words, { stdio: ['ignore', 'pipe', 'pipe'] });
    server = child;
    writeFileSync(join(place, 'pid'), String(child.pid));
    for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (data) => (said += data));
    await eventually(
      () => (child.exitCode === null ? Promise.resolve(said) : Promise.reject(new Error(`it ended: ${said}`))),
      (log) => log.includes('Ready to accept connections'),
      20_000,
    );
  }

  async function run({ host, text }: Step): Promise<void> {
    if (host === 'syntax') execFileSync('sh', ['-n'], { input: text });
    else if (host === 'start') await start(text);
    else if (host === 'host') execFileSync(inPlace(text)[0], inPlace(text).slice(1), { stdio: 'pipe' });
    else {
      const { code, stdout, stderr } = await lab.run(host, inPlace(text));
      expect(code, `${text}\n${stdout}\n${stderr}`).toBe(0);
    }
  }

  it.skipIf(!hasProgram('curl')).each(withCommands)('%s', async (name) => {
    copyFileSync(lab.netdevFile('direct'), join(place, 'netdev.conf'));
    writeFileSync(join(place, 'redis.conf'), 'save ""\n');
    for (const { kind, argument, text } of blocksOf(name)) {
      if (kind === 'ini') writeFileSync(join(place, argument), here(text));
    }
    for (const step of stepsOf(name)) await run(step);
    await stopServer();
  });
});

/** Why scripts/quickstart.sh would not run what these tests run. */
function quickstartObstacle(): string | null {
  if (obstacle !== null) return obstacle;
  if (!hasProgram('ping')) return 'needs ping';
  const stamp = join(root, 'dist', '.built');
  const sources = ['src', 'stack', 'io-engine', 'package.json', 'tsconfig.json', 'tsconfig.build.json'];
  const stale = (): string =>
    execFileSync('find', [...sources, '-newer', stamp, '-print'], { cwd: root, encoding: 'utf8' });
  return existsSync(stamp) && dist === join(root, 'dist') && stale() === ''
    ? null
    : 'needs the build of scripts/setup.sh';
}

const quick = quickstartObstacle();

it.skipIf(quick !== null)(`scripts/quickstart.sh${quick === null ? '' : ` [skipped: ${quick}]`}`, () => {
  const said = execFileSync('scripts/quickstart.sh', { cwd: root, encoding: 'utf8', stdio: 'pipe' });
  expect(said).toMatch(/PING\n.*PONG/);
  expect(said).toMatch(/\d requests per second|rps/);
  expect(said).toMatch(/lab: down\n$/);
});
