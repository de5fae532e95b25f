// Text of a packet script to events; everything that cannot be understood is an error with its line. For runner.ts.
import {
  type Action,
  type Event,
  type IpFields,
  type Moment,
  type Packet,
  type Script,
  ScriptError,
  type TcpOption,
  type TcpPacket,
  type Wild,
} from './syntax.ts';

/** Keys that are the runner's; every other `key = value` line goes into netdev.conf. */
const RUNNER_KEYS = new Set(['family', 'peer-isn', 'mtu', 'resolve', 'start-ms', 'address2']);
/** Names that `icmp` may be followed by; type and code. */
const ICMP_NAMES: Readonly<Record<string, readonly [number, number]>> = {
  echo: [8, 0],
  'echo-reply': [0, 0],
  'net-unreachable': [3, 0],
  'host-unreachable': [3, 1],
  'protocol-unreachable': [3, 2],
  'port-unreachable': [3, 3],
  'fragmentation-needed': [3, 4],
  'source-route-failed': [3, 5],
  prohibited: [3, 13],
  'source-quench': [4, 0],
  redirect: [5, 1],
  'time-exceeded': [11, 0],
  'parameter-problem': [12, 0],
};

const ICMP6_NAMES: Readonly<Record<string, readonly [number, number]>> = {
  echo: [128, 0],
  'echo-reply': [129, 0],
  'no-route': [1, 0],
  prohibited: [1, 1],
  'address-unreachable': [1, 3],
  'port-unreachable': [1, 4],
  'packet-too-big': [2, 0],
  'time-exceeded': [3, 0],
  'reassembly-timeout': [3, 1],
  'bad-header': [4, 0],
  'unknown-header': [4, 1],
  'unknown-option': [4, 2],
};

export function parseScript(text: string, file: string): Script {
  const lines = text.split(/\r?\n/);
  const config: string[] = [];
  const settings = new Map<string, string>();
  const events: Event[] = [];
  let notForLinux: string | null = null;
  const title = (lines[0] ?? '').replace(/^#\s*/, '').trim();
  if (!lines[0]?.startsWith('#') || title === '')
    throw new ScriptError(file, 1, 'the first line is a title: # RFC ...');
  for (const [index, raw] of lines.entries()) {
    const line = index + 1;
    const content = raw.replace(/(^|\s)#.*$/, '').trim();
    if (content === '') continue;
    const linux = /^linux:\s*(yes|no\s+(.+))$/.exec(content);
    const setting = /^([a-z][a-z0-9-]*)\s*=\s*(.+)$/.exec(content);
    try {
      if (linux !== null) notForLinux = linux[2] ?? '';
      else if (setting === null) events.push(parseEvent(content, line));
      else if (RUNNER_KEYS.has(setting[1])) settings.set(setting[1], setting[2]);
      else config.push(content);
    } catch (error) {
      throw new ScriptError(file, line, `${(error as Error).message}\n    ${content}`);
    }
  }
  if (notForLinux === null) throw new ScriptError(file, 1, "say 'linux: yes' or 'linux: no REASON'");
  return { file, title, notForLinux, config, settings, events };
}

function parseEvent(content: string, line: number): Event {
  const match = /^(\*|\+?[\d.]+(?:~\+?[\d.]+)?)\s+(?:\[(\d+)\]\s+)?(?:([<>])\s+)?(.+)$/.exec(content);
  if (match === null) throw new Error('not TIME [FLOW] < PACKET, TIME [FLOW] > PACKET or TIME [FLOW] CALL');
  const [, time, flow, direction, rest] = match;
  return {
    line,
    text: content,
    moment: parseMoment(time),
    flow: flow === undefined ? 1 : Number(flow),
    action: parseAction(direction, rest),
  };
}

function parseMoment(text: string): Moment {
  if (text === '*') return { relative: true, from: 0, to: 600 };
  const [first, second] = text.split('~');
  const relative = first.startsWith('+');
  const from = Number(first.replace('+', ''));
  const to = second === undefined ? from : Number(second.replace('+', ''));
  if (Number.isNaN(from) || Number.isNaN(to) || to < from) throw new Error(`'${text}' is no time`);
  return { relative, from, to };
}

function parseAction(direction: string | undefined, text: string): Action {
  if (direction === undefined) {
    const { rest, options } = takeOptions(text);
    return { do: 'call', words: rest.split(/\s+/), options: options === '*' || options === undefined ? [] : options };
  }
  return { do: direction === '<' ? 'inject' : 'expect', packet: parsePacket(text, direction === '<') };
}

/** Takes `<...>` out of the text. */
function takeOptions(text: string): { rest: string; options: readonly TcpOption[] | Wild | undefined } {
  const match = /<([^>]*)>/.exec(text);
  if (match === null) return { rest: text.trim(), options: undefined };
  const rest = (text.slice(0, match.index) + text.slice(match.index + match[0].length)).trim().replace(/\s+/g, ' ');
  const inner = match[1].trim();
  if (inner === '...') return { rest, options: '*' };
  return { rest, options: inner === '' ? [] : inner.split(',').map((option) => parseOption(option.trim())) };
}

function parseOption(text: string): TcpOption {
  const words = text.split(/\s+/);
  switch (words[0]) {
    case 'mss':
    case 'wscale':
      return { kind: words[0], value: words[1] === '*' ? '*' : number(words[1]) };
    case 'sackOK':
    case 'nop':
    case 'eol':
      return { kind: words[0] };
    case 'TS':
      return { kind: 'TS', val: optional(words, 'val'), ecr: optional(words, 'ecr') };
    case 'sack':
      return { kind: 'sack', edges: words.slice(1).flatMap((block) => block.split(':').map(number)) };
    case 'hex':
      return { kind: 'hex', bytes: hex(words[1]) };
    default:
      throw new Error(`unknown TCP option '${text}'`);
  }
}

function optional(words: readonly string[], name: string): number | undefined {
  const at = words.indexOf(name);
  return at < 0 || words[at + 1] === '*' ? undefined : number(words[at + 1]);
}

function number(text: string | undefined): number {
  const value = Number(text);
  if (text === undefined || text === '' || Number.isNaN(value)) throw new Error(`'${text}' is no number`);
  return value;
}

function hex(text: string | undefined): number[] {
  if (text === undefined || !/^([0-9a-f]{2})+$/i.test(text)) throw new Error(`'${text}' is not hexadecimal`);
  return (text.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16));
}

function parsePacket(text: string, injected: boolean): Packet {
  const { rest, options } = takeOptions(text);
  const words = rest.split(' ');
  switch (words[0]) {
    case 'icmp':
    case 'icmp6':
      return parseIcmp(words);
    case 'ndp':
      return parseNdp(words);
    case 'arp':
      return parseArp(words);
    case 'udp':
      return { kind: 'udp', port: number(words[1]), length: number(words[2]), ...fields(words.slice(3)) };
    case 'ip':
      return { kind: 'ip', protocol: number(words[1]), length: number(words[2]), ...fields(words.slice(3)) };
    case 'hex':
      return { kind: 'hex', bytes: hex(words[1]) };
    default:
      return parseTcp(words, options, injected);
  }
}

function parseTcp(
  words: readonly string[],
  options: readonly TcpOption[] | Wild | undefined,
  injected: boolean,
): TcpPacket {
  const [flags, range] = words;
  if (!/^([SFRPUEW.]+|-|\*)$/.test(flags))
    throw new Error(`'${flags}' is no packet: flags are letters of SFRP.UEW or -`);
  const match = /^(\*|-?\d+):(\*|-?\d+)\((\d+)\)$/.exec(range ?? '');
  if (match === null) throw new Error(`'${range}' is not START:END(LENGTH)`);
  const wild = (word: string): number | Wild => (word === '*' ? '*' : Number(word));
  const more = fields(words.slice(2)) as Partial<TcpPacket>;
  if (injected && flags.includes('.') && more.ack === undefined) throw new Error("a segment with '.' needs 'ack N'");
  const packet = { kind: 'tcp', flags, start: wild(match[1]), end: wild(match[2]), length: Number(match[3]), ...more };
  return { ...packet, options } as TcpPacket;
}

function parseIcmp(words: readonly string[]): Packet {
  const name = (words[0] === 'icmp6' ? ICMP6_NAMES : ICMP_NAMES)[words[1]];
  const numeric = /^(\d+)\/(\d+)$/.exec(words[1] ?? '');
  if (name === undefined && numeric === null) throw new Error(`'${words[1]}' is no ICMP message: a name or TYPE/CODE`);
  const [type, code] = name ?? [Number(numeric![1]), Number(numeric![2])];
  const given = fields(words.slice(2)) as IpFields & Record<string, number | undefined>;
  const { identifier = 0, sequence = 0, mtu, pointer, length, ...rest } = given;
  return { kind: 'icmp', type, code, id2: identifier, seq: mtu ?? pointer ?? sequence, length, ...rest } as Packet;
}

/** `ndp solicit WHO [from WHO]`, `ndp advertise WHO [to WHO] [solicited] [override]`, both with `[is-at MAC|none]`. */
function parseNdp(words: readonly string[]): Packet {
  if (words[1] !== 'solicit' && words[1] !== 'advertise')
    throw new Error(`'ndp ${words[1]}' is neither solicit nor advertise`);
  const type = words[1] === 'solicit' ? 135 : 136;
  return { kind: 'ndp', type, target: words[2], ...fields(words.slice(3)) };
}

/** `arp request WHO [from WHO] [MAC..]`, `arp reply WHO [to WHO]`. */
function parseArp(words: readonly string[]): Packet {
  const after = (name: string) => (words.includes(name) ? words[words.indexOf(name) + 1] : undefined);
  const senderMac = after('is-at');
  const mac = after('mac');
  const macs = { ...(senderMac !== undefined && { senderMac }), ...(mac !== undefined && { mac }) };
  if (words[1] === 'request') {
    const sender = after('from') ?? 'peer';
    return { kind: 'arp', operation: 1, target: words[2], sender, ...macs };
  }
  if (words[1] === 'reply') {
    return { kind: 'arp', operation: 2, sender: words[2], target: after('to') ?? 'us', ...macs };
  }
  throw new Error(`'arp ${words[1]}' is neither request nor reply`);
}

/** Fields that take a value, by their word in a script; the property, and how its value is read. */
const VALUED: Readonly<Record<string, readonly [string, (word: string) => unknown]>> = {
  ack: ['ack', (word) => (word === '*' ? '*' : number(word))],
  win: ['win', (word) => (word === '*' ? '*' : number(word))],
  urg: ['urg', number],
  ttl: ['ttl', number],
  tos: ['tos', number],
  ecn: ['ecn', (word) => word],
  id: ['id', number],
  from: ['from', (word) => word],
  to: ['to', (word) => word],
  mac: ['mac', (word) => word],
  'ip-options': ['ipOptions', hex],
  'ip-version': ['ipVersion', number],
  ihl: ['ihl', number],
  'ip-length': ['ipLength', number],
  cut: ['cut', number],
  pad: ['pad', number],
  split: ['split', number],
  only: ['only', (word) => word.split(',').map(number)],
  'data-offset': ['dataOffset', number],
  sport: ['sport', number],
  dport: ['dport', number],
  about: ['about', number],
  quote: ['quote', number],
  identifier: ['identifier', number],
  sequence: ['sequence', number],
  mtu: ['mtu', number],
  pointer: ['pointer', number],
  vlan: ['vlan', number],
  ext: ['ext', extensions],
  'is-at': ['isAt', (word) => word],
  length: ['length', number],
};
const FLAGS: Readonly<Record<string, string>> = {
  df: 'df',
  poison: 'poison',
  reverse: 'reverse',
  untagged: 'untagged',
  solicited: 'solicited',
  override: 'override',
  'bad-checksum': 'badChecksum',
  'bad-ip-checksum': 'badIpChecksum',
};

/** `TYPE=HEX,...`: headers one after the other, without their first byte. */
function extensions(text: string): (readonly [number, number[]])[] {
  return text.split(',').map((header) => {
    const [type, bytes] = header.split('=');
    const rest = hex(bytes);
    if ((rest.length & 7) !== 7) throw new Error(`'${header}': an extension header is a multiple of eight bytes`);
    return [number(type), rest] as const;
  });
}

function fields(words: readonly string[]): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if (word === '') continue;
    if (Object.hasOwn(FLAGS, word)) {
      result[FLAGS[word]] = true;
    } else if (Object.hasOwn(VALUED, word)) {
      const [property, read] = VALUED[word];
      if (words[i + 1] === undefined) throw new Error(`'${word}' needs a value`);
      result[property] = read(words[++i]);
    } else throw new Error(`'${word}' is not a field`);
  }
  return result;
}
