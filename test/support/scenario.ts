// Scenarios with several clients: each step is one client's request, sent without waiting for its reply, when the server
// is done with the step before. What each client has received in the end is the outcome: run on two servers, the same,
// byte for byte.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Peer } from './redis-server.ts';
import { request } from './replies.ts';

/** `['a', 'BLPOP', 'k', '0']`: client a sends it. `['wait', 50]`: nothing for so many milliseconds. `['close', 'a']`. */
export type Step = readonly [client: string, ...words: string[]] | readonly ['wait', number];

/** Longer than what was sent last needs to arrive. */
const QUIET_MS = 40;
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

class Actor {
  readonly socket: Socket;
  received = '';

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.socket.on('data', (data: Buffer) => {
      this.received += data.toString('latin1');
    });
    this.socket.on('error', () => {});
  }
}

/** @returns what each client received, in all. Clients connect when they are first named. */
export async function play(port: number, steps: readonly Step[]): Promise<Record<string, string>> {
  const actors = new Map<string, Actor>();
  const control = new Peer(port);
  for (const step of steps) {
    if (step[0] === 'wait') await pause(Number(step[1]));
    else if (step[0] === 'close') actors.get(String(step[1]))?.socket.destroy();
    else {
      const [name, ...words] = step as readonly string[];
      let actor = actors.get(name);
      if (actor === undefined) {
        actor = new Actor(port);
        actors.set(name, actor);
        await once(actor.socket, 'connect');
      }
      await new Promise((sent) => actor.socket.write(request(words), 'latin1', sent));
    }
    // The second answer comes in a later turn of the server's loop than the step.
    for (let i = 0; i < 2; i++) await control.ask('CLIENT', 'ID');
  }
  await pause(QUIET_MS);
  for (const actor of actors.values()) actor.socket.destroy();
  control.close();
  return Object.fromEntries([...actors].map(([name, { received }]) => [name, received]));
}
