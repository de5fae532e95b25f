// What a load wrote and was told: acknowledged writes, those confirmed by a replica, the longest time without one; and what
// of it is still there. For the load programs of the demonstrations.
import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MS = 15;
const READ_ATTEMPTS = 100;
const READ_PAUSE_MS = 200;
const READ_AT_ONCE = 200;

export class Ledger {
  #confirmed = new Map();
  #errors = 0;
  #lastAt = performance.now();
  #longestPauseMs = 0;
  #stopping = false;

  constructor() {
    process.on('SIGTERM', () => {
      this.#stopping = true;
    });
  }

  /**
   * Writes one key after another until SIGTERM.
   * @param write writes a value of the key's own name; resolves with whether a replica has confirmed it.
   */
  async run(writer, write) {
    for (let i = 0; !this.#stopping; i++) {
      const key = `write:${writer}:${i}`;
      try {
        this.#note(key, await write(key));
      } catch {
        this.#errors++;
        await sleep(50);
      }
      await sleep(PAUSE_MS);
    }
  }

  #note(key, isConfirmed) {
    const now = performance.now();
    this.#longestPauseMs = Math.max(this.#longestPauseMs, now - this.#lastAt);
    this.#lastAt = now;
    this.#confirmed.set(key, isConfirmed);
  }

  /** Reads everything back. @returns the facts. */
  async verify(client, read) {
    let lost = 0;
    let lostConfirmed = 0;
    const keys = [...this.#confirmed.keys()];
    for (let at = 0; at < keys.length; at += READ_AT_ONCE) {
      const some = keys.slice(at, at + READ_AT_ONCE);
      const values = await Promise.all(some.map((key) => patiently(() => read(key))));
      for (const [i, key] of some.entries()) {
        if (values[i] === key) continue;
        lost++;
        if (this.#confirmed.get(key)) lostConfirmed++;
      }
    }
    const confirmed = [...this.#confirmed.values()].filter(Boolean).length;
    const counts = { acknowledged: keys.length, confirmed, errors: this.#errors };
    return { client, ...counts, longestPauseMs: Math.round(this.#longestPauseMs), lost, lostConfirmed };
  }
}

async function patiently(read) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await read();
    } catch (error) {
      if (attempt === READ_ATTEMPTS) throw error;
      await sleep(READ_PAUSE_MS);
    }
  }
}

/** SET and WAIT in one pipeline, so on one connection: a WAIT on another would confirm nothing. @throws when it was not acknowledged. */
export async function setAndWait(client, key, waitMs) {
  const [[problem], [waitProblem, replicas]] = await client.pipeline().set(key, key).wait(1, waitMs).exec();
  if (problem !== null) throw problem;
  return waitProblem === null && replicas >= 1;
}
