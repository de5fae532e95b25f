// Where a diskless snapshot goes: to several replicas at once, as fast as the slowest of them takes it. Its end is told
// by forty random digits, named at the start, as nobody knows its length before. Only full-sync.ts imports it.
import type { Server } from '../core/server.ts';
import type { SnapshotSink } from '../persistence/snapshot-job.ts';
import type { Replica } from './replica.ts';

export class ReplicaSockets implements SnapshotSink {
  error: Error | null = null;
  onProgress: () => void = () => {};
  readonly #server: Server;
  readonly #replicas: Set<Replica>;
  readonly #mark: Buffer;
  #onEmpty: (() => void) | null = null;

  constructor(replicas: readonly Replica[], server: Server) {
    this.#server = server;
    this.#replicas = new Set(replicas);
    this.#mark = Buffer.from(server.createHexId(), 'latin1');
    for (const replica of replicas) replica.onProgress = () => this.#progressed(replica);
    const start = Buffer.from(`$EOF:${this.#mark.toString('latin1')}\r\n`, 'latin1');
    this.write(start, start.length);
  }

  /** Replicas that are still there. */
  get remaining(): Replica[] {
    return [...this.#replicas];
  }

  get queuedBytes(): number {
    let most = 0;
    for (const { client } of this.#replicas) most = Math.max(most, client.outputBytes);
    return most;
  }

  write(bytes: Uint8Array, length: number): void {
    const second = Math.floor(this.#server.clock.unixMs / 1000);
    for (const replica of [...this.#replicas]) {
      const { client } = replica;
      client.send(bytes, length);
      this.#server.stats.replicationOutputBytes += length;
      if (client.outputBytes > 0 && replica.stuckSince === 0) replica.stuckSince = second;
    }
  }

  #progressed(replica: Replica): void {
    if (replica.state === 'none' || replica.client.gone) this.#replicas.delete(replica);
    if (this.#replicas.size === 0) {
      this.#server.log.warning('Diskless rdb transfer, last replica dropped, killing fork child.');
      this.error = new Error('all replicas are gone');
    }
    if (this.#onEmpty !== null && (this.queuedBytes === 0 || this.error !== null)) this.#onEmpty();
    this.onProgress();
  }

  async finish(): Promise<void> {
    this.write(this.#mark, this.#mark.length);
    this.#server.log.notice(`Diskless rdb transfer, done reading from pipe, ${this.#replicas.size} replicas still up.`);
    if (this.queuedBytes > 0) {
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
      });
    }
    this.#letGo();
    if (this.error !== null) throw this.error;
  }

  abort(): void {
    this.#letGo();
  }

  #letGo(): void {
    for (const replica of this.#replicas) replica.onProgress = () => {};
  }
}
