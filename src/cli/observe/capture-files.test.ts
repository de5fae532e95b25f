import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { BlockSplitter, readCaptureFile } from '../../../io-engine/capture-file.ts';
import { LiveCapture } from '../../../io-engine/live-capture.ts';
import { MemoryWire } from '../../../io-engine/memory-wire.ts';
import { DIRECTION_IN } from '../../../io-engine/pcapng.ts';
import { CaptureFiles, type RingOptions } from './capture-files.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'capture-files-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Writes so many frames of 100 bytes, numbered in their first byte. */
function write(frames: number, ring: RingOptions): CaptureFiles {
  const files = new CaptureFiles(join(folder, 'a.pcapng'), ring);
  const splitter = new BlockSplitter();
  const bytes = (piece: Uint8Array): void => {
    for (const block of splitter.push(piece)) files.block(block);
  };
  const capture = new LiveCapture(new MemoryWire().ends[0].link, { bytes, backlog: 0 }, 0);
  for (let i = 0; i < frames; i++)
    capture.frame(1_700_000_000_000_000 + i, DIRECTION_IN, new Uint8Array(100).fill(i), 0, 100, '');
  capture.finish(1_700_000_000_000_000);
  files.close();
  return files;
}

const numbers = (name: string): number[] => [...readCaptureFile(join(folder, name))].map(({ bytes }) => bytes[0]);

it('writes one file, for its owner only', () => {
  write(5, { fileBytesMax: 0, filesMax: 0 });
  expect(readdirSync(folder)).toEqual(['a.pcapng']);
  expect(numbers('a.pcapng')).toEqual([0, 1, 2, 3, 4]);
  expect(statSync(join(folder, 'a.pcapng')).mode & 0o777).toBe(0o600);
});

it('begins another file before one grows too large, each whole in itself', () => {
  const { paths } = write(20, { fileBytesMax: 1000, filesMax: 0 });
  const names = readdirSync(folder).sort();
  expect(names.slice(0, 2)).toEqual(['a-00001.pcapng', 'a-00002.pcapng']);
  expect(paths).toHaveLength(names.length);
  for (const name of names) expect(readFileSync(join(folder, name)).length).toBeLessThanOrEqual(1000);
  expect(names.flatMap(numbers)).toEqual(Array.from({ length: 20 }, (_, i) => i));
});

it('keeps the latest files of a ring', () => {
  write(40, { fileBytesMax: 1000, filesMax: 2 });
  const names = readdirSync(folder).sort();
  expect(names).toHaveLength(2);
  expect(names.flatMap(numbers).at(-1)).toBe(39);
});

it('says what cannot be written', () => {
  const files = new CaptureFiles(join(folder, 'none', 'a.pcapng'), { fileBytesMax: 0, filesMax: 0 });
  expect(() => files.block(new Uint8Array(12))).toThrow(/cannot write .*none/);
});
