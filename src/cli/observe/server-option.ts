// `--server PID|PATH`: which running server a tool speaks to, and its refusals in the tools' own form. For src/cli/tools.
import {
  type AnswerStream,
  ask,
  ControlClientError,
  findControlPath,
  openStream,
} from '../../observe/control-client.ts';
import { CliError } from '../tool.ts';

/** For parseOptions. */
export const SERVER_OPTION = { server: { type: 'string', default: '' } } as const;

export const SERVER_HELP =
  '  --server PID|PATH   which server, by process id or control socket; needed where several run';

/** @throws CliError */
export async function askServer<T>(wanted: string, question: string, parameters: object = {}): Promise<T> {
  try {
    return (await ask(findControlPath(wanted), question, parameters)) as T;
  } catch (error) {
    throw personsError(error);
  }
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
