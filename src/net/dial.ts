// How a socket comes to its connection: names are looked up, addresses of both families take turns (RFC 8305 5), and each
// but the last has a limited time. What is told on the way, and which error comes of it, is as Node documents it for
// `socket.connect`. Used by socket.ts.
import { lookup as systemLookup } from 'node:dns';
import type { EventEmitter } from 'node:events';
import nodeNet, { type BlockList, isIP } from 'node:net';
import type { Alarm } from '../platform/timers.ts';
import { type Connection, type ConnectionHandler, TransportError } from '../transports/transport.ts';
import { invalidArgument, nodeError, systemError } from './errors.ts';
import type { NetHost } from './host.ts';

export interface DialOptions {
  readonly port: number;
  readonly host?: string | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  /** 4 or 6; 0: both. */
  readonly family?: number | undefined;
  /** As `dns.lookup` has them. */
  readonly hints?: number | undefined;
  readonly lookup?: typeof systemLookup | undefined;
  readonly autoSelectFamily?: boolean | undefined;
  readonly autoSelectFamilyAttemptTimeout?: number | undefined;
  /** Addresses that are not to be connected to. */
  readonly blockList?: BlockList | undefined;
}

/** The socket that a connection is opened for. */
export interface Dialling extends EventEmitter {
  /** Present when more than one address may be tried. */
  autoSelectFamilyAttemptedAddresses?: string[] | undefined;
  /** The connection is there. @returns what hears of it. */
  dialled(connection: Connection): ConnectionHandler;
  destroy(error: Error): unknown;
}

interface Address {
  readonly address: string;
  readonly family: number;
}

const ATTEMPT_MS_MIN = 10;

/** For connections that come when nobody wants them any more. */
export const UNHEARD: ConnectionHandler = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

/** Whether a list blocks the address. */
export function isBlocked(list: BlockList | undefined, address: string): boolean {
  return list?.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4') === true;
}

/** @throws TypeError for options that are none. */
export function checkDialOptions({ localAddress, lookup, family }: DialOptions): void {
  if (localAddress !== undefined && isIP(localAddress) === 0) {
    throw nodeError('ERR_INVALID_IP_ADDRESS', `Invalid IP address: ${localAddress}`, TypeError);
  }
  if (lookup !== undefined && typeof lookup !== 'function') throw invalidArgument('options.lookup', 'function', lookup);
  if (family !== undefined && ![0, 4, 6].includes(family)) {
    throw nodeError('ERR_INVALID_ARG_VALUE', `The property 'options.family' must be one of: 0, 4, 6`, TypeError);
  }
}

export class Dial {
  readonly #host: NetHost;
  readonly #socket: Dialling;
  readonly #options: DialOptions;
  readonly #errors: Error[] = [];
  #addresses: readonly Address[] = [];
  #next = 0;
  /** Gives up the address that is tried. */
  #attempt: AbortController | null = null;
  #patience: Alarm | null = null;
  #isOver = false;

  constructor(host: NetHost, socket: Dialling, options: DialOptions) {
    this.#host = host;
    this.#socket = socket;
    this.#options = options;
  }

  start(): void {
    const { host = 'localhost' } = this.#options;
    const family = isIP(host);
    if (family === 0) this.#lookUp(host);
    else process.nextTick(() => this.#try([{ address: host, family }]));
  }

  /** Nobody waits for the connection any more. */
  abort(): void {
    this.#isOver = true;
    this.#patience?.disarm();
    this.#attempt?.abort();
  }

  #lookUp(host: string): void {
    const { family = 0, hints = 0, localAddress, autoSelectFamily, lookup = systemLookup } = this.#options;
    const all =
      (autoSelectFamily ?? nodeNet.getDefaultAutoSelectFamily()) && family === 0 && localAddress === undefined;
    const found = (error: Error | null, answer: string | Address[], answerFamily?: number): void => {
      if (this.#isOver) return;
      if (error !== null && error !== undefined) {
        this.#socket.emit('lookup', error, undefined, undefined, host);
        this.#fail(error);
        return;
      }
      // A lookup of the program's own may know nothing of `all`.
      const addresses =
        typeof answer === 'string' ? [{ address: answer, family: answerFamily ?? isIP(answer) }] : answer;
      for (const one of addresses) {
        this.#socket.emit('lookup', null, one.address, one.family, host);
        if (this.#isOver) return;
      }
      this.#choose(addresses);
    };
    if (all) lookup(host, { family, hints, all: true }, found as never);
    else lookup(host, { family, hints }, found as never);
  }

  #choose(found: readonly Address[]): void {
    const usable = found.filter(({ address }) => isIP(address) !== 0);
    if (usable.length === 0) {
      const address = String(found[0]?.address);
      this.#fail(nodeError('ERR_INVALID_IP_ADDRESS', `Invalid IP address: ${address}`, TypeError));
      return;
    }
    const addresses = inTurns(usable);
    if (addresses.length > 1) this.#socket.autoSelectFamilyAttemptedAddresses = [];
    this.#try(addresses);
  }

  #try(addresses: readonly Address[]): void {
    this.#addresses = addresses;
    if (!this.#isOver) this.#tryNext();
  }

  #tryNext(): void {
    const { port, localAddress, localPort, blockList } = this.#options;
    const { address, family } = this.#addresses[this.#next++];
    this.#socket.autoSelectFamilyAttemptedAddresses?.push(`${address}:${port}`);
    if (isBlocked(blockList, address)) {
      this.#failed(nodeError('ERR_IP_BLOCKED', `IP(${address}) is blocked by net.BlockList`));
      return;
    }
    this.#socket.emit('connectionAttempt', address, port, family);
    if (this.#isOver) return;
    const attempt = new AbortController();
    this.#attempt = attempt;
    const isWanted = (): boolean => !this.#isOver && this.#attempt === attempt;
    this.#limit();
    const attach = (connection: Connection): ConnectionHandler => {
      if (!isWanted()) {
        connection.close();
        return UNHEARD;
      }
      this.#isOver = true;
      this.#patience?.disarm();
      return this.#socket.dialled(connection);
    };
    const { signal } = attempt;
    this.#host.transport.connect(address, port, attach, { signal, localAddress, localPort }).catch((error: unknown) => {
      if (isWanted()) this.#failed(connectError(error, address, this.#options));
    });
  }

  /** Another address is waiting: this one has but so much time. */
  #limit(): void {
    if (this.#next === this.#addresses.length) return;
    this.#patience ??= this.#host.createAlarm(() => {
      const { address, family } = this.#addresses[this.#next - 1];
      const { port } = this.#options;
      this.#attempt?.abort();
      this.#attempt = null;
      this.#socket.emit('connectionAttemptTimeout', address, port, family);
      this.#errors.push(systemError('ETIMEDOUT', 'connect', address, port));
      if (!this.#isOver) this.#tryNext();
    });
    const { autoSelectFamilyAttemptTimeout } = this.#options;
    const ms = autoSelectFamilyAttemptTimeout ?? nodeNet.getDefaultAutoSelectFamilyAttemptTimeout();
    this.#patience.arm(Math.max(ms, ATTEMPT_MS_MIN));
  }

  #failed(error: Error): void {
    this.#patience?.disarm();
    this.#errors.push(error);
    const { address, family } = this.#addresses[this.#next - 1];
    this.#socket.emit('connectionAttemptFailed', address, this.#options.port, family, error);
    if (this.#isOver) return;
    if (this.#next < this.#addresses.length) this.#tryNext();
    else this.#fail(this.#errors.length === 1 ? error : together(this.#errors));
  }

  #fail(error: Error): void {
    this.#isOver = true;
    this.#socket.destroy(error);
  }
}

/** Each address once, the families by turns, the one that was named first in front. */
function inTurns(found: readonly Address[]): Address[] {
  const once = found.filter(({ address }, i) => found.findIndex((one) => one.address === address) === i);
  const first = isIP(once[0].address);
  const ofFirst = once.filter(({ address }) => isIP(address) === first);
  const others = once.filter(({ address }) => isIP(address) !== first);
  const turns = Array.from({ length: Math.max(ofFirst.length, others.length) }, (_, i) => [ofFirst[i], others[i]]);
  return turns.flat().filter((one) => one !== undefined);
}

function connectError(error: unknown, address: string, { port, localAddress, localPort }: DialOptions): Error {
  const code = error instanceof TransportError ? error.code : 'EIO';
  const isOurEnd = code === 'EADDRNOTAVAIL' || code === 'EADDRINUSE';
  if (isOurEnd && (localAddress !== undefined || localPort !== undefined)) {
    return systemError(code, 'bind', localAddress ?? '0.0.0.0', localPort === 0 ? undefined : localPort);
  }
  return systemError(code, 'connect', address, port);
}

function together(errors: readonly Error[]): AggregateError {
  const { code } = errors[0] as Error & { code?: string };
  return Object.assign(new AggregateError(errors), { code });
}
