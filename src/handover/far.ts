// The way to a server on another host that waits to take this one's place. For server.ts.
import { connect } from 'node:net';
import { askForAdmission } from './admission.ts';
import { Channel } from './channel.ts';
import { HandoverError, type Successor } from './giver.ts';
import { parsePlace } from './waiting.ts';

const CONNECT_MS = 5000;

/** @throws HandoverError why there is none. */
export async function reachSuccessor(place: string, secret: string): Promise<Successor> {
  const where = parsePlace(place);
  if (where === null)
    throw new HandoverError(`the other host is named HOST:PORT, as its move-listen says, not '${place}'`);
  if (secret === '') throw new HandoverError('moving wants a move-secret in the configuration, the same on both hosts');
  const socket = connect({ ...where, noDelay: true });
  socket.setTimeout(CONNECT_MS, () => socket.destroy(new Error('no answer')));
  let channel: Channel;
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    channel = new Channel(socket);
    await askForAdmission(channel, secret);
  } catch (error) {
    socket.destroy();
    throw new HandoverError(`${place}: ${(error as Error).message}`);
  }
  socket.setTimeout(0);
  return {
    channel,
    name: `the server at ${place}`,
    pid: 0,
    // It serves on our word only.
    end: async () => {
      socket.destroy();
    },
  };
}
