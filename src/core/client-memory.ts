// `maxmemory-clients`: how much memory clients cost together, and closing the largest ones when it is too much. Counted
// as clients change, while the limit is set; without one nobody calls this. Only core/ imports it.
import type { Client } from './client.ts';
import type { Server } from './server.ts';

export class ClientMemory {
  /** Bytes; 0: no limit. */
  limit = 0;
  readonly #server: Server;
  readonly #counted = new Map<Client, number>();
  #total = 0;

  constructor(server: Server) {
    this.#server = server;
  }

  /** Whether clients have to go. */
  get isOver(): boolean {
    return this.limit > 0 && this.#total > this.limit;
  }

  /** The limit may have changed: `maxmemory-clients`, or `maxmemory` of which it may be a share. */
  setLimit(limit: number): void {
    const wasOn = this.limit > 0;
    this.limit = limit;
    if (limit > 0 && !wasOn) for (const client of this.#server.clients.values()) this.update(client);
    if (limit > 0) this.evict();
    else {
      this.#counted.clear();
      this.#total = 0;
    }
  }

  /** Counts a client whose buffers have changed. Only those that can be evicted count. */
  update(client: Client): void {
    const before = this.#counted.get(client) ?? 0;
    const evictable = !client.noEvict && client.link === null && !client.closing;
    const now = evictable ? client.memoryBytes : 0;
    if (evictable) this.#counted.set(client, now);
    else this.#counted.delete(client);
    this.#total += now - before;
  }

  /** Bytes of each client that counts. */
  sizes(): IterableIterator<number> {
    return this.#counted.values();
  }

  forget(client: Client): void {
    this.#total -= this.#counted.get(client) ?? 0;
    this.#counted.delete(client);
  }

  /** Closes the largest clients until the others are within the limit. */
  evict(): void {
    while (this.isOver) {
      let largest: Client | null = null;
      let most = -1;
      for (const [client, bytes] of this.#counted) {
        if (bytes <= most) continue;
        largest = client;
        most = bytes;
      }
      if (largest === null) return;
      const { log, stats } = this.#server;
      log.notice(`Evicting client: ${largest.infoLine()}`);
      stats.evictedClients++;
      largest.close();
      this.forget(largest);
    }
  }
}
