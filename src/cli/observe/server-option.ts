// `--server PID|PATH`: which running server a tool speaks to, and its refusals in the tools' own form. For src/cli/tools.
import {
  type AnswerStream,
  ask,
  ControlClientError,
  findControlPath,
  openStream,
} from '../../observe/control-client.ts';
import { SystemScheduler } from '../../platform/timers.ts';
import { CliError } from '../tool.ts';

/** For parseOptions. */
export const SERVER_OPTION = { server: { type: 'string', default: '' } } as const;

export const SERVER_HELP =
  '  --server PID|PATH   which server, by process id or control socket; needed where several run';

/** @throws CliError */
export async function askServer<T>(wanted: string, question: string, parameters: object = {}): Promise<T> {
  try {
    return (await patiently(ask(findControlPath(wanted), question, parameters))) as T;
  } catch (error) {
    throw personsError(error);
  }
}

/** After so long a person wonders. */
export const PATIENCE_MS = 3000;

/** Waits on for as long as it takes; whoever looks is told why that may be long. @param say prints a line */
export async function patiently<T>(answer: Promise<T>, say = toStderr, patienceMs = PATIENCE_MS): Promise<T> {
  const wonder = (): void => say('the server has not answered yet: a long command or script may keep it busy; waiting');
  const alarm = new SystemScheduler().createAlarm(wonder, true);
  alarm.arm(patienceMs);
  try {
    return await answer;
  } finally {
    alarm.disarm();
  }
}

export function toStderr(line: string): void {
  process.stderr.write(`wiredis: ${line}\n`);
}

/** @throws CliError */
export async function listenToServer(wanted: string, question: string, parameters: object): Promise<AnswerStream> {
  try {
    return await openStream(findControlPath(wanted), question, parameters);
  } catch (error) {
    throw personsError(error);
  }
}

export function personsError(error: unknown): unknown {
  return error instanceof ControlClientError ? new CliError(error.code, error.message) : error;
}
