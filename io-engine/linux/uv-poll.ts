// Waits on a file descriptor inside Node's own event loop, through the libuv that Node exports: 0.9 us a wake-up,
// timers and kernel sockets alive beside it. For io-engine on Linux only, main thread only.
//
// Tried on Node 20: koffi runs the callback in a Node callback scope, so `process.nextTick` and promise jobs queued
// in it run right after it, before the next I/O event; nothing is to be done for them. An exception thrown in
// it, however, would be lost and leave the loop unable to call JavaScript: it is carried over to a tick of its own.
// A wake-up costs 56 heap bytes, the empty object that the callback scope wants; a pointer argument declared as
// `void *` would add a BigInt, so the prototype says `int`.
import { isMainThread } from 'node:worker_threads';
import koffi, { type TypeObject } from 'koffi';
import { EngineError } from '../frame-engine.ts';
import { clearSocketError } from './libc.ts';

const UV_POLL = 8;
const UV_READABLE = 1;
const RETRY_MS = 100;

/** A running watch; `close` stops it at once and frees it. */
export interface ReadableWatch {
  onReadable: () => void;
  /** Whether the watch keeps the process alive: it does until `unref`. */
  ref(): void;
  unref(): void;
  close(): void;
}

type Pointer = bigint;

interface Uv {
  defaultLoop(): Pointer;
  backendFd(loop: Pointer): number;
  handleSize(type: number): number | bigint;
  handleTypeName(type: number): string;
  pollInit(loop: Pointer, handle: Pointer, fd: number): number;
  pollStart(handle: Pointer, events: number, callback: Pointer): number;
  ref(handle: Pointer): void;
  unref(handle: Pointer): void;
  close(handle: Pointer, callback: unknown): void;
  calloc(count: number, size: number): Pointer;
  /** C's free(), handed to uv_close: the handle's memory goes when libuv is done with it, with no callback into JS. */
  readonly free: unknown;
  readonly callbackType: TypeObject;
}

let shared: Uv | null = null;

function loadUv(): Uv {
  if (shared !== null) return shared;
  const library = koffi.load(null);
  const callbackType = koffi.pointer(koffi.proto('void wiredisReadable(int handle, int status, int events)'));
  shared = {
    defaultLoop: library.func('void *uv_default_loop()'),
    backendFd: library.func('int uv_backend_fd(void *loop)'),
    handleSize: library.func('size_t uv_handle_size(int type)'),
    handleTypeName: library.func('const char *uv_handle_type_name(int type)'),
    pollInit: library.func('int uv_poll_init(void *loop, void *handle, int fd)'),
    pollStart: library.func('int uv_poll_start(void *handle, int events, void *callback)'),
    ref: library.func('void uv_ref(void *handle)'),
    unref: library.func('void uv_unref(void *handle)'),
    close: library.func('void uv_close(void *handle, void *callback)'),
    calloc: library.func('void *calloc(size_t count, size_t size)'),
    free: library.symbol('free'),
    callbackType,
  };
  return shared;
}

/** Readable when the event loop has something to do beside timers: for those who sleep in its place. */
export function loopDescriptor(): number {
  const uv = loadUv();
  return uv.backendFd(uv.defaultLoop());
}

function rethrowLater(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}

/**
 * Calls `onReadable` whenever `fd` is readable (level-triggered). Keeps the process alive until closed; close it
 * before `fd` itself.
 */
export function watchReadable(fd: number, onReadable: () => void): ReadableWatch {
  if (!isMainThread) throw new EngineError('NOT_SUPPORTED', 'a device can be waited on in the main thread only');
  const uv = loadUv();
  if (uv.handleTypeName(UV_POLL) !== 'poll') {
    throw new EngineError('NOT_SUPPORTED', `this Node's libuv is not known: use Node 20 or later`);
  }
  const watch = { onReadable, ref, unref, close };
  const callback = koffi.register((_handle: number, status: number) => {
    if (status < 0) {
      retryLater();
      return;
    }
    try {
      watch.onReadable();
    } catch (error) {
      rethrowLater(error);
    }
  }, uv.callbackType);
  const handle = uv.calloc(1, Number(uv.handleSize(UV_POLL)));
  const status = uv.pollInit(uv.defaultLoop(), handle, fd) || uv.pollStart(handle, UV_READABLE, callback);
  if (status < 0) {
    koffi.unregister(callback);
    throw new EngineError('SYSTEM', `waiting on the device failed: libuv error ${status}`);
  }

  // libuv stops a watch whose descriptor reports an error, as a packet socket does when its interface goes down. It
  // may come up again: the error is taken off and the watch begun anew, unhurried.
  let retry: NodeJS.Timeout | null = null;
  function retryLater(): void {
    clearSocketError(fd);
    retry = setTimeout(() => uv.pollStart(handle, UV_READABLE, callback), RETRY_MS);
  }

  let closed = false;
  function ref(): void {
    if (!closed) uv.ref(handle);
  }
  function unref(): void {
    if (!closed) uv.unref(handle);
  }
  function close(): void {
    if (closed) return;
    closed = true;
    if (retry !== null) clearTimeout(retry);
    uv.close(handle, uv.free);
    // Not here: `close` may be running inside that very callback.
    setImmediate(() => koffi.unregister(callback));
  }
  return watch;
}
