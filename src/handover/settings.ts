// What was changed while a server ran, as against what its command line and files say: directives by CONFIG SET, users
// by ACL SETUSER, modules by MODULE LOAD, scripts by SCRIPT LOAD. A process that takes its place reads the same files
// and takes these on top. For src/handover/ and server.ts.
import {
  allDirectives,
  broughtDirectives,
  type Config,
  findAnyDirective,
  findDirective,
  getDirective,
  setDirective,
} from '../core/config.ts';
import { DirectiveError } from '../core/directive.ts';
import { WordList } from '../core/nested-call.ts';
import type { Server } from '../core/server.ts';
import type { Log } from '../platform/log.ts';
import { ReplyWriter } from '../resp/reply-writer.ts';

export type Setting = readonly [name: string, value: string];

/** Told in another way: modules by their list, the master by where the link is. */
const TOLD_APART = new Set(['loadmodule', 'module-add', 'replicaof']);

export function settingsOf(config: Config): Map<string, string> {
  return new Map(allDirectives.map((named) => [named.name, getDirective(config, named)]));
}

/** Directives that differ from what they were, as CONFIG GET has them. */
export function changedSettings(config: Config, before: ReadonlyMap<string, string>): Setting[] {
  return [...settingsOf(config)].filter(([name, value]) => !TOLD_APART.has(name) && before.get(name) !== value);
}

/** Before a server is made of them. What this version does not take is left as it is, and named in the log. */
export function applySettings(config: Config, settings: readonly Setting[]): string[] {
  const refused: string[] = [];
  for (const [name, value] of settings) {
    const named = findDirective(name);
    try {
      if (named === undefined) throw new DirectiveError('unknown');
      setDirective(config, named, [value]);
    } catch (error) {
      if (!(error instanceof DirectiveError)) throw error;
      refused.push(`${name} (${error.message})`);
    }
  }
  return refused;
}

export function moduleSettingsOf(config: Config): Setting[] {
  return broughtDirectives(config).map((named) => [named.name, getDirective(config, named)]);
}

/** When the modules are loaded. */
export function applyModuleSettings(server: Server, settings: readonly Setting[]): void {
  for (const [name, value] of settings) {
    const named = findAnyDirective(server.config, name);
    if (named?.box === undefined || getDirective(server.config, named) === value) continue;
    try {
      setDirective(server.config, named, [value]);
      server.modules?.settingChanged(named);
    } catch (error) {
      if (!(error instanceof DirectiveError)) throw error;
      server.log.warning(`Handover: setting ${name} is not taken: ${error.message}`);
    }
  }
}

/** @param lines `user NAME RULES`, as ACL LIST has them. */
export function applyUsers(server: Server, lines: readonly string[]): void {
  const names = new Set<string>();
  const known = new Set(server.acl.lines);
  for (const line of lines) {
    const [, name, ...rules] = line.split(' ');
    names.add(name);
    // Mostly there is the default user alone, as he was: reading rules takes its time.
    if (known.has(line)) continue;
    const problem = server.acl.setUser(name, ['reset', ...rules]);
    if (problem !== null) server.log.warning(`Handover: rules of user ${name} are not taken: ${problem}`);
  }
  for (const { name } of server.acl.users) if (!names.has(name)) server.acl.deleteUser(name);
}

export function scriptsOf(server: Server): Uint8Array[] {
  return server.scripting?.scripts.bodies ?? [];
}

export function loadScripts(server: Server, scripts: readonly Uint8Array[]): void {
  if (scripts.length === 0) return;
  const client = server.nested.createClient('handover');
  const words = new WordList();
  const reply = new ReplyWriter();
  for (const script of scripts) {
    server.nested.run(client, words.reset().add('SCRIPT').add('LOAD').addBytes(script, 0, script.length), reply);
    reply.reset();
  }
}

export function logRefused(log: Log, refused: readonly string[]): void {
  if (refused.length > 0) log.warning(`Handover: settings that this version does not take: ${refused.join(', ')}`);
}
