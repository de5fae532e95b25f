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

/** Redis's answer to a subcommand whose words do not fit any of its forms. */
export function subcommandError(call: Call): void {
  const parent = call.spec.name.slice(0, call.spec.name.indexOf('|')).toUpperCase();
  call.reply.error(
    `ERR unknown subcommand or wrong number of arguments for '${call.cText(1).slice(0, 128)}'. Try ${parent} HELP.`,
  );
}
