// Words of ACL SETUSER, of `user` lines in redis.conf and of an ACL file, on their way to become rules.
// src/core imports it. Texts are Latin-1.
import { NO_DETAILS } from '../command.ts';
import { RuleCommands } from './rule-commands.ts';
import { type RuleContext, UNKNOWN_COMMAND } from './selector.ts';
import { User } from './user.ts';

/** A user's name and rules. */
export interface UserDefinition {
  readonly name: string;
  readonly rules: readonly string[];
}

/** Selectors whose words stand apart become one rule. @returns the word with the parenthesis that nothing closes. */
export function mergeSelectors(words: readonly string[]): readonly string[] | { readonly unmatched: string } {
  const rules: string[] = [];
  let selector: string | null = null;
  let opening = '';
  for (const word of words) {
    if (word.startsWith('(') && !word.endsWith(')')) {
      selector = word;
      opening = word;
    } else if (selector !== null) {
      selector += ` ${word}`;
      if (!word.endsWith(')')) continue;
      rules.push(selector);
      selector = null;
    } else rules.push(word);
  }
  return selector === null ? rules : { unmatched: opening };
}

export function isUnmatched(merged: ReturnType<typeof mergeSelectors>): merged is { readonly unmatched: string } {
  return 'unmatched' in merged;
}

/**
 * A `user` line of redis.conf, as far as it can be judged before commands are known.
 * @param words without `user`.
 * @returns the definition, or what is wrong.
 */
export function parseUserLine(words: readonly string[], earlier: readonly UserDefinition[]): UserDefinition | string {
  const [name, ...rest] = words;
  const refused = (word: string, problem: string): string => `Error in user declaration '${word}': ${problem}`;
  if (earlier.some((other) => other.name === name)) {
    return refused(name, 'Duplicate user found. A user can only be defined once in config files');
  }
  const rules = mergeSelectors(rest);
  if (isUnmatched(rules)) return refused(rules.unmatched, 'Unmatched parenthesis');
  const context: RuleContext = { commands: new RuleCommands([], () => NO_DETAILS), allChannels: false };
  const trial = new User(name, context);
  for (const rule of rules) {
    const problem = trial.apply(rule, context);
    if (problem !== null && problem !== UNKNOWN_COMMAND) return refused(rule, problem);
  }
  return { name, rules };
}
