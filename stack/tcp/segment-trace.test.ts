import { describe, expect, it } from 'vitest';
import { SegmentTrace, TRACE_ACKNOWLEDGED, TRACE_SENT, TRACE_SENT_AGAIN } from './segment-trace.ts';

function taken(trace: SegmentTrace): { points: number[][]; lost: number } {
  const points: number[][] = [];
  const lost = trace.take((...point) => points.push(point));
  return { points, lost };
}

describe('a trace of segments', () => {
  it('hands points over once, in order', () => {
    const trace = new SegmentTrace();
    trace.add(TRACE_SENT, 10, 1000, 500);
    trace.add(TRACE_SENT_AGAIN, 20, 1000, 500);
    expect(taken(trace)).toEqual({
      points: [
        [TRACE_SENT, 10, 1000, 500],
        [TRACE_SENT_AGAIN, 20, 1000, 500],
      ],
      lost: 0,
    });
    expect(taken(trace)).toEqual({ points: [], lost: 0 });
  });

  it('keeps an acknowledgement only when SND.UNA or the window moved', () => {
    const trace = new SegmentTrace();
    trace.acknowledged(1, -5, 100);
    trace.acknowledged(2, -5, 100);
    trace.acknowledged(3, -5, 90);
    expect(taken(trace).points).toEqual([
      [TRACE_ACKNOWLEDGED, 1, -5, 100],
      [TRACE_ACKNOWLEDGED, 3, -5, 90],
    ]);
  });

  it('lets the oldest fall out and says how many', () => {
    const trace = new SegmentTrace();
    for (let i = 0; i < 16384 + 7; i++) trace.add(TRACE_SENT, i, i, 1);
    const { points, lost } = taken(trace);
    expect(lost).toBe(7);
    expect(points.length).toBe(16384);
    expect(points[0]).toEqual([TRACE_SENT, 7, 7, 1]);
  });
});
