// MODULE and its subcommands, and `CONFIG SET module-add`. A file is read while the server goes on: the client waits.
import type { Call } from '../core/call.ts';
import { isLoopback } from '../core/client-address.ts';
import type { CommandFlag, CommandSpec } from '../core/command.ts';
import type { EarlySetting, Modules } from '../modules/modules.ts';
import type { ReplyWriter } from '../resp/reply-writer.ts';
import { helpRow, rowsOf } from './rows.ts';

const FAILED = 'ERR Error loading the extension. Please check the server logs.';
const NOT_ALLOWED =
  'ERR MODULE command not allowed. If the enable-module-command option is set to "local", you can run it from a ' +
  'local connection, otherwise you need to set this option in the configuration file, and then restart the server.';

/** `enable-module-command`: modules run with all the rights of the server. */
function mayLoad(call: Call): boolean {
  const { enableModuleCommand } = call.server.config;
  return enableModuleCommand === 'yes' || (enableModuleCommand === 'local' && isLocal(call));
}

function isLocal(call: Call): boolean {
  const client = call.client.caller ?? call.client;
  return isLoopback(client.connection.remoteAddress);
}

/** @returns null after an error was replied. */
function modulesOf(call: Call): Modules | null {
  const { modules } = call.server;
  if (!mayLoad(call)) call.reply.error(NOT_ALLOWED);
  else if (modules === null) call.reply.error(FAILED);
  else return modules;
  return null;
}

/** The client waits for what was begun. */
function awaitModules<T>(call: Call, work: Promise<T>, answer: (reply: ReplyWriter, result: T) => void): void {
  const { client, server } = call;
  call.block({ kind: 'module', timeoutMs: 0 });
  const { blocked } = client;
  void work.then((result) => {
    if (blocked === null || client.blocked !== blocked) return;
    server.blocking.unblock(client, (reply) => answer(reply, result));
    server.settle();
  });
}

function load(call: Call, path: string, args: readonly string[], settings: readonly EarlySetting[]): void {
  const modules = modulesOf(call);
  if (modules === null) return;
  if (call.client.inExec) {
    call.reply.error('ERR a module cannot be loaded within a transaction or a script');
    return;
  }
  awaitModules(call, modules.load(path, args, settings), (reply, problem) => {
    if (problem === null) reply.ok();
    else reply.error(FAILED);
  });
}

function texts(call: Call, first: number): string[] {
  return Array.from({ length: Math.max(0, call.argc - first) }, (_, i) => call.text(first + i));
}

/** MODULE LOADEX path [CONFIG name value ...] [ARGS arg ...] */
function loadEx(call: Call): void {
  if (modulesOf(call) === null) return;
  const settings: EarlySetting[] = [];
  let i = 3;
  for (; i < call.argc && call.is(i, 'config'); i += 3) {
    if (i + 2 >= call.argc) {
      call.reply.error(FAILED);
      return;
    }
    settings.push({ name: call.text(i + 1), words: [call.text(i + 2)] });
  }
  if (i < call.argc && !call.is(i, 'args')) call.reply.error(FAILED);
  else load(call, call.text(2), texts(call, i + 1), settings);
}

function unload(call: Call): void {
  const modules = modulesOf(call);
  if (modules === null) return;
  const problem = modules.unload(call.text(2));
  if (problem === null) call.reply.ok();
  else call.reply.error(`ERR Error unloading module: ${problem}`);
}

/** Name and version of each, for MODULE LIST and HELLO. @param full with path and words. */
export function moduleList(call: Call, full: boolean): void {
  const { reply } = call;
  const loaded = call.server.modules?.loaded ?? [];
  reply.array(loaded.length);
  for (const { args, name, path, version, versionNumber } of loaded) {
    reply.map(full ? 4 : 2);
    reply.bulkLatin1('name');
    reply.bulkText(name);
    reply.bulkLatin1('ver');
    // Redis's are whole numbers.
    if (Number.isNaN(versionNumber)) reply.bulkText(version);
    else reply.integer(versionNumber);
    if (!full) continue;
    reply.bulkLatin1('path');
    reply.bulkText(path);
    reply.bulkLatin1('args');
    reply.array(args.length);
    for (const arg of args) reply.bulkText(arg);
  }
}

/**
 * `CONFIG SET module-add PATH`: loads a module, or puts a new version in the place of the old one. OK in any case, when
 * it is done; what goes wrong is logged. From other hosts only where `enable-module-command` allows it.
 */
export function addModules(call: Call, paths: readonly string[]): void {
  const { client, server } = call;
  const { log, modules } = server;
  if (modules === null || !(mayLoad(call) || isLocal(call))) {
    for (const path of paths) log.warning(`Module ${path} failed to load: 'enable-module-command' does not allow it`);
    call.reply.ok();
    return;
  }
  const work = Promise.all(paths.map((path) => modules.add(path)));
  if (client.inExec) call.reply.ok();
  else awaitModules(call, work, (reply) => reply.ok());
}

const HELP = [
  'LIST',
  '    The modules that are loaded.',
  'LOAD <path> [<arg> ...]',
  '    Loads a module from a file, or a bundled one by name.',
  'LOADEX <path> [[CONFIG NAME VALUE] ...] [ARGS ...]',
  '    Loads a module with settings.',
  'UNLOAD <name>',
  '    Unloads a module.',
];

const flags: readonly CommandFlag[] = ['admin', 'noscript'];
const change: readonly CommandFlag[] = [...flags, 'no_async_loading'];
const row = rowsOf('server', 'module|');

export const moduleCommands: readonly CommandSpec[] = [
  {
    name: 'module',
    arity: -2,
    flags: [],
    keys: [0, 0, 0],
    group: 'server',
    since: '4.0.0',
    summary: 'Holds the commands about modules.',
    subcommands: [
      helpRow(row, '5.0.0', HELP),
      row('list', 2, flags, '4.0.0', 'Tells which modules are loaded.', (call) => moduleList(call, true)),
      row('load', -3, change, '4.0.0', 'Loads a module.', (call) => load(call, call.text(2), texts(call, 3), [])),
      row('loadex', -3, change, '7.0.0', 'Loads a module with settings.', loadEx),
      row('unload', 3, change, '4.0.0', 'Unloads a module.', unload),
    ],
  },
];
