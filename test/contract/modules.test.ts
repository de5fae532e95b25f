// Modules in a server process of its own: the session that krmt's README shows, a module that is reloaded a thousand
// times under busy clients, and the tool that reloads on change.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { BuiltServer, build } from '../support/built-server.ts';
import type { Peer } from '../support/redis-server.ts';

const OK = { type: '+', text: 'OK' };
const RELOADS = 1000;
const CLIENTS = 50;

let folder: string;
let server: BuiltServer | null = null;
let child: ChildProcess | null = null;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'modules-'));
});
afterEach(async () => {
  child?.kill('SIGKILL');
  child = null;
  await server?.stop();
  server = null;
  rmSync(folder, { recursive: true, force: true });
});

/** Lines about modules: mark and message. */
function moduleLines(log: string): string[] {
  return log
    .split('\n')
    .map((line) => line.replace(/^\d+:M .{24} ?/, '').trimEnd())
    .filter((line) => /\[|module/i.test(line));
}

it('the session of krmt’s README prints its lines', async () => {
  const ping = join(folder, 'ping.mjs');
  const poong = join(build(), 'src', 'modules', 'bundled', 'poong.js');
  const command = (name: string) => `{ name: '${name}', arity: 1, run: (call) => call.reply.simple('POOOOOOOOOONG') }`;
  writeFileSync(
    ping,
    `export const name = 'sh.matt.test.pong', version = '0.0001', apiVersion = '0.9';
     export const commands = [${['poong', 'pooooong', 'pooong', 'pinger'].map(command).join(', ')}];`,
  );
  server = await BuiltServer.start({ 'module-strict': 'no', 'module-add': ping });
  const peer = server.connect();
  expect(await peer.ask('POONG')).toEqual({ type: '+', text: 'POOOOOOOOOONG' });
  const started = moduleLines(server.log());
  expect(started[0]).toMatch(/^\* Module \[<builtin>\] loaded \d+ commands\.$/);
  expect(started.slice(1)).toEqual([
    `* Loading new [${ping}] module.`,
    `# [${ping}] version mismatch. Module was compiled against 0.9, but we are 1.`,
    `# Strict version enforcement is disabled. Loading [${ping}] but undefined behavior may occur.`,
    `* Added command poong [${ping}]`,
    `* Added command pooooong [${ping}]`,
    `* Added command pooong [${ping}]`,
    `* Added command pinger [${ping}]`,
    `* Module [${ping}] loaded 4 commands.`,
    `* Running load function of module [${ping}].`,
  ]);

  expect(await peer.ask('CONFIG', 'SET', 'module-add', poong)).toEqual(OK);
  expect(await peer.ask('PINGER')).toEqual({ type: '+', text: 'PONG' });
  expect(moduleLines(server.log()).slice(started.length)).toEqual([
    `* Running cleanup function for [${ping}].`,
    `* Closed previous [${ping}] module.`,
    `* Loading new [${poong}] module.`,
    `* Replaced existing command poong [${poong}]`,
    `* Replaced existing command pooooong [${poong}]`,
    `* Replaced existing command pooong [${poong}]`,
    `* Replaced existing command pinger [${poong}]`,
    `* Module [${poong}] loaded 4 commands.`,
    `* Running load function of module [${poong}].`,
  ]);

  const [title, builtin, module] = String(await peer.ask('INFO', 'modules')).split('\r\n');
  expect(title).toBe('# Modules');
  expect(builtin).toMatch(/^module_<builtin>:filename=<builtin>,.*first_loaded=0,last_loaded=0,commands=.*\bget,/);
  expect(module).toMatch(/^module_sh\.matt\.test\.pong:filename=/);
  expect(module).toContain(`filename=${poong},compiled_against=1,module_version=0.0001,first_loaded=`);
  expect(module.endsWith(',commands=poong,pooooong,pooong,pinger')).toBe(true);
  expect(await peer.ask('MODULE', 'LIST')).toMatchObject({
    items: [{ items: expect.arrayContaining(['sh.matt.test.pong', poong]) }],
  });
  peer.close();
});

/** Asks for the module's and for built-in commands until told to stop; every answer is looked at. */
async function beBusy(peer: Peer, number: number, stopped: () => boolean): Promise<number> {
  let answered = 0;
  for (let round = 0; !stopped(); round++) {
    const value = `${number}:${round}`;
    const batch = [['SET', `k${number}`, value], ['WHICH'], ['GET', `k${number}`], ['MULTI'], ['WHICH'], ['EXEC']];
    const [set, which, get, , , exec] = (await peer.run(batch)).map(({ reply }) => reply);
    expect([set, get]).toEqual([OK, value]);
    expect(which).toMatchObject({ type: '+', text: expect.stringMatching(/^[ab]$/) });
    expect(exec).toMatchObject({ items: [{ type: '+', text: expect.stringMatching(/^[ab]$/) }] });
    answered += batch.length;
  }
  return answered;
}

it('a module reloaded a thousand times under busy clients fails no command', { timeout: 120_000 }, async () => {
  const text = (word: string) =>
    `export const name = 'flip', version = 1, apiVersion = '1';
     let ticks = 0;
     export const onLoad = (context) => { context.every(1, () => ticks++); };
     export const commands = [
       { name: 'which', arity: 1, flags: ['fast'], run: (call) => call.reply.simple('${word}') },
       { name: 'only-${word}', arity: 1, run: (call) => call.reply.integer(ticks) },
     ];`;
  const files = ['a', 'b'].map((word) => {
    writeFileSync(join(folder, `${word}.mjs`), text(word));
    return join(folder, `${word}.mjs`);
  });
  server = await BuiltServer.start({ 'module-add': files[0] });
  const admin = server.connect();
  const count = await admin.ask('COMMAND', 'COUNT');
  let stop = false;
  const peers = Array.from({ length: CLIENTS }, () => server!.connect());
  const busy = peers.map((peer, i) => beBusy(peer, i, () => stop));
  for (let i = 1; i <= RELOADS; i++) {
    expect(await admin.ask('CONFIG', 'SET', 'module-add', files[i % 2])).toEqual(OK);
  }
  stop = true;
  const answered = await Promise.all(busy);
  expect(Math.min(...answered)).toBeGreaterThan(0);
  expect(await admin.ask('COMMAND', 'COUNT')).toEqual(count);
  const info = String(await admin.ask('INFO', 'modules'));
  expect(info).toContain(`module_loads:${RELOADS + 1}\r\n`);
  expect(info).toContain(`leaked_module_versions:${RELOADS - 1}\r\n`);
  expect(info).toContain('module_failures:0\r\n');
  const stats = String(await admin.ask('INFO', 'commandstats'));
  expect(stats).not.toMatch(/(failed|rejected)_calls=[1-9]/);
  // One name, one row, and every call in it.
  const calls = answered.reduce((sum, each) => sum + each / 3, 0);
  expect(stats).toContain(`cmdstat_which:calls=${calls},`);
  for (const peer of [admin, ...peers]) peer.close();
});

it('wiredis module watch reloads on change', async () => {
  server = await BuiltServer.start();
  const path = join(folder, 'watched.mjs');
  const text = (word: string) =>
    `export const name = 'watched', version = 1, apiVersion = '1';
     export const commands = [{ name: 'word', arity: 1, run: (call) => call.reply.simple('${word}') }];`;
  writeFileSync(path, text('first'));
  const tool = join(build(), 'src', 'cli', 'wiredis.js');
  child = spawn(process.execPath, [tool, 'module', 'watch', path, '--port', String(server.port)], { stdio: 'pipe' });
  const exited = new Promise<number | null>((resolve) => child!.once('exit', resolve));
  let output = '';
  let wake = (): void => {};
  child.stdout!.on('data', (data: Buffer) => {
    output += data.toString();
    wake();
  });
  const said = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(output)) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    output = '';
  };
  const peer = server.connect();
  await said(/watched\.mjs: loaded; 0 old versions/);
  expect(await peer.ask('WORD')).toEqual({ type: '+', text: 'first' });
  writeFileSync(path, text('second'));
  await said(/loaded; 1 old versions/);
  expect(await peer.ask('WORD')).toEqual({ type: '+', text: 'second' });
  writeFileSync(path, 'no JavaScript');
  await said(/not loaded: the server's log says why/);
  expect(await peer.ask('WORD')).toEqual({ type: '+', text: 'second' });
  child.kill('SIGINT');
  expect(await exited).toBe(0);
  peer.close();
});
