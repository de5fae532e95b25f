// What COMMAND tells beyond a command's row, read from the generated file when first asked for.
import { type CommandDetails, NO_DETAILS } from '../core/command.ts';
import type { KeySpec } from '../core/key-specs.ts';
import { ARGUMENTS_JSON, DETAILS_JSON } from './command-metadata.ts';

export interface CommandArgument {
  readonly name: string;
  readonly type: string;
  readonly flags?: readonly string[];
  readonly key_spec_index?: number;
  readonly token?: string;
  readonly since?: string;
  readonly deprecated_since?: string;
  readonly arguments?: readonly CommandArgument[];
}

type Row = readonly [categories: string[], tips: string[], keySpecs: KeySpec[]];
let rows: Readonly<Record<string, Row>> | null = null;
let syntax: Readonly<Record<string, readonly CommandArgument[]>> | null = null;

export function commandDetails(name: string): CommandDetails {
  rows ??= JSON.parse(DETAILS_JSON) as Record<string, Row>;
  const row = rows[name];
  return row === undefined ? NO_DETAILS : { categories: row[0], tips: row[1], keySpecs: row[2] };
}

export function commandArguments(name: string): readonly CommandArgument[] {
  syntax ??= JSON.parse(ARGUMENTS_JSON) as Record<string, readonly CommandArgument[]>;
  return syntax[name] ?? [];
}
