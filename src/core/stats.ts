// What the server counts for INFO, beside what commands and the keyspace count themselves. Plain fields: counting
// costs an addition.

/** Samples behind `instantaneous_*`: sixteen, a tenth of a second apart. */
const SAMPLES = 16;

export class Rate {
  readonly #samples = new Float64Array(SAMPLES);
  #next = 0;
  #lastCount = 0;
  #lastMs = 0;

  /** Takes a sample. */
  sample(count: number, nowMs: number): void {
    const elapsed = (nowMs - this.#lastMs) | 0;
    if (elapsed <= 0) return;
    this.#samples[this.#next] = ((count - this.#lastCount) * 1000) / elapsed;
    this.#next = (this.#next + 1) % SAMPLES;
    this.#lastCount = count;
    this.#lastMs = nowMs;
  }

  /** Mean of the samples, per second. */
  get perSecond(): number {
    let sum = 0;
    for (let i = 0; i < SAMPLES; i++) sum += this.#samples[i];
    return sum / SAMPLES;
  }

  reset(): void {
    this.#samples.fill(0);
  }
}

export class Stats {
  connectionsReceived = 0;
  connectionsRejected = 0;
  commandsProcessed = 0;
  netInputBytes = 0;
  netOutputBytes = 0;
  /** Of the two above: from a master, and to replicas. */
  replicationInputBytes = 0;
  replicationOutputBytes = 0;
  readsProcessed = 0;
  writesProcessed = 0;
  errorReplies = 0;
  unexpectedErrorReplies = 0;
  evictedClients = 0;
  /** Connections to other servers that MIGRATE may use again. */
  migrateCachedSockets = 0;
  clientQueryBufferLimitDisconnections = 0;
  clientOutputBufferLimitDisconnections = 0;
  memoryPeak = 0;
  readonly operations = new Rate();
  readonly input = new Rate();
  readonly output = new Rate();
  /** Error replies by their first word. */
  readonly errorsByCode = new Map<string, number>();

  countError(text: string): void {
    this.errorReplies++;
    const space = text.indexOf(' ');
    const code = space < 0 ? text : text.slice(0, space);
    this.errorsByCode.set(code, (this.errorsByCode.get(code) ?? 0) + 1);
  }

  sample(nowMs: number): void {
    this.operations.sample(this.commandsProcessed, nowMs);
    this.input.sample(this.netInputBytes, nowMs);
    this.output.sample(this.netOutputBytes, nowMs);
  }

  /** CONFIG RESETSTAT. */
  reset(): void {
    this.connectionsReceived = 0;
    this.connectionsRejected = 0;
    this.commandsProcessed = 0;
    this.netInputBytes = 0;
    this.netOutputBytes = 0;
    this.replicationInputBytes = 0;
    this.replicationOutputBytes = 0;
    this.readsProcessed = 0;
    this.writesProcessed = 0;
    this.errorReplies = 0;
    this.unexpectedErrorReplies = 0;
    this.evictedClients = 0;
    this.clientQueryBufferLimitDisconnections = 0;
    this.clientOutputBufferLimitDisconnections = 0;
    this.memoryPeak = 0;
    this.operations.reset();
    this.input.reset();
    this.output.reset();
    this.errorsByCode.clear();
  }
}
