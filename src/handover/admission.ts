// Who may hand a server over across the network: both sides show that they know `move-secret`, by a keyed hash of numbers
// that the other one has just drawn, before anything else is said. Blocking on the receiving side, which has nothing
// else to do, and for a bounded time. What follows is not encrypted. For src/handover/ only.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { type BlockingChannel, CHALLENGE, type Channel, type Message, PROOF, WELCOME } from './channel.ts';

const NUMBER_BYTES = 32;
const HASH_BYTES = 32;

function proof(secret: string, role: 'giver' | 'taker', challenge: Uint8Array, answer: Uint8Array): Buffer {
  return createHmac('sha256', secret).update(role).update(challenge).update(answer).digest();
}

/** @returns whether the other side knows the secret; it has been told that we do. */
export function admit(channel: BlockingChannel, secret: string): boolean {
  const challenge = randomBytes(NUMBER_BYTES);
  channel.bytes(CHALLENGE, challenge);
  const message = channel.read(NUMBER_BYTES + HASH_BYTES);
  if (message?.kind !== PROOF || message.bytes.length !== NUMBER_BYTES + HASH_BYTES) return false;
  const answer = message.bytes.subarray(0, NUMBER_BYTES);
  const shown = message.bytes.subarray(NUMBER_BYTES);
  if (!timingSafeEqual(shown, proof(secret, 'giver', challenge, answer))) return false;
  channel.bytes(WELCOME, proof(secret, 'taker', challenge, answer));
  return true;
}

/** The giving side's. Rejects with one line that says why not. */
export function askForAdmission(channel: Channel, secret: string): Promise<void> {
  const answer = randomBytes(NUMBER_BYTES);
  let challenge: Uint8Array | null = null;
  return new Promise((resolve, reject) => {
    channel.onEnd = () => reject(new Error('the other side refused: is move-secret the same there?'));
    channel.onMessage = ({ kind, bytes }: Message) => {
      if (kind === CHALLENGE && challenge === null) {
        challenge = Uint8Array.from(bytes);
        channel.bytes(PROOF, Buffer.concat([answer, proof(secret, 'giver', challenge, answer)]));
        return;
      }
      const expected = challenge === null ? null : proof(secret, 'taker', challenge, answer);
      const isGenuine =
        kind === WELCOME && expected !== null && bytes.length === HASH_BYTES && timingSafeEqual(bytes, expected);
      if (isGenuine) resolve();
      else reject(new Error('the other side does not know move-secret: nothing was sent to it'));
    };
  });
}
