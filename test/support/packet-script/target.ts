// What a script runs against: our stack on virtual time, or Linux's over a real link. For runner.ts and the two targets.
import type { Hosts } from './build.ts';
import type { Flow } from './flow.ts';

export interface Frame {
  readonly bytes: Uint8Array;
  /** Microseconds, on the target's clock. */
  readonly atUs: number;
}

/** How far the target may be off, microseconds. */
export interface Tolerance {
  readonly earlyUs: number;
  readonly lateUs: number;
}

export interface Target {
  readonly isLinux: boolean;
  readonly hosts: Hosts;
  /** Where it listens. */
  readonly port: number;
  nowUs(): number;
  /** For something due `afterUs` behind the event before it. */
  tolerance(afterUs: number): Tolerance;
  inject(frame: Uint8Array, flow: Flow): void;
  /** The next frame of the stack; null when none has come by `untilUs`, which is then now. */
  next(untilUs: number): Promise<Frame | null>;
  /** Does what the application is told to. @returns null, or why it is not so (yet): asked again while there is time. */
  call(flow: Flow, words: readonly string[]): Promise<string | null>;
  /** After the script: what it left behind; null: nothing. */
  leftovers(): Promise<string | null>;
  close(): Promise<void>;
}
