// WAIT: clients that wait until enough replicas have what they wrote. Only src/replication/ and the command import it.
import type { Call } from '../core/call.ts';
import type { Client } from '../core/client.ts';
import type { Replication } from './replication.ts';

interface Wish {
  readonly offset: number;
  readonly replicas: number;
}

export class WaitingClients {
  readonly #replication: Replication;
  readonly #wishes = new Map<Client, Wish>();

  constructor(replication: Replication) {
    this.#replication = replication;
  }

  /** Replies at once if it can, or when it can. */
  wait(call: Call, replicas: number, timeoutMs: number): void {
    const replication = this.#replication;
    const { client } = call;
    const offset = client.writeOffset;
    const count = replication.countAcknowledged(offset);
    if (count >= replicas || client.inExec) {
      call.reply.integer(count);
      return;
    }
    this.#wishes.set(client, { offset, replicas });
    call.block({
      kind: 'wait',
      timeoutMs,
      onTimeout: (reply) => reply.integer(replication.countAcknowledged(offset)),
      onEnd: () => this.#wishes.delete(client),
    });
    replication.requestAcks();
  }

  /** A replica has acknowledged something. */
  check(): void {
    for (const [client, { offset, replicas }] of [...this.#wishes]) {
      const count = this.#replication.countAcknowledged(offset);
      if (count < replicas) continue;
      this.#replication.server.blocking.unblock(client, (reply) => reply.integer(count), 'uncounted');
    }
  }
}
