// The C library as Node already has it in its own process (koffi.load(null)): no native code of ours. One
// prototype per shape of call, prepared once; arguments are numbers, typed arrays or bigints made beforehand, so
// that a call allocates nothing (measured: 0.25 us and 0 heap bytes). For io-engine on Linux, and for
// src/server.ts and the benchmark's load where Node has no such call.
import koffi from 'koffi';
import { systemError } from './errno.ts';

const library = koffi.load(null);

/** errno of the call that just failed. */
export const errno = koffi.errno as () => number;

type Bytes = ArrayBufferView | null;

export const socket: (family: number, type: number, protocol: number) => number = library.func(
  'int socket(int family, int type, int protocol)',
);
export const bind: (fd: number, address: Bytes, length: number) => number = library.func(
  'int bind(int fd, void *address, uint length)',
);
export const connect: (fd: number, address: Bytes, length: number) => number = library.func(
  'int connect(int fd, void *address, uint length)',
);
export const setsockopt: (fd: number, level: number, option: number, value: Bytes, length: number) => number =
  library.func('int setsockopt(int fd, int level, int option, void *value, uint length)');
export const getsockopt: (fd: number, level: number, option: number, value: Bytes, length: Bytes) => number =
  library.func('int getsockopt(int fd, int level, int option, void *value, void *length)');
export const ioctl: (fd: number, request: number, argument: Bytes) => number = library.func(
  'int ioctl(int fd, ulong request, void *argument)',
);
export const ioctlValue: (fd: number, request: number, value: number) => number = library.func(
  'int ioctl(int fd, ulong request, ulong value)',
);
export const open: (path: string, flags: number) => number = library.func('int open(const char *path, int flags)');
export const close: (fd: number) => number = library.func('int close(int fd)');

/** read(2) and write(2) at an address: what a `MappedMemory` range is. */
export const readAt: (fd: number, address: bigint, length: number) => number = library.func(
  'long read(int fd, uintptr_t address, ulong length)',
);
export const writeAt: (fd: number, address: bigint, length: number) => number = library.func(
  'long write(int fd, uintptr_t address, ulong length)',
);

const sendto: (fd: number, data: 0, length: 0, flags: number, address: 0, addressLength: 0) => number = library.func(
  'long sendto(int fd, uintptr_t data, ulong length, int flags, uintptr_t address, uint addressLength)',
);
const recvfrom: (fd: number, data: 0, length: 0, flags: number, address: 0, addressLength: 0) => number = library.func(
  'long recvfrom(int fd, uintptr_t data, ulong length, int flags, uintptr_t address, uintptr_t addressLength)',
);
const MSG_DONTWAIT = 0x40;

/** Tells the kernel to send what a ring holds. @returns negative with `errno` set when not all of it went. */
export function kickTransmit(fd: number): number {
  return sendto(fd, 0, 0, MSG_DONTWAIT, 0, 0);
}

/** Tells the kernel that a fill ring has buffers again. */
export function kickReceive(fd: number): number {
  return recvfrom(fd, 0, 0, MSG_DONTWAIT, 0, 0);
}

const recv: (fd: number, data: Bytes, length: number, flags: number) => number = library.func(
  'long recv(int fd, void *data, ulong length, int flags)',
);
const send: (fd: number, data: Bytes, length: number, flags: number) => number = library.func(
  'long send(int fd, void *data, ulong length, int flags)',
);
const MSG_NOSIGNAL = 0x4000;

/** @returns how much of `length` bytes the socket took, without waiting; negative when none. */
export function sendNow(fd: number, bytes: Uint8Array, length: number): number {
  return send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

const accept4: (fd: number, address: null, addressLength: null, flags: number) => number = library.func(
  'int accept4(int fd, void *address, void *length, int flags)',
);
const SOCK_NONBLOCK_CLOEXEC = 0o2004000;

/** What a socket has received, without waiting. @returns bytes; 0 at the end, negative when there is nothing. */
export function receiveNow(fd: number, into: Uint8Array): number {
  return recv(fd, into, into.length, MSG_DONTWAIT);
}

const shutdown: (fd: number, how: number) => number = library.func('int shutdown(int fd, int how)');
const SHUT_WR = 1;

/** FIN behind what the socket took. @returns negative when it is no longer connected. */
export function endNow(fd: number): number {
  return shutdown(fd, SHUT_WR);
}

/** A connection that waits at a listening socket. @returns its descriptor, or a negative number. */
export function acceptNow(fd: number): number {
  return accept4(fd, null, null, SOCK_NONBLOCK_CLOEXEC);
}

const usleep: (microseconds: number) => number = library.func('int usleep(uint microseconds)');
/** Sends to an address that the caller has laid out. */
export const sendToAddress: (
  fd: number,
  data: Bytes,
  length: number,
  flags: number,
  address: Bytes,
  addressLength: number,
) => number = library.func(
  'long sendto(int fd, void *data, ulong length, int flags, void *address, uint addressLength)',
);
export const capset: (header: Bytes, data: Bytes) => number = library.func('int capset(void *header, void *data)');
export const prctl: (operation: number, value: number, a: 0, b: 0, c: 0) => number = library.func(
  'int prctl(int operation, ulong value, ulong a, ulong b, ulong c)',
);
const PR_SET_TIMERSLACK = 29;
let isSlackSet = false;

/** Makes this thread's sleeps exact to about ten microseconds: the default, 50 us, is as long as those asked for here. */
function sleepExactly(): void {
  if (!isSlackSet) prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
  isSlackSet = true;
}

/** Gives the core away for a while. */
export function sleepUs(microseconds: number): void {
  sleepExactly();
  usleep(microseconds);
}

const ppoll: (fds: number, count: number, timeout: number, mask: 0) => number = library.func(
  'int ppoll(uintptr_t fds, ulong count, uintptr_t timeout, uintptr_t mask)',
);

// struct pollfd, struct timespec.
const POLLFD_BYTES = 8;
const TIMESPEC_BYTES = 16;
export const POLLIN = 1;

/** Waits for some descriptors, or just a while, for microseconds where Node's timers know milliseconds. */
export class DescriptorPoll {
  readonly #fds: DataView;
  readonly #time = new DataView(pinned(TIMESPEC_BYTES).buffer);
  readonly #fdsAt: number;
  readonly #timeAt: number;
  readonly #count: number;

  /**
   * @param events what is waited for; 0: nothing, but the kernel looks at each descriptor before it sleeps, which has an
   * AF_XDP socket send what its ring holds.
   */
  constructor(descriptors: readonly number[], events: number) {
    this.#count = descriptors.length;
    this.#fds = new DataView(pinned(POLLFD_BYTES * descriptors.length).buffer);
    for (const [i, fd] of descriptors.entries()) {
      this.#fds.setInt32(i * POLLFD_BYTES, fd, true);
      this.#fds.setInt16(i * POLLFD_BYTES + 4, events, true);
    }
    this.#fdsAt = Number(addressOf(new Uint8Array(this.#fds.buffer)));
    this.#timeAt = Number(addressOf(new Uint8Array(this.#time.buffer)));
    sleepExactly();
  }

  /** @param microseconds below a second. @returns how many are ready; 0: the time is over. */
  wait(microseconds: number): number {
    this.#time.setUint32(8, microseconds * 1000, true);
    return ppoll(this.#fdsAt, this.#count, this.#timeAt, 0);
  }

  /** Of the descriptor with this index, after `wait`. */
  isReadable(index: number): boolean {
    return this.#fds.getInt16(index * POLLFD_BYTES + 6, true) !== 0;
  }
}

const syscallFunction: (number: number, command: number, attribute: Uint8Array, size: number) => number = library.func(
  'long syscall(long number, int command, void *attribute, uint size)',
);
const BPF_SYSCALL = process.arch === 'x64' ? 321 : 280;

/** bpf(2). @returns a file descriptor or 0; negative with `errno` set. */
export function bpf(command: number, attribute: Uint8Array): number {
  return syscallFunction(BPF_SYSCALL, command, attribute, attribute.length);
}

const mmap: (address: number, length: number, prot: number, flags: number, fd: number, offset: number) => number =
  library.func('intptr_t mmap(uintptr_t address, ulong length, int prot, int flags, int fd, long offset)');
const PROT_READ_WRITE = 3;
const MAP_SHARED = 0x01;
const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_POPULATE = 0x8000;
const MAP_NORESERVE = 0x4000;

/** Memory outside V8's heap: an address that the kernel knows and a view that JavaScript knows. */
export interface MappedMemory {
  readonly address: number;
  readonly buffer: ArrayBuffer;
}

function mapped(address: number, length: number): MappedMemory {
  if (address < 0) throw systemError(`mapping ${length} bytes`, errno());
  return { address, buffer: koffi.view(address, length) };
}

/** Maps a ring of `fd`. */
export function mapDevice(fd: number, length: number, offset: number): MappedMemory {
  return mapped(mmap(0, length, PROT_READ_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset), length);
}

const memfdCreate: (name: string, flags: number) => number = library.func(
  'int memfd_create(const char *name, uint flags)',
);
const ftruncate: (fd: number, length: number) => number = library.func('int ftruncate(int fd, long length)');
const fcntl: (fd: number, command: number, value: number) => number = library.func(
  'int fcntl(int fd, int command, int value)',
);
const MFD_CLOEXEC = 1;
const F_SETFD = 2;
const FD_CLOEXEC = 1;

/** Makes memory that another process can map as well: by a descriptor, which the caller closes. */
export function createSharedMemory(name: string, length: number): number {
  const fd = memfdCreate(name, MFD_CLOEXEC);
  if (fd < 0) throw systemError('memfd_create', errno());
  if (ftruncate(fd, length) < 0) {
    const code = errno();
    close(fd);
    throw systemError(`making ${length} bytes of shared memory`, code);
  }
  return fd;
}

/** A descriptor that came from another process stays out of those that this one starts. */
export function closeOnExec(fd: number): void {
  fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/** Maps zeroed, page-aligned memory of our own. @param populate takes the pages now instead of on first touch */
export function mapAnonymous(length: number, populate: boolean): MappedMemory {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | (populate ? MAP_POPULATE : MAP_NORESERVE);
  return mapped(mmap(0, length, PROT_READ_WRITE, flags, -1, 0), length);
}

/**
 * Gives the pages back and leaves lazily zeroed ones at the same address instead of a hole. An ArrayBuffer over a
 * hole kills the process when someone who kept it reads it (the stack keeps `engine.memory`); this way a late read
 * finds zeros, at the price of address space.
 */
export function unmap(memory: MappedMemory): void {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
  mmap(memory.address, memory.buffer.byteLength, PROT_READ_WRITE, flags, -1, 0);
}

type Advise = (address: number, length: number, advice: number) => number;
const madvise: Advise & {
  readonly async: (address: number, length: number, advice: number, onDone: () => void) => void;
} = library.func('int madvise(uintptr_t address, ulong length, int advice)');
const MADV_DONTNEED = 4;
const MADV_HUGEPAGE = 14;
const MADV_POPULATE_WRITE = 23;
const PAGE_BYTES = 4096;

/** The whole pages of a range. */
function advise(address: number, length: number, advice: number): boolean {
  const start = Math.ceil(address / PAGE_BYTES) * PAGE_BYTES;
  const end = Math.floor((address + length) / PAGE_BYTES) * PAGE_BYTES;
  return madvise(start, Math.max(0, end - start), advice) === 0;
}

/** Asks for huge pages behind a range; a kernel without them leaves it as it is. */
export function adviseHugePages(address: number, length: number): void {
  advise(address, length, MADV_HUGEPAGE);
}

/**
 * Has the kernel back a range of whole pages, on another thread; before Linux 5.14 it does so when they are touched, as ever.
 * @param piece bytes at a time: the process's memory map is locked meanwhile, and V8 waits for it where it wants to change it.
 */
export function populatePages(address: number, length: number, piece: number): void {
  if (length <= 0) return;
  const next = (): void => populatePages(address + piece, length - piece, piece);
  madvise.async(address, Math.min(piece, length), MADV_POPULATE_WRITE, next);
}

/** Gives the whole pages of a range of private memory back: they read as zeros. @returns whether that is so. */
export function discardPages(address: number, length: number): boolean {
  return advise(address, length, MADV_DONTNEED);
}

/** Address of a typed array whose buffer lies off the heap (made by `pinned`), for structures that hold pointers. */
export function addressOf(bytes: Uint8Array): bigint {
  return koffi.address(bytes);
}

/** Bytes that the collector never moves, as long as the caller keeps them alive. */
export function pinned(length: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(length));
}

/** The zero-terminated string at `address`. */
export function stringAt(address: bigint | number): string {
  return koffi.decode.string(address);
}

/** A copy-free view of `length` bytes at `address`; valid as long as whoever owns them leaves them there. */
export function viewAt(address: bigint | number, length: number): DataView {
  return new DataView(koffi.view(address, length));
}

export const getifaddrs: (list: BigUint64Array) => number = library.func('int getifaddrs(void *list)');
export const freeifaddrs: (list: bigint) => void = library.func('void freeifaddrs(uintptr_t list)');

const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_SNDBUFFORCE = 32;
const SO_ERROR = 4;

/** Takes the pending error off a socket, so that it can be waited on again; harmless for what is no socket. */
export function clearSocketError(fd: number): void {
  getsockopt(fd, SOL_SOCKET, SO_ERROR, new Int32Array(1), Uint32Array.of(4));
}

/** Lets as many bytes wait in the device as the transmit ring can hold; the default is some hundred frames. */
export function raiseSendBuffer(fd: number, bytes: number): void {
  const value = Int32Array.of(Math.min(bytes, 0x3fffffff));
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, value, 4) < 0) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, value, 4);
}
