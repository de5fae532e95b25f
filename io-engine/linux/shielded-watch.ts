// Shields the watch of a package of native code from errors on its descriptor. A packet socket reports one when its
// interface goes down; libuv then ends the watch and tells its owner, and package `cap` takes that for impossible: it
// aborts the process. So its watch gets another descriptor to look at: an epoll set with the first one in it, which is
// readable for an error too and never has one of its own. What the owner then reads says what is the matter, or
// nothing, and takes the error off. For io-engine on Linux only.
import koffi from 'koffi';
import { close } from './libc.ts';

const UV_HANDLE = 5;
const UV_POLL = 8;
const UV_READABLE = 1;
const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLLIN = 1;
/** In a uv_poll_t: `int fd` and its padding come last. Checked before it is written. */
const FD_FROM_END = 8;

type Pointer = bigint;

const library = koffi.load(null);
const visitor = koffi.pointer(koffi.proto('void wiredisVisit(uintptr_t handle, uintptr_t argument)'));
const uv = {
  defaultLoop: library.func('uintptr_t uv_default_loop()') as () => Pointer,
  walk: library.func('uv_walk', 'void', ['uintptr_t', visitor, 'uintptr_t']) as (
    loop: Pointer,
    visit: Pointer,
    argument: 0,
  ) => void,
  handleType: library.func('int uv_handle_get_type(uintptr_t handle)') as (handle: Pointer) => number,
  handleSize: library.func('size_t uv_handle_size(int type)') as (type: number) => number | bigint,
  fileno: library.func('int uv_fileno(uintptr_t handle, void *fd)') as (handle: Pointer, fd: Int32Array) => number,
  pollStop: library.func('int uv_poll_stop(uintptr_t handle)') as (handle: Pointer) => number,
  pollStart: library.func('int uv_poll_start(uintptr_t handle, int events, uintptr_t callback)') as (
    handle: Pointer,
    events: number,
    callback: Pointer,
  ) => number,
};
const epollCreate = library.func('int epoll_create1(int flags)') as (flags: number) => number;
const epollControl = library.func('int epoll_ctl(int epoll, int operation, int fd, void *event)') as (
  epoll: number,
  operation: number,
  fd: number,
  event: Uint8Array,
) => number;

/** Addresses of the watches in Node's event loop. */
function watches(): Pointer[] {
  const found: Pointer[] = [];
  const visit = koffi.register((handle: number | bigint) => {
    if (uv.handleType(BigInt(handle)) === UV_POLL) found.push(BigInt(handle));
  }, visitor);
  uv.walk(BigInt(uv.defaultLoop()), visit, 0);
  koffi.unregister(visit);
  return found;
}

function descriptorOf(handle: Pointer): number {
  const fd = new Int32Array(1).fill(-1);
  uv.fileno(handle, fd);
  return fd[0];
}

/**
 * Runs `open` and shields the one watch that it begins.
 * @returns its result, and a descriptor to close some time after the watch has ended; -1: the watch stays as it is.
 */
export function shieldWatchOf<T>(open: () => T): { readonly result: T; readonly shield: number } {
  const before = new Set(watches());
  const result = open();
  const added = watches().filter((handle) => !before.has(handle));
  return { result, shield: added.length === 1 ? shieldWatch(added[0]) : -1 };
}

function shieldWatch(handle: Pointer): number {
  const fd = descriptorOf(handle);
  const size = Number(uv.handleSize(UV_POLL));
  const fields = new DataView(koffi.view(handle, size));
  // The callback is the first field behind those of every handle.
  const callback = fields.getBigUint64(Number(uv.handleSize(UV_HANDLE)), true);
  if (fd < 0 || fields.getInt32(size - FD_FROM_END, true) !== fd || callback === 0n) return -1;
  const shield = epollCreate(EPOLL_CLOEXEC);
  const event = new Uint8Array(16); // struct epoll_event: events u32, then data u64, packed on x86-64 only
  event[0] = EPOLLIN;
  if (shield < 0 || epollControl(shield, EPOLL_CTL_ADD, fd, event) < 0) {
    if (shield >= 0) close(shield);
    return -1;
  }
  uv.pollStop(handle);
  fields.setInt32(size - FD_FROM_END, shield, true);
  uv.pollStart(handle, UV_READABLE, callback);
  return shield;
}
