// The commands as access rules see them: by the names they have before any `rename-command`, with their categories.
// src/core/acl imports it, and ACL CAT.
import { type CommandDetails, type CommandSpec, NO_DETAILS } from '../command.ts';

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
  readonly #all: RuleCommand[];
  /** How many of them are not brought by modules. */
  readonly #ownCount: number;
  readonly #later: (name: string) => CommandSpec | null;
  readonly #byName = new Map<string, RuleCommand>();
  readonly #byCategory = new Map<string, RuleCommand[]>();

  /** @param later finds commands that modules have brought, which are in no category. */
  constructor(
    specs: readonly CommandSpec[],
    details: (spec: CommandSpec) => CommandDetails,
    later: (name: string) => CommandSpec | null = () => null,
  ) {
    for (const category of CATEGORIES) this.#byCategory.set(category, []);
    this.#all = specs.map((spec) => this.#add(spec, details, false));
    this.#ownCount = this.#all.length;
    this.#later = later;
  }

  /** Commands, their subcommands left out; those of modules from when a rule first named them. */
  get all(): readonly RuleCommand[] {
    return this.#all;
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
    const lower = name.toLowerCase();
    return this.#byName.get(lower) ?? this.#adopt(lower);
  }

  /** A command of a module, which may have come anew with other subcommands. */
  #adopt(name: string): RuleCommand | null {
    const container = name.split('|', 1)[0];
    const place = this.#all.findIndex((command) => command.name === container);
    const spec = place >= 0 && place < this.#ownCount ? null : this.#later(container);
    if (spec === null) return null;
    const command = this.#add(spec, () => NO_DETAILS, false);
    if (place < 0) this.#all.push(command);
    else this.#all[place] = command;
    return this.#byName.get(name) ?? null;
  }

  /** Commands and subcommands, a command in front of its subcommands. @param name in any case. */
  inCategory(name: string): readonly RuleCommand[] | null {
    return this.#byCategory.get(name.toLowerCase()) ?? null;
  }
}
