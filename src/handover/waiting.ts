// The waiting mode of a server that is to take another host's place: a port of the kernel's, at which one that knows the
// secret may hand over. Nothing else is done meanwhile. For server.ts.
import { createServer, type Server, type Socket } from 'node:net';
import { ServerStartError } from '../core/server.ts';
import type { Log } from '../platform/log.ts';
import { admit } from './admission.ts';
import { BlockingChannel } from './channel.ts';
import { Taker } from './taker.ts';

/** How long somebody who connects may take to show that he knows the secret, milliseconds. */
const ADMISSION_MS = 2000;

/** `HOST:PORT`, an IPv6 address in brackets. @returns null when it is none. */
export function parsePlace(text: string): { readonly host: string; readonly port: number } | null {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  return match === null || port < 1 || port > 65535 ? null : { host: match[1] ?? match[2], port };
}

/** Resolves to what begins to hand over to us. @throws ServerStartError when the port cannot be had. */
export function waitForMove(place: string, secret: string, log: Log): Promise<Taker> {
  const where = parsePlace(place);
  if (where === null) throw new ServerStartError(`move-listen wants HOST:PORT, not '${place}'`);
  if (secret === '') throw new ServerStartError('move-listen wants a move-secret, the same on both hosts');
  return new Promise((resolve, reject) => {
    const server: Server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
      const taker = begin(socket, secret, log);
      if (taker === null) return;
      server.close();
      resolve(taker);
    });
    server.on('error', (error) => reject(new ServerStartError(`move-listen ${place}: ${error.message}`)));
    server.listen(where.port, where.host, () => log.notice(`Handover: waiting for 'wiredis move' at ${place}`));
  });
}

/** @returns null: it was nobody. */
function begin(socket: Socket, secret: string, log: Log): Taker | null {
  const from = socket.remoteAddress ?? 'somebody';
  socket.on('error', () => {});
  // Not read by Node yet: it waits for its descriptor to be read here.
  const { _handle: handle } = socket as unknown as { _handle: { readonly fd: number } };
  const channel = new BlockingChannel(handle.fd);
  channel.patienceMs = ADMISSION_MS;
  try {
    if (admit(channel, secret)) {
      channel.patienceMs = 0;
      log.notice(`Handover: ${from} hands over to this process`);
      return new Taker(channel, () => socket.resume(), true);
    }
    log.warning(`Handover: ${from} does not know move-secret`);
  } catch (error) {
    log.warning(`Handover: ${from}: ${(error as Error).message}`);
  }
  socket.destroy();
  return null;
}
