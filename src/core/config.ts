// The server's settings as typed fields: the directive `list-max-listpack-size` is `config.listMaxListpackSize`. Also
// CONFIG SET's transaction over several directives. The directives themselves are in config-directives.ts.
import { directives } from './config-directives.ts';
import { DENY_LOADING, type Directive, DirectiveError, HIDDEN, IMMUTABLE, MULTI_WORD, PROTECTED } from './directive.ts';

type CamelCase<S extends string> = S extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S extends `${infer Head}_${infer Tail}`
    ? `${Head}${Capitalize<CamelCase<Tail>>}`
    : S;
type Directives = typeof directives;
export type DirectiveName = keyof Directives;
export type Config = {
  -readonly [Name in DirectiveName as CamelCase<Name>]: Directives[Name] extends Directive<infer T> ? T : never;
};

/** A directive with the names it goes by. */
export interface NamedDirective {
  readonly name: DirectiveName;
  readonly field: keyof Config;
  readonly directive: Directive;
  /** Of a module's directive: its value, which is none of the config's fields. */
  readonly box?: { value: unknown };
}

const camelCase = (name: string): string => name.replace(/[-_](.)/g, (_, letter: string) => letter.toUpperCase());

export const allDirectives: readonly NamedDirective[] = Object.entries(directives).map(([name, directive]) => ({
  name: name as DirectiveName,
  field: camelCase(name) as keyof Config,
  directive: directive as unknown as Directive,
}));

/** By name and by alias. */
const byName = new Map<string, NamedDirective>();
for (const named of allDirectives) {
  byName.set(named.name, named);
  if (named.directive.alias !== undefined) byName.set(named.directive.alias, named);
}

/** Names and aliases, sorted, but those that are hidden. */
export const directiveNames: readonly string[] = [...byName]
  .filter(([, named]) => (named.directive.flags & HIDDEN) === 0)
  .map(([name]) => name)
  .sort();

export function findDirective(name: string): NamedDirective | undefined {
  return byName.get(name.toLowerCase());
}

/** Directives that modules have brought, by name, for each server's config. */
const brought = new WeakMap<Config, Map<string, NamedDirective>>();

/** A module's directive, at its default. @returns null when there is one of that name already. */
export function addDirective(config: Config, name: string, directive: Directive): NamedDirective | null {
  const known = brought.get(config) ?? new Map<string, NamedDirective>();
  brought.set(config, known);
  if (byName.has(name) || known.has(name)) return null;
  const named = {
    name: name as DirectiveName,
    field: camelCase(name) as keyof Config,
    directive,
    box: { value: directive.fallback },
  };
  known.set(name, named);
  return named;
}

export function removeDirective(config: Config, name: string): void {
  brought.get(config)?.delete(name);
}

/** Modules' directives that this server has now. */
export function broughtDirectives(config: Config): NamedDirective[] {
  return [...(brought.get(config)?.values() ?? [])];
}

/** As `findDirective`, those of modules included. */
export function findAnyDirective(config: Config, name: string): NamedDirective | undefined {
  return findDirective(name) ?? brought.get(config)?.get(name.toLowerCase());
}

/** The value in force. */
export function currentValue(config: Config, named: NamedDirective): unknown {
  return named.box === undefined ? config[named.field] : named.box.value;
}

/** Every directive at its default. */
export function createConfig(): Config {
  const config = Object.fromEntries(allDirectives.map(({ field, directive }) => [field, directive.fallback]));
  // V8 keeps an object built in a loop as a hash table; its copy is a struct, and commands read it often.
  return { ...config } as Config;
}

export function getDirective(config: Config, named: NamedDirective): string {
  return named.directive.format(currentValue(config, named));
}

export function isDefault(config: Config, named: NamedDirective): boolean {
  return getDirective(config, named) === named.directive.format(named.directive.fallback);
}

/** Whether the value in force asks for something that is not there; `refusal` says whether that may be ignored. */
function isUnmet(config: Config, named: NamedDirective): boolean {
  const { limit } = named.directive;
  return limit !== undefined && !isDefault(config, named) && (limit.when === undefined || limit.when(config));
}

/** A setting that must not be ignored. */
export interface Refusal {
  readonly named: NamedDirective;
  readonly message: string;
}

/** Settings in force that this version cannot honour and must not ignore. */
export function refusedSettings(config: Config): Refusal[] {
  return allDirectives
    .filter((named) => named.directive.limit?.refusal !== undefined && isUnmet(config, named))
    .map((named) => ({ named, message: named.directive.limit!.refusal! }));
}

/** Whether this setting differs from the default and does nothing. */
export function isIgnored(config: Config, named: NamedDirective): boolean {
  return named.directive.limit !== undefined && named.directive.limit.refusal === undefined && isUnmet(config, named);
}

/** Settings in force that differ from the default and do nothing, by name. */
export function ignoredSettings(config: Config): DirectiveName[] {
  return allDirectives.filter((named) => isIgnored(config, named)).map((named) => named.name);
}

/** @throws DirectiveError with Redis's words when the value is refused. */
export function setDirective(config: Config, named: NamedDirective, words: readonly string[]): void {
  const { directive } = named;
  if (words.length !== 1 && (directive.flags & MULTI_WORD) === 0) throw new DirectiveError('wrong number of arguments');
  assign(config, named, directive.parse(words, currentValue(config, named)));
}

function assign(config: Config, named: NamedDirective, value: unknown): void {
  if (named.box !== undefined) named.box.value = value;
  else (config as Record<string, unknown>)[named.field] = value;
}

export interface ChangeRules {
  readonly loading: boolean;
  /** Whether this client may set protected directives. */
  readonly protectedAllowed: boolean;
  /** Makes a changed value take effect; an error undoes the whole change. @throws DirectiveError */
  readonly apply: (named: NamedDirective) => void;
}

/**
 * Sets several directives or none.
 * @returns the error reply, or null.
 */
export function changeConfig(
  config: Config,
  pairs: readonly (readonly [name: string, value: string])[],
  rules: ChangeRules,
): string | null {
  const found: { named: NamedDirective; name: string; value: string }[] = [];
  for (const [name, value] of pairs) {
    const named = findAnyDirective(config, name);
    if (named === undefined) return `ERR Unknown option or number of arguments for CONFIG SET - '${name}'`;
    const problem = found.some((other) => other.named === named) ? 'duplicate parameter' : forbidden(named, rules);
    if (problem === WHILE_LOADING) return 'LOADING Redis is loading the dataset in memory';
    if (problem !== null) return failure(name, problem);
    found.push({ named, name, value });
  }
  const before = found.map(({ named }) => currentValue(config, named));
  const refusedBefore = new Set(refusedSettings(config).map(({ named }) => named));
  let current = '';
  try {
    for (const { named, name, value } of found) {
      current = name;
      setDirective(config, named, [value]);
    }
    for (const { named, message } of refusedSettings(config)) {
      if (refusedBefore.has(named)) continue;
      // The one to blame may be another: `maxmemory` beside a policy that evicts.
      current = found.find((one) => one.named === named)?.name ?? found[0].name;
      throw new DirectiveError(message);
    }
    for (const [i, { named, name }] of found.entries()) {
      current = name;
      if (currentValue(config, named) !== before[i]) rules.apply(named);
    }
    return null;
  } catch (error) {
    if (!(error instanceof DirectiveError)) throw error;
    found.forEach(({ named }, i) => {
      const changed = currentValue(config, named) !== before[i];
      assign(config, named, before[i]);
      if (changed) reapply(named, rules);
    });
    return failure(current, error.message);
  }
}

const WHILE_LOADING = 'not while loading';

function forbidden(named: NamedDirective, rules: ChangeRules): string | null {
  const { flags } = named.directive;
  if ((flags & IMMUTABLE) !== 0) return "can't set immutable config";
  if ((flags & PROTECTED) !== 0 && !rules.protectedAllowed) return "can't set protected config";
  return (flags & DENY_LOADING) !== 0 && rules.loading ? WHILE_LOADING : null;
}

/** CONFIG SET's error. */
export function failure(name: string, problem: string): string {
  return `ERR CONFIG SET failed (possibly related to argument '${name}') - ${problem}`;
}

/** The value that worked before is put back: should it fail now, there is nothing better to do. */
function reapply(named: NamedDirective, rules: ChangeRules): void {
  try {
    rules.apply(named);
  } catch (error) {
    if (!(error instanceof DirectiveError)) throw error;
  }
}
