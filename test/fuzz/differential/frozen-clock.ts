// One wall clock for redis-server and for us, that moves when the fuzzer says so: ours reads a field, redis-server a file
// that a preloaded library (frozen-time.c, compiled here) has mapped. Times to live, ids of streams and idle times are
// then the same to the millisecond.
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { ServerClock } from '../../../src/platform/clock.ts';

const SOURCE = resolve('test/fuzz/differential/frozen-time.c');

/** Why there can be no frozen clock here; null when there can. */
export function clockObstacle(): string | null {
  if (process.platform !== 'linux') return 'needs Linux';
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' });
    return null;
  } catch {
    return 'no C compiler (cc)';
  }
}

export class FrozenClock implements ServerClock {
  nowMs = 0;
  nowUs = 0;
  unixMs = 0;
  readonly #directory = mkdtempSync(join(tmpdir(), 'frozen-clock-'));
  readonly #file: number;

  constructor(unixMs: number) {
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', join(this.#directory, 'frozen-time.so'), SOURCE]);
    this.#file = openSync(join(this.#directory, 'now'), 'w+');
    this.set(unixMs);
  }

  /** For the process that is to live by this clock. */
  get environment(): NodeJS.ProcessEnv {
    return {
      LD_PRELOAD: join(this.#directory, 'frozen-time.so'),
      FROZEN_TIME: join(this.#directory, 'now'),
    };
  }

  /** What the event loop and stopwatches go by moves on. */
  update(): void {
    this.updateSinceStart();
  }

  updateSinceStart(): void {
    const sinceStart = performance.now();
    this.nowMs = sinceStart | 0;
    this.nowUs = (sinceStart * 1000) | 0;
  }

  preciseUnixUs(): number {
    return this.unixMs * 1000;
  }

  set(unixMs: number): void {
    this.unixMs = unixMs;
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(unixMs) * 1000n);
    writeSync(this.#file, bytes, 0, 8, 0);
  }

  close(): void {
    closeSync(this.#file);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
