// Tells when an interface comes up, goes down, loses its carrier or goes away: the kernel's link notifications
// (rtnetlink(7), RTMGRP_LINK), which need no privilege. A socket of its own in Node's event loop: no frame costs anything
// for it, and engines need not find out from errors. For src/transports, on Linux only.
import { EngineError, type LinkCondition, type LinkState } from '../frame-engine.ts';
import { ENOBUFS, systemError } from './errno.ts';
import { findInterface, IFF_RUNNING, IFF_UP } from './interfaces.ts';
import { bind, close, errno, receiveNow, socket } from './libc.ts';
import { type ReadableWatch, watchReadable } from './uv-poll.ts';

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NETLINK_ROUTE = 0;
const RTMGRP_LINK = 1;
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
/** Of an interface itself; a bridge tells of its ports in the same words, with another family. */
const AF_UNSPEC = 0;
// struct nlmsghdr: length u32, type u16, flags u16, sequence u32, port u32. struct ifinfomsg behind it: family u8 16,
// type u16 18, index i32 20, flags u32 24, change u32 28.
const HEADER_BYTES = 16;
const INFO_BYTES = 16;
/** The kernel's own messages to a group are no longer (NLMSG_GOODSIZE). */
const BUFFER_BYTES = 16_384;

const stateOf = (flags: number): LinkState =>
  (flags & IFF_UP) === 0 ? 'down' : (flags & IFF_RUNNING) === 0 ? 'no-carrier' : 'up';

/** What netlink messages tell of an interface; null: nothing. The last one counts, but for its end. */
export function linkStateIn(bytes: Uint8Array, length: number, index: number): LinkState | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  let state: LinkState | null = null;
  for (let at = 0; at + HEADER_BYTES + INFO_BYTES <= length; ) {
    const size = view.getUint32(at, true);
    if (size < HEADER_BYTES || at + size > length) break;
    const type = view.getUint16(at + 4, true);
    const isOurs = view.getUint8(at + 16) === AF_UNSPEC && view.getInt32(at + 20, true) === index;
    if (isOurs && type === RTM_DELLINK) return 'gone';
    if (isOurs && type === RTM_NEWLINK) state = stateOf(view.getUint32(at + 24, true));
    at += (size + 3) & ~3;
  }
  return state;
}

export class LinkWatch implements LinkCondition {
  /** Called after each change; not before the constructor has returned. */
  onChange: () => void = () => {};
  readonly #name: string;
  readonly #index: number;
  readonly #fd: number;
  readonly #watch: ReadableWatch;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #state: LinkState;
  #changes = 0;

  /** @throws EngineError when the kernel does not tell of links here. */
  constructor(name: string) {
    this.#name = name;
    this.#fd = openLinkSocket();
    try {
      // Asked once the socket listens: a change in between is told as well.
      const info = findInterface(name);
      if (info === null) throw new EngineError('NO_INTERFACE', `there is no ${name}`);
      this.#index = info.index;
      this.#state = info.isUp ? (info.isRunning ? 'up' : 'no-carrier') : 'down';
      this.#watch = watchReadable(this.#fd, () => this.#read());
    } catch (error) {
      close(this.#fd);
      throw error;
    }
    this.#watch.unref();
  }

  get state(): LinkState {
    return this.#state;
  }

  get changes(): number {
    return this.#changes;
  }

  #read(): void {
    for (;;) {
      const length = receiveNow(this.#fd, this.#buffer);
      if (length > 0) this.#note(linkStateIn(this.#buffer, length, this.#index));
      // The kernel had no room for what it had to tell.
      else if (length < 0 && errno() === ENOBUFS) this.#note(this.#ask());
      else return;
    }
  }

  #ask(): LinkState {
    const info = findInterface(this.#name);
    if (info === null || info.index !== this.#index) return 'gone';
    return info.isUp ? (info.isRunning ? 'up' : 'no-carrier') : 'down';
  }

  #note(state: LinkState | null): void {
    if (state === null || state === this.#state || this.#state === 'gone') return;
    this.#state = state;
    this.#changes++;
    this.onChange();
  }

  close(): void {
    this.#watch.close();
    close(this.#fd);
  }
}

function openLinkSocket(): number {
  const fd = socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) throw systemError('socket(AF_NETLINK)', errno());
  const address = new Uint8Array(12); // struct sockaddr_nl: family u16, padding u16, port u32, groups u32
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_NETLINK, true);
  view.setUint32(8, RTMGRP_LINK, true);
  if (bind(fd, address, address.length) === 0) return fd;
  const error = systemError('bind(AF_NETLINK)', errno());
  close(fd);
  throw error;
}
