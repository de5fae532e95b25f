import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameArena } from './frame-arena.ts';
import { NO_FRAME } from './frame-engine.ts';

describe('FrameArena', () => {
  it('hands out every slot once, inside its memory and without overlap', () => {
    const arena = new FrameArena(5, 100);
    const offsets = Array.from({ length: 5 }, () => arena.allocate()).toSorted((a, b) => a - b);
    expect(arena.allocate()).toBe(NO_FRAME);
    offsets.forEach((offset, i) => {
      if (i > 0) expect(offset - offsets[i - 1]).toBeGreaterThanOrEqual(100);
    });
    expect(offsets[4] + 100).toBeLessThanOrEqual(arena.memory.length);
  });

  it('never hands out a slot that is in use', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(7), { maxLength: 60 }), (steps) => {
        const arena = new FrameArena(4, 64);
        const used: number[] = [];
        for (const step of steps) {
          if (step < 5) {
            const offset = arena.allocate();
            if (used.length === 4) expect(offset).toBe(NO_FRAME);
            else {
              expect(used).not.toContain(offset);
              used.push(offset);
            }
          } else if (used.length > 0) {
            arena.free(used.splice(step % used.length, 1)[0]);
          }
          expect(arena.freeSlots).toBe(4 - used.length);
        }
      }),
    );
  });
});
