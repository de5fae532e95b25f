// Captures of a running stack: the tap that gives each of them the frames it asked for, with what the stack decided about
// them as a comment. There is a tap only while somebody captures. Used by userspace.ts.
import { type FrameEngine, RX_VLAN_STRIPPED } from '../../io-engine/frame-engine.ts';
import { LiveCapture } from '../../io-engine/live-capture.ts';
import { DIRECTION_IN, DIRECTION_OUT } from '../../io-engine/pcapng.ts';
import type { FrameTap } from '../../stack/frame-tap.ts';
import { isUnnumbered, noteReceived, noteSent, noteText, type PacketNote } from '../../stack/packet-notes.ts';
import type { Stack } from '../../stack/stack.ts';
import { writeUint16 } from '../../stack/wire/bytes.ts';
import { ETHERNET_TYPE, ETHERTYPE_VLAN, VLAN_TAG_LENGTH } from '../../stack/wire/ethernet.ts';
import type { CaptureRequest } from './transport.ts';

interface Running {
  readonly request: CaptureRequest;
  readonly file: LiveCapture;
}

/** A frame that was put aside, copied. */
interface Kept {
  readonly unixUs: number;
  readonly direction: number;
  readonly bytes: Uint8Array;
  readonly note: PacketNote;
}

export class Captures implements FrameTap {
  readonly #stack: Stack;
  readonly #engine: FrameEngine;
  readonly #unixUs: () => number;
  readonly #idOf: (user: unknown) => number;
  readonly #isEthernet: boolean;
  #running: readonly Running[] = [];

  // The frame that is being processed; length 0: none.
  #bytes: Uint8Array;
  #offset = 0;
  #length = 0;
  #receivedUs = 0;
  /** What was sent meanwhile: an answer does not stand before its question, whose fate is known only at the end. */
  readonly #answers: Kept[] = [];
  /** Frames since one of a connection that is yet to get its number: data may come together with the handshake's end. */
  readonly #held: Kept[] = [];

  /** @param unixUs the wall clock, whole microseconds. @param idOf the number of what is in `socket.user`. */
  constructor(stack: Stack, engine: FrameEngine, unixUs: () => number, idOf: (user: unknown) => number) {
    this.#stack = stack;
    this.#engine = engine;
    this.#bytes = engine.memory;
    this.#unixUs = unixUs;
    this.#idOf = idOf;
    this.#isEthernet = engine.link.medium === 'ethernet';
  }

  /** @returns ends it. */
  start(request: CaptureRequest): () => void {
    const file = new LiveCapture(this.#engine.link, request.sink, request.snapLength);
    const running: Running = { request, file };
    this.#running = [...this.#running, running];
    this.#stack.tap = this;
    return () => {
      if (!this.#running.includes(running)) return;
      this.#writeHeld();
      this.#running = this.#running.filter((other) => other !== running);
      if (this.#running.length === 0) this.#stack.tap = null;
      file.finish(this.#unixUs());
    };
  }

  received(bytes: Uint8Array, offset: number, length: number, flags: number): void {
    const isStripped = (flags & RX_VLAN_STRIPPED) !== 0;
    this.#bytes = isStripped ? tagged(bytes, offset, length, this.#stack.ip.vlan) : bytes;
    this.#offset = isStripped ? 0 : offset;
    this.#length = isStripped ? length + VLAN_TAG_LENGTH : length;
    this.#receivedUs = this.#unixUs();
  }

  processed(drop: number): void {
    const bytes = this.#bytes;
    const length = this.#length;
    this.#length = 0;
    const note = (): PacketNote => noteReceived(this.#stack, bytes, this.#offset, length, this.#isEthernet, drop);
    this.#record(this.#receivedUs, DIRECTION_IN, bytes, this.#offset, length, note);
    this.#recordAll(this.#answers);
  }

  sent(bytes: Uint8Array, offset: number, length: number, segmentSize: number): void {
    const unixUs = this.#unixUs();
    const note = (): PacketNote => noteSent(this.#stack, bytes, offset, length, this.#isEthernet, segmentSize);
    if (this.#length === 0) this.#record(unixUs, DIRECTION_OUT, bytes, offset, length, note);
    else this.#answers.push(kept(unixUs, DIRECTION_OUT, bytes, offset, length, note()));
  }

  flushed(): void {
    this.#writeHeld();
    const now = this.#unixUs();
    for (const { file } of this.#running) file.tick(now);
  }

  #recordAll(frames: Kept[]): void {
    for (const { unixUs, direction, bytes, note } of frames.splice(0))
      this.#record(unixUs, direction, bytes, 0, bytes.length, () => note);
  }

  /** @param look called when somebody wants the frame. */
  #record(
    unixUs: number,
    direction: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    look: () => PacketNote,
  ): void {
    if (!this.#running.some(({ request }) => request.matches(bytes, offset, length))) return;
    const note = look();
    if (this.#held.length > 0 || isUnnumbered(note)) {
      this.#held.push(kept(unixUs, direction, bytes, offset, length, note));
    } else this.#write(unixUs, direction, bytes, offset, length, note);
  }

  #writeHeld(): void {
    for (const { unixUs, direction, bytes, note } of this.#held.splice(0))
      this.#write(unixUs, direction, bytes, 0, bytes.length, note);
  }

  #write(unixUs: number, direction: number, bytes: Uint8Array, offset: number, length: number, note: PacketNote): void {
    const comment = noteText(note, this.#idOf);
    for (const { request, file } of this.#running)
      if (request.matches(bytes, offset, length)) file.frame(unixUs, direction, bytes, offset, length, comment);
  }
}

/** A frame as it was on the wire: the kernel had taken its tag off. */
function tagged(bytes: Uint8Array, offset: number, length: number, vlan: number): Uint8Array {
  const frame = new Uint8Array(length + VLAN_TAG_LENGTH);
  frame.set(bytes.subarray(offset, offset + ETHERNET_TYPE));
  writeUint16(frame, ETHERNET_TYPE, ETHERTYPE_VLAN);
  writeUint16(frame, ETHERNET_TYPE + 2, vlan);
  frame.set(bytes.subarray(offset + ETHERNET_TYPE, offset + length), ETHERNET_TYPE + VLAN_TAG_LENGTH);
  return frame;
}

function kept(
  unixUs: number,
  direction: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  note: PacketNote,
): Kept {
  return { unixUs, direction, bytes: bytes.slice(offset, offset + length), note };
}
