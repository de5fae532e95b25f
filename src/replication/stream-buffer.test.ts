import { describe, expect, it } from 'vitest';
import { StreamBuffer, type StreamReader } from './stream-buffer.ts';

const LIMIT = 64 * 1024;

function filled(bytes: number): StreamBuffer {
  const stream = new StreamBuffer(LIMIT);
  stream.create();
  append(stream, bytes);
  return stream;
}

/** Byte `n` of the stream is n modulo 251. */
function append(stream: StreamBuffer, count: number): void {
  const bytes = Uint8Array.from({ length: count }, (_, i) => (stream.offset + 1 + i) % 251);
  stream.append(bytes, 0, count);
}

function readAll(reader: StreamReader): number[] {
  const bytes: number[] = [];
  while (reader.block !== null) {
    bytes.push(...reader.block.bytes.subarray(reader.position, reader.block.used));
    reader.position = reader.block.used;
    if (!reader.advance()) break;
  }
  return bytes;
}

describe('the replication stream', () => {
  it('keeps a backlog of about its limit, and can be read on from any byte of it', () => {
    const stream = filled(1000);
    for (let i = 0; i < 500; i++) append(stream, 997);
    expect(stream.offset).toBe(1000 + 500 * 997);
    expect(stream.length).toBeGreaterThanOrEqual(LIMIT);
    expect(stream.length).toBeLessThan(LIMIT + 2 * 16 * 1024);
    expect(stream.firstOffset).toBe(stream.offset - stream.length + 1);
    expect(stream.holds(stream.firstOffset - 1)).toBe(false);
    expect(stream.holds(stream.offset + 1)).toBe(true);
    expect(stream.holds(stream.offset + 2)).toBe(false);
    for (const from of [stream.firstOffset, stream.firstOffset + 20_000, stream.offset, stream.offset + 1]) {
      const reader = stream.readerAt(from);
      expect(reader.pending).toBe(stream.offset - from + 1);
      expect(readAll(reader)).toEqual(Array.from({ length: stream.offset - from + 1 }, (_, i) => (from + i) % 251));
      expect(reader.pending).toBe(0);
      reader.close();
    }
  });

  it('keeps what a slow reader has not read, and lets go of it with the reader', () => {
    const stream = filled(10);
    const reader = stream.readerAt(11);
    append(stream, 1_000_000);
    expect(stream.length).toBe(1_000_010);
    expect(reader.heldBytes).toBeGreaterThan(1_000_000);
    expect(readAll(stream.readerLike(reader)).length).toBe(1_000_000);
    reader.close();
    while (stream.length > LIMIT + 16 * 1024) stream.trim();
    expect(stream.memory).toBeLessThan(LIMIT + 3 * 16 * 1024);
  });

  it('keeps no more than its limit of a command that is much longer', () => {
    const stream = new StreamBuffer(LIMIT);
    stream.create();
    stream.append(new Uint8Array(1000 * LIMIT), 0, 1000 * LIMIT);
    expect(stream.memory).toBeLessThan(3 * LIMIT + 32 * 1024);
  });

  it('a reader of an empty stream gets what comes first', () => {
    const stream = new StreamBuffer(LIMIT);
    stream.create();
    const reader = stream.readerAt(1);
    expect(reader.pending).toBe(0);
    append(stream, 5);
    expect(readAll(reader)).toEqual([1, 2, 3, 4, 5]);
  });

  it('goes on from an earlier history', () => {
    const stream = filled(30);
    stream.rebase(1000);
    expect([stream.offset, stream.firstOffset, stream.length]).toEqual([1030, 1001, 30]);
    expect(stream.readerAt(1021).pending).toBe(10);
  });
});
