// A place to look at every frame that the stack reads and sends, attached and detached while it runs; without one it
// costs a comparison a batch and one a frame sent. Implemented by whoever captures. Used by stack.ts, ip.ts, ethernet-link.ts.

export interface FrameTap {
  /**
   * A frame has come, with the engine's flags, readable until the call of `processed` that follows; what is sent
   * meanwhile is the answer to it.
   */
  received(bytes: Uint8Array, offset: number, length: number, flags: number): void;
  /** @param drop reason why the stack has dropped it, an index of DROP_NAMES; 0: it has not. */
  processed(drop: number): void;
  /** A frame leaves with the next flush. @param segmentSize as in `FrameEngine.commit`. */
  sent(bytes: Uint8Array, offset: number, length: number, segmentSize: number): void;
  /** The tick is over. */
  flushed(): void;
}
