// Capture filters in tcpdump's language (pcap-filter(7)), the part that an operator types: host, net, port, portrange, src and
// dst, protocols, vlan, tcp[tcpflags], less and greater, and, or, not, parentheses. Compiled once into closures over a
// dissected frame. For src/observe and src/cli.
import { Dissected, dissect } from './dissect.ts';
import {
  both,
  type End,
  either,
  FLAGS,
  type Frame,
  flagsAre,
  hasFlags,
  networkTest,
  not,
  PROTOCOLS,
  portTest,
  type Test,
  vlanTest,
} from './filter-tests.ts';

/** What is wrong with a filter, and where: one line. */
export class FilterError extends Error {
  readonly code = 'FILTER';
  constructor(message: string) {
    super(message);
    this.name = 'FilterError';
  }
}

const TOKENS = /\(|\)|\[|\]|&&|\|\||!=|==|[!=&|<>]|[^\s()[\]&|!=<>]+/g;
const KINDS = ['host', 'net', 'port', 'portrange'];
const ENDS = ['src', 'dst'];
const PORT_MAX = 65_535;

/**
 * @param text of the filter; empty: every frame. @param linkType of the frames it will see.
 * @throws FilterError
 */
export function compileFilter(
  text: string,
  linkType: number,
): (bytes: Uint8Array, offset: number, length: number) => boolean {
  if (text.trim() === '') return () => true;
  const test = new Parser(text).parse();
  const fields = new Dissected();
  const frame: Frame = { bytes: new Uint8Array(0), length: 0, fields };
  return (bytes, offset, length) => {
    dissect(bytes, offset, length, linkType, fields);
    frame.bytes = bytes;
    frame.length = length;
    return test(frame);
  };
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly { readonly text: string; readonly at: number }[];
  #next = 0;
  /** What an identifier without a keyword means: as the one before it. */
  #kind = 'host';
  #end: End = 'either';

  constructor(text: string) {
    this.#text = text;
    this.#tokens = [...text.matchAll(TOKENS)].map((match) => ({ text: match[0], at: match.index }));
  }

  parse(): Test {
    const test = this.#all();
    if (this.#next < this.#tokens.length) throw this.#error(`'${this.#peek()}' is not expected there`, this.#next);
    return test;
  }

  /** @param token what the complaint is about: a number of a token. */
  #error(message: string, token = this.#next - 1): FilterError {
    const at = this.#tokens[token]?.at ?? this.#text.length;
    const before = `${at > 20 ? '...' : ''}${this.#text.slice(Math.max(0, at - 20), at)}`;
    return new FilterError(`filter, character ${at + 1}: ${message}: '${before}' >>> '${this.#text.slice(at)}'`);
  }

  #peek(): string {
    return this.#tokens[this.#next]?.text ?? '';
  }

  #take(what: string): string {
    if (this.#next >= this.#tokens.length) throw this.#error(`${what} is missing at the end`, this.#next);
    return this.#tokens[this.#next++].text;
  }

  #skip(...words: string[]): boolean {
    if (!words.includes(this.#peek())) return false;
    this.#next++;
    return true;
  }

  #close(bracket: string): void {
    if (!this.#skip(bracket)) throw this.#error(`'${bracket}' is missing`, this.#next);
  }

  /** As in tcpdump, `and` binds no closer than `or`: from left to right. */
  #all(): Test {
    let left = this.#not();
    for (;;) {
      if (this.#skip('and', '&&')) left = both(left, this.#not());
      else if (this.#skip('or', '||')) left = either(left, this.#not());
      else return left;
    }
  }

  #not(): Test {
    if (this.#skip('not', '!')) return not(this.#not());
    if (this.#skip('(')) {
      const test = this.#all();
      this.#close(')');
      return test;
    }
    return this.#primitive();
  }

  #primitive(): Test {
    const word = this.#take('a condition');
    if (word === 'less' || word === 'greater') {
      const limit = this.#number(word, Number.MAX_SAFE_INTEGER);
      return word === 'less' ? ({ length }) => length <= limit : ({ length }) => length >= limit;
    }
    if (word === 'vlan') return vlanTest(/^\d+$/.test(this.#peek()) ? this.#number('vlan', 4094) : -1);
    if (Object.hasOwn(FLAGS, word)) return hasFlags(FLAGS[word]);
    if (Object.hasOwn(PROTOCOLS, word)) return this.#afterProtocol(word);
    this.#next--;
    return this.#address();
  }

  /** `tcp`, `tcp port 6379`, `tcp[tcpflags] & tcp-syn != 0`. */
  #afterProtocol(name: string): Test {
    if (name === 'tcp' && this.#skip('[')) return this.#flagTest();
    const next = this.#peek();
    if (!KINDS.includes(next) && !ENDS.includes(next)) return PROTOCOLS[name];
    return both(PROTOCOLS[name], this.#address());
  }

  #flagTest(): Test {
    const field = this.#take('tcpflags');
    if (field !== 'tcpflags' && field !== '13') throw this.#error('of tcp[...] only tcp[tcpflags] is known');
    this.#close(']');
    const mask = this.#skip('&') ? this.#flagValue() : -1;
    if (this.#skip('!=')) return flagsAre(mask & 0xff, this.#flagValue(), false);
    if (this.#skip('==', '=')) return flagsAre(mask & 0xff, this.#flagValue(), true);
    if (mask >= 0) return hasFlags(mask);
    throw this.#error("tcp[tcpflags] wants '& FLAG', '== FLAG' or '!= FLAG' behind it", this.#next);
  }

  #flagValue(): number {
    if (this.#skip('(')) {
      let value = this.#flagValue();
      while (this.#skip('|')) value |= this.#flagValue();
      this.#close(')');
      return value;
    }
    const word = this.#take('a flag');
    if (Object.hasOwn(FLAGS, word)) return FLAGS[word];
    if (/^(0x[0-9a-f]+|\d+)$/i.test(word)) return Number(word);
    throw this.#error(`'${word}' is no flag; there are ${Object.keys(FLAGS).join(', ')}`);
  }

  /** `src host 10.0.0.1`, `port 6379`, and what stands for it after one: `port 6379 or 6380`. */
  #address(): Test {
    const isEnd = ENDS.includes(this.#peek());
    if (isEnd) this.#end = this.#ends();
    if (KINDS.includes(this.#peek())) {
      if (!isEnd) this.#end = 'either';
      this.#kind = this.#take('');
    } else if (isEnd) this.#kind = 'host';
    if (this.#kind === 'port') {
      const port = this.#number('port', PORT_MAX);
      return portTest(this.#end, port, port);
    }
    return this.#kind === 'portrange' ? this.#portRange() : this.#network();
  }

  /** `src or dst` is what both together mean anyway. */
  #ends(): End {
    const first = this.#take('src or dst') as 'src' | 'dst';
    const second = this.#tokens[this.#next + 1]?.text ?? '';
    if (this.#peek() !== 'or' || !ENDS.includes(second) || second === first) return first;
    this.#next += 2;
    return 'either';
  }

  #portRange(): Test {
    const text = this.#take('a range of ports');
    const [, first, last] = (/^(\d+)-(\d+)$/.exec(text) ?? []).map(Number);
    if (!(first <= last && last <= PORT_MAX)) throw this.#error(`portrange wants FIRST-LAST, not '${text}'`);
    return portTest(this.#end, first, last);
  }

  #network(): Test {
    const test = networkTest(this.#end, this.#take('an address'));
    if (typeof test === 'string') throw this.#error(test);
    return test;
  }

  #number(what: string, most: number): number {
    const text = this.#take('a number');
    if (!/^\d+$/.test(text) || Number(text) > most)
      throw this.#error(`${what} wants a number${most > PORT_MAX ? '' : ` up to ${most}`}, not '${text}'`);
    return Number(text);
  }
}
