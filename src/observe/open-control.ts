// Opens the control socket that `control-socket` names, or none. A server without one serves all the same, so whatever
// goes wrong is a line of the log. The composition root imports it.
import { resolve } from 'node:path';
import type { Server } from '../core/server.ts';
import type { Transport } from '../transports/transport.ts';
import { controlAnswers } from './control-answers.ts';
import { ownControlPath } from './control-path.ts';
import { ControlServer } from './control-server.ts';

/** @returns null when there is none. */
export async function openControl(server: Server, transport: Transport): Promise<ControlServer | null> {
  const { controlSocket } = server.config;
  if (controlSocket === '') return null;
  try {
    const path = controlSocket === 'auto' ? ownControlPath() : resolve(controlSocket);
    return await ControlServer.open(path, controlAnswers(server, transport));
  } catch (error) {
    server.log.warning(
      `No control socket, wiredis netstat and the like will not find this server: ${(error as Error).message}`,
    );
    return null;
  }
}
