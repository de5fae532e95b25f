// One set of permissions: commands, keys and channels. A user has one of his own, and may have more, of which any one
// suffices. `apply` takes the rules of ACL SETUSER one by one. src/core/acl imports it. Texts are Latin-1.
import { globMatch } from '../../data/glob.ts';
import { splitArgs } from '../../resp/split-args.ts';
import { KEY_READ, KEY_WRITE } from '../key-specs.ts';
import type { RuleCommand, RuleCommands } from './rule-commands.ts';

/** Why a rule is refused: Redis's words. */
export const UNKNOWN_COMMAND = 'Unknown command or category name in ACL';
const SYNTAX_ERROR = 'Syntax error';
const AFTER_ALL_KEYS =
  "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try " +
  "'resetkeys' to start with an empty list of patterns";
const AFTER_ALL_CHANNELS =
  "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try " +
  "'resetchannels' to start with an empty list of channels";
const NO_FIRST_ARG = 'Allowing first-arg of a subcommand is not supported';

/** What rules depend on beside themselves. */
export interface RuleContext {
  readonly commands: RuleCommands;
  /** `acl-pubsub-default allchannels`: who is new may use all channels. */
  readonly allChannels: boolean;
}

export interface KeyPattern {
  readonly text: string;
  readonly bytes: Uint8Array;
  /** KEY_* bits. */
  access: number;
}

export interface ChannelPattern {
  readonly text: string;
  readonly bytes: Uint8Array;
}

/** Whether a name or pattern cannot be written to a line of rules. */
export function hasSpaces(text: string): boolean {
  return /[ \t\n\v\f\r\0]/.test(text);
}

export class Selector {
  allKeys = false;
  allChannels: boolean;
  /** Every command there is. */
  allCommands = false;
  /** What `#exceptions` are exceptions from: +@all, which is about commands to come too. */
  #byDefault = false;
  readonly #exceptions = new Set<string>();
  /** Commands that are allowed with these words behind them only. */
  readonly #firstArgs = new Map<string, string[]>();
  #patterns: KeyPattern[] = [];
  #channels: ChannelPattern[] = [];

  constructor(allChannels: boolean) {
    this.allChannels = allChannels;
  }

  /** `(rule rule ...)`. @returns why it is refused when it is. */
  static parse(text: string, context: RuleContext): Selector | string {
    const selector = new Selector(context.allChannels);
    for (const rule of splitArgs(text.slice(1, -1)) ?? []) {
      const problem = selector.apply(rule, context.commands);
      if (problem !== null) return problem;
    }
    return selector;
  }

  copy(): Selector {
    const copy = new Selector(this.allChannels);
    copy.allKeys = this.allKeys;
    copy.allCommands = this.allCommands;
    copy.#patterns = this.#patterns.map((pattern) => ({ ...pattern }));
    copy.#channels = [...this.#channels];
    copy.#copyCommands(this);
    for (const [name, words] of this.#firstArgs) copy.#firstArgs.set(name, [...words]);
    return copy;
  }

  #copyCommands(from: Selector): void {
    this.#byDefault = from.#byDefault;
    for (const name of from.#exceptions) this.#exceptions.add(name);
  }

  /** One that allows the same whole commands, and nothing else. */
  commandsOnly(): Selector {
    const copy = new Selector(false);
    copy.#copyCommands(this);
    return copy;
  }

  get isUnrestricted(): boolean {
    return this.allKeys && this.allChannels && this.allCommands;
  }

  /** Whether commands that are unknown today are allowed. */
  get allowsFutureCommands(): boolean {
    return this.#byDefault;
  }

  get patterns(): readonly KeyPattern[] {
    return this.#patterns;
  }

  get channels(): readonly ChannelPattern[] {
    return this.#channels;
  }

  // --- what is allowed ---

  /** Whether the command may be run, whatever stands behind it. @param name whole and lower case. */
  allowsCommand(name: string): boolean {
    return this.#exceptions.has(name) !== this.#byDefault;
  }

  /** Words one of which must stand behind a command that is not allowed otherwise. */
  firstArgs(name: string): readonly string[] {
    return this.#firstArgs.get(name) ?? [];
  }

  /** @param access KEY_* bits, all of which the pattern must allow. */
  allowsKey(bytes: Uint8Array, offset: number, length: number, access: number): boolean {
    if (this.allKeys) return true;
    for (const pattern of this.#patterns) {
      if ((pattern.access & access) !== access) continue;
      if (globMatch(pattern.bytes, 0, pattern.bytes.length, bytes, offset, length)) return true;
    }
    return false;
  }

  /** Whether any key may be accessed so. */
  allowsAllKeys(access: number): boolean {
    return (
      this.allKeys || this.#patterns.some((pattern) => (pattern.access & access) === access && pattern.text === '*')
    );
  }

  // --- rules ---

  /** @returns null, or why the rule is refused; nothing has changed then. */
  apply(rule: string, commands: RuleCommands): string | null {
    switch (rule.toLowerCase()) {
      case 'allkeys':
      case '~*':
      case 'resetkeys':
        this.allKeys = rule.toLowerCase() !== 'resetkeys';
        this.#patterns = [];
        return null;
      case 'allchannels':
      case '&*':
      case 'resetchannels':
        this.allChannels = rule.toLowerCase() !== 'resetchannels';
        this.#channels = [];
        return null;
      case 'allcommands':
      case '+@all':
        this.#resetCommands(true);
        return null;
      case 'nocommands':
      case '-@all':
        this.#resetCommands(false);
        return null;
    }
    if (rule[0] === '~' || rule[0] === '%') return this.#addKeyPattern(rule);
    if (rule[0] === '&') return this.#addChannel(rule.slice(1));
    if (rule[0] !== '+' && rule[0] !== '-') return SYNTAX_ERROR;
    if (rule[1] === '@') return this.#changeCategory(rule.slice(2), rule[0] === '+', commands);
    if (rule[0] === '+' && rule.includes('|')) return this.#allowPart(rule.slice(1), commands);
    const command = commands.find(rule.slice(1));
    if (command === null) return UNKNOWN_COMMAND;
    this.change(command, rule[0] === '+');
    return null;
  }

  #resetCommands(allowed: boolean): void {
    this.#byDefault = allowed;
    this.allCommands = allowed;
    this.#exceptions.clear();
    this.#firstArgs.clear();
  }

  #addKeyPattern(rule: string): string | null {
    if (this.allKeys) return AFTER_ALL_KEYS;
    const match = /^(?:~|%([RW]{1,2})~|%([RW]{1,2})$)([\s\S]*)$/i.exec(rule);
    if (match === null) return SYNTAX_ERROR;
    const letters = (match[1] ?? match[2] ?? 'RW').toUpperCase();
    const text = match[3];
    if (letters === 'RR' || letters === 'WW' || hasSpaces(text)) return SYNTAX_ERROR;
    const access = (letters.includes('R') ? KEY_READ : 0) | (letters.includes('W') ? KEY_WRITE : 0);
    const known = this.#patterns.find((pattern) => pattern.text === text);
    if (known !== undefined) known.access |= access;
    else this.#patterns.push({ text, bytes: Buffer.from(text, 'latin1'), access });
    return null;
  }

  #addChannel(text: string): string | null {
    if (this.allChannels) return AFTER_ALL_CHANNELS;
    if (hasSpaces(text)) return SYNTAX_ERROR;
    if (!this.#channels.some((channel) => channel.text === text)) {
      this.#channels.push({ text, bytes: Buffer.from(text, 'latin1') });
    }
    return null;
  }

  #changeCategory(name: string, allowed: boolean, commands: RuleCommands): string | null {
    const category = commands.inCategory(name);
    if (category === null) return UNKNOWN_COMMAND;
    for (const command of category) this.change(command, allowed);
    return null;
  }

  /** `config|set`, a subcommand, or `select|0`, a command with a certain first argument. */
  #allowPart(text: string, commands: RuleCommands): string | null {
    const bar = text.lastIndexOf('|');
    const command = commands.find(text.slice(0, bar));
    if (command === null) return UNKNOWN_COMMAND;
    if (command.isSubcommand) return NO_FIRST_ARG;
    const word = text.slice(bar + 1);
    if (word === '') return SYNTAX_ERROR;
    if (command.subcommands.length > 0) {
      const sub = commands.find(text);
      if (sub === null) return UNKNOWN_COMMAND;
      this.change(sub, true);
      return null;
    }
    const words = this.#firstArgs.get(command.name);
    if (words === undefined) this.#firstArgs.set(command.name, [word]);
    else if (!words.some((known) => known.toLowerCase() === word.toLowerCase())) words.push(word);
    return null;
  }

  /** A command goes with all its subcommands. */
  change(command: RuleCommand, allowed: boolean): void {
    this.#firstArgs.delete(command.name);
    for (const { name } of [command, ...command.subcommands]) {
      if (allowed === this.#byDefault) this.#exceptions.delete(name);
      else this.#exceptions.add(name);
    }
    if (!allowed) this.allCommands = false;
  }
}
