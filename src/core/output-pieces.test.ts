import { describe, expect, it } from 'vitest';
import { OutputPieces } from './output-pieces.ts';

const source = new Uint8Array(300_000).map((_, i) => i * 7);

describe('copies of replies', () => {
  it('are what was asked for, in blocks that are used again', () => {
    const pieces = new OutputPieces();
    const first = pieces.copy(source, 5, 100_005);
    expect(first).toEqual(source.slice(5, 100_005));
    pieces.give(first);
    expect(pieces.idleBytes).toBe(131_072);
    const second = pieces.copy(source, 9, 70_009);
    expect(second).toEqual(source.slice(9, 70_009));
    expect(second.buffer).toBe(first.buffer);
    expect(pieces.idleBytes).toBe(0);
    expect(pieces.copy(source, 9, 70_009).buffer).not.toBe(first.buffer);
  });

  it('leaves short ones to the collector', () => {
    const pieces = new OutputPieces();
    const short = pieces.copy(source, 1, 1000);
    expect(short).toEqual(source.slice(1, 1000));
    pieces.give(short);
    expect(pieces.idleBytes).toBe(0);
  });

  it('keeps blocks while they are needed and has an upper limit', () => {
    const pieces = new OutputPieces();
    const held = Array.from({ length: 400 }, () => pieces.copy(source, 0, 131_072));
    for (const piece of held) pieces.give(piece);
    expect(pieces.idleBytes).toBe(32 * 1024 * 1024);
    pieces.trim();
    // In use meanwhile: one block, at most.
    pieces.give(pieces.copy(source, 0, 131_072));
    pieces.trim();
    expect(pieces.idleBytes).toBe(131_072);
    pieces.trim();
    expect(pieces.idleBytes).toBe(0);
  });
});
