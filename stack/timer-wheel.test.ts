import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../src/platform/random.ts';
import { type TimerNode, TimerWheel } from './timer-wheel.ts';

class Node implements TimerNode {
  timerNext: TimerNode | null = null;
  timerPrevious: TimerNode | null = null;
  timerSlot = -1;
  timerAt = 0;
  due = 0;
  firedAt: number[] = [];
  again: (() => void) | null = null;
  onTimer(nowMs: number): void {
    this.firedAt.push(nowMs);
    this.again?.();
  }
}

describe('TimerWheel', () => {
  it('fires each timer once, never early, at the first look at or after its time', () => {
    for (const start of [0, 123_456, 0x7fff_ff00, -70_000]) {
      const random = new SeededRandom(start + 1);
      const wheel = new TimerWheel(start);
      const nodes: Node[] = [];
      let now = start;
      for (let round = 0; round < 400; round++) {
        for (let i = random.below(4); i > 0; i--) {
          const node = new Node();
          const reach = [3, 300, 70_000, 3_000_000][random.below(4)];
          node.due = (now + 1 + random.below(reach)) | 0;
          wheel.arm(node, node.due);
          nodes.push(node);
        }
        const moved = nodes[random.below(nodes.length + 1)];
        if (moved !== undefined && moved.timerSlot >= 0) {
          if (random.below(2) === 0) {
            moved.due = (now + 1 + random.below(100_000)) | 0;
            wheel.arm(moved, moved.due);
          } else {
            wheel.cancel(moved);
            nodes.splice(nodes.indexOf(moved), 1);
          }
        }
        const delay = wheel.nextDelayMs(now);
        const waiting = nodes.filter(({ timerSlot }) => timerSlot >= 0);
        const soonest = Math.min(...waiting.map(({ due }) => (due - now) | 0));
        if (waiting.length === 0) expect(delay).toBe(-1);
        else expect(delay).toBeLessThanOrEqual(soonest);
        const before = now;
        now = (now + random.below(random.below(20) === 0 ? 200_000 : 400)) | 0;
        wheel.advance(now);
        for (const node of waiting) {
          const isDue = ((now - node.due) | 0) >= 0;
          expect(node.firedAt.length).toBe(isDue ? 1 : 0);
          if (isDue) expect(((node.due - before) | 0) > 0).toBe(true);
        }
        for (const node of waiting) if (node.timerSlot < 0) nodes.splice(nodes.indexOf(node), 1);
        expect(wheel.size).toBe(nodes.length);
      }
    }
  });

  it('takes a node back while it fires, and one from another node', () => {
    const wheel = new TimerWheel(0);
    const a = new Node();
    const b = new Node();
    a.again = () => {
      if (a.firedAt.length < 3) wheel.arm(a, 0);
      wheel.cancel(b);
    };
    wheel.arm(b, 10);
    wheel.arm(a, 10);
    wheel.advance(100);
    expect(a.firedAt.length).toBe(3);
    expect(b.firedAt.length).toBe(0);
    expect(wheel.nextDelayMs(100)).toBe(-1);
  });

  it('leaves a node that fires early enough where it is', () => {
    const wheel = new TimerWheel(0);
    const node = new Node();
    wheel.armBy(node, 50);
    wheel.armBy(node, 500);
    expect(node.timerAt).toBe(50);
    wheel.armBy(node, 20);
    expect(node.timerAt).toBe(20);
  });
});
