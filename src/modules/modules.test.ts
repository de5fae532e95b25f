// Modules in a whole server: loading in every way, reloading, what goes wrong, and what INFO and the log say.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { OurServer } from '../../test/support/our-server.ts';
import type { Peer } from '../../test/support/redis-server.ts';
import { Log } from '../platform/log.ts';

const FAILED = { error: 'ERR Error loading the extension. Please check the server logs.' };

interface Running {
  readonly server: OurServer;
  readonly peer: Peer;
  readonly folder: string;
  /** Lines since the last call: mark and message. */
  lines(): string[];
  /** Writes a module's file. @returns its path. */
  file(name: string, text: string): string;
  info(): Promise<string[]>;
}

const running: Running[] = [];

async function start(directives: Record<string, string | number> = {}, prepared: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'modules-'));
  const lines: string[] = [];
  const log = new Log({ write: (line) => lines.push(line.replace(/^\d+:M .{24} ?/, '').trimEnd()) });
  for (const [name, text] of Object.entries(prepared)) writeFileSync(join(folder, name), text);
  const placed = Object.entries(directives).map(([name, value]) => [name, String(value).replace('FOLDER', folder)]);
  const server = await OurServer.start({ 'enable-module-command': 'yes', ...Object.fromEntries(placed) }, undefined, {
    log,
  });
  const peer = server.connect();
  const one: Running = {
    server,
    peer,
    folder,
    lines: () => lines.splice(0),
    file: (name, text) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    },
    info: async () => String(await peer.ask('INFO', 'modules')).split('\r\n'),
  };
  running.push(one);
  return one;
}

afterEach(async () => {
  for (const { server, peer, folder } of running.splice(0)) {
    peer.close();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

/** A module's text. */
function text(commands: Record<string, string>, more = '', head = ''): string {
  const rows = Object.entries(commands).map(
    ([name, run]) => `{ name: '${name}', arity: -1, flags: ['readonly'], keys: [0, 0, 0], run: (call) => { ${run} } }`,
  );
  return `${head}
export const name = 'test'; export const version = 1; export const apiVersion = '1';
export const commands = [${rows.join(', ')}];
${more}`;
}

const simple = (word: string): string => `call.reply.simple('${word}')`;
const status = (word: string) => ({ type: '+', text: word });

describe('MODULE', () => {
  it('loads a bundled module by bare name, lists it and unloads it', async () => {
    const { peer, lines } = await start();
    expect(await peer.ask('POONG')).toMatchObject({ error: expect.stringContaining('unknown command') });
    lines();
    expect(await peer.ask('MODULE', 'LOAD', 'poong', 'a', 'b')).toEqual(status('OK'));
    expect(lines()).toEqual([
      '* Loading new [poong] module.',
      '* Added command poong [poong]',
      '* Added command pooooong [poong]',
      '* Added command pooong [poong]',
      '* Added command pinger [poong]',
      '* Module [poong] loaded 4 commands.',
      '* Running load function of module [poong].',
    ]);
    for (const name of ['POONG', 'poooooNG', 'pooong']) expect(await peer.ask(name)).toEqual(status('POOOOOOOOOONG'));
    expect(await peer.ask('PINGER')).toEqual(status('PONG'));
    expect(await peer.ask('MODULE', 'LIST')).toMatchObject({
      items: [
        { items: ['name', 'sh.matt.test.pong', 'ver', '0.0001', 'path', 'poong', 'args', { items: ['a', 'b'] }] },
      ],
    });
    expect(await peer.ask('COMMAND', 'LIST', 'FILTERBY', 'MODULE', 'sh.matt.test.pong')).toMatchObject({
      items: ['poong', 'pooooong', 'pooong', 'pinger'],
    });
    expect(await peer.ask('MODULE', 'LOAD', 'poong')).toEqual(FAILED);
    expect(await peer.ask('MODULE', 'UNLOAD', 'other')).toEqual({
      error: 'ERR Error unloading module: no such module with that name',
    });
    expect(await peer.ask('MODULE', 'UNLOAD', 'sh.matt.test.pong')).toEqual(status('OK'));
    expect(lines().slice(-2)).toEqual(['* Running cleanup function for [poong].', '* Module [poong] unloaded.']);
    expect(await peer.ask('POONG')).toMatchObject({ error: expect.stringContaining('unknown command') });
    expect(await peer.ask('MODULE', 'LIST')).toMatchObject({ items: [] });
  });

  it('is refused as enable-module-command says', async () => {
    const { peer } = await start({ 'enable-module-command': 'no' });
    for (const words of [
      ['LOAD', 'poong'],
      ['LOADEX', 'poong'],
      ['UNLOAD', 'poong'],
    ]) {
      expect(await peer.ask('MODULE', ...words)).toMatchObject({ error: expect.stringContaining('not allowed') });
    }
    expect(await peer.ask('MODULE', 'LIST')).toMatchObject({ items: [] });
    expect(await peer.ask('MODULE', 'HELP')).toMatchObject({ type: '*' });
    const local = await start({ 'enable-module-command': 'local' });
    expect(await local.peer.ask('MODULE', 'LOAD', 'poong')).toEqual(status('OK'));
  });

  it('LOADEX takes settings and words', async () => {
    const { peer, file, lines } = await start();
    const path = file(
      'ex.mjs',
      text(
        { words: "call.reply.bulkText(context.args.join(',') + context.setting('test-limit'))" },
        `let context; export const onLoad = (given) => { context = given; };
         export const settings = { 'test-limit': { fallback: 1, flags: 0, alias: undefined,
           parse(words) { return Number(words[0]); }, format: String } };`,
      ),
    );
    expect(await peer.ask('MODULE', 'LOADEX', path, 'CONFIG', 'nothing', '1')).toEqual(FAILED);
    expect(lines().at(-1)).toContain("it has no setting 'nothing'");
    expect(await peer.ask('WORDS')).toMatchObject({ error: expect.stringContaining('unknown command') });
    expect(await peer.ask('MODULE', 'LOADEX', path, 'CONFIG', 'test-limit')).toEqual(FAILED);
    expect(await peer.ask('MODULE', 'LOADEX', path, 'CONFIG', 'test-limit', '7', 'ARGS', 'x', 'y')).toEqual(
      status('OK'),
    );
    expect(await peer.ask('WORDS')).toBe('x,y7');
    expect(await peer.ask('CONFIG', 'SET', 'test-limit', '8')).toEqual(status('OK'));
    expect(await peer.ask('CONFIG', 'GET', 'test-*')).toMatchObject({ items: ['test-limit', '8'] });
    expect(await peer.ask('WORDS')).toBe('x,y8');
    expect(await peer.ask('MODULE', 'UNLOAD', 'test')).toEqual(status('OK'));
    expect(await peer.ask('CONFIG', 'GET', 'test-*')).toMatchObject({ items: [] });
  });
});

describe('a module in the configuration', () => {
  it('is loaded at start, with its settings', async () => {
    const { peer, lines } = await start({ loadmodule: 'poong' });
    expect(lines()).toContain(`* Module [<builtin>] loaded ${(await commandCount(peer)) - 4} commands.`);
    expect(await peer.ask('POONG')).toEqual(status('POOOOOOOOOONG'));
  });

  it('ends the server when loadmodule cannot be done, and not when module-add cannot', async () => {
    await expect(start({ loadmodule: '/no/such/file.mjs' })).rejects.toThrow(
      "Can't load module from /no/such/file.mjs",
    );
    const { lines, peer } = await start({ 'module-add': '/no/such/file.mjs' });
    expect(lines().join('\n')).toContain('# Module /no/such/file.mjs failed to load: there is no file');
    expect(await peer.ask('PING')).toEqual(status('PONG'));
  });

  it('is refused when nobody wants a setting', async () => {
    await expect(start({ loadmodule: 'poong', 'poong-size': 3 })).rejects.toThrow(
      "No module has the setting 'poong-size'",
    );
  });
});

async function commandCount(peer: Peer): Promise<number> {
  return Number(((await peer.ask('COMMAND', 'COUNT')) as { text: string }).text);
}

describe('a new version', () => {
  it('takes the place of the old one; what it dropped is gone; nobody notices', async () => {
    const { file, info, lines, peer, server } = await start();
    const hooks = (tag: string) => `
      export const onLoad = (context) => context.log('${tag} came');
      export const onUnload = (context) => context.log('${tag} went');`;
    const first = file('a.mjs', text({ one: simple('1'), two: simple('2') }, hooks('first')));
    expect(await peer.ask('CONFIG', 'SET', 'module-add', first)).toEqual(status('OK'));
    const other = server.connect();
    await other.run([['MULTI'], ['ONE'], ['TWO']]);
    await peer.ask('ONE');
    const count = await commandCount(peer);
    lines();
    const second = file('b.mjs', text({ one: simple('uno'), three: simple('3') }, hooks('second')));
    expect(await peer.ask('CONFIG', 'SET', 'module-add', second)).toEqual(status('OK'));
    expect(lines()).toEqual([
      `* Running cleanup function for [${first}].`,
      '* <test> first went',
      `* Closed previous [${first}] module.`,
      `* Loading new [${second}] module.`,
      `* Replaced existing command one [${second}]`,
      `* Added command three [${second}]`,
      `* Removed command two [${second}]`,
      `* Module [${second}] loaded 2 commands.`,
      `* Running load function of module [${second}].`,
      '* <test> second came',
    ]);
    expect(await commandCount(peer)).toBe(count);
    expect(await peer.ask('ONE')).toEqual(status('uno'));
    expect(await peer.ask('TWO')).toMatchObject({ error: expect.stringContaining('unknown command') });
    // Queued before: the version of now answers, or nobody.
    expect(await other.ask('EXEC')).toMatchObject({
      items: [status('uno'), { error: expect.stringContaining("unknown command 'two'") }],
    });
    other.close();
    // The count goes on.
    expect(String(await peer.ask('INFO', 'commandstats'))).toContain('cmdstat_one:calls=3');
    const [title, builtin, line, loaded, loads, leaked] = await info();
    expect(title).toBe('# Modules');
    expect(builtin).toMatch(
      /^module_<builtin>:filename=<builtin>,compiled_against=1,module_version=\d+\.\d+\.\d+,first_loaded=0,last_loaded=0,commands=[a-z_,-]+$/,
    );
    expect(line).toMatch(
      new RegExp(
        `^module_test:filename=${second},compiled_against=1,module_version=1,first_loaded=\\d+,last_loaded=\\d+,commands=one,three$`,
      ),
    );
    expect([loaded, loads, leaked]).toEqual(['loaded_modules:1', 'module_loads:2', 'leaked_module_versions:0']);
    expect(String(await peer.ask('INFO'))).toContain('loaded_modules:1\r\n');
    expect(String(await peer.ask('INFO'))).not.toContain('<builtin>');
  });

  it('from the same file is counted as kept in memory', async () => {
    const { file, info, peer } = await start();
    const path = file('a.mjs', text({ one: simple('1') }));
    await peer.ask('CONFIG', 'SET', 'module-add', path);
    for (const word of ['2', '3']) {
      file('a.mjs', text({ one: simple(word) }));
      await peer.ask('CONFIG', 'SET', 'module-add', path);
      expect(await peer.ask('ONE')).toEqual(status(word));
    }
    expect(await info()).toContain('leaked_module_versions:2');
  });

  it.each([
    ['throws while it is read', `throw new Error('no good');`, 'no good'],
    ['is no JavaScript', 'export const = 3;', 'SyntaxError|Unexpected|Expected|parse'],
    ['exports nothing', 'export {};', 'exports no name'],
    ['has no name', text({}).replace("'test'", "''"), 'its name is empty'],
    ['has a name that starts with <', text({}).replace("'test'", "'<builtin>'"), "starts with '<'"],
    [
      'throws in onLoad',
      text({ one: simple('2') }, `export const onLoad = () => { throw new Error('not me'); };`),
      'not me',
    ],
    ['has an asynchronous onLoad', text({ one: simple('2') }, 'export const onLoad = async () => {};'), 'asynchronous'],
    ['has a command of two words', text({ 'a b': simple('2') }), 'one word'],
  ])('that %s leaves the old one in place', async (_what, body, reason) => {
    const { file, info, lines, peer } = await start();
    const path = file('a.mjs', text({ one: simple('1') }));
    expect(await peer.ask('CONFIG', 'SET', 'module-add', path)).toEqual(status('OK'));
    const bad = file('bad.mjs', body);
    lines();
    expect(await peer.ask('CONFIG', 'SET', 'module-add', bad)).toEqual(status('OK'));
    expect(lines().find((line) => line.startsWith(`# Module ${bad} failed to load: `))).toMatch(new RegExp(reason));
    expect(await peer.ask('ONE')).toEqual(status('1'));
    expect((await info())[2]).toContain(`filename=${path},`);
  });

  it('of another API version is refused, or loaded with a warning', async () => {
    const { file, lines, peer } = await start();
    const path = file('old.mjs', text({ one: simple('1') }).replace("apiVersion = '1'", "apiVersion = '0.9'"));
    lines();
    expect(await peer.ask('CONFIG', 'SET', 'module-add', path)).toEqual(status('OK'));
    expect(lines()).toEqual([
      `* Loading new [${path}] module.`,
      `# [${path}] version mismatch. Module was compiled against 0.9, but we are 1.`,
      `# Module ${path} failed to load: another API version, and 'module-strict' is yes`,
    ]);
    expect(await peer.ask('MODULE', 'LOAD', path)).toEqual(FAILED);
    expect(await peer.ask('CONFIG', 'SET', 'module-strict', 'no')).toEqual(status('OK'));
    lines();
    expect(await peer.ask('MODULE', 'LOAD', path)).toEqual(status('OK'));
    expect(lines().slice(0, 3)).toEqual([
      `* Loading new [${path}] module.`,
      `# [${path}] version mismatch. Module was compiled against 0.9, but we are 1.`,
      `# Strict version enforcement is disabled. Loading [${path}] but undefined behavior may occur.`,
    ]);
    expect(await peer.ask('ONE')).toEqual(status('1'));
  });

  it('gives the built-in command back when it goes', async () => {
    const { file, lines, peer } = await start();
    const path = file('a.mjs', text({ ping: simple('PENG') }));
    await peer.ask('MODULE', 'LOAD', path);
    expect(lines()).toContain(`* Replaced existing command ping [${path}]`);
    expect(await peer.ask('PING')).toEqual(status('PENG'));
    await peer.ask('MODULE', 'UNLOAD', 'test');
    expect(await peer.ask('PING')).toEqual(status('PONG'));
  });
});

describe('a module that fails', () => {
  it('in a command is an error for its client, counted, and nothing else', async () => {
    const { file, info, lines, peer } = await start();
    const path = file(
      'a.mjs',
      text({
        bad: "call.reply.array(2); call.reply.simple('half'); throw new Error('line 1\\r\\nline 2')",
        mute: '',
        promise: 'return Promise.reject(new Error("later"))',
        blocks: "call.block({ kind: 'module', timeoutMs: 0 }); throw new Error('waits')",
      }),
    );
    await peer.ask('MODULE', 'LOAD', path);
    lines();
    const answers = await peer.run([['BAD'], ['MUTE'], ['PROMISE'], ['BLOCKS'], ['PING']]);
    expect(answers.map(({ reply }) => reply)).toEqual([
      { error: "ERR Module [test] failed in 'bad': line 1 line 2" },
      { error: "ERR Module [test] failed in 'mute': the command gave no reply" },
      { error: "ERR Module [test] failed in 'promise': a command must not be asynchronous" },
      { error: "ERR Module [test] failed in 'blocks': waits" },
      status('PONG'),
    ]);
    expect(lines()[0]).toBe("# Module [test] failed in 'bad': line 1 line 2");
    expect(await info()).toContain('module_failures:5');
    const stats = String(await peer.ask('INFO', 'commandstats'));
    for (const name of ['bad', 'mute', 'promise', 'blocks']) {
      expect(stats).toMatch(new RegExp(`cmdstat_${name}:calls=1,.*failed_calls=1`));
    }
    expect(String(await peer.ask('INFO', 'errorstats'))).toMatch(/errorstat_ERR:count=4/);
  });

  it('takes its time on its own account', async () => {
    const { file, peer } = await start({ 'slowlog-log-slower-than': 2000, 'latency-monitor-threshold': 2 });
    const busy = 'const end = performance.now() + 12; while (performance.now() < end); call.reply.ok();';
    // Called fast, it is measured all the same.
    const path = file('a.mjs', text({ busy }).replace("['readonly']", "['readonly', 'fast']"));
    await peer.ask('MODULE', 'LOAD', path);
    await peer.ask('BUSY');
    expect(String(await peer.ask('INFO', 'commandstats'))).toMatch(/cmdstat_busy:calls=1,usec=\d{5,},/);
    expect(await peer.ask('SLOWLOG', 'GET')).toMatchObject({
      items: [{ items: expect.arrayContaining([{ type: '*', items: ['BUSY'] }]) }],
    });
    expect(JSON.stringify(await peer.ask('LATENCY', 'LATEST'))).toContain('"fast-command"');
  });
});

describe('what a module is given', () => {
  const given = 'let context; export const onLoad = (it) => { context = it; };';

  it('runs commands, in the caller’s database', async () => {
    const { file, peer } = await start();
    const path = file(
      'a.mjs',
      text(
        {
          store: `context.command(call, 'SET', 'k', 'h\\u00e9'); call.reply.bulk(...(b => [b, 0, b.length])(context.command(call, 'GET', 'k')))`,
          wrong: `try { context.command(call, 'LPUSH', 'k', 1) } catch (error) { call.reply.simple(error.code) }`,
          nothing: `try { context.command(call, 'NOSUCH') } catch (error) { call.reply.error(error.message) }`,
          kinds: `call.reply.bulkText(JSON.stringify([context.command(call, 'RPUSH', 'l', 1, 2), context.command(call, 'GET', 'none'),
            context.command(call, 'LRANGE', 'l', 0, -1).map((b) => Buffer.from(b).toString())]))`,
          whole: `context.forward(call, 'HGETALL', 'h')`,
        },
        given,
      ),
    );
    await peer.ask('MODULE', 'LOAD', path);
    await peer.ask('SELECT', '3');
    expect(await peer.ask('STORE')).toBe(Buffer.from('hé').toString('latin1'));
    expect(await peer.ask('WRONG')).toEqual(status('WRONGTYPE'));
    expect(await peer.ask('NOTHING')).toEqual({ error: "ERR unknown command 'NOSUCH'" });
    expect(await peer.ask('KINDS')).toBe('[2,null,["1","2"]]');
    await peer.ask('HSET', 'h', 'f', 'v');
    await peer.ask('HELLO', '3');
    expect(await peer.ask('WHOLE')).toEqual({ type: '%', items: ['f', 'v'] });
  });

  it('publishes, waits and has timers, which end with it', async () => {
    const { file, peer, server } = await start();
    const path = file(
      'a.mjs',
      text(
        {
          later: `const waiting = context.wait(call); context.after(20, () => waiting.answer((reply) => reply.simple('done')))`,
          forever: `context.wait(call, { timeoutMs: 30, onTimeout: (reply) => reply.simple('too late') })`,
          tell: `call.reply.integer(context.publish('news', 'x'))`,
          hold: `globalThis.held = context.wait(call)`,
          release: `globalThis.held.answer((reply) => reply.simple('done')); call.reply.simple('OK')`,
        },
        given,
      ),
    );
    await peer.ask('MODULE', 'LOAD', path);
    const listener = server.connect();
    await listener.ask('SUBSCRIBE', 'news');
    expect(await peer.ask('TELL')).toEqual({ type: ':', text: '1' });
    listener.close();
    expect((await peer.run([['LATER'], ['PING']])).map(({ reply }) => reply)).toEqual([status('done'), status('PONG')]);
    expect(await peer.ask('FOREVER')).toEqual(status('too late'));
    await peer.ask('MULTI');
    await peer.ask('FOREVER');
    expect(await peer.ask('EXEC')).toMatchObject({ items: [status('too late')] });
    const waiter = server.connect();
    const reply = waiter.ask('HOLD');
    await expect.poll(async () => String(await peer.ask('INFO', 'clients'))).toContain('blocked_clients:1');
    expect(await peer.ask('MODULE', 'UNLOAD', 'test')).toMatchObject({
      error: expect.stringContaining('blocked clients'),
    });
    expect(await peer.ask('RELEASE')).toEqual(status('OK'));
    expect(await reply).toEqual(status('done'));
    waiter.close();
    expect(await peer.ask('MODULE', 'UNLOAD', 'test')).toEqual(status('OK'));
  });

  it('is written to redis.conf by CONFIG REWRITE', async () => {
    const { peer, server, folder } = await start();
    const conf = join(folder, 'redis.conf');
    writeFileSync(conf, '# mine\nmodule-add gone\nport 1\n');
    (server.server as { configFile: string }).configFile = conf;
    await peer.ask('MODULE', 'LOAD', 'poong', 'a b');
    expect(await peer.ask('CONFIG', 'REWRITE')).toEqual(status('OK'));
    const written = readFileSync(conf, 'latin1');
    expect(written).toContain('\nloadmodule poong "a b"\n');
    expect(written).not.toContain('module-add');
  });
});

describe('CONFIG SET module-add', () => {
  it('goes together with other directives, and is refused to other hosts', async () => {
    const { peer, server, lines } = await start({ 'enable-module-command': 'no' });
    expect(await peer.ask('CONFIG', 'SET', 'hz', '20', 'module-add', 'poong')).toEqual(status('OK'));
    expect(await peer.ask('POONG')).toEqual(status('POOOOOOOOOONG'));
    expect(await peer.ask('CONFIG', 'GET', 'hz')).toMatchObject({ items: ['hz', '20'] });
    expect(await peer.ask('CONFIG', 'SET', 'nonsense', '1', 'module-add', 'poong')).toMatchObject({
      error: expect.stringContaining('nonsense'),
    });
    const [client] = server.server.clients.values();
    Object.defineProperty(client.connection, 'remoteAddress', { value: '10.1.2.3' });
    lines();
    expect(await peer.ask('CONFIG', 'SET', 'module-add', 'poong')).toEqual(status('OK'));
    expect(lines()).toEqual(["# Module poong failed to load: 'enable-module-command' does not allow it"]);
  });
});
