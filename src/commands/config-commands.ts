// CONFIG GET, SET, RESETSTAT, REWRITE.

import type { Call } from '../core/call.ts';
import { isLoopback } from '../core/client-address.ts';
import type { CommandFlag, CommandSpec } from '../core/command.ts';
import {
  broughtDirectives,
  type ChangeRules,
  type Config,
  changeConfig,
  directiveNames,
  failure,
  findAnyDirective,
  getDirective,
} from '../core/config.ts';
import { rewriteConfigFile } from '../core/config-rewrite.ts';
import { SENSITIVE } from '../core/directive.ts';
import { globToRegExp } from '../core/glob-text.ts';
import { addModules } from './module.ts';
import { helpRow, rowsOf } from './rows.ts';

function configGet(call: Call): void {
  const { reply, server } = call;
  // By name; the value is the name as it was asked for.
  const chosen = new Map<string, string>();
  const brought = broughtDirectives(server.config).map((named) => named.name);
  for (let i = 2; i < call.argc; i++) {
    const pattern = call.text(i);
    const name = pattern.toLowerCase();
    if (!/[*?[]/.test(pattern)) {
      if (findAnyDirective(server.config, name) !== undefined && !chosen.has(name)) chosen.set(name, pattern);
      continue;
    }
    const matches = globToRegExp(name);
    for (const one of [...directiveNames, ...brought]) if (matches.test(one) && !chosen.has(one)) chosen.set(one, one);
  }
  reply.map(chosen.size);
  for (const [name, asked] of chosen) {
    reply.bulkText(asked);
    reply.bulkText(getDirective(server.config, findAnyDirective(server.config, name)!));
  }
}

function configSet(call: Call): void {
  const { reply, server } = call;
  if (call.argc % 2 !== 0) {
    call.syntaxError();
    return;
  }
  const pairs: [string, string][] = [];
  for (let i = 2; i < call.argc; i += 2) {
    pairs.push([call.text(i), call.text(i + 1)]);
    const named = findAnyDirective(server.config, call.latin1(i));
    if (named !== undefined && (named.directive.flags & SENSITIVE) !== 0) call.redact(i + 1);
  }
  const added = pairs.filter(([name]) => name.toLowerCase() === 'module-add').map(([, path]) => path);
  const rest = pairs.filter(([name]) => name.toLowerCase() !== 'module-add');
  const { enableProtectedConfigs } = server.config;
  const rules: ChangeRules = {
    loading: server.loading,
    protectedAllowed:
      enableProtectedConfigs === 'yes' ||
      (enableProtectedConfigs === 'local' && isLoopback(call.client.connection.remoteAddress)),
    apply: (named) => server.configChanged(named),
  };
  const before = rest.map(([name]): [string, string] => [name, currentValue(server.config, name)]);
  const problem = changeConfig(server.config, rest, rules);
  const pending = server.hooks.pendingChange?.() ?? null;
  if (problem !== null) reply.error(problem);
  else if (added.length > 0) addModules(call, added);
  else if (pending === null || call.client.inExec) reply.ok();
  else awaitChange(call, pending, () => changeConfig(server.config, before, rules));
}

function currentValue(config: Config, name: string): string {
  const named = findAnyDirective(config, name);
  return named === undefined ? '' : getDirective(config, named);
}

/** Replies when it is known whether the server could listen where it was told to; otherwise all is put back. */
function awaitChange(call: Call, pending: Promise<string | null>, undo: () => void): void {
  const { client, server } = call;
  const name = ['port', 'bind'].find((one) => wordIs(call, one)) ?? call.latin1(2);
  call.block({ kind: 'module', timeoutMs: 0 });
  void pending.then(async (problem) => {
    if (problem !== null) {
      undo();
      await server.hooks.pendingChange?.();
    }
    server.blocking.unblock(client, (reply) => {
      if (problem === null) reply.ok();
      else reply.error(failure(name, problem));
    });
  });
}

function wordIs(call: Call, name: string): boolean {
  for (let i = 2; i < call.argc; i += 2) if (call.is(i, name)) return true;
  return false;
}

function configResetStat(call: Call): void {
  const { server } = call;
  server.stats.reset();
  server.replication.resetStats();
  server.eviction.resetStats();
  server.keyspace.lazyFree.freed = 0;
  const keys = server.keyspace.stats;
  keys.hits = 0;
  keys.misses = 0;
  keys.expiredKeys = 0;
  keys.expiredStalePercent = 0;
  keys.expiredTimeCapReached = 0;
  keys.expireCycleUs = 0;
  for (const command of server.commands.all) command.resetCounters();
  call.reply.ok();
}

function configRewrite(call: Call): void {
  rewriteConfig(call, false);
}

/** @param all directives at their defaults are written too. */
export function rewriteConfig(call: Call, all: boolean): void {
  const { reply, server } = call;
  if (server.configFile === '') {
    reply.error('ERR The server is running without a config file');
    return;
  }
  try {
    // Users live in one file: their own, if there is one.
    const users = server.config.aclfile === '' ? server.acl.lines : [];
    rewriteConfigFile(server.config, server.configFile, users, all);
    server.log.notice('CONFIG REWRITE executed with success.');
    reply.ok();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    server.log.warning(`CONFIG REWRITE failed: ${reason}`);
    reply.error(`ERR Rewriting config file: ${reason}`);
  }
}

const HELP = [
  'GET <pattern> [<pattern> ...]',
  '    Directives whose names fit a pattern, and their values.',
  'SET <directive> <value> [<directive> <value> ...]',
  '    Changes directives, all or none.',
  'RESETSTAT',
  '    Puts the counters that INFO shows to zero.',
  'REWRITE',
  '    Writes the values in force to the configuration file.',
];

const flags: readonly CommandFlag[] = ['admin', 'noscript', 'loading', 'stale'];
const row = rowsOf('server', 'config|');

export const configCommand: CommandSpec = {
  name: 'config',
  arity: -2,
  flags: [],
  keys: [0, 0, 0],
  group: 'server',
  since: '2.0.0',
  summary: 'Holds the commands about settings.',
  subcommands: [
    row('get', -3, flags, '2.0.0', 'Tells settings.', configGet),
    helpRow(row, '5.0.0', HELP),
    row('resetstat', 2, flags, '2.0.0', 'Puts counters to zero.', configResetStat),
    row('rewrite', 2, flags, '2.8.0', 'Writes the settings to the configuration file.', configRewrite),
    row('set', -4, flags, '2.0.0', 'Changes settings.', configSet),
  ],
};
