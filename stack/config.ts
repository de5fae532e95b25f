// netdev.conf: `key = value` lines and command-line overrides into a typed StackConfig, with errors that name file,
// line and what is allowed. Anyone may import the types; the CLI and the composition root call the parser.
import type { EngineOptions, InterfaceAddress } from '../io-engine/options.ts';
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
import { type Route, Routes } from './routes.ts';
import { formatIpv4 } from './wire/ipv4.ts';

/** A neighbour's hardware address that is given rather than asked for. */
export interface StaticNeighbor {
  readonly ip: number;
  readonly mac: Uint8Array;
}

export interface StackConfig {
  readonly engine: EngineOptions;
  /** At least one; the first is what packets through the gateway come from unless it is in another one's network. */
  readonly addresses: readonly InterfaceAddress[];
  /** 802.1Q identifier of our VLAN; 0: frames are untagged. */
  readonly vlan: number;
  /** How long to ask whether somebody has our addresses before using them; 0: not at all. */
  readonly addressCheckMs: number;
  readonly gateway: number | null;
  readonly routes: readonly Route[];
  readonly arp: readonly StaticNeighbor[];
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
      throw this.error('SYNTAX', line, `'${content}' is not a setting: write 'key = value', comments start with '#'`);
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

  /** An error about the nth value of a key, wherever that was given. */
  conflict(name: KeyName, index: number, message: string): NetdevConfigError {
    return this.error('CONFLICT', this.#given.get(name)?.[index]?.line ?? 0, message, name);
  }

  error(code: NetdevConfigErrorCode, line: number, message: string, key = ''): NetdevConfigError {
    const isOverride = line === 0 && key !== '';
    const place = isOverride ? `--${key}` : line === 0 ? this.file : `${this.file}:${line}`;
    return new NetdevConfigError(code, this.file, line, `${place}: ${message}`);
  }

  #read(name: KeyName, key: Key<unknown>, text: string, line: number): unknown {
    try {
      return key.read(text);
    } catch (error) {
      if (!(error instanceof BadValue)) throw error;
      throw this.error('BAD_VALUE', line, `'${name}' ${error.message} (it is '${text}')`, name);
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
  settings.value('address');
  const addresses = settings.all('address');
  const rxChecksum = settings.value('rx-checksum');
  const config: StackConfig = {
    engine: {
      engine: settings.value('engine'),
      interface: interfaceName,
      mac: settings.one('mac') ?? null,
      mtu: settings.value('mtu'),
      vlan: settings.value('vlan'),
      ipv6: false,
      rxRing: settings.value('rx-ring'),
      txRing: settings.value('tx-ring'),
      queues: 1,
      addresses,
      rxChecksum,
      busyPollUs: settings.value('busy-poll'),
      coalesceUs: settings.value('coalesce'),
    },
    addresses,
    vlan: settings.value('vlan'),
    addressCheckMs: settings.value('address-check'),
    gateway: settings.one('gateway') ?? null,
    routes: settings.all('route'),
    arp: settings.all('arp'),
    rxChecksum,
    maxConnections: settings.value('max-connections'),
    receiveBuffer: settings.value('receive-buffer'),
    sendBuffer: settings.value('send-buffer'),
    bufferMemory: settings.value('buffer-memory'),
    congestion: settings.value('congestion'),
    ecn: settings.value('ecn'),
    synCookies: settings.value('syn-cookies'),
    userTimeoutMs: settings.value('user-timeout'),
    rtoMinMs: settings.value('rto-min'),
    delayedAckMs: settings.value('delayed-ack'),
    keepaliveMs: settings.value('keepalive'),
    timeWaitMs: settings.value('time-wait'),
  };
  checkTogether(config, settings);
  return config;
}

/** What no single key can show. */
function checkTogether(config: StackConfig, settings: Settings): void {
  checkEngine(config, settings);
  checkNetworks(config, settings);
}

/** Keys that the chosen engine has no use for. */
function checkEngine({ engine, arp, vlan }: StackConfig, settings: Settings): void {
  const name = engine.engine;
  if (engine.busyPollUs > 0 && (name === 'pcap' || name === 'tap' || name === 'raw')) {
    throw settings.conflict(
      'busy-poll',
      0,
      `'busy-poll' does nothing with engine ${name}: it is for afxdp and afpacket`,
    );
  }
  if (name !== 'raw') return;
  const what = engine.mac !== null ? 'mac' : arp.length > 0 ? 'arp' : vlan !== 0 ? 'vlan' : null;
  if (what !== null)
    throw settings.conflict(what, 0, `'${what}' does nothing with engine raw: there is no Ethernet below it`);
}

/** Addresses and routes that cannot be true together. */
function checkNetworks(config: StackConfig, settings: Settings): void {
  const { addresses, gateway, routes, arp } = config;
  const seen = new Set<number>();
  for (const [index, { ip }] of addresses.entries()) {
    if (seen.has(ip)) throw settings.conflict('address', index, `'address' names ${formatIpv4(ip)} twice`);
    seen.add(ip);
  }
  const direct = new Routes(addresses, null, []);
  const onLink = new Routes(
    addresses,
    null,
    routes.filter((route) => route.gateway === null),
  );
  const isNeighbor = (ip: number) => onLink.isOnLink(ip) && onLink.isUnicastPeer(ip);
  if (gateway !== null && !isNeighbor(gateway)) {
    throw settings.conflict('gateway', 0, `'gateway' ${formatIpv4(gateway)} is not a neighbour: ${networks(direct)}`);
  }
  for (const [index, route] of routes.entries()) {
    if (route.gateway !== null && !isNeighbor(route.gateway)) {
      const via = formatIpv4(route.gateway);
      throw settings.conflict('route', index, `'route' goes via ${via}, which is not a neighbour: ${networks(direct)}`);
    }
  }
  const neighbors = new Set<number>();
  for (const [index, { ip }] of arp.entries()) {
    if (!isNeighbor(ip)) {
      throw settings.conflict('arp', index, `'arp' names ${formatIpv4(ip)}, not a neighbour: ${networks(direct)}`);
    }
    if (neighbors.has(ip)) throw settings.conflict('arp', index, `'arp' names ${formatIpv4(ip)} twice`);
    neighbors.add(ip);
  }
}

function networks(routes: Routes): string {
  const texts = routes.table.map(({ network, prefixLength }) => `${formatIpv4(network)}/${prefixLength}`);
  return `our networks are ${texts.join(', ')}`;
}
