// What who may not do something is told, by where he tried. The dispatcher, EXEC, scripts and ACL DRYRUN import it.
import { DENIED_COMMAND, DENIED_KEY } from './permission.ts';

function choose(denied: number, ofCommand: string, ofKey: string, ofChannel: string): string {
  return denied === DENIED_COMMAND ? ofCommand : denied === DENIED_KEY ? ofKey : ofChannel;
}

/** @param name the command's, whole. */
export function refusalOfCommand(denied: number, name: string): string {
  return choose(
    denied,
    `NOPERM this user has no permissions to run the '${name}' command`,
    'NOPERM this user has no permissions to access one of the keys used as arguments',
    'NOPERM this user has no permissions to access one of the channels used as arguments',
  );
}

/** Of a command that could be queued. */
export function refusalInExec(denied: number): string {
  const reason = choose(
    denied,
    'no permission to execute the command or subcommand',
    'no permission to touch the specified keys',
    'no permission to access one of the channels used as arguments',
  );
  return (
    'NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is ' +
    `no longer allowed for the following reason: ${reason}`
  );
}

export function refusalInScript(denied: number): string {
  const reason = choose(
    denied,
    "can't run this command or subcommand",
    "can't access at least one of the keys mentioned in the command arguments",
    "can't publish to the channel mentioned in the command",
  );
  return `ERR The user executing the script ${reason}`;
}

/** @param word the key or channel. */
export function refusalOfTrial(denied: number, name: string, word: string): string {
  return `This user has no permissions to ${choose(
    denied,
    `run the '${name}' command`,
    `access the '${word}' key`,
    `access the '${word}' channel`,
  )}`;
}
