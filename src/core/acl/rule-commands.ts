// The commands as access rules see them: by the names they have before any `rename-command`, with their categories.
// src/core/acl imports it, and ACL CAT.
import type { CommandDetails, CommandSpec } from '../command.ts';

/** Redis's, in the order in which it lists them. */
export const CATEGORIES = [
  'keyspace',
  'read',
  'write',
  'set',
  'sortedset',
  'list',
  'hash',
  'string',
  'bitmap',
  'hyperloglog',
  'geo',
  'stream',
  'pubsub',
  'admin',
  'fast',
  'slow',
  'blocking',
  'dangerous',
  'connection',
  'transaction',
  'scripting',
] as const;

export interface RuleCommand {
  /** Whole and lower case: `config|set`. */
  readonly name: string;
  readonly isSubcommand: boolean;
  readonly subcommands: readonly RuleCommand[];
}

export class RuleCommands {
  /** Commands, their subcommands left out. */
  readonly all: readonly RuleCommand[];
  readonly #byName = new Map<string, RuleCommand>();
  readonly #byCategory = new Map<string, RuleCommand[]>();

  constructor(specs: readonly CommandSpec[], details: (spec: CommandSpec) => CommandDetails) {
    for (const category of CATEGORIES) this.#byCategory.set(category, []);
    this.all = specs.map((spec) => this.#add(spec, details, false));
  }

  #add(spec: CommandSpec, details: (spec: CommandSpec) => CommandDetails, isSubcommand: boolean): RuleCommand {
    const subcommands: RuleCommand[] = [];
    const command: RuleCommand = { name: spec.name, isSubcommand, subcommands };
    this.#byName.set(spec.name, command);
    for (const category of details(spec).categories) this.#byCategory.get(category.slice(1))?.push(command);
    for (const sub of spec.subcommands ?? []) subcommands.push(this.#add(sub, details, true));
    return command;
  }

  /** @param name `get` or `config|set`, in any case. */
  find(name: string): RuleCommand | null {
    return this.#byName.get(name.toLowerCase()) ?? null;
  }

  /** Commands and subcommands, a command in front of its subcommands. @param name in any case. */
  inCategory(name: string): readonly RuleCommand[] | null {
    return this.#byCategory.get(name.toLowerCase()) ?? null;
  }
}
