// redis.conf: lines of `directive word ...`, quotes as in split-args.ts, `include` with globs, `rename-command`. The
// command line is read as more such lines behind the file. Errors carry file, line and text and print as Redis's do.

import { quoted, splitArgs } from '../resp/split-args.ts';
import { parseUserLine, type UserDefinition } from './acl/rule-words.ts';
import { type Config, findDirective, type NamedDirective, refusedSettings, setDirective } from './config.ts';
import { globSync, readFileSync } from './config-source.ts';
import { DirectiveError, MULTI_WORD } from './directive.ts';

export class ConfigFileError extends Error {
  readonly code = 'BAD_CONFIG';
  /**
   * @param line 1-based; 0 when no line is to blame.
   */
  constructor(version: string, file: string, line: number, text: string, problem: string) {
    const where =
      line === 0
        ? ''
        : `Reading the configuration file, at line ${line}${file === '' ? '' : ` of ${file}`}\n>>> '${text}'\n`;
    super(`\n*** FATAL CONFIG FILE ERROR (Redis ${version}) ***\n${where}${problem}`);
    this.name = 'ConfigFileError';
  }
}

const INCLUDE_DEPTH_MAX = 16;
const BAD_LINE = 'Bad directive or wrong number of arguments';

/** Where a directive was last set. */
interface Place {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** Reads configuration text into a config; one loader per server start. */
export class ConfigLoader {
  readonly renames: [from: string, to: string][] = [];
  readonly users: UserDefinition[] = [];
  readonly #config: Config;
  readonly #version: string;
  readonly #places = new Map<NamedDirective, Place>();
  readonly #moduleSettings: { readonly name: string; readonly words: readonly string[]; readonly place: Place }[] = [];
  #saveSeen = false;

  constructor(config: Config, version: string) {
    this.#config = config;
    this.#version = version;
  }

  /** @throws ConfigFileError */
  loadFile(path: string, depth = 0): void {
    let content: string;
    try {
      content = readFileSync(path);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new ConfigFileError(this.#version, '', 0, '', `Fatal error, can't open config file '${path}': ${reason}`);
    }
    this.loadText(content, path, depth);
  }

  /** @throws ConfigFileError */
  loadText(content: string, file: string, depth = 0): void {
    content.split('\n').forEach((raw, i) => {
      const line = raw.trim();
      if (line === '' || line.startsWith('#')) return;
      const problem = this.#line(line, { file, line: i + 1, text: line }, depth);
      if (problem !== null) throw new ConfigFileError(this.#version, file, i + 1, line, problem);
    });
  }

  /**
   * To be called behind the last text: only the values in force count, as a later line may undo an earlier one.
   * @throws ConfigFileError for a setting that this version cannot honour and must not ignore.
   */
  finish(): void {
    for (const { named, message } of refusedSettings(this.#config)) {
      const place = this.#places.get(named);
      throw new ConfigFileError(this.#version, place?.file ?? '', place?.line ?? 0, place?.text ?? '', message);
    }
    this.#refuseSamePort();
  }

  /** Two listeners of ours on one port: the second to come would blame another process. */
  #refuseSamePort(): void {
    const config = this.#config;
    // The user-space transport's ports are not the kernel's, whose `metrics-port` is.
    if (config.metricsPort === 0 || config.transport !== 'kernel' || !listensOn(config.bind, config.metricsBind))
      return;
    for (const [name, port] of [
      ['port', config.port],
      ['tls-port', config.tlsPort],
    ] as const) {
      if (port !== config.metricsPort) continue;
      const other = this.#places.get(findDirective(name) as NamedDirective);
      const where =
        other === undefined ? `its default` : other.file === '' ? 'on the command line' : `${other.file}:${other.line}`;
      const { file, line, text } = this.#places.get(findDirective('metrics-port') as NamedDirective) as Place;
      const problem = `metrics-port and ${name} are both ${port} (${name}: ${where}): give one of them another number`;
      throw new ConfigFileError(this.#version, file, line, text, problem);
    }
  }

  #line(line: string, place: Place, depth: number): string | null {
    const words = splitArgs(line);
    if (words === null) return 'Unbalanced quotes in configuration line';
    if (words.length === 0) return null;
    const name = words[0].toLowerCase();
    if (name === 'include' && words.length === 2) return this.#include(words[1], depth);
    if (name === 'rename-command' && words.length === 3) {
      this.renames.push([words[1].toLowerCase(), words[2].toLowerCase()]);
      return null;
    }
    if (name === 'user' && words.length > 1) return this.#user(words.slice(1));
    const named = findDirective(name);
    // Those with several words may have none: `save` alone is no save point.
    const wordsMin = named !== undefined && (named.directive.flags & MULTI_WORD) !== 0 ? 1 : 2;
    if (named === undefined && words.length > 1 && this.#hasModules) {
      this.#moduleSettings.push({ name, words: words.slice(1).map(fromBytes), place });
      return null;
    }
    if (named === undefined || words.length < wordsMin) return BAD_LINE;
    const earlier = this.#config.save;
    try {
      setDirective(this.#config, named, words.slice(1).map(fromBytes));
    } catch (error) {
      if (error instanceof DirectiveError) return error.message;
      throw error;
    }
    this.#places.set(named, place);
    // Save points add up over lines, the first line replacing the defaults; an empty one takes all away.
    if (named.name === 'save') {
      const isReset = this.#config.save.length === 0;
      if (this.#saveSeen && !isReset) this.#config.save = [...earlier, ...this.#config.save];
      this.#saveSeen = true;
    }
    return null;
  }

  /** Modules are to be loaded: what is unknown may be theirs. */
  get #hasModules(): boolean {
    return this.#config.loadmodule.length + this.#config.moduleAdd.length > 0;
  }

  /** Unknown directives behind a line that loads a module: settings of modules. */
  get moduleSettings(): readonly { readonly name: string; readonly words: readonly string[] }[] {
    return this.#moduleSettings;
  }

  /** The error for one of them that no module has asked for. */
  unclaimed(name: string): ConfigFileError {
    const { file, line, text } = this.#moduleSettings.find((one) => one.name === name)!.place;
    return new ConfigFileError(this.#version, file, line, text, BAD_LINE);
  }

  #user(words: readonly string[]): string | null {
    const user = parseUserLine(words, this.users);
    if (typeof user === 'string') return user;
    this.users.push(user);
    return null;
  }

  #include(pattern: string, depth: number): string | null {
    if (depth >= INCLUDE_DEPTH_MAX) return 'Too many nested includes';
    for (const path of globSync(pattern)) this.loadFile(path, depth + 1);
    return null;
  }
}

/** Whether one of the addresses of `bind` takes what comes for `address`, or the other way round. */
function listensOn(bind: readonly string[], address: string): boolean {
  const isSix = address.includes(':');
  const anywhere = ['*', '0.0.0.0', '::', '::*'];
  return bind
    .map((word) => word.replace(/^-/, ''))
    .some(
      (word) =>
        word === address || ((anywhere.includes(word) || anywhere.includes(address)) && word.includes(':') === isSix),
    );
}

/** Lines are read byte by byte, so that `\xHH` means a byte; values are text. */
function fromBytes(word: string): string {
  return Buffer.from(word, 'latin1').toString('utf8');
}

/**
 * The `--directive value ...` words of a command line as configuration text. A word behind an option is its value even
 * when it starts with `--`, except behind `--save`, which may stand alone.
 */
export function argumentsToText(words: readonly string[]): string {
  const lines: string[] = [];
  let valueDone = true;
  words.forEach((word, i) => {
    if (!valueDone || !word.startsWith('--')) {
      const value = quoted(Buffer.from(word, 'utf8').toString('latin1'));
      lines.push(lines.length === 0 ? value : `${lines.pop()} ${value}`);
      valueDone = true;
      return;
    }
    const alone = /^--save$/i.test(word) && (i === words.length - 1 || words[i + 1].startsWith('--'));
    lines.push(alone ? 'save ""' : word.slice(2));
    valueDone = alone || /\S\s+\S/.test(word);
  });
  return lines.join('\n');
}
