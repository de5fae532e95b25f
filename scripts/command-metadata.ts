// Makes src/commands/command-metadata.ts from two files taken from a running redis-server: the reply of COMMAND
// (command-info.json: arrays as redis-cli --json prints them) and the arguments of COMMAND DOCS
// (command-arguments.json). Needs Node 22.
//
//   node --experimental-strip-types scripts/command-metadata.ts command-info.json command-arguments.json > src/commands/command-metadata.ts
import { readFileSync } from 'node:fs';

const [infoFile, argumentsFile] = process.argv.slice(2);
const info = JSON.parse(readFileSync(infoFile, 'utf8')) as unknown[][];
const docs = JSON.parse(readFileSync(argumentsFile, 'utf8')) as Record<string, Record<string, unknown>>;

/** name -> [acl categories, tips, key specs], subcommands included. */
const details: Record<string, unknown[]> = {};
const collect = (row: unknown[]): void => {
  details[String(row[0])] = [row[6], row[7], row[8]];
  for (const sub of row[9] as unknown[][]) collect(sub);
};
for (const row of info) collect(row);

/** name -> arguments, subcommands included. */
const syntax: Record<string, unknown> = {};
const collectSyntax = (name: string, entry: Record<string, unknown>): void => {
  if (entry.arguments !== undefined) syntax[name] = entry.arguments;
  const subcommands = (entry.subcommands ?? {}) as Record<string, Record<string, unknown>>;
  for (const [sub, subEntry] of Object.entries(subcommands)) collectSyntax(sub, subEntry);
};
for (const [name, entry] of Object.entries(docs)) collectSyntax(name, entry);

const literal = (value: unknown): string =>
  `'${JSON.stringify(value).replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
const sorted = (table: object): object =>
  Object.fromEntries(Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1)));

process.stdout.write(`// Made by scripts/command-metadata.ts; do not edit. What COMMAND INFO and COMMAND DOCS tell beyond a command's row, as
// JSON text that is parsed when first asked for.

/** name -> [ACL categories, tips, key specifications]. */
export const DETAILS_JSON =
  ${literal(sorted(details))};

/** name -> arguments. */
export const ARGUMENTS_JSON =
  ${literal(sorted(syntax))};
`);
