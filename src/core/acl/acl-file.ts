// The file of users that `aclfile` names: a line for each. It is taken over whole or not at all, and written anew
// beside itself before it is replaced. src/core/acl imports it.
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { isUnmatched, mergeSelectors } from './rule-words.ts';
import { hasSpaces, type RuleContext, UNKNOWN_COMMAND } from './selector.ts';
import { User } from './user.ts';

/** @returns the users, or what is wrong with the file. */
export function loadAclFile(path: string, context: RuleContext): Map<string, User> | string {
  let content: string;
  try {
    content = readFileSync(path, 'latin1');
  } catch (error) {
    return `Error loading ACLs, opening file '${path}': ${reasonOf(error)}`;
  }
  const users = new Map<string, User>();
  let errors = '';
  content.split('\n').forEach((raw, i) => {
    const line = raw.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '');
    if (line !== '') errors += loadLine(line.split(' '), `${path}:${i + 1}`, i + 1, users, context);
  });
  if (errors === '') return users;
  return `${errors}WARNING: ACL errors detected, no change to the previously active ACL rules was performed`;
}

/** @returns what is wrong; nothing: empty. */
function loadLine(
  words: readonly string[],
  place: string,
  line: number,
  users: Map<string, User>,
  context: RuleContext,
): string {
  const [keyword, name, ...rest] = words;
  if (keyword !== 'user' || words.length < 2) {
    return `${place} should start with user keyword followed by the username. `;
  }
  if (hasSpaces(name)) return `'${place}: username '${name}' contains invalid characters. `;
  if (users.has(name)) return `WARNING: Duplicate user '${name}' found on line ${line}. `;
  const user = new User(name, context);
  users.set(name, user);
  const rules = mergeSelectors(rest);
  if (isUnmatched(rules)) return `${place}: Unmatched parenthesis in selector definition.`;
  let errors = '';
  let refused = false;
  for (const untrimmed of rules) {
    const rule = untrimmed.replace(/^[\t\r\n]+|[\t\r\n]+$/g, '');
    const problem = user.apply(rule, context);
    if (problem === null) continue;
    if (problem === UNKNOWN_COMMAND) errors += `${place}: Error in applying operation '${rule}': ${problem}. `;
    else if (!refused) {
      // The rule itself may be a password: it is not shown.
      errors += `${place}: ${problem}. `;
      refused = true;
    }
  }
  return errors;
}

/** @returns what went wrong, or null. */
export function saveAclFile(path: string, lines: readonly string[]): string | null {
  const temporary = `${path}.tmp-${process.pid}`;
  let file = -1;
  try {
    file = openSync(temporary, 'w', 0o644);
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1');
    for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
    fsyncSync(file);
    closeSync(file);
    file = -1;
    renameSync(temporary, path);
    return null;
  } catch (error) {
    if (file >= 0) closeSync(file);
    rmSync(temporary, { force: true });
    return reasonOf(error);
  }
}

/** As C's strerror has it: `No such file or directory`. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const plain = /^[A-Z0-9]+: ([^,]+)/.exec(text)?.[1] ?? text;
  return plain[0].toUpperCase() + plain.slice(1);
}
