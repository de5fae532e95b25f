// `wiredis module watch`: for those who write a module. Loads it into a running server, and again whenever its file
// changes, over a connection like any other.
import { stat, watch } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { sleep } from '../../platform/sleep.ts';
import { onInterrupt } from '../interrupt.ts';
import { RespConnection } from '../resp-connection.ts';
import { CliError, EXIT_OK, parseOptions, portNumber, type Tool, UsageError } from '../tool.ts';

const help = `Usage: wiredis module watch PATH [--host HOST] [--port PORT] [--user NAME]

Loads the module PATH into a running server, and again whenever the file changes, as CONFIG SET module-add does: the
commands are exchanged between two ticks, and no client notices. A version that cannot be loaded leaves the old one in
place; the server's log says why. The server must see the file under the same path, and let this host load modules: from
another host that takes 'enable-module-command yes' in its configuration. Ends with Ctrl-C.

Every version stays in the server's memory until it ends ('leaked_module_versions' in INFO modules): restart a server
that runs for long after you have worked on a module.

Options:
  --host HOST   the server's address (default 127.0.0.1)
  --port PORT   its port (default 6379)
  --user NAME   who to authenticate as; the password is taken from the variable REDISCLI_AUTH

Example:
  wiredis module watch ./counter.mjs --port 7777`;

/** Editors write a file in several steps. */
const SETTLE_MS = 50;

export const module: Tool = {
  help,
  run(args: string[]): Promise<number> {
    const [action, ...rest] = args;
    if (action !== 'watch') throw new UsageError("module wants 'watch': wiredis module watch PATH");
    return watchModule(rest);
  },
};

async function watchModule(args: string[]): Promise<number> {
  const { values, positionals } = parseOptions({
    args,
    options: {
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '6379' },
      user: { type: 'string', default: '' },
    },
    allowPositionals: true,
  });
  if (positionals.length !== 1) throw new UsageError('module watch wants one path');
  const path = resolve(positionals[0]);
  const port = portNumber(values.port);
  let seen = await stampOf(path);
  if (seen === null) throw new CliError('NO_FILE', `there is no file ${path}`);
  const password = process.env.REDISCLI_AUTH ?? '';
  const connection = await RespConnection.open({ host: values.host, port, user: values.user, password });
  const ended = new AbortController();
  onInterrupt(() => ended.abort());
  try {
    // Before the first load: a change during it must not be missed.
    const events = watch(dirname(path), { signal: ended.signal });
    await reload(connection, path);
    for await (const { filename } of events) {
      if (filename !== basename(path)) continue;
      await sleep(SETTLE_MS);
      const stamp = await stampOf(path);
      if (stamp === null || stamp === seen) continue;
      seen = stamp;
      await reload(connection, path);
    }
  } catch (error) {
    if (!ended.signal.aborted) throw error;
  } finally {
    connection.close();
  }
  return EXIT_OK;
}

/** Changes with the file; null: there is none. */
async function stampOf(path: string): Promise<string | null> {
  try {
    const { mtimeNs, size, ino } = await stat(path, { bigint: true });
    return `${mtimeNs} ${size} ${ino}`;
  } catch {
    return null;
  }
}

/** CONFIG SET says OK in any case: whether it went well is in INFO. */
async function reload(connection: RespConnection, path: string): Promise<void> {
  const before = await countLoads(connection);
  await connection.ask('CONFIG', 'SET', 'module-add', path);
  const { loads, leaked } = await countLoads(connection);
  const outcome =
    loads > before.loads
      ? `loaded; ${leaked} old versions in the server's memory`
      : "not loaded: the server's log says why; what was loaded before goes on";
  process.stdout.write(`${path}: ${outcome}\n`);
}

async function countLoads(connection: RespConnection): Promise<{ loads: number; leaked: number }> {
  const info = Buffer.from((await connection.ask('INFO', 'modules')) as Uint8Array).toString('utf8');
  const field = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  return { loads: field('module_loads'), leaked: field('leaked_module_versions') };
}
