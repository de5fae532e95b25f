// A command is one declarative row: what Redis tells clients about it, and the function that runs it.
// `src/commands/` holds the rows; the table is handed to the server, so a test can build a two-command server.
import type { Call } from './call.ts';
import type { KeySpec } from './key-specs.ts';

export type CommandGroup =
  | 'string'
  | 'list'
  | 'hash'
  | 'set'
  | 'sorted-set'
  | 'generic'
  | 'connection'
  | 'server'
  | 'transactions'
  | 'pubsub'
  | 'scripting'
  | 'stream'
  | 'bitmap'
  | 'hyperloglog'
  | 'geo'
  | 'cluster'
  | 'module';

/** Redis 7.0's own flag names, as COMMAND INFO prints them. */
export type CommandFlag =
  | 'write'
  | 'readonly'
  | 'denyoom'
  | 'admin'
  | 'pubsub'
  | 'noscript'
  | 'blocking'
  | 'loading'
  | 'stale'
  | 'skip_monitor'
  | 'skip_slowlog'
  | 'asking'
  | 'fast'
  | 'no_auth'
  | 'may_replicate'
  | 'no_mandatory_keys'
  | 'no_async_loading'
  | 'no_multi'
  | 'allow_busy'
  | 'movablekeys';

/** What COMMAND tells beyond a row, and access rules go by. */
export interface CommandDetails {
  /** `@read`, ... */
  readonly categories: readonly string[];
  readonly tips: readonly string[];
  readonly keySpecs: readonly KeySpec[];
}

export const NO_DETAILS: CommandDetails = { categories: [], tips: [], keySpecs: [] };

export interface CommandSpec {
  /** Lower case; subcommands as `client|list`. */
  readonly name: string;
  /** Number of words with the name; negative: at least that many. */
  readonly arity: number;
  readonly flags: readonly CommandFlag[];
  /** Positions of the keys: first, last (negative counts from the end), step. All 0: no keys. */
  readonly keys: readonly [first: number, last: number, step: number];
  readonly group: CommandGroup;
  readonly since: string;
  /** One sentence of our own. */
  readonly summary: string;
  /** Absent on a container whose subcommands do the work. */
  readonly run?: (call: Call) => void;
  readonly subcommands?: readonly CommandSpec[];
  /** Of a command that runs scripts: FLAG_* bits for these words. @param flags those of the command. */
  readonly flagsOf?: (call: Call, flags: number) => number;
  /** Of a command that Redis does not have. */
  readonly details?: CommandDetails;
}
