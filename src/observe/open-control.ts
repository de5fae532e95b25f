// Opens the control socket that `control-socket` names, or none. A server without one serves all the same, so whatever
// goes wrong is a line of the log. The composition root imports it.
import { resolve } from 'node:path';
import type { Config } from '../core/config.ts';
import type { Log } from '../platform/log.ts';
import { ownControlPath } from './control-path.ts';
import { type ControlAnswers, ControlServer } from './control-server.ts';

/** @returns null when there is none. */
export async function openControl(config: Config, log: Log, answers: ControlAnswers): Promise<ControlServer | null> {
  const { controlSocket } = config;
  if (controlSocket === '') return null;
  try {
    const path = controlSocket === 'auto' ? ownControlPath() : resolve(controlSocket);
    return await ControlServer.open(path, answers);
  } catch (error) {
    log.warning(
      `No control socket, wiredis netstat and the like will not find this server: ${(error as Error).message}`,
    );
    return null;
  }
}
