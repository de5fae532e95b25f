#!/usr/bin/env node
// The `wiredis` command: finds the tool in tools/table.ts, runs it, and turns its outcome into an exit code:
// 0 done, 1 failed, 2 wrong command line. The server is a command of its own (wiredis-server.ts).
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { packageVersion } from '../package-version.ts';
import { CliError, EXIT_FAILED, EXIT_OK, nearestName, type Tool, UsageError } from './tool.ts';
import { type ToolRow, tools } from './tools/table.ts';

/** @param args the words after `wiredis`. @returns the exit code; what went wrong was printed to stderr. */
export async function main(args: string[]): Promise<number> {
  try {
    return await dispatch(args);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    process.stderr.write(`wiredis: ${error.message}\n`);
    return error.exitCode;
  }
}

async function dispatch(args: string[]): Promise<number> {
  const [word, ...rest] = args;
  if (word === undefined) {
    process.stderr.write(`${overview()}\n`);
    return EXIT_FAILED;
  }
  if (word === '--version' || word === '-v') {
    print(`wiredis ${packageVersion()}`);
    return EXIT_OK;
  }
  if (word === '--help' || word === '-h' || word === 'help') {
    print(rest.length === 0 || rest[0].startsWith('-') ? overview() : (await find(rest[0]).load()).help);
    return EXIT_OK;
  }
  const tool: Tool = await find(word).load();
  if (asksForHelp(rest)) {
    print(tool.help);
    return EXIT_OK;
  }
  return tool.run(rest);
}

/** `--help` counts up to a `--`, behind which words belong to somebody else's command. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  const own = end === -1 ? args : args.slice(0, end);
  return own.includes('--help') || own.includes('-h');
}

function find(name: string): ToolRow {
  const row = tools.find((tool) => tool.name === name);
  if (row !== undefined) return row;
  const nearest = nearestName(
    name,
    tools.map((tool) => tool.name),
  );
  const hint = nearest === null ? "'wiredis help' lists them" : `did you mean '${nearest}'?`;
  throw new UsageError(`unknown tool '${name}'; ${hint}`);
}

function overview(): string {
  const width = Math.max(...tools.map((tool) => tool.name.length), 'help'.length);
  const rows = tools.map((tool) => `  ${tool.name.padEnd(width)}  ${tool.summary}`);
  return [
    'Usage: wiredis TOOL [arguments]',
    '       wiredis help TOOL',
    '       wiredis --version',
    '',
    'Tools:',
    ...rows,
    `  ${'help'.padEnd(width)}  this list, or what a tool takes`,
    '',
    'The server itself is started with wiredis-server.',
  ].join('\n');
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

// Run only as a program, also through the symbolic link that npm makes; a test imports `main`.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    // A reader that has seen enough (`| head`) must not stop a lab half-made.
    if (code === 'EPIPE') return;
    process.stderr.write(`wiredis: cannot write to standard output: ${message}\n`);
    process.exit(EXIT_FAILED);
  });
  // Nobody is left to be told.
  process.stderr.on('error', () => {});
  process.exitCode = await main(process.argv.slice(2));
}
