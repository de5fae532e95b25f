// FAILOVER: this master pauses writes, waits until a replica has everything, and becomes its replica; the replica is
// told to be the master by `PSYNC ... FAILOVER`. Only src/replication/ and the command import it.
import type { Replication } from './replication.ts';

export type FailoverState = 'none' | 'waiting' | 'in-progress';

export interface FailoverRequest {
  /** Empty: whichever replica is first. */
  readonly host: string;
  readonly port: number;
  /** Milliseconds; 0: no limit. */
  readonly timeoutMs: number;
  readonly force: boolean;
}

export class Failover {
  state: FailoverState = 'none';
  readonly #replication: Replication;
  #host = '';
  #port = 0;
  #force = false;
  /** Unix time, milliseconds; 0: never. */
  #endMs = 0;

  constructor(replication: Replication) {
    this.#replication = replication;
  }

  /** As INFO names it. */
  get stateName(): string {
    if (this.state === 'none') return 'no-failover';
    return this.state === 'waiting' ? 'waiting-for-sync' : 'failover-in-progress';
  }

  start(request: FailoverRequest): void {
    const { server } = this.#replication;
    const to = request.host === '' ? 'any replica' : `${request.host}:${request.port}`;
    server.log.notice(`FAILOVER requested to ${to}.`);
    this.#host = request.host;
    this.#port = request.port;
    this.#force = request.force;
    this.#endMs = request.timeoutMs > 0 ? server.clock.unixMs + request.timeoutMs : 0;
    this.state = 'waiting';
    server.pauseClients(false, Number.POSITIVE_INFINITY, 'failover');
  }

  /** The replica is the master now, or it is over for another reason. */
  end(): void {
    if (this.state === 'none') return;
    this.state = 'none';
    this.#host = '';
    this.#replication.server.unpauseClients('failover');
  }

  abort(reason: string): void {
    if (this.state === 'none') return;
    const to = this.#host === '' ? 'any replica' : `${this.#host}:${this.#port}`;
    this.#replication.server.log.notice(`FAILOVER to ${to} aborted: ${reason}`);
    if (this.state === 'in-progress') this.#replication.becomeMaster();
    this.end();
  }

  cron(): void {
    if (this.state !== 'waiting') return;
    const replication = this.#replication;
    const { clock, log } = replication.server;
    if (this.#endMs !== 0 && this.#endMs <= clock.unixMs) {
      if (!this.#force) {
        this.abort('Replica never caught up before timeout');
        return;
      }
      log.notice(`FAILOVER to ${this.#host}:${this.#port} time out exceeded, failing over.`);
      this.#hand();
      return;
    }
    const replica =
      this.#host === ''
        ? replication.replicas.find((one) => one.ackOffset === replication.offset)
        : replication.findReplica(this.#host, this.#port);
    if (replica === undefined || replica === null || replica.ackOffset !== replication.offset) return;
    this.#host = replica.address;
    this.#port = replica.listeningPort;
    log.notice(`Failover target ${this.#host}:${this.#port} is synced, failing over.`);
    this.#hand();
  }

  #hand(): void {
    this.state = 'in-progress';
    this.#replication.becomeReplica(this.#host, this.#port);
  }
}
