// Capture filters in tcpdump's language (pcap-filter(7)), the part that an operator types: host, net, port, portrange, src and
// dst, protocols, tcp[tcpflags], less and greater, and, or, not. Compiled once into closures over a dissected frame.
// For src/observe and src/cli.
import { isIP, isIPv6 } from 'node:net';
import { Dissected, dissect, TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from './dissect.ts';

/** What is wrong with a filter, and where. */
export class FilterError extends Error {
  readonly code = 'FILTER';
  constructor(message: string) {
    super(message);
    this.name = 'FilterError';
  }
}

interface Frame {
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly fields: Dissected;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Test = (frame: Frame) => boolean;
type Side = 'src' | 'dst' | 'either';

const TOKENS = /\(|\)|\[|\]|&&|\|\||!=|==|[!=&|<>]|[^\s()[\]&|!=<>]+/g;
const PROTOCOLS: Readonly<Record<string, Test>> = {
  ip: ({ fields }) => fields.type === TYPE_IPV4,
  ip6: ({ fields }) => fields.type === TYPE_IPV6,
  arp: ({ fields }) => fields.type === TYPE_ARP,
  tcp: ({ fields }) => fields.protocol === 6,
  udp: ({ fields }) => fields.protocol === 17,
  icmp: ({ fields }) => fields.protocol === 1,
  icmp6: ({ fields }) => fields.protocol === 58,
};
const FLAGS: Readonly<Record<string, number>> = {
  'tcp-fin': 1,
  'tcp-syn': 2,
  'tcp-rst': 4,
  'tcp-push': 8,
  'tcp-ack': 16,
  'tcp-urg': 32,
  'tcp-ece': 64,
  'tcp-cwr': 128,
};

/**
 * @param text of the filter; empty: every frame. @param linkType of the frames it will see.
 * @throws FilterError
 */
export function compileFilter(
  text: string,
  linkType: number,
): (bytes: Uint8Array, offset: number, length: number) => boolean {
  if (text.trim() === '') return () => true;
  const test = new Parser(text.match(TOKENS) ?? []).parse();
  const fields = new Dissected();
  const frame: Mutable<Frame> = { bytes: new Uint8Array(0), length: 0, fields };
  return (bytes, offset, length) => {
    dissect(bytes, offset, length, linkType, fields);
    frame.bytes = bytes;
    frame.length = length;
    return test(frame);
  };
}

class Parser {
  readonly #tokens: readonly string[];
  #next = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  parse(): Test {
    const test = this.#or();
    if (this.#next < this.#tokens.length) throw new FilterError(`filter: '${this.#peek()}' is not expected there`);
    return test;
  }

  #peek(): string {
    return this.#tokens[this.#next] ?? '';
  }

  #take(what: string): string {
    if (this.#next >= this.#tokens.length) throw new FilterError(`filter: ${what} is missing at the end`);
    return this.#tokens[this.#next++];
  }

  #skip(...words: string[]): boolean {
    if (!words.includes(this.#peek())) return false;
    this.#next++;
    return true;
  }

  #or(): Test {
    let left = this.#and();
    while (this.#skip('or', '||')) left = either(left, this.#and());
    return left;
  }

  #and(): Test {
    let left = this.#not();
    while (this.#skip('and', '&&')) left = both(left, this.#not());
    return left;
  }

  #not(): Test {
    if (this.#skip('not', '!')) {
      const test = this.#not();
      return (frame) => !test(frame);
    }
    if (this.#skip('(')) {
      const test = this.#or();
      if (!this.#skip(')')) throw new FilterError("filter: ')' is missing");
      return test;
    }
    return this.#primitive();
  }

  #primitive(): Test {
    const word = this.#take('a condition');
    if (word === 'src' || word === 'dst') return this.#sided(this.#side(word));
    if (word === 'less' || word === 'greater') {
      const limit = this.#number(word);
      return word === 'less' ? ({ length }) => length <= limit : ({ length }) => length >= limit;
    }
    if (Object.hasOwn(FLAGS, word)) return hasFlags(FLAGS[word]);
    if (Object.hasOwn(PROTOCOLS, word)) return this.#afterProtocol(word);
    this.#next--;
    return this.#sided('either');
  }

  /** `src or dst` is what both together mean anyway. */
  #side(first: 'src' | 'dst'): Side {
    const second = this.#tokens[this.#next + 1];
    if (this.#peek() === 'or' && (second === 'src' || second === 'dst') && second !== first) {
      this.#next += 2;
      return 'either';
    }
    return first;
  }

  /** `tcp`, `tcp port 6379`, `tcp[tcpflags] & tcp-syn != 0`. */
  #afterProtocol(name: string): Test {
    const protocol = PROTOCOLS[name];
    if (name === 'tcp' && this.#skip('[')) return this.#flagTest();
    const next = this.#peek();
    if (!['src', 'dst', 'host', 'net', 'port', 'portrange'].includes(next)) return protocol;
    return both(protocol, this.#primitive());
  }

  #flagTest(): Test {
    const field = this.#take('tcpflags');
    if ((field !== 'tcpflags' && field !== '13') || !this.#skip(']'))
      throw new FilterError('filter: of tcp[...] only tcp[tcpflags] is known');
    let mask = 0xff;
    if (this.#skip('&')) mask = this.#flagValue();
    if (this.#skip('!=')) {
      const value = this.#flagValue();
      return ({ fields }) => fields.isTcp && (fields.flags & mask) !== value;
    }
    if (this.#skip('==', '=')) {
      const value = this.#flagValue();
      return ({ fields }) => fields.isTcp && (fields.flags & mask) === value;
    }
    if (mask !== 0xff) return hasFlags(mask);
    throw new FilterError("filter: tcp[tcpflags] wants '& FLAG', '== FLAG' or '!= FLAG' behind it");
  }

  #flagValue(): number {
    if (this.#skip('(')) {
      let value = this.#flagValue();
      while (this.#skip('|')) value |= this.#flagValue();
      if (!this.#skip(')')) throw new FilterError("filter: ')' is missing");
      return value;
    }
    const word = this.#take('a flag');
    if (Object.hasOwn(FLAGS, word)) return FLAGS[word];
    if (/^(0x[0-9a-f]+|\d+)$/i.test(word)) return Number(word);
    throw new FilterError(`filter: '${word}' is no flag; there are ${Object.keys(FLAGS).join(', ')}`);
  }

  #sided(side: Side): Test {
    const word = this.#take('host, net or port');
    if (word === 'port') {
      const port = this.#number('port');
      return portTest(side, port, port);
    }
    if (word === 'portrange') {
      const text = this.#take('a range of ports');
      const range = /^(\d+)-(\d+)$/.exec(text);
      if (range === null) throw new FilterError(`filter: portrange wants FIRST-LAST, not '${text}'`);
      return portTest(side, Number(range[1]), Number(range[2]));
    }
    if (word === 'net') return networkTest(side, this.#take('a network'));
    return networkTest(side, word === 'host' ? this.#take('an address') : word);
  }

  #number(what: string): number {
    const text = this.#take('a number');
    if (!/^\d+$/.test(text)) throw new FilterError(`filter: ${what} wants a number, not '${text}'`);
    return Number(text);
  }
}

function both(a: Test, b: Test): Test {
  return (frame) => a(frame) && b(frame);
}

function either(a: Test, b: Test): Test {
  return (frame) => a(frame) || b(frame);
}

function hasFlags(mask: number): Test {
  return ({ fields }) => fields.isTcp && (fields.flags & mask) !== 0;
}

function portTest(side: Side, first: number, last: number): Test {
  const within = (port: number): boolean => port >= first && port <= last;
  return ({ fields }) =>
    (side !== 'dst' && within(fields.sourcePort)) || (side !== 'src' && within(fields.destinationPort));
}

/** `10.0.0.1`, `10.0.0.0/24`, `10.1` (as tcpdump takes it: 10.1.0.0/16), `fd00::/8`. */
function networkTest(side: Side, text: string): Test {
  const [address, prefix] = text.split('/');
  const parts = address.split('.');
  const whole = isIPv6(address) ? address : [...parts, '0', '0', '0'].slice(0, 4).join('.');
  if (isIP(whole) === 0) throw new FilterError(`filter: '${text}' is neither an address nor a word of the language`);
  const wanted = bytesOf(whole);
  const bits = prefix === undefined ? (wanted.length === 16 ? 128 : parts.length * 8) : Number(prefix);
  if (!/^\d+$/.test(prefix ?? '0') || bits > wanted.length * 8)
    throw new FilterError(`filter: '${text}' has no such prefix`);
  const matches = (bytes: Uint8Array, at: number): boolean => {
    for (let i = 0; i * 8 < bits; i++) {
      const mask = bits - i * 8 >= 8 ? 0xff : (0xff00 >> (bits - i * 8)) & 0xff;
      if (((bytes[at + i] ^ wanted[i]) & mask) !== 0) return false;
    }
    return true;
  };
  return ({ bytes, fields }) =>
    fields.addressLength === wanted.length &&
    ((side !== 'dst' && matches(bytes, fields.sourceAt)) || (side !== 'src' && matches(bytes, fields.destinationAt)));
}

function bytesOf(address: string): Uint8Array {
  if (!isIPv6(address)) return Uint8Array.from(address.split('.').map(Number));
  // Without zones and embedded IPv4 notation.
  const [head, tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const words = (text: string | undefined): number[] =>
    text === undefined || text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16));
  const front = words(head);
  const back = words(tail);
  const zeros = new Array<number>(8 - front.length - back.length).fill(0);
  return Uint8Array.from([...front, ...zeros, ...back].flatMap((word) => [word >> 8, word & 0xff]));
}
