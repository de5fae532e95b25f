// The slow log: the latest commands that took longer than `slowlog-log-slower-than`, shortened copies of their words.
import type { Call } from './call.ts';

const WORDS_MAX = 32;
const WORD_LENGTH_MAX = 128;

export interface SlowEntry {
  readonly id: number;
  /** Unix time, seconds. */
  readonly time: number;
  readonly durationUs: number;
  /** Latin-1. */
  readonly words: readonly string[];
  readonly peer: string;
  readonly clientName: string;
}

export class Slowlog {
  #entries: SlowEntry[] = [];
  #nextId = 0;

  /** Newest first. */
  get entries(): readonly SlowEntry[] {
    return this.#entries;
  }

  add(call: Call, durationUs: number, lengthMax: number): void {
    const { client } = call;
    const isScript = client.caller !== null;
    this.#entries.unshift({
      id: this.#nextId++,
      time: Math.floor(call.server.clock.unixMs / 1000),
      durationUs: Math.floor(durationUs),
      words: shortened(call),
      // A script's client has neither.
      peer: isScript ? '?:0' : client.address,
      clientName: isScript ? '' : client.name,
    });
    this.trim(lengthMax);
  }

  /** Goes on with another's entries, newest first. */
  restore(entries: readonly SlowEntry[]): void {
    this.#entries = [...entries];
    this.#nextId = (entries[0]?.id ?? -1) + 1;
  }

  trim(lengthMax: number): void {
    if (this.#entries.length > lengthMax) this.#entries.length = lengthMax;
  }

  reset(): void {
    this.#entries = [];
  }
}

function shortened(call: Call): string[] {
  const kept = Math.min(call.argc, WORDS_MAX);
  return Array.from({ length: kept }, (_, i) => {
    if (i === kept - 1 && call.argc > WORDS_MAX) return `... (${call.argc - WORDS_MAX + 1} more arguments)`;
    const word = call.shown(i);
    if (word.length <= WORD_LENGTH_MAX) return word;
    return `${word.slice(0, WORD_LENGTH_MAX)}... (${word.length - WORD_LENGTH_MAX} more bytes)`;
  });
}
