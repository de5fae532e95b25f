// Random Redis commands together with the replies a correct server must give: a model of a few commands over keys
// that belong to one client alone, so that any interleaving of clients has one right answer.
import type { SeededRandom } from '../../src/platform/random.ts';

/** A request and its reply, as they go over the wire. */
export interface Exchange {
  readonly request: Uint8Array;
  readonly reply: Uint8Array;
}

export class Workload {
  readonly #random: SeededRandom;
  readonly #prefix: string;
  readonly #strings = new Map<string, string>();
  readonly #counters = new Map<string, number>();
  readonly #lists = new Map<string, string[]>();
  readonly #hashes = new Map<string, Map<string, string>>();
  readonly #valueMax: number;

  /** @param valueMax longest value, bytes. */
  constructor(random: SeededRandom, prefix: string, valueMax: number) {
    this.#random = random;
    this.#prefix = prefix;
    this.#valueMax = valueMax;
  }

  next(): Exchange {
    switch (this.#random.below(11)) {
      case 0:
      case 1:
        return this.#set();
      case 2:
      case 3:
        return this.#get();
      case 4:
        return this.#increment();
      case 5:
        return this.#push();
      case 6:
        return this.#range();
      case 7:
        return this.#append();
      case 8:
        return this.#hashSet();
      case 9:
        return this.#hashGet();
      default:
        return this.#echo();
    }
  }

  #key(kind: string): string {
    return `${this.#prefix}:${kind}:${this.#random.below(4)}`;
  }

  /** Mostly short, now and then up to `valueMax`; any byte, CR and LF included. */
  #value(): string {
    const random = this.#random;
    const length = random.below(8) === 0 ? random.below(this.#valueMax) : random.below(40);
    const first = random.below(256);
    const step = random.below(7) + 1;
    let value = '';
    for (let i = 0; i < length; i++) value += String.fromCharCode((first + i * step) & 0xff);
    return value;
  }

  #set(): Exchange {
    const key = this.#key('string');
    const value = this.#value();
    this.#strings.set(key, value);
    return { request: command('SET', key, value), reply: latin1('+OK\r\n') };
  }

  #get(): Exchange {
    const key = this.#key('string');
    const value = this.#strings.get(key);
    return { request: command('GET', key), reply: latin1(value === undefined ? '$-1\r\n' : bulk(value)) };
  }

  #append(): Exchange {
    const key = this.#key('string');
    const extra = this.#value().slice(0, 20);
    const value = (this.#strings.get(key) ?? '') + extra;
    this.#strings.set(key, value);
    return { request: command('APPEND', key, extra), reply: latin1(`:${value.length}\r\n`) };
  }

  #increment(): Exchange {
    const key = this.#key('counter');
    const value = (this.#counters.get(key) ?? 0) + 1;
    this.#counters.set(key, value);
    return { request: command('INCR', key), reply: latin1(`:${value}\r\n`) };
  }

  #push(): Exchange {
    const key = this.#key('list');
    const list = this.#lists.get(key) ?? [];
    list.push(this.#value().slice(0, 300));
    this.#lists.set(key, list);
    return { request: command('RPUSH', key, list.at(-1)!), reply: latin1(`:${list.length}\r\n`) };
  }

  #range(): Exchange {
    const key = this.#key('list');
    const list = this.#lists.get(key) ?? [];
    const reply = `*${list.length}\r\n${list.map(bulk).join('')}`;
    return { request: command('LRANGE', key, '0', '-1'), reply: latin1(reply) };
  }

  #hashSet(): Exchange {
    const key = this.#key('hash');
    const hash = this.#hashes.get(key) ?? new Map<string, string>();
    this.#hashes.set(key, hash);
    const field = `field${this.#random.below(200)}`;
    const value = this.#value().slice(0, 100);
    const isNew = !hash.has(field);
    hash.set(field, value);
    return { request: command('HSET', key, field, value), reply: latin1(`:${isNew ? 1 : 0}\r\n`) };
  }

  #hashGet(): Exchange {
    const key = this.#key('hash');
    const field = `field${this.#random.below(200)}`;
    const value = this.#hashes.get(key)?.get(field);
    return { request: command('HGET', key, field), reply: latin1(value === undefined ? '$-1\r\n' : bulk(value)) };
  }

  #echo(): Exchange {
    const value = this.#value();
    return { request: command('ECHO', value), reply: latin1(bulk(value)) };
  }
}

function bulk(value: string): string {
  return `$${value.length}\r\n${value}\r\n`;
}

function command(...words: string[]): Uint8Array {
  return latin1(`*${words.length}\r\n${words.map(bulk).join('')}`);
}

function latin1(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}
