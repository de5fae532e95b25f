// netdev.conf: `key = value` lines and command-line overrides into a typed StackConfig, with errors that name file,
// line and what is allowed. Anyone may import the types; the CLI and the composition root call the parser.
import type { EngineOptions, InterfaceAddress } from '../io-engine/options.ts';
import { checkNetworks, checkNetworks6 } from './config-networks.ts';
import {
  BadValue,
  isKeyName,
  KEY_NAMES,
  KEYS,
  type Key,
  type KeyName,
  type KeyValue,
  UNSUPPORTED_KEYS,
} from './config-schema.ts';
import type { Route } from './routes.ts';
import type { Ipv6Prefix, Ipv6Route } from './routes6.ts';

/** A neighbour's hardware address that is given rather than asked for. */
export interface StaticNeighbor {
  readonly ip: number;
  readonly mac: Uint8Array;
}

/** What netdev.conf says of IPv6. */
export interface Ipv6Config {
  readonly addresses: readonly Ipv6Prefix[];
  /** 16 bytes. */
  readonly gateway: Uint8Array | null;
  readonly routes: readonly Ipv6Route[];
  readonly neighbors: readonly StaticNeighbor6[];
  /** Addresses and a router are taken from advertisements (RFC 4862). */
  readonly slaac: boolean;
}

export interface StaticNeighbor6 {
  readonly bytes: Uint8Array;
  readonly mac: Uint8Array;
}

export interface StackConfig {
  readonly engine: EngineOptions;
  /** The IPv4 address comes from a DHCP server, and with it a gateway and routes. */
  readonly dhcp: boolean;
  /** What the DHCP server is told we are called. */
  readonly hostName: string;
  /** IPv4; the first is what packets through the gateway come from unless it is in another one's network. */
  readonly addresses: readonly InterfaceAddress[];
  /** 802.1Q identifier of our VLAN; 0: frames are untagged. */
  readonly vlan: number;
  /** How long to ask whether somebody has our addresses before using them; 0: not at all. */
  readonly addressCheckMs: number;
  readonly gateway: number | null;
  readonly routes: readonly Route[];
  readonly arp: readonly StaticNeighbor[];
  /** Null: IPv6 frames are not for us. */
  readonly ipv6: Ipv6Config | null;
  /** `auto`: verify unless the device vouches for a frame. */
  readonly rxChecksum: 'auto' | 'verify' | 'trust';
  readonly maxConnections: number;
  /** Most bytes a connection keeps for its reader: the window it offers. */
  readonly receiveBuffer: number;
  /** Most bytes a connection keeps until they are acknowledged. */
  readonly sendBuffer: number;
  /** Most bytes that all connections' buffers take together. */
  readonly bufferMemory: number;
  readonly congestion: 'cubic' | 'newreno';
  readonly ecn: 'off' | 'on' | 'accept';
  readonly synCookies: 'off' | 'on' | 'always';
  /** How long sent data may stay unacknowledged; 0: until the retries are used up. */
  readonly userTimeoutMs: number;
  /** Time to live of our packets, and their type of service without the ECN bits. */
  readonly ttl: number;
  readonly tos: number;
  readonly rtoMinMs: number;
  readonly delayedAckMs: number;
  /** Idle time before the first probe; 0: no probes. */
  readonly keepaliveMs: number;
  readonly timeWaitMs: number;
}

export type NetdevConfigErrorCode =
  | 'SYNTAX'
  | 'UNKNOWN_KEY'
  | 'NOT_SUPPORTED'
  | 'BAD_VALUE'
  | 'DUPLICATE_KEY'
  | 'MISSING_KEY'
  | 'CONFLICT';

/** As much of a line as is worth showing. */
const LINE_SHOWN_MAX = 200;

/** What would move a terminal's cursor, or is no text at all, as its number. */
function escaped(text: string): string {
  return text.replace(
    /[\p{C}\u2028\u2029\uFFFD]/gu,
    (character) => `\\u${(character.codePointAt(0) as number).toString(16).padStart(4, '0')}`,
  );
}

const shortened = (text: string): string =>
  text.length <= LINE_SHOWN_MAX ? text : `${text.slice(0, LINE_SHOWN_MAX)}...`;

/** A netdev.conf that cannot be used. The message is one line: `FILE:LINE: what is wrong`. */
export class NetdevConfigError extends Error {
  readonly code: NetdevConfigErrorCode;
  readonly file: string;
  /** 1-based; 0: no line of the file, but an override or the file as a whole. */
  readonly line: number;

  constructor(code: NetdevConfigErrorCode, file: string, line: number, message: string) {
    super(message);
    this.name = 'NetdevConfigError';
    this.code = code;
    this.file = file;
    this.line = line;
  }
}

/**
 * @param fileName for messages only.
 * @param overrides keys (without dashes) and values from the command line; each replaces what the file says of its key.
 * @throws NetdevConfigError
 */
export function parseNetdevConf(
  text: string,
  fileName: string,
  overrides: readonly (readonly [key: string, value: string])[] = [],
): StackConfig {
  const settings = new Settings(fileName);
  const overridden = new Set(overrides.map(([key]) => key));
  for (const [index, line] of text.split(/\r?\n/).entries()) settings.readLine(line, index + 1, overridden);
  for (const [key, value] of overrides) settings.set(key, value, 0);
  return buildConfig(settings);
}

interface Setting {
  readonly value: unknown;
  readonly line: number;
}

/** The values given so far, by key. */
class Settings {
  readonly file: string;
  readonly #given = new Map<KeyName, Setting[]>();

  constructor(file: string) {
    this.file = file;
  }

  readLine(text: string, line: number, overridden: ReadonlySet<string>): void {
    const content = text.replace(/(^|\s)#.*$/, '').trim();
    if (content === '') return;
    const match = /^([^\s=]+)\s*=\s*(.*)$/.exec(content);
    if (match === null) {
      throw this.error(
        'SYNTAX',
        line,
        `'${shortened(content)}' is not a setting: write 'key = value', comments start with '#'`,
      );
    }
    const [, key, value] = match;
    if (overridden.has(key) && isKeyName(key)) return;
    this.set(key, value, line);
  }

  /** @param line 0: from the command line. */
  set(name: string, text: string, line: number): void {
    if (!isKeyName(name)) throw this.#unknownKey(name, line);
    const key: Key<unknown> = KEYS[name];
    const earlier = this.#given.get(name) ?? [];
    if (earlier.length > 0 && key.repeatable !== true) {
      const first = earlier[0].line > 0 ? `: it stands in line ${earlier[0].line} already` : '';
      throw this.error('DUPLICATE_KEY', line, `'${name}' can be given only once${first}`, name);
    }
    if (text === '') throw this.error('BAD_VALUE', line, `'${name}' has no value; allowed: ${key.allowed}`, name);
    this.#given.set(name, [...earlier, { value: this.#read(name, key, text, line), line }]);
  }

  /** The value of a key, or its default; undefined where the default is none. */
  one<K extends KeyName>(name: K): KeyValue<K> | undefined {
    const given = this.#given.get(name);
    if (given !== undefined) return given[0].value as KeyValue<K>;
    const key: Key<unknown> = KEYS[name];
    if (key.default === null) {
      const example = `add '${name} = ${key.example}' (${key.allowed})`;
      throw this.error('MISSING_KEY', 0, `'${name}' is missing: ${example}`);
    }
    return key.default === '' ? undefined : (key.read(key.default) as KeyValue<K>);
  }

  /** Of a key whose default is a value. */
  value<K extends KeyName>(name: K): KeyValue<K> {
    return this.one(name) as KeyValue<K>;
  }

  /** Every value of a repeatable key. */
  all<K extends KeyName>(name: K): readonly KeyValue<K>[] {
    return (this.#given.get(name) ?? []).map(({ value }) => value as KeyValue<K>);
  }

  /** An error about a value of a key, wherever that was given. */
  conflict(name: KeyName, value: unknown, message: string): NetdevConfigError {
    const given = this.#given.get(name)?.find((setting) => setting.value === value);
    return this.error('CONFLICT', given?.line ?? 0, message, name);
  }

  error(code: NetdevConfigErrorCode, line: number, message: string, key = ''): NetdevConfigError {
    const isOverride = line === 0 && key !== '';
    const place = isOverride ? `--${key}` : line === 0 ? this.file : `${this.file}:${line}`;
    return new NetdevConfigError(code, this.file, line, `${place}: ${escaped(message)}`);
  }

  #read(name: KeyName, key: Key<unknown>, text: string, line: number): unknown {
    try {
      return key.read(text);
    } catch (error) {
      if (!(error instanceof BadValue)) throw error;
      throw this.error('BAD_VALUE', line, `'${name}' ${error.message} (it is '${shortened(text)}')`, name);
    }
  }

  #unknownKey(name: string, line: number): NetdevConfigError {
    if (Object.hasOwn(UNSUPPORTED_KEYS, name)) {
      const instead = UNSUPPORTED_KEYS[name];
      return this.error('NOT_SUPPORTED', line, `'${name}' is not supported in this version: ${instead}`, name);
    }
    return this.error('UNKNOWN_KEY', line, `'${name}' is not a key; the keys are ${KEY_NAMES.join(', ')}`, name);
  }
}

function buildConfig(settings: Settings): StackConfig {
  const interfaceName = settings.value('interface');
  const isSlaac = settings.value('slaac') === 'on';
  if (!isSlaac) settings.value('address');
  const addresses = settings.all('address').filter((value) => isVersion4(value));
  const ipv6 = buildIpv6(settings, isSlaac);
  const rxChecksum = settings.value('rx-checksum');
  const config: StackConfig = {
    engine: {
      engine: settings.value('engine'),
      interface: interfaceName,
      mac: settings.one('mac') ?? null,
      mtu: settings.value('mtu'),
      vlan: settings.value('vlan'),
      ipv6: ipv6 !== null,
      rxRing: settings.value('rx-ring'),
      txRing: settings.value('tx-ring'),
      queues: 1,
      addresses,
      rxChecksum,
      tso: settings.value('tso'),
      busyPollUs: settings.value('busy-poll'),
      coalesceUs: settings.value('coalesce'),
    },
    addresses,
    dhcp: settings.all('address').includes('dhcp'),
    hostName: settings.value('host-name'),
    vlan: settings.value('vlan'),
    addressCheckMs: settings.value('address-check'),
    gateway: settings.all('gateway').find((gateway) => typeof gateway === 'number') ?? null,
    routes: settings.all('route').filter((value) => isVersion4(value)),
    arp: settings.all('arp').filter((value) => isVersion4(value)),
    ipv6,
    rxChecksum,
    maxConnections: settings.value('max-connections'),
    receiveBuffer: settings.value('receive-buffer'),
    sendBuffer: settings.value('send-buffer'),
    bufferMemory: settings.value('buffer-memory'),
    congestion: settings.value('congestion'),
    ecn: settings.value('ecn'),
    synCookies: settings.value('syn-cookies'),
    userTimeoutMs: settings.value('user-timeout'),
    ttl: settings.value('ttl'),
    tos: settings.value('tos'),
    rtoMinMs: settings.value('rto-min'),
    delayedAckMs: settings.value('delayed-ack'),
    keepaliveMs: settings.value('keepalive'),
    timeWaitMs: settings.value('time-wait'),
  };
  checkTogether(config, settings);
  return config;
}

/** Which family a value of a key that takes both is of. */
function isVersion4<T>(value: T): value is Exclude<T, string | { readonly bytes: Uint8Array }> {
  return typeof value === 'object' && value !== null && !('bytes' in value);
}

function isVersion6<T>(value: T): value is Extract<T, { readonly bytes: Uint8Array }> {
  return typeof value === 'object' && value !== null && 'bytes' in value;
}

function buildIpv6(settings: Settings, slaac: boolean): Ipv6Config | null {
  const addresses = settings.all('address').filter((value) => isVersion6(value));
  if (addresses.length === 0 && !slaac) return null;
  return {
    addresses,
    gateway: settings.all('gateway').find((gateway) => typeof gateway !== 'number') ?? null,
    routes: settings.all('route').filter((value) => isVersion6(value)),
    neighbors: settings.all('arp').filter((value) => isVersion6(value)),
    slaac,
  };
}

/** What no single key can show. */
function checkTogether(config: StackConfig, settings: Settings): void {
  checkEngine(config, settings);
  checkNetworks(config, settings);
  checkNetworks6(config, settings);
}

/** Keys that the chosen engine has no use for. */
function checkEngine(config: StackConfig, settings: Settings): void {
  const { engine, arp, vlan, ipv6 } = config;
  const name = engine.engine;
  if (engine.busyPollUs > 0 && (name === 'pcap' || name === 'tap' || name === 'raw')) {
    throw settings.conflict(
      'busy-poll',
      engine.busyPollUs,
      `'busy-poll' does nothing with engine ${name}: it is for afxdp and afpacket`,
    );
  }
  if (name !== 'raw') return;
  const needless: readonly (readonly [KeyName, unknown])[] = [
    ['mac', engine.mac],
    ['arp', arp[0] ?? null],
    ['vlan', vlan === 0 ? null : vlan],
    ['address', config.dhcp ? 'dhcp' : (ipv6?.addresses[0] ?? null)],
    ['slaac', ipv6?.slaac === true ? 'on' : null],
  ];
  for (const [key, value] of needless) {
    if (value === null) continue;
    const what = value === 'dhcp' ? "'address = dhcp'" : key === 'address' ? 'an IPv6 address' : `'${key}'`;
    throw settings.conflict(key, value, `${what} does nothing with engine raw: there is no Ethernet below it`);
  }
}
