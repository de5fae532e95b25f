// Rows of the command table in one line each, for files with many of them whose commands mostly take no keys.
// Only src/commands/ imports this.
import type { Call } from '../core/call.ts';
import type { CommandFlag, CommandSpec } from '../core/command.ts';
import { helpReply } from './help.ts';

type MakeRow = (
  name: string,
  arity: number,
  flags: readonly CommandFlag[],
  since: string,
  summary: string,
  run: (call: Call) => void,
  keys?: CommandSpec['keys'],
) => CommandSpec;

/** @param prefix stands before every name: `acl|` for the subcommands of ACL. */
export function rowsOf(group: CommandSpec['group'], prefix = ''): MakeRow {
  return (name, arity, flags, since, summary, run, keys = [0, 0, 0]) => ({
    name: prefix + name,
    arity,
    flags,
    keys,
    group,
    since,
    summary,
    run,
  });
}

/** The row of a HELP subcommand, which replies these lines. */
export function helpRow(row: MakeRow, since: string, lines: readonly string[]): CommandSpec {
  return row('help', 2, ['loading', 'stale'], since, 'Lists the subcommands.', (call) => helpReply(call, lines));
}
