// Frames as arrays of their own, for whoever can afford the copies: tests and tools. Not for the hot path.
import { type FrameEngine, NO_FRAME } from './frame-engine.ts';

/** Queues a copy of `frame`; false when the transmit ring is full. Goes out with the next `flush()`. */
export function queueFrame(engine: FrameEngine, frame: Uint8Array): boolean {
  const offset = engine.reserve();
  if (offset === NO_FRAME) return false;
  engine.memory.set(frame, offset);
  engine.commit(frame.length, 0);
  return true;
}

/** Queues and flushes one frame; false when the transmit ring is full. */
export function sendFrame(engine: FrameEngine, frame: Uint8Array): boolean {
  const queued = queueFrame(engine, frame);
  engine.flush();
  return queued;
}

/** Copies of the frames of one `receive()`. */
export function receiveBatch(engine: FrameEngine): Uint8Array[] {
  const count = engine.receive();
  const { offset, length } = engine.batch;
  return Array.from({ length: count }, (_, i) => engine.memory.slice(offset[i], offset[i] + length[i]));
}

/** Copies of everything that is there. */
export function receiveAll(engine: FrameEngine): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (;;) {
    const batch = receiveBatch(engine);
    if (batch.length === 0) return frames;
    frames.push(...batch);
  }
}
