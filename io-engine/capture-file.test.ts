import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { classicFile, made } from '../test/support/captured.ts';
import { BlockReader, BlockSplitter, type CapturedPacket, readCaptureFile } from './capture-file.ts';
import { LiveCapture } from './live-capture.ts';
import { MemoryWire } from './memory-wire.ts';
import { DIRECTION_IN, DIRECTION_OUT, fileHeader, LINKTYPE_ETHERNET } from './pcapng.ts';

const folder = mkdtempSync(join(tmpdir(), 'capture-file-'));
afterAll(() => rmSync(folder, { recursive: true }));

function written(bytes: Uint8Array): CapturedPacket[] {
  const path = join(folder, 'file');
  writeFileSync(path, bytes);
  return [...readCaptureFile(path)];
}

class Sink {
  readonly pieces: Uint8Array[] = [];
  backlog = 0;
  bytes(bytes: Uint8Array): void {
    this.pieces.push(bytes);
  }
  get all(): Uint8Array {
    return Uint8Array.from(Buffer.concat(this.pieces));
  }
}

const { link } = new MemoryWire().ends[0];
const NOW = 1_700_000_000_123_456;
const frame = Uint8Array.from({ length: 100 }, (_, i) => i);

describe('classic capture files', () => {
  const packets = [made({ payload: 'one', ms: 1 }), made({ payload: 'four', ms: 2, snap: 40 })];

  it.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])('are read in either byte order, with micro- and nanoseconds (%s, %s)', (isBig, isNano) => {
    expect(written(classicFile(packets, isBig, isNano))).toEqual(packets);
  });

  it('are refused when they are none, or damaged', () => {
    expect(() => written(Uint8Array.from(Buffer.from('nothing of the kind, whatever its length is')))).toThrow(
      'neither pcap nor pcapng',
    );
    const damaged = classicFile(packets);
    damaged.fill(0xff, 32, 36);
    expect(() => written(damaged)).toThrow('damaged');
    expect(() => [...readCaptureFile(join(folder, 'none'))]).toThrow('cannot read');
    expect(() => [...readCaptureFile(folder)]).toThrow('cannot read');
    expect(() => written(new Uint8Array(0))).toThrow('is empty');
  });

  it('may end in the middle of a packet, which is said', () => {
    const path = join(folder, 'cut');
    let cuts = 0;
    const read = (bytes: Uint8Array): CapturedPacket[] => {
      writeFileSync(path, bytes);
      return [...readCaptureFile(path, () => cuts++)];
    };
    expect(read(classicFile(packets))).toEqual(packets);
    expect(cuts).toBe(0);
    expect(read(classicFile(packets).slice(0, -5))).toEqual(packets.slice(0, 1));
    expect(cuts).toBe(1);
    expect(read(fileHeader('eth0', 1, 0).slice(0, -5))).toEqual([]);
    expect(cuts).toBe(2);
  });
});

describe('a live capture', () => {
  it('is a pcapng file of the frames, their times, directions and comments', () => {
    const sink = new Sink();
    const capture = new LiveCapture(link, sink, 0);
    capture.frame(NOW, DIRECTION_IN, frame, 10, 60, 'conn 7; dropped: tcp-bad-checksum');
    capture.frame(NOW + 5, DIRECTION_OUT, frame, 0, 61, '');
    capture.finish(NOW + 9);
    expect(written(sink.all)).toEqual([
      {
        unixUs: NOW,
        linkType: LINKTYPE_ETHERNET,
        bytes: frame.slice(10, 70),
        originalLength: 60,
        direction: 'in',
        comment: 'conn 7; dropped: tcp-bad-checksum',
      },
      {
        unixUs: NOW + 5,
        linkType: LINKTYPE_ETHERNET,
        bytes: frame.slice(0, 61),
        originalLength: 61,
        direction: 'out',
        comment: '',
      },
    ]);
  });

  it('keeps the beginning of each frame and says how long it was', () => {
    const sink = new Sink();
    const capture = new LiveCapture(link, sink, 20);
    capture.frame(NOW, DIRECTION_IN, frame, 0, 100, 'long');
    capture.finish(NOW);
    expect(written(sink.all)).toMatchObject([{ bytes: frame.slice(0, 20), originalLength: 100, comment: 'long' }]);
  });

  it('leaves out what a slow reader has no room for, counts it in the file, and holds little', () => {
    const sink = new Sink();
    const capture = new LiveCapture(link, sink, 0);
    const reader = new BlockReader();
    sink.backlog = 17 * 1024 * 1024;
    for (let i = 0; i < 100_000; i++) capture.frame(NOW, DIRECTION_IN, frame, 0, 100, '');
    const held = sink.all.length;
    expect(held).toBeLessThan(300_000);
    sink.backlog = 0;
    capture.frame(NOW, DIRECTION_IN, frame, 0, 100, '');
    capture.finish(NOW);
    for (const block of new BlockSplitter().push(sink.all)) reader.read(block);
    expect(reader.received).toBe(100_001);
    expect(reader.dropped).toBe(100_000);
  });

  it('hands on in pieces and is cut into the same blocks however they come', () => {
    const sink = new Sink();
    const capture = new LiveCapture(link, sink, 0);
    for (let i = 0; i < 5000; i++) capture.frame(NOW + i, DIRECTION_IN, frame, 0, 60 + (i % 40), `conn ${i}`);
    capture.finish(NOW);
    expect(sink.pieces.length).toBeGreaterThan(2);
    const whole = sink.all;
    const splitter = new BlockSplitter();
    const blocks: Uint8Array[] = [];
    for (let at = 0; at < whole.length; at += 777) blocks.push(...splitter.push(whole.slice(at, at + 777)));
    expect(Buffer.concat(blocks).equals(whole)).toBe(true);
    expect(blocks).toHaveLength(2 + 5000 + 1);
  });
});

describe('pcapng files', () => {
  it('of other writers: big-endian, nanoseconds, simple packets, unknown blocks', () => {
    const words = (...values: number[]): number[] =>
      values.flatMap((value) => [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]);
    const block = (type: number, body: number[]): number[] => {
      const length = 12 + body.length;
      return [...words(type, length), ...body, ...words(length)];
    };
    const ticks = BigInt(NOW) * 1000n;
    const bytes = Uint8Array.from([
      ...block(0x0a0d0d0a, [...words(0x1a2b3c4d, 0x00010000), ...words(-1, -1)]),
      ...block(1, [0, 101, 0, 0, ...words(0), 0, 9, 0, 1, 9, 0, 0, 0, ...words(0)]),
      ...block(0xbad, words(1, 2, 3)),
      ...block(6, [
        ...words(0, Number(ticks >> 32n), Number(ticks & 0xffffffffn), 3, 9),
        ...[1, 2, 3, 0],
        ...[0, 1, 0, 2, 104, 105, 0, 0, ...words(0)],
      ]),
      ...block(3, [...words(2), 8, 9, 0, 0]),
    ]);
    expect(written(bytes)).toEqual([
      {
        unixUs: NOW,
        linkType: 101,
        bytes: Uint8Array.of(1, 2, 3),
        originalLength: 9,
        direction: null,
        comment: 'hi',
      },
      { unixUs: 0, linkType: 101, bytes: Uint8Array.of(8, 9), originalLength: 2, direction: null, comment: '' },
    ]);
  });

  it('that are damaged are refused', () => {
    const bytes = Uint8Array.from([...fileHeader('eth0', 1, 0), 6, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    expect(() => written(bytes)).toThrow('damaged');
    // A packet's block that has no room for a packet's head.
    const short = Uint8Array.from([...fileHeader('eth0', 1, 0), 6, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0]);
    expect(() => written(short)).toThrow('damaged');
  });
});
