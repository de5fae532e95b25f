// The commands a server has, found by name as it lies in the request: no string is made. A `Command` is a row of the
// table with what the server counts about it.
import type { Call } from './call.ts';
import type { CommandFlag, CommandSpec } from './command.ts';
import { LatencyHistogram } from './latency-histogram.ts';

export const FLAG_WRITE = 1 << 0;
export const FLAG_DENYOOM = 1 << 1;
export const FLAG_LOADING = 1 << 2;
export const FLAG_STALE = 1 << 3;
export const FLAG_NO_AUTH = 1 << 4;
export const FLAG_NO_MULTI = 1 << 5;
export const FLAG_MAY_REPLICATE = 1 << 6;
export const FLAG_SKIP_MONITOR = 1 << 7;
export const FLAG_SKIP_SLOWLOG = 1 << 8;
export const FLAG_ADMIN = 1 << 9;
/** Never takes long: its time may be measured together with its neighbours'. */
export const FLAG_QUICK = 1 << 10;
export const FLAG_READONLY = 1 << 11;
export const FLAG_NOSCRIPT = 1 << 12;
/** Runs while a script does not come to an end. */
export const FLAG_ALLOW_BUSY = 1 << 13;
/** Not while a dump is loaded beside the dataset. */
export const FLAG_NO_ASYNC_LOADING = 1 << 14;

const FLAG_BITS: Partial<Record<CommandFlag, number>> = {
  write: FLAG_WRITE,
  denyoom: FLAG_DENYOOM,
  loading: FLAG_LOADING,
  stale: FLAG_STALE,
  no_auth: FLAG_NO_AUTH,
  no_multi: FLAG_NO_MULTI,
  may_replicate: FLAG_MAY_REPLICATE,
  skip_monitor: FLAG_SKIP_MONITOR,
  skip_slowlog: FLAG_SKIP_SLOWLOG,
  admin: FLAG_ADMIN,
  fast: FLAG_QUICK,
  readonly: FLAG_READONLY,
  noscript: FLAG_NOSCRIPT,
  allow_busy: FLAG_ALLOW_BUSY,
  no_async_loading: FLAG_NO_ASYNC_LOADING,
};

export class Command {
  readonly spec: CommandSpec;
  /** Name by which clients call it: the last part of a subcommand's, another one when renamed. */
  readonly calledAs: string;
  readonly parent: Command | null;
  /** FLAG_* bits. */
  readonly flags: number;
  readonly arity: number;
  readonly run: ((call: Call) => void) | null;
  readonly subcommands: CommandTable | null;
  readonly nameBytes: Uint8Array;
  readonly hash: number;
  /** As Redis has it in its table. */
  readonly isFast: boolean;
  /** Name of the module that has brought it; empty: it is the server's own. */
  readonly module: string;

  calls = 0;
  /** Microseconds spent in all calls. */
  timeUs = 0;
  rejectedCalls = 0;
  failedCalls = 0;
  histogram: LatencyHistogram | null = null;

  constructor(spec: CommandSpec, calledAs: string, parent: Command | null = null, module = '') {
    this.spec = spec;
    this.calledAs = calledAs;
    this.parent = parent;
    this.module = module;
    this.arity = spec.arity;
    // Storing one string is as quick as reading one, though Redis does not count it as fast.
    const flags = spec.flags.reduce(
      (bits, flag) => bits | (FLAG_BITS[flag] ?? 0),
      spec.name === 'set' ? FLAG_QUICK : 0,
    );
    this.isFast = spec.flags.includes('fast');
    // What a module calls fast is measured all the same, and so is what may wait.
    this.flags = module === '' && !spec.flags.includes('blocking') ? flags : flags & ~FLAG_QUICK;
    this.run = spec.run ?? null;
    this.nameBytes = Buffer.from(calledAs, 'latin1');
    this.hash = nameHash(this.nameBytes, 0, this.nameBytes.length);
    this.subcommands = spec.subcommands === undefined ? null : new CommandTable(spec.subcommands, this);
  }

  /** Goes on counting where another one, whose place it takes, has stopped. */
  adoptCounters(other: Command): void {
    this.calls = other.calls;
    this.timeUs = other.timeUs;
    this.rejectedCalls = other.rejectedCalls;
    this.failedCalls = other.failedCalls;
    this.histogram = other.histogram;
    for (const sub of this.subcommands?.all ?? []) {
      const before = other.subcommands?.named(sub.calledAs);
      if (before != null) sub.adoptCounters(before);
    }
  }

  /** @param timeNs nanoseconds per call: a whole number is handed on without an object, a fraction is not. */
  record(calls: number, timeNs: number, keepHistogram: boolean): void {
    this.calls += calls;
    this.timeUs += (timeNs * calls) / 1000;
    if (keepHistogram) this.recordLatency(Math.floor(timeNs / 1000), calls);
  }

  recordLatency(timeUs: number, calls: number): void {
    if (this.histogram === null) this.histogram = new LatencyHistogram();
    this.histogram.record(timeUs, calls);
  }

  resetCounters(): void {
    this.calls = 0;
    this.timeUs = 0;
    this.rejectedCalls = 0;
    this.failedCalls = 0;
    this.histogram = null;
    if (this.subcommands !== null) for (const command of this.subcommands.all) command.resetCounters();
  }
}

export class CommandTable {
  #slots: (Command | null)[] = [null];
  #all: Command[] = [];

  constructor(specs: readonly CommandSpec[], parent: Command | null = null) {
    for (const spec of specs) this.#all.push(new Command(spec, lastPart(spec.name), parent, parent?.module ?? ''));
    this.#build();
  }

  get all(): readonly Command[] {
    return this.#all;
  }

  /** The command whose name these bytes are, in any case. */
  find(bytes: Uint8Array, offset: number, length: number): Command | null {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const hash = nameHash(bytes, offset, length);
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const command = slots[slot];
      if (command === null) return null;
      if (command.hash === hash && sameName(command.nameBytes, bytes, offset, length)) return command;
    }
  }

  named(name: string): Command | null {
    const bytes = Buffer.from(name, 'latin1');
    return this.find(bytes, 0, bytes.length);
  }

  /**
   * `rename-command`: an empty new name removes the command.
   * @returns what is wrong, or null.
   */
  rename(from: string, to: string): string | null {
    const command = this.named(from);
    if (command === null) return 'No such command in rename-command';
    if (to !== '' && this.named(to) !== null) return 'Target command name already exists';
    this.#all = this.#all.filter((other) => other !== command);
    if (to !== '') this.#all.push(new Command(command.spec, to));
    this.#build();
    return null;
  }

  /** Puts commands in the place of those that are called so, or adds them; null removes. By name, lower case. */
  change(changes: ReadonlyMap<string, Command | null>): void {
    const rest = new Map(changes);
    const all: Command[] = [];
    for (const command of this.#all) {
      const changed = rest.get(command.calledAs);
      rest.delete(command.calledAs);
      if (changed === undefined) all.push(command);
      else if (changed !== null) all.push(changed);
    }
    for (const command of rest.values()) if (command !== null) all.push(command);
    this.#all = all;
    this.#build();
  }

  #build(): void {
    let size = 4;
    while (size < this.#all.length * 4) size *= 2;
    this.#slots = new Array<Command | null>(size).fill(null);
    for (const command of this.#all) {
      let slot = command.hash & (size - 1);
      while (this.#slots[slot] !== null) slot = (slot + 1) & (size - 1);
      this.#slots[slot] = command;
    }
  }
}

function lastPart(name: string): string {
  return name.slice(name.indexOf('|') + 1);
}

/** Letters hash alike in either case; a few other characters fold too, which `sameName` sorts out. */
function nameHash(bytes: Uint8Array, offset: number, length: number): number {
  let hash = length;
  for (let i = offset; i < offset + length; i++) hash = (Math.imul(hash, 31) + (bytes[i] | 32)) | 0;
  return hash ^ (hash >>> 15);
}

function sameName(name: Uint8Array, bytes: Uint8Array, offset: number, length: number): boolean {
  if (name.length !== length) return false;
  for (let i = 0; i < length; i++) {
    const byte = bytes[offset + i];
    if ((byte >= 65 && byte <= 90 ? byte + 32 : byte) !== name[i]) return false;
  }
  return true;
}
