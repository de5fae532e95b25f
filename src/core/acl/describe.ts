// The rules that make a selector what it is, in as few words as Redis finds for it: a start with all or no commands,
// the categories that come nearest, then single commands. src/core/acl and ACL GETUSER import it.
import { KEY_READ, KEY_WRITE } from '../key-specs.ts';
import { CATEGORIES, type RuleCommand, type RuleCommands } from './rule-commands.ts';
import { Selector } from './selector.ts';

const PREFIX: Readonly<Record<number, string>> = { [KEY_READ]: '%R~', [KEY_WRITE]: '%W~' };

export function describeKeys(selector: Selector): string[] {
  if (selector.allKeys) return ['~*'];
  return selector.patterns.map(({ access, text }) => (PREFIX[access] ?? '~') + text);
}

export function describeChannels(selector: Selector): string[] {
  return selector.allChannels ? ['&*'] : selector.channels.map(({ text }) => `&${text}`);
}

export function describeSelector(selector: Selector, commands: RuleCommands): string {
  const reset = selector.allChannels ? [] : ['resetchannels'];
  return [
    ...describeKeys(selector),
    ...reset,
    ...describeChannels(selector),
    describeCommands(selector, commands),
  ].join(' ');
}

export function describeCommands(selector: Selector, commands: RuleCommands): string {
  const additive = !selector.allowsFutureCommands;
  // What the rules found so far amount to, and what of the selector they do not cover yet.
  const reached = new Selector(false);
  const rest = selector.commandsOnly();
  const rules = [additive ? '-@all' : '+@all'];
  reached.apply(rules[0], commands);
  const [sign, opposite] = additive ? '+-' : '-+';
  const unused = new Set<string>(CATEGORIES);
  for (let best = nearest(rest, unused, commands); best !== null; best = nearest(rest, unused, commands)) {
    unused.delete(best);
    reached.apply(`${sign}@${best}`, commands);
    rest.apply(`${opposite}@${best}`, commands);
    rules.push(`${sign}@${best}`);
  }
  addSingles(rules, selector, reached, commands.all);
  return rules.join(' ');
}

/** The category that has the fewest commands which the rule would get wrong, and more that it would get right. */
function nearest(rest: Selector, unused: ReadonlySet<string>, commands: RuleCommands): string | null {
  let best: string | null = null;
  let wrongMin = Number.POSITIVE_INFINITY;
  let rightMax = 0;
  for (const category of unused) {
    const members = commands.inCategory(category) ?? [];
    const differing = members.filter(({ name }) => rest.allowsCommand(name) !== rest.allowsFutureCommands).length;
    const right = differing;
    const wrong = members.length - differing;
    if (right > wrong && (wrong < wrongMin || (wrong === wrongMin && right > rightMax))) {
      best = category;
      wrongMin = wrong;
      rightMax = right;
    }
  }
  return best;
}

function addSingles(rules: string[], wanted: Selector, reached: Selector, commands: readonly RuleCommand[]): void {
  for (const command of commands) {
    const { name } = command;
    const allowed = wanted.allowsCommand(name);
    if (allowed !== reached.allowsCommand(name)) {
      rules.push(`${allowed ? '+' : '-'}${name}`);
      reached.change(command, allowed);
    }
    addSingles(rules, wanted, reached, command.subcommands);
    if (!allowed) for (const word of wanted.firstArgs(name)) rules.push(`+${name}|${word}`);
  }
}
