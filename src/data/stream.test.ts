import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../platform/random.ts';
import { Arena } from './arena.ts';
import { Element } from './element.ts';
import * as listpack from './listpack.ts';
import { Stream, StreamWalker } from './stream.ts';
import { parseUint64, StreamId } from './stream-id.ts';
import { isValid } from './stream-node.ts';

const idOf = (ms: number, seq = 0): StreamId => {
  const id = new StreamId();
  id.set(0, ms, 0, seq);
  return id;
};

function add(stream: Stream, id: StreamId, ...texts: string[]): void {
  const bytes = Buffer.from(texts.join(''), 'latin1');
  const lengths = Int32Array.from(texts, (text) => text.length);
  const offsets = new Int32Array(texts.length);
  for (let i = 1; i < texts.length; i++) offsets[i] = offsets[i - 1] + lengths[i - 1];
  stream.append(id, { bytes, offsets, lengths }, 0, texts.length / 2, 4096, 100);
}

const idsOf = (stream: Stream, backwards = false): string[] => {
  const ids: string[] = [];
  const walk = new StreamWalker().begin(stream, null, null, backwards);
  while (walk.next()) ids.push(walk.id.toString());
  return ids;
};

function firstNode(stream: Stream): Element {
  const block = new Element();
  const cursor = { leaf: 0, at: 0 };
  const ref = stream.nodeBlock(cursor);
  const bytes = stream.arena.bytesOf(ref);
  const base = stream.arena.offsetOf(ref);
  block.set(bytes, base, listpack.totalBytes(bytes, base));
  return block;
}

describe('a stream', () => {
  it('gives all its memory back, and counts it exactly until then', () => {
    const arena = new Arena();
    const stream = new Stream(arena);
    for (let i = 1; i <= 1000; i++) add(stream, idOf(i), 'field', `value ${i}`, 'n', String(i));
    const group = stream.addGroup(Buffer.from('g'));
    const consumer = group?.addConsumer(Buffer.from('c'), 1);
    const cursor = { leaf: 0, at: 0 };
    for (let i = 1; i <= 500; i++) {
      group?.pending.insert(idOf(i), cursor);
      if (consumer) group?.assign(cursor, idOf(i), consumer);
    }
    expect(stream.memoryBytes()).toBeGreaterThan(arena.used);
    expect(stream.memoryBytes() - arena.used).toBeLessThan(4096);
    const twin = stream.clone(arena);
    expect(idsOf(twin)).toEqual(idsOf(stream));
    twin.release();
    stream.release();
    expect(arena.used).toBe(0);
  });

  it('walks both ways over nodes with deleted entries', () => {
    const stream = new Stream(new Arena());
    for (let i = 1; i <= 450; i++) add(stream, idOf(i), 'f', String(i));
    for (let i = 1; i <= 450; i++) if (i % 3 === 0 || (i > 100 && i <= 200)) expect(stream.delete(idOf(i))).toBe(true);
    const rest = Array.from({ length: 450 }, (_, i) => i + 1).filter((i) => i % 3 !== 0 && (i <= 100 || i > 200));
    expect(idsOf(stream)).toEqual(rest.map((i) => `${i}-0`));
    expect(idsOf(stream, true)).toEqual(rest.reverse().map((i) => `${i}-0`));
    expect(stream.delete(idOf(3))).toBe(false);
    expect(stream.maxDeletedId.toString()).toBe('450-0');
  });

  it('never takes a damaged node for a valid one that it could not walk', () => {
    const stream = new Stream(new Arena());
    add(stream, idOf(1), 'a', '1', 'b', 'x'.repeat(100));
    for (let i = 2; i < 20; i++) add(stream, idOf(i, i), 'a', String(i * 1000), ...(i % 2 === 0 ? ['b', 'y'] : []));
    stream.delete(idOf(5, 5));
    const whole = firstNode(stream).copy();
    expect(isValid(whole, 0, whole.length)).toBe(true);
    const random = new SeededRandom(11);
    const arena = new Arena();
    let passed = 0;
    for (let run = 0; run < 20_000; run++) {
      const damaged = whole.slice();
      for (let i = 1 + random.below(3); i > 0; i--) damaged[random.below(damaged.length)] = random.below(256);
      if (!isValid(damaged, 0, damaged.length)) continue;
      passed++;
      const other = new Stream(arena);
      other.addNode(idOf(1), damaged, 0, damaged.length);
      const forwards = idsOf(other);
      expect(idsOf(other, true)).toEqual(forwards.reverse());
      expect(forwards).toHaveLength(other.length);
      other.trim({ maxLength: 3, minId: new StreamId(), approximate: false, limit: 0 });
      other.release();
      expect(other.arena.used).toBe(0);
    }
    expect(passed).toBeGreaterThan(100);
  });
});

describe('stream ids', () => {
  it('count up and down over every half', () => {
    const id = new StreamId();
    expect(id.decrement()).toBe(false);
    expect(id.toString()).toBe('18446744073709551615-18446744073709551615');
    expect(id.increment()).toBe(false);
    expect(id.isMin).toBe(true);
    id.set(0, -1, -1, -1);
    expect(id.increment()).toBe(true);
    expect(id.toString()).toBe('4294967296-0');
    id.set(1, 0, 0, 0);
    expect(id.decrement()).toBe(true);
    expect(id.toString()).toBe('4294967295-18446744073709551615');
  });

  it.each([
    ['0', true],
    ['18446744073709551615', true],
    ['18446744073709551616', false],
    ['-1', false],
    ['-01', true],
    ['007', true],
    [' +5', true],
    ['5 ', false],
    ['', false],
    ['+', false],
  ])('reads %j as C does: %s', (text, valid) => {
    const bytes = Buffer.from(text, 'latin1');
    expect(parseUint64(bytes, 0, bytes.length)).toBe(valid);
  });
});
