// One client of the relay: its connection on the transport and its own socket to the upstream. Bytes are moved, never
// looked at; each side's pace, end and reset become the other's. Only src/relay/ and
// src/observe/relay-subject.ts import it.
import type { Alarm, Scheduler } from '../platform/timers.ts';
import type { CloseReason, Connection, ConnectionHandler } from '../transports/transport.ts';
import type { AnswerMeter } from './answer-meter.ts';
import type { Upstream, UpstreamHandler, UpstreamSocket } from './upstream.ts';

/** An upstream that cannot be reached is tried again after 20, 40, ... 640 ms: 1.26 seconds in all. */
const RETRY_FIRST_MS = 20;
const RETRIES_MAX = 6;
/** One that is being started is worth more patience: every 640 ms, 14 seconds in all. */
const RETRIES_COMING_MAX = 26;
/** Redis reads that much at once: of a first write no longer than this it has read all or nothing. */
const READ_WHOLE_LENGTH = 16 * 1024;
const NOTHING = new Uint8Array(0);

export interface Figures {
  /** Bytes from clients to the upstream, and back. */
  bytesIn: number;
  bytesOut: number;
  /** Clients that were told that the upstream is down. */
  turnedAway: number;
}

/** What a session needs of its relay. */
export interface SessionHost {
  readonly upstream: Upstream;
  readonly scheduler: Scheduler;
  readonly figures: Figures;
  readonly speaksRedis: boolean;
  /** Null: nobody wants to know how long answers take. */
  readonly meter: AnswerMeter | null;
  forget(session: Session): void;
}

export class Session implements ConnectionHandler, UpstreamHandler {
  readonly id: number;
  readonly client: Connection;
  readonly #host: SessionHost;
  #upstream: UpstreamSocket;
  #connected = false;
  #attempts = 0;
  #retry: Alarm | null = null;
  /** Of the upstream's bytes, what the client has no room for yet. */
  #rest: Uint8Array = NOTHING;
  #clientEnded = false;
  /** The upstream is gone, and how; undefined: it is not. */
  #upstreamFate: string | null | undefined;
  /** The client is gone, or let go. */
  #gone = false;
  /** The client's requests are not read any more. */
  #draining = false;
  /** The connection is being ended: what the client still sends is dropped. */
  #finished = false;
  /** Of this upstream socket: whether it has said anything, how often it was written to, and the first write until it has. */
  #heard = false;
  #writes = 0;
  #firstWrite: Uint8Array = NOTHING;
  /** The client has spoken last. */
  #owesReply = false;
  /** When, by the relay's meter; -1: that is not measured. */
  #askedUs = -1;
  #movedSinceLook = false;

  /** @param client just accepted; it is not read before the upstream is there. */
  constructor(host: SessionHost, client: Connection, id: number) {
    this.#host = host;
    this.client = client;
    this.id = id;
    client.pause();
    this.#upstream = host.upstream.connect(this);
  }

  /** Whether the upstream is yet to be reached. */
  get isWaiting(): boolean {
    return !this.#connected;
  }

  // --- the client ---

  onData(bytes: Uint8Array, offset: number, length: number): void {
    if (this.#finished) {
      // Behind a closed socket goes a RST, here too: once what was said before has arrived.
      if (typeof this.#upstreamFate === 'string' && this.client.queuedBytes === 0) this.client.destroy();
      return;
    }
    if (this.#upstreamFate !== undefined) return;
    this.#host.figures.bytesIn += length;
    if (this.#host.meter !== null && !this.#owesReply) this.#askedUs = this.#host.meter.stopwatch();
    this.#owesReply = true;
    this.#movedSinceLook = true;
    // Node may hold it until the kernel takes it, and the range is ours only now.
    const copy = Buffer.allocUnsafe(length);
    copy.set(bytes.subarray(offset, offset + length));
    if (!this.#heard) this.#firstWrite = ++this.#writes === 1 && length <= READ_WHOLE_LENGTH ? copy : NOTHING;
    if (!this.#upstream.write(copy)) this.client.pause();
  }

  /** There is room for the upstream's bytes again. */
  onDrain(): void {
    if (this.#rest.length === 0) return;
    const taken = this.client.write(this.#rest, 0, this.#rest.length);
    this.#rest = this.#rest.subarray(taken);
    if (this.#rest.length > 0) return;
    this.#rest = NOTHING;
    this.#movedSinceLook = true;
    if (this.#upstreamFate === undefined) this.#upstream.resume();
    else this.#passFate();
  }

  onEnd(): void {
    this.#clientEnded = true;
    if (this.#connected) this.#upstream.end();
  }

  onClose(reason: CloseReason): void {
    this.#leave();
    if (reason === null) this.#upstream.destroy();
    else this.#upstream.reset();
  }

  // --- the upstream ---

  upstreamConnected(): void {
    this.#connected = true;
    if (this.#firstWrite.length > 0) this.#upstream.write(this.#firstWrite);
    if (this.#clientEnded) this.#upstream.end();
    if (!this.#draining) this.client.resume();
  }

  upstreamBytes(bytes: Uint8Array, length: number): boolean {
    this.#host.figures.bytesOut += length;
    if (this.#askedUs >= 0) {
      this.#host.meter?.answered(this.#askedUs);
      this.#askedUs = -1;
    }
    this.#owesReply = false;
    this.#movedSinceLook = true;
    if (!this.#heard) {
      this.#heard = true;
      this.#firstWrite = NOTHING;
    }
    if (this.#gone) return true;
    const taken = this.client.write(bytes, 0, length);
    if (taken === length) return true;
    this.#rest = bytes.slice(taken, length);
    return false;
  }

  upstreamDrained(): void {
    if (!this.#gone && !this.#draining) this.client.resume();
  }

  upstreamEnded(): void {
    if (!this.#gone) this.client.end();
  }

  upstreamClosed(code: string | null): void {
    if (this.#gone) return;
    if (!this.#connected || this.#wasNeverServed(code)) {
      this.#connected = false;
      this.client.pause();
      this.#tryAgain(code ?? 'ECONNABORTED');
      return;
    }
    this.#upstreamFate = code;
    if (this.#rest.length === 0) this.#passFate();
  }

  /** The client's connection goes the way of the upstream's; what that said last is worth more than its reset. */
  #passFate(): void {
    const { client } = this;
    const code = this.#upstreamFate;
    const isReset = code !== null && code !== 'EPIPE';
    if (isReset && client.queuedBytes === 0) client.destroy();
    else this.#endClient();
  }

  /**
   * Whether the upstream cannot have seen a request: a process that ends resets the connections that it had yet to
   * accept. Over TCP a reset tells nothing about what was read; a socket file's comes only when something was not.
   */
  #wasNeverServed(code: string | null): boolean {
    if (this.#heard || !this.#host.speaksRedis || (code !== 'ECONNRESET' && code !== 'EPIPE')) return false;
    return this.#writes === 0 || (this.#upstream.isLocal && this.#firstWrite.length > 0);
  }

  #tryAgain(code: string): void {
    const { upstream, scheduler } = this.#host;
    upstream.failed(code);
    if (this.#attempts >= (upstream.isComing() ? RETRIES_COMING_MAX : RETRIES_MAX)) {
      this.#turnAway(code);
      return;
    }
    this.#retry ??= scheduler.createAlarm(() => {
      this.#upstream = upstream.connect(this);
    });
    this.#retry.arm(RETRY_FIRST_MS << Math.min(this.#attempts++, RETRIES_MAX - 1));
  }

  /** Redis's word for "not yet": clients try again. */
  #turnAway(why: string): void {
    this.#host.figures.turnedAway++;
    if (!this.#host.speaksRedis) {
      this.client.destroy();
      return;
    }
    const text = `-LOADING The Redis server behind this relay does not answer (${why}), try again later\r\n`;
    const bytes = Buffer.from(text, 'latin1');
    this.client.write(bytes, 0, bytes.length);
    this.#leave();
    this.#endClient();
  }

  /** FIN. What the client still sends is read and dropped: left unread, it would make a RST of it. */
  #endClient(): void {
    this.#finished = true;
    this.client.resume();
    this.client.end();
  }

  // --- the end ---

  /** No more requests are taken; `finishIfQuiet` says when it can end. */
  beginDrain(): void {
    this.#draining = true;
    this.client.pause();
  }

  /**
   * Ends the connection when nothing moved since the last look and the upstream has answered: without parsing, that is
   * as good as a reply's end is known. @returns whether it is being ended.
   */
  finishIfQuiet(): boolean {
    if (!this.#connected) {
      this.#turnAway('the relay is shutting down');
      this.#upstream.destroy();
      return true;
    }
    if (this.#finished) return true;
    const isBusy = this.#owesReply || this.#movedSinceLook || this.#rest.length > 0;
    this.#movedSinceLook = false;
    if (isBusy && this.#upstreamFate === undefined) return false;
    this.#endClient();
    this.#upstream.end();
    return true;
  }

  #leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#retry?.disarm();
    this.#host.forget(this);
  }
}
