// What a check of `wiredis doctor` is: it looks at one thing and says what it found in one line, with the command that mends
// it where there is one. The checks stand in files by what they look at; checks.ts has their order.
import type { Situation } from './situation.ts';

export type Verdict = 'pass' | 'warn' | 'fail';

export interface Finding {
  readonly verdict: Verdict;
  /** One line. */
  readonly text: string;
  /** A command for a shell that mends it; absent: nothing to mend, or no command can. */
  readonly mend?: string;
}

export interface Check {
  /** One word or two, the first column. */
  readonly name: string;
  /** Null: it does not matter in this situation, or cannot be looked at before something else is mended. */
  look(situation: Situation): Finding | null | Promise<Finding | null>;
}

export function pass(text: string): Finding {
  return { verdict: 'pass', text };
}

export function warn(text: string, mend?: string): Finding {
  return mend === undefined ? { verdict: 'warn', text } : { verdict: 'warn', text, mend };
}

export function fail(text: string, mend?: string): Finding {
  return mend === undefined ? { verdict: 'fail', text } : { verdict: 'fail', text, mend };
}

/** What was found about several of a kind: the first that fails, else all in one line. Null: there are none. */
export function together(findings: readonly Finding[]): Finding | null {
  const worst = findings.find(({ verdict }) => verdict === 'fail');
  if (worst !== undefined || findings.length === 0) return worst ?? null;
  const text = findings.map((one) => one.text).join('; ');
  return findings.every(({ verdict }) => verdict === 'pass') ? pass(text) : warn(text);
}

/** For commands that change the system. */
export function asRoot(command: string): string {
  return process.getuid?.() === 0 ? command : `sudo ${command}`;
}

/** Sets a kernel's file, such as one of /sys. */
export function writeCommand(path: string, value: string): string {
  return asRoot(`sh -c 'echo ${value} > ${path}'`);
}

/** Gives a key of netdev.conf one value. */
export function setKeyCommand(file: string, key: string, value: string): string {
  return `sed -i '/^ *${key} *=/d' ${file} && ${addKeyCommand(file, key, value)}`;
}

export function addKeyCommand(file: string, key: string, value: string): string {
  return `echo '${key} = ${value}' >> ${file}`;
}

/** Another value in place of one, where a key may have several. */
export function swapValueCommand(file: string, key: string, from: string, to: string): string {
  return `sed -i '/^ *${key} *=/s|${from}|${to}|' ${file}`;
}
