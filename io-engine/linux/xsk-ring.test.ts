import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConsumerRing, ProducerRing } from './xsk-ring.ts';

const OFFSETS = { producer: 0, consumer: 64, flags: 128, descriptors: 192 };
const SIZE = 8;

/** A frame ring as we write it, and the same memory as the kernel would read it. */
function pair(slotShift: number): { producer: ProducerRing; consumer: ConsumerRing; words: Int32Array } {
  const buffer = new ArrayBuffer(192 + SIZE * (4 << slotShift));
  return {
    producer: new ProducerRing(buffer, OFFSETS, SIZE, slotShift),
    consumer: new ConsumerRing(buffer, OFFSETS, SIZE, slotShift),
    words: new Int32Array(buffer),
  };
}

describe('XDP rings', () => {
  it('shows nothing before it is published', () => {
    const { producer, consumer } = pair(2);
    producer.pushFrame(4096, 60);
    expect(consumer.available()).toBe(0);
    producer.publish();
    expect([consumer.available(), consumer.address(0), consumer.frameLength(0)]).toEqual([1, 4096, 60]);
    expect(producer.waiting()).toBe(1);
    consumer.advance(1);
    expect([producer.waiting(), consumer.available()]).toEqual([0, 0]);
  });

  it('keeps every entry in order over any interleaving, round after round', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(SIZE), fc.nat(SIZE)), { maxLength: 60 }), (steps) => {
        const { producer, consumer } = pair(1);
        let written = 0;
        let read = 0;
        for (const [writes, reads] of steps) {
          for (let i = 0; i < writes && producer.waiting() < SIZE; i++) producer.pushAddress(written++ * 2048);
          producer.publish();
          const count = Math.min(reads, consumer.available());
          for (let i = 0; i < count; i++) expect(consumer.address(i)).toBe(read++ * 2048);
          consumer.advance(count);
          expect(consumer.available()).toBe(written - read);
        }
      }),
    );
  });

  it('counts on when the 32-bit indices wrap', () => {
    const { producer, consumer, words } = pair(2);
    for (let i = 0; i < 3; i++) producer.pushFrame(i, 1);
    producer.publish();
    // The kernel's index has wrapped past ours: the difference counts, not the order.
    words[OFFSETS.consumer >> 2] = -2;
    expect(producer.waiting()).toBe(5);
    consumer.advance(3);
    words[OFFSETS.producer >> 2] = -0x80000000;
    expect(consumer.available()).toBe(0x7ffffffd);
  });

  it('reads the wake-up flag', () => {
    const { producer, words } = pair(2);
    expect(producer.needsWakeup()).toBe(false);
    words[OFFSETS.flags >> 2] = 1;
    expect(producer.needsWakeup()).toBe(true);
  });
});
