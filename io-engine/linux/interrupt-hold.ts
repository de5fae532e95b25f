// Holding a receive queue's interrupts back for a while: frames then gather in the driver's ring and are taken from it
// together, by a timer of the kernel's, instead of waking a core one by one. Per queue (Linux 6.13, the `netdev` family
// of generic netlink), so that the queues of other processes keep theirs. The kernel knows the queue by a number, which the
// socket has from its first frame on; not on veth, where the one queue of an interface is looked up. For io-engine on
// Linux only.
import { close, getsockopt, pinned, receiveNow, sendNow, socket } from './libc.ts';

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NETLINK_GENERIC = 16;
const SOL_SOCKET = 1;
const SO_INCOMING_NAPI_ID = 56;
/** Smaller numbers are senders' cores. */
const NAPI_ID_MIN = 2;

// struct nlmsghdr: length u32, type u16, flags u16, sequence u32, port u32; struct genlmsghdr: command u8, version u8,
// padding; then attributes: length u16, type u16, value.
const HEADER_BYTES = 20;
const ATTRIBUTE_HEADER = 4;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const GENL_ID_CTRL = 16;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;
const NETDEV_CMD_NAPI_GET = 11;
const NETDEV_CMD_NAPI_SET = 14;
const NETDEV_A_NAPI_IFINDEX = 1;
const NETDEV_A_NAPI_ID = 2;
const NETDEV_A_NAPI_DEFER_HARD_IRQS = 5;
const NETDEV_A_NAPI_GRO_FLUSH_TIMEOUT = 6;
/** One look of the kernel's at an empty ring, and interrupts are back: the first frame after a lull is not held up. */
const HELD_LOOKS = 1;
const answers = new Uint8Array(16 * 1024);

const padded = (length: number): number => (length + 3) & ~3;

/** A request of generic netlink. @param attributes type and value of each. */
export function netlinkRequest(
  family: number,
  flags: number,
  command: number,
  attributes: readonly (readonly [type: number, value: Uint8Array])[],
): Uint8Array {
  const length = attributes.reduce((sum, [, value]) => sum + ATTRIBUTE_HEADER + padded(value.length), HEADER_BYTES);
  const bytes = pinned(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, true);
  view.setUint16(4, family, true);
  view.setUint16(6, flags, true);
  view.setUint8(16, command);
  view.setUint8(17, 1);
  let at = HEADER_BYTES;
  for (const [type, value] of attributes) {
    view.setUint16(at, ATTRIBUTE_HEADER + value.length, true);
    view.setUint16(at + 2, type, true);
    bytes.set(value, at + ATTRIBUTE_HEADER);
    at += ATTRIBUTE_HEADER + padded(value.length);
  }
  return bytes;
}

/** Where the value of an attribute begins in an answer; -1: it has none of that type. */
export function findAttribute(answer: DataView, type: number): number {
  for (let at = HEADER_BYTES; at + ATTRIBUTE_HEADER <= answer.byteLength; ) {
    const length = answer.getUint16(at, true);
    if (answer.getUint16(at + 2, true) === type) return at + ATTRIBUTE_HEADER;
    if (length < ATTRIBUTE_HEADER) return -1;
    at += padded(length);
  }
  return -1;
}

const uint32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

/** Sends a request. @returns the kernel's messages, which are there at once; none: an error. */
function ask(fd: number, request: Uint8Array): DataView[] {
  const messages: DataView[] = [];
  if (sendNow(fd, request, request.length) < 0) return messages;
  for (let length = receiveNow(fd, answers); length > 0; length = receiveNow(fd, answers)) {
    const view = new DataView(answers.slice(0, length).buffer);
    for (let at = 0; at + HEADER_BYTES <= length; at += padded(view.getUint32(at, true))) {
      const size = view.getUint32(at, true);
      if (size < HEADER_BYTES || at + size > length) break;
      const type = view.getUint16(at + 4, true);
      if (type === NLMSG_ERROR && view.getInt32(at + 16, true) !== 0) return [];
      if (type !== NLMSG_DONE) messages.push(new DataView(view.buffer, at, size));
    }
  }
  return messages;
}

const openNetlink = (): number => socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_GENERIC);

/** The number of the family that knows about receive queues; 0: the kernel has none. */
function netdevFamily(fd: number): number {
  const name = new TextEncoder().encode('netdev\0');
  const request = netlinkRequest(GENL_ID_CTRL, NLM_F_REQUEST, CTRL_CMD_GETFAMILY, [[CTRL_ATTR_FAMILY_NAME, name]]);
  const [answer] = ask(fd, request);
  const at = answer === undefined ? -1 : findAttribute(answer, CTRL_ATTR_FAMILY_ID);
  return at < 0 ? 0 : answer.getUint16(at, true);
}

/** A receive queue, and how it is set. */
export interface Queue {
  readonly number: number;
  /** Looks at an empty ring before interrupts come back, and nanoseconds between them. */
  readonly defer: number;
  readonly timeoutNs: number;
}

function queueIn(answer: DataView): Queue | null {
  const value = (type: number): number => {
    const at = findAttribute(answer, type);
    return at < 0 ? 0 : answer.getUint32(at, true);
  };
  const number = value(NETDEV_A_NAPI_ID);
  if (number === 0) return null;
  return { number, defer: value(NETDEV_A_NAPI_DEFER_HARD_IRQS), timeoutNs: value(NETDEV_A_NAPI_GRO_FLUSH_TIMEOUT) };
}

function queueOf(fd: number, family: number, socketFd: number, interfaceIndex: number): Queue | null {
  const own = new Uint32Array(1);
  getsockopt(socketFd, SOL_SOCKET, SO_INCOMING_NAPI_ID, own, Uint32Array.of(4));
  const isKnown = own[0] >= NAPI_ID_MIN;
  const which: [number, Uint8Array] = isKnown
    ? [NETDEV_A_NAPI_ID, uint32(own[0])]
    : [NETDEV_A_NAPI_IFINDEX, uint32(interfaceIndex)];
  const flags = isKnown ? NLM_F_REQUEST : NLM_F_REQUEST | NLM_F_DUMP;
  const queues = ask(fd, netlinkRequest(family, flags, NETDEV_CMD_NAPI_GET, [which]));
  return queues.length === 1 ? queueIn(queues[0]) : null;
}

/** The queue that the socket has its frames from, or the interface's only one; null: that cannot be told. */
export function findQueue(socketFd: number, interfaceIndex: number): Queue | null {
  const fd = openNetlink();
  if (fd < 0) return null;
  const family = netdevFamily(fd);
  const queue = family === 0 ? null : queueOf(fd, family, socketFd, interfaceIndex);
  close(fd);
  return queue;
}

export class InterruptHold {
  readonly #fd: number;
  readonly #setting: (defer: number, timeoutNs: number) => Uint8Array;
  readonly #before: Uint8Array;

  private constructor(fd: number, setting: (defer: number, timeoutNs: number) => Uint8Array, before: Uint8Array) {
    this.#fd = fd;
    this.#setting = setting;
    this.#before = before;
  }

  /**
   * For the queue that a socket has its frames from, at first as the machine's owner has set it, which it is again whenever
   * nothing is held. Call it after the first frame.
   * @param holdsUs how long frames may be held. @returns null where the kernel, or the driver, cannot.
   */
  static open(socketFd: number, interfaceIndex: number, holdsUs: readonly number[]): InterruptHold | null {
    const fd = openNetlink();
    if (fd < 0) return null;
    const family = netdevFamily(fd);
    const queue = family === 0 ? null : queueOf(fd, family, socketFd, interfaceIndex);
    if (queue !== null) {
      const setting = (defer: number, timeoutNs: number): Uint8Array =>
        netlinkRequest(family, NLM_F_REQUEST | NLM_F_ACK, NETDEV_CMD_NAPI_SET, [
          [NETDEV_A_NAPI_ID, uint32(queue.number)],
          [NETDEV_A_NAPI_DEFER_HARD_IRQS, uint32(defer)],
          [NETDEV_A_NAPI_GRO_FLUSH_TIMEOUT, uint32(timeoutNs)],
        ]);
      // A process that was killed while it held them has left this behind.
      const isLeft = queue.defer === HELD_LOOKS && holdsUs.includes(queue.timeoutNs / 1000);
      const before = isLeft ? setting(0, 0) : setting(queue.defer, queue.timeoutNs);
      const hold = new InterruptHold(fd, setting, before);
      if (hold.set(0)) return hold;
    }
    close(fd);
    return null;
  }

  /** @param holdUs how long frames gather at most; 0: none is held. @returns false when the kernel refuses. */
  set(holdUs: number): boolean {
    return ask(this.#fd, holdUs > 0 ? this.#setting(HELD_LOOKS, holdUs * 1000) : this.#before).length > 0;
  }

  close(): void {
    this.set(0);
    close(this.#fd);
  }
}
