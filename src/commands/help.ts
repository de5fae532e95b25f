// The HELP subcommand's reply: how to call, the lines given, and HELP itself. Commands with subcommands use it.
import type { Call } from '../core/call.ts';

export function helpReply(call: Call, lines: readonly string[]): void {
  const container = call.spec.name.split('|')[0].toUpperCase();
  const all = [
    `${container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`,
    ...lines,
    'HELP',
    '    Print this help.',
  ];
  call.reply.array(all.length);
  for (const line of all) call.reply.simple(line);
}
