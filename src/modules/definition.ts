// What a module is: the object that its file exports, and the checks it has to pass before anything of it is used.
// Imported by src/modules; authors see it through api.ts.
import type { Call } from '../core/call.ts';
import type { CommandDetails, CommandFlag, CommandGroup, CommandSpec } from '../core/command.ts';
import type { Directive } from '../core/directive.ts';
import type { KeySpec } from '../core/key-specs.ts';
import type { ModuleContext, Word } from './context.ts';

/** The version of what modules are given; a module names the one it was written for. */
export const API_VERSION = '1';

/** A row as the built-in commands have it; what is left out has the obvious value. */
export interface ModuleCommand {
  /** Lower case; subcommands as `name|sub`. */
  readonly name: string;
  /** Number of words with the name; negative: at least that many. */
  readonly arity: number;
  readonly flags?: readonly CommandFlag[];
  /** Positions of the keys: first, last (negative counts from the end), step. Absent: no keys. */
  readonly keys?: readonly [first: number, last: number, step: number];
  readonly group?: CommandGroup;
  readonly since?: string;
  readonly summary?: string;
  /** Replies once, or blocks the client; must not be asynchronous. */
  readonly run?: (call: Call) => void;
  readonly subcommands?: readonly ModuleCommand[];
}

export interface ModuleDefinition {
  /** Names the module among all; a file that exports a name that is loaded already takes its place. */
  readonly name: string;
  readonly version: string | number;
  /** `API_VERSION` of when it was written. */
  readonly apiVersion: string;
  readonly commands: readonly ModuleCommand[];
  /** Directives of its own for redis.conf, CONFIG GET and CONFIG SET, by name. */
  // biome-ignore lint/suspicious/noExplicitAny: each has a type of its own, which only the module knows
  readonly settings?: Readonly<Record<string, Directive<any>>>;
  /** Runs when its commands are in place. An error undoes the load. */
  readonly onLoad?: (context: ModuleContext) => void;
  /** Runs before its commands go. Timers and pools of memory end by themselves. */
  readonly onUnload?: (context: ModuleContext) => void;
  /** CONFIG SET has changed a setting of this module. */
  readonly onSetting?: (context: ModuleContext, name: string) => void;
  /** The commands that bring the module's own state back: they are kept in dump files and append-only files. */
  readonly persist?: (context: ModuleContext) => Iterable<readonly Word[]>;
}

/** A module that cannot be used; the message says why. */
export class ModuleError extends Error {
  readonly code = 'MODULE';
}

/** @param exported the file's exports. @throws ModuleError */
export function definitionOf(exported: unknown): ModuleDefinition {
  const candidate = hasName(exported) ? exported : (exported as { default?: unknown } | null)?.default;
  if (!hasName(candidate)) throw new ModuleError('it exports no name: export { name, version, apiVersion, commands }');
  const definition = candidate as unknown as ModuleDefinition;
  checkName(definition.name);
  if (typeof definition.apiVersion !== 'string') throw new ModuleError('apiVersion must be a string');
  if (!['string', 'number'].includes(typeof definition.version)) throw new ModuleError('version is missing');
  if (!/^[^\s,:=]+$/.test(String(definition.version))) throw new ModuleError('version must be a word');
  if (!Array.isArray(definition.commands)) throw new ModuleError('commands must be an array');
  for (const name of ['onLoad', 'onUnload', 'onSetting', 'persist'] as const) {
    const hook = definition[name];
    if (hook !== undefined && typeof hook !== 'function') throw new ModuleError(`${name} must be a function`);
  }
  const names = new Set<string>();
  for (const command of definition.commands) {
    checkCommand(command);
    if (names.has(command.name)) throw new ModuleError(`command ${command.name} is there twice`);
    names.add(command.name);
  }
  for (const name of Object.keys(definition.settings ?? {})) {
    if (!/^[a-z0-9][a-z0-9._-]*$/.test(name))
      throw new ModuleError(`setting '${name}' must be lower case, without spaces`);
  }
  return definition;
}

function hasName(value: unknown): value is { name: unknown } {
  return typeof value === 'object' && value !== null && 'name' in value;
}

function checkName(name: unknown): void {
  if (typeof name !== 'string' || name === '') throw new ModuleError('its name is empty');
  if (name.startsWith('<')) throw new ModuleError(`its name starts with '<': ${name}`);
  // INFO prints the name in front of a colon.
  if (!/^[!-9;-~]+$/.test(name)) throw new ModuleError('its name must be printable, without spaces and colons');
}

function checkCommand(command: ModuleCommand, parent = ''): void {
  const { name, arity, flags, keys, run, subcommands } = command ?? {};
  if (typeof name !== 'string' || !/^[!-+\--{}~]+$/.test(name.replace('|', '')) || name !== name.toLowerCase()) {
    throw new ModuleError(`command name '${name}' must be lower case and one word`);
  }
  if (parent === '' ? name.includes('|') : !name.startsWith(`${parent}|`)) {
    throw new ModuleError(`command name '${name}' must ${parent === '' ? 'have no bar' : `start with ${parent}|`}`);
  }
  if (!Number.isInteger(arity) || arity === 0) throw new ModuleError(`arity of ${name} must be a whole number, not 0`);
  if (flags !== undefined && !Array.isArray(flags)) throw new ModuleError(`flags of ${name} must be an array`);
  if (keys !== undefined && !(Array.isArray(keys) && keys.length === 3 && keys.every(Number.isInteger))) {
    throw new ModuleError(`keys of ${name} must be three whole numbers: first, last, step`);
  }
  if (typeof run !== 'function' && subcommands === undefined) throw new ModuleError(`${name} has nothing to run`);
  for (const sub of subcommands ?? []) checkCommand(sub, name);
}

/** The row with everything that was left out. @param run wraps what it runs. */
export function completeSpec(
  command: ModuleCommand,
  version: string,
  wrap: (command: ModuleCommand) => (call: Call) => void,
): CommandSpec {
  const { name, arity, flags = [], keys = [0, 0, 0], group = 'module', since = version, summary = '' } = command;
  const subcommands = command.subcommands?.map((sub) => completeSpec(sub, version, wrap));
  return {
    details: detailsOf(flags, keys),
    name,
    arity,
    flags,
    keys,
    group,
    since,
    summary,
    ...(command.run === undefined ? {} : { run: wrap(command) }),
    ...(subcommands === undefined ? {} : { subcommands }),
  };
}

/** What COMMAND INFO and access rules want to know, from flags and key positions. */
function detailsOf(flags: readonly CommandFlag[], [first, last, step]: readonly number[]): CommandDetails {
  const has = (flag: CommandFlag): boolean => flags.includes(flag);
  const categories = [
    ...(has('write') ? ['@write'] : []),
    ...(has('readonly') ? ['@read'] : []),
    ...(has('admin') ? ['@admin', '@dangerous'] : []),
    ...(has('pubsub') ? ['@pubsub'] : []),
    has('fast') ? '@fast' : '@slow',
    ...(has('blocking') ? ['@blocking'] : []),
  ];
  if (first <= 0) return { categories, tips: [], keySpecs: [] };
  const keySpec: KeySpec = {
    flags: has('write') ? ['RW', 'access', 'update'] : ['RO', 'access'],
    begin_search: { type: 'index', spec: { index: first } },
    find_keys: {
      type: 'range',
      // From the first key on, not from the beginning.
      spec: { lastkey: last >= 0 ? last - first : last, keystep: step, limit: 0 },
    },
  };
  return { categories, tips: [], keySpecs: [keySpec] };
}
