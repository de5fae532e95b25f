// Tells applications what happened to their connections, once a batch and in a fixed order: open, data, room to write,
// end of data, closed. Handlers may call anything, on any socket, while they run. Used by stack.ts.
import { CLOSE_ABORTED, CLOSE_OK } from '../close-reasons.ts';
import { Socket } from '../socket.ts';
import { ACK, RST } from '../wire/tcp.ts';
import {
  CLOSED,
  type Connection,
  EVENT_CLOSE,
  EVENT_END,
  EVENT_OPEN,
  EVENT_READABLE,
  EVENT_WRITABLE,
  SYN_SENT,
} from './connection.ts';
import { keep } from './receive.ts';
import { emitReset } from './segment-out.ts';
import type { Tcp } from './tcp.ts';

/** Works off the ready list; what handlers make ready meanwhile has its turn with the next delivery. */
export function deliverAll(tcp: Tcp): void {
  tellStarved(tcp);
  if (tcp.ready.count === 0) return;
  const list = tcp.takeReady();
  while (list.next < list.count) {
    const c = list.items[list.next++];
    if (c === tcp.interrupted) postpone(tcp, c);
    else deliver(tcp, c);
  }
  tcp.returnReady(list);
}

/** Its handler is on the stack: what is new of it waits until that has returned. */
function postpone(tcp: Tcp, c: Connection): void {
  if (!keep(tcp, c)) outOfMemory(tcp, c);
  tcp.ready.push(c);
}

/**
 * A handler lets others have their turn before it returns. Those behind it in the list are moved to the next one, and
 * what they would read in their frames to their buffers, as the frames go. What the handler itself was given
 * counts as read.
 */
export function interruptDelivery(tcp: Tcp): void {
  const list = tcp.delivering;
  if (list === null) return;
  const c = list.items[list.next - 1];
  c.inPlaceLength = 0;
  tcp.interrupted = c;
  const { ready } = tcp;
  for (let i = list.next; i < list.count; i++) ready.push(list.items[i]);
  list.count = list.next;
  for (let i = 0; i < ready.count; i++) if (!keep(tcp, ready.items[i])) outOfMemory(tcp, ready.items[i]);
}

function tellStarved(tcp: Tcp): void {
  const starved = tcp.takeStarved();
  if (starved === null) return;
  for (const c of starved) if (c.writeBlocked && c.state !== CLOSED) unblock(tcp, c);
}

function unblock(tcp: Tcp, c: Connection): void {
  c.writeBlocked = false;
  tcp.markReady(c, EVENT_WRITABLE);
}

function deliver(tcp: Tcp, c: Connection): void {
  const { events } = c;
  c.ready = false;
  c.events = 0;
  if ((events & EVENT_OPEN) !== 0 && !open(tcp, c)) return;
  const { socket } = c;
  if (socket === null) {
    if (c.state === CLOSED) tcp.retire(c);
    return;
  }
  if (c.unread > 0) read(tcp, c, socket);
  if (c.socket !== socket) return;
  if ((events & EVENT_WRITABLE) !== 0 && c.state !== CLOSED) socket.events.onWritable(socket);
  if ((events & EVENT_END) !== 0) {
    if (c.unread > 0) c.events |= EVENT_END;
    else if (c.closeReason === CLOSE_OK) socket.events.onEnd(socket);
  }
  if (((events | c.events) & EVENT_CLOSE) === 0) return;
  // In order means after everything that came was read; otherwise there is nothing to wait for.
  if (c.closeReason === CLOSE_OK && c.unread > 0) c.events |= EVENT_CLOSE;
  else close(tcp, c, socket);
}

function close(tcp: Tcp, c: Connection, socket: Socket): void {
  socket.connection = null;
  c.events = 0;
  tcp.retire(c);
  socket.events.onClose(socket, c.closeReason);
}

/** A connection is established: ours, or one for a listener, which may refuse it. */
function open(tcp: Tcp, c: Connection): boolean {
  const { listener } = c;
  if (listener === null) {
    c.socket?.events.onOpen(c.socket);
    return true;
  }
  c.listener = null;
  listener.waiting--;
  if (c.state === CLOSED) {
    tcp.retire(c);
    return false;
  }
  const socket = new Socket(c);
  c.socket = socket;
  const events = listener.closed ? null : listener.accept(socket);
  if (events === null) {
    c.socket = null;
    socket.connection = null;
    abort(tcp, c);
    return true;
  }
  socket.events = events;
  events.onOpen(socket);
  return true;
}

/** Offers what is unread once; what the handler leaves waits in the receive buffer. */
function read(tcp: Tcp, c: Connection, socket: Socket): void {
  if (c.paused) {
    if (!keep(tcp, c)) outOfMemory(tcp, c);
    return;
  }
  const { receiveBuffer: buffer } = c;
  if (c.inPlaceLength === 0) {
    const count = socket.events.onReadable(socket, buffer.bytes, buffer.start, buffer.unread);
    if (c.socket !== socket || count === 0 || buffer.unread === 0) return;
    buffer.consume(tcp.blocks, count);
    if (c.state !== CLOSED) tcp.markDirty(c);
    return;
  }
  const count = socket.events.onReadable(socket, tcp.memory, c.inPlaceOffset, c.inPlaceLength);
  c.inPlaceOffset += count;
  c.inPlaceLength = c.inPlaceLength === 0 ? 0 : c.inPlaceLength - count;
  if (c.inPlaceLength > 0 && !keep(tcp, c)) outOfMemory(tcp, c);
}

/** Acknowledged bytes have no place to stay: the connection cannot go on. */
function outOfMemory(tcp: Tcp, c: Connection): void {
  c.inPlaceLength = 0;
  abort(tcp, c);
}

/** RST, and everything on its way in either direction is forgotten (RFC 9293 3.10.5). */
export function abort(tcp: Tcp, c: Connection): void {
  c.inPlaceLength = 0;
  c.receiveBuffer.release(tcp.blocks);
  if (c.state === CLOSED) {
    if (c.socket !== null) tcp.markReady(c, EVENT_CLOSE);
    return;
  }
  if (c.state !== SYN_SENT) emitReset(tcp, c, c.sndNxt, c.rcvNxt, RST | ACK);
  tcp.end(c, CLOSE_ABORTED);
}

/** The application reads again. */
export function resume(tcp: Tcp, c: Connection): void {
  c.paused = false;
  if (c.unread > 0) tcp.markReady(c, EVENT_READABLE | c.events);
}
