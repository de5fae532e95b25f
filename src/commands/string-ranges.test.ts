// Strings that grow bit by bit: what that costs, in bytes copied and in bytes kept.
import { describe, expect, it } from 'vitest';
import { CommandHarness } from '../../test/support/command-harness.ts';
import { copiedBytes } from '../../test/support/copied-bytes.ts';
import { commandTable } from './table.ts';

const MIB = 1 << 20;
const PIECE = 256 * 1024;
/** Longer than the arena's segments. */
const LENGTH = 48 * MIB;
const piece = 'abcdefgh'.repeat(PIECE / 8);

const WAYS: Record<string, (at: number) => string[]> = {
  APPEND: () => ['APPEND', 'key', piece],
  SETRANGE: (at) => ['SETRANGE', 'key', String(at), piece],
  SETBIT: (at) => ['SETBIT', 'key', String((at + PIECE) * 8 - 1), '1'],
  BITFIELD: (at) => ['BITFIELD', 'key', 'SET', 'u8', String((at + PIECE) * 8 - 8), '255'],
};

function capacityOf(harness: CommandHarness): number {
  const key = Buffer.from('key');
  return harness.arena.capacityOf(harness.keyspace.databases[0].peek(key, 0, key.length));
}

describe.each(Object.keys(WAYS))('a string that %s makes longer', (way) => {
  it('is copied a few times in all, and not at all once it is beyond a segment', () => {
    const harness = new CommandHarness(commandTable);
    let copied = 0;
    let copiedLate = 0;
    for (let at = 0; at < LENGTH; at += PIECE) {
      const words = WAYS[way](at);
      const payload = words.includes(piece) ? PIECE : 0;
      const moved = copiedBytes(() => void harness.run(...words)) - payload;
      copied += moved;
      if (at > 17 * MIB) copiedLate += moved;
      expect(capacityOf(harness) - at - PIECE).toBeLessThan(at > 17 * MIB ? 16 * 1024 : MIB + PIECE);
    }
    // Up to a MiB it doubles; then it moves where others are in its way, and to a buffer of its own in the end.
    expect(copied).toBeLessThan(24 * MIB);
    expect(copiedLate).toBeLessThan(PIECE);
    expect(harness.run('STRLEN', 'key')).toBe(`:${LENGTH}\r\n`);
    const text = harness.run('GETRANGE', 'key', String(20 * MIB - 4), String(20 * MIB + 3));
    if (isWords(way)) expect(text).toBe('$8\r\nefghabcd\r\n');
  });

  it('does not take its neighbours along', () => {
    const harness = new CommandHarness(commandTable);
    const copied = copiedBytes(() => {
      for (let at = 0; at < 4 * MIB; at += PIECE) {
        for (const key of ['a', 'b', 'c']) harness.run(...WAYS[way](at).map((word) => (word === 'key' ? key : word)));
        harness.run('SET', `other${at}`, piece.slice(0, 40_000));
      }
    });
    // Each moves once for a MiB, at most: 1 + 2 + 3 + 4 MiB, and the pieces themselves.
    expect(copied).toBeLessThan(3 * (12 + 4) * MIB);
    for (const key of ['a', 'b', 'c']) expect(harness.run('STRLEN', key)).toBe(`:${4 * MIB}\r\n`);
    harness.run('FLUSHALL');
    expect(harness.arena.used).toBe(new CommandHarness(commandTable).arena.used);
  });
});

/** Whether it writes the piece itself. */
function isWords(way: string): boolean {
  return way === 'APPEND' || way === 'SETRANGE';
}

it('a string that is replaced by a longer one is not copied first', () => {
  const harness = new CommandHarness(commandTable);
  harness.run('SET', 'key', piece);
  const longer = piece.repeat(2);
  const copied = copiedBytes(() => void harness.run('SET', 'key', longer));
  expect(copied).toBeLessThan(longer.length + 1000);
  expect(harness.run('GET', 'key')).toBe(`$${longer.length}\r\n${longer}\r\n`);
});
