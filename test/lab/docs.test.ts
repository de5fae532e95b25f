// Every command in docs/ is run as it is printed: in a lab, with the lab's names in place of the examples'. Blocks say where:
// `sh server` and `sh client` on that host, `sh start` a server that goes on, `sh host` outside of the lab; `sh syntax`
// would change the machine and is only parsed. `ini FILE` is written to that file. A server started later ends the one before.
import type { ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { hasProgram } from '../../src/cli/lab/process.ts';
import { cliScript, describeLab, eventually, openLab, root, serverScript } from './fixture.ts';

const folder = join(root, 'docs');
const documents = readdirSync(folder).filter((name) => name.endsWith('.md'));

interface Block {
  readonly kind: string;
  readonly argument: string;
  readonly text: string;
}

function blocksOf(name: string): Block[] {
  const text = readFileSync(join(folder, name), 'utf8');
  return [...text.matchAll(/^```(\S*) ?(.*)\n([\s\S]*?)^```$/gm)].map(([, kind, argument, body]) => ({
    kind,
    argument,
    text: body,
  }));
}

describe('docs', () => {
  it.each(documents)('%s marks every command', (name) => {
    for (const { kind, argument } of blocksOf(name)) {
      if (kind === 'sh') expect(argument, 'where it is run').toMatch(/^(server|client|start|host|syntax)$/);
    }
  });
});

const withCommands = documents.filter((name) => blocksOf(name).some(({ kind }) => kind === 'sh'));

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
    return text
      .replaceAll('192.0.2.10', serverAddress)
      .replaceAll('192.0.2.20', clientAddress)
      .replaceAll('eth1', veth)
      .replaceAll('--name docs', `--name docs${process.pid}`)
      .replaceAll('/usr/share/wiredis', root);
  }

  const inPlace = (text: string): string[] => ['sh', '-ec', `cd ${place}\nexport PATH=${place}:$PATH\n${here(text)}`];

  async function start(text: string): Promise<void> {
    await stopServer();
    let said = '';
    const words = inPlace(text.replace('wiredis-server', 'exec wiredis-server'));
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

  async function run({ argument, text }: Block): Promise<void> {
    if (argument === 'syntax') execFileSync('sh', ['-n'], { input: text });
    else if (argument === 'start') await start(text);
    else if (argument === 'host') execFileSync(inPlace(text)[0], inPlace(text).slice(1), { stdio: 'pipe' });
    else {
      const { code, stdout, stderr } = await lab.run(argument as 'server' | 'client', inPlace(text));
      expect(code, `${text}\n${stdout}\n${stderr}`).toBe(0);
    }
  }

  it.skipIf(!hasProgram('curl')).each(withCommands)('%s', async (name) => {
    const blocks = blocksOf(name);
    for (const { kind, argument, text } of blocks) {
      if (kind === 'ini') writeFileSync(join(place, argument), here(text));
    }
    for (const block of blocks) if (block.kind === 'sh') await run(block);
    await stopServer();
  });
});
