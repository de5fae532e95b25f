import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { receiveAll, sendFrame } from './frame-copies.ts';
import { EngineError } from './frame-engine.ts';
import { openPcapReplay } from './pcap-replay.ts';

const directory = mkdtempSync(join(tmpdir(), 'replay-'));
afterAll(() => rmSync(directory, { recursive: true }));

interface Shape {
  readonly magic?: number;
  readonly linkType?: number;
  /** Original length of every frame beyond what was captured. */
  readonly missing?: number;
  readonly littleEndian?: boolean;
}

function pcapBytes(frames: readonly Uint8Array[], shape: Shape = {}): Uint8Array {
  const little = shape.littleEndian ?? true;
  const bytes = new Uint8Array(24 + frames.reduce((sum, frame) => sum + 16 + frame.length, 0));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, shape.magic ?? 0xa1b2c3d4, little);
  view.setUint16(4, 2, little);
  view.setUint16(6, 4, little);
  view.setUint32(16, 65535, little);
  view.setUint32(20, shape.linkType ?? 1, little);
  let at = 24;
  for (const frame of frames) {
    view.setUint32(at + 8, frame.length, little);
    view.setUint32(at + 12, frame.length + (shape.missing ?? 0), little);
    bytes.set(frame, at + 16);
    at += 16 + frame.length;
  }
  return bytes;
}

function file(name: string, bytes: Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, bytes);
  return path;
}

function frame(number: number, length = 60): Uint8Array {
  const bytes = new Uint8Array(length).fill(number);
  bytes.set([2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 2, 8, 0]);
  return bytes;
}

async function refusal(path: string): Promise<EngineError> {
  const error = await openPcapReplay({ file: path }).then(
    (engine) => engine.close(),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EngineError);
  const refused = error as EngineError;
  expect(refused.code).toBe('BAD_FILE');
  expect(refused.message).not.toContain('\n');
  return refused;
}

describe('PcapReplay', () => {
  it.each([true, false])('gives the frames in order (little-endian %s)', async (littleEndian) => {
    const frames = Array.from({ length: 1000 }, (_, i) => frame(i & 0xff, 60 + i));
    const engine = await openPcapReplay({ file: file('order.pcap', pcapBytes(frames, { littleEndian })) });
    expect(engine.link).toMatchObject({ medium: 'ethernet', mac: new Uint8Array([2, 0, 0, 0, 0, 9]) });
    expect(receiveAll(engine)).toEqual(frames);
    expect(engine.framesLeft).toBe(0);
    expect(engine.counters.rxFrames).toBe(1000);
    engine.close();
  });

  it('wakes a reader until the file is through, also when a batch takes the whole ring', async () => {
    const frames = Array.from({ length: 300 }, (_, i) => frame(i & 0xff));
    const path = file('wake.pcap', pcapBytes(frames));
    const got: Uint8Array[] = [];
    await new Promise<void>((resolve) => {
      void openPcapReplay({ file: path, rxRing: 32, onEnd: resolve }).then((engine) => {
        engine.wait(() => {
          const count = engine.receive();
          const { offset, length } = engine.batch;
          for (let i = 0; i < count; i++) got.push(engine.memory.slice(offset[i], offset[i] + length[i]));
          if (engine.framesLeft === 0) engine.close();
        });
      });
    });
    expect(got).toEqual(frames);
  });

  it('counts what is sent and frames that the capture cut off', async () => {
    const engine = await openPcapReplay({ file: file('cut.pcap', pcapBytes([frame(1), frame(2)], { missing: 10 })) });
    expect(receiveAll(engine)).toEqual([]);
    expect(engine.counters.rxTruncated).toBe(2);
    sendFrame(engine, frame(3));
    expect(engine.counters).toMatchObject({ txFrames: 1, txBytes: 60 });
    engine.close();
  });

  it('takes raw IP captures', async () => {
    const packet = new Uint8Array(40).fill(0x45);
    const engine = await openPcapReplay({ file: file('raw.pcap', pcapBytes([packet], { linkType: 101 })) });
    expect(engine.link.medium).toBe('ip');
    expect(receiveAll(engine)).toEqual([packet]);
    engine.close();
  });

  it('refuses what it cannot replay and says why', async () => {
    const whole = pcapBytes([frame(1), frame(2)]);
    const pcapng = new Uint8Array([0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 0]);
    const absurd = whole.slice();
    new DataView(absurd.buffer).setUint32(24 + 8, 0x7fffffff, true);
    expect((await refusal(join(directory, 'missing.pcap'))).message).toMatch(/ENOENT/);
    expect((await refusal(file('empty.pcap', new Uint8Array()))).message).toMatch(/too short/);
    expect((await refusal(file('text.pcap', new TextEncoder().encode('hello world')))).message).toMatch(/not a pcap/);
    expect((await refusal(file('ng.pcap', pcapng))).message).toMatch(/pcapng.*tcpdump -r .* -w /);
    expect((await refusal(file('nano.pcap', pcapBytes([], { magic: 0xa1b23c4d })))).message).toMatch(/nanosecond/);
    expect((await refusal(file('header.pcap', whole.slice(0, 20)))).message).toMatch(/file header/);
    expect((await refusal(file('short.pcap', whole.slice(0, -1)))).message).toMatch(/inside packet 2/);
    expect((await refusal(file('half.pcap', whole.slice(0, 24 + 16 + 60 + 7)))).message).toMatch(/inside packet 2/);
    expect((await refusal(file('absurd.pcap', absurd))).message).toMatch(/packet 1 claims 2147483647 bytes/);
    expect((await refusal(file('wifi.pcap', pcapBytes([], { linkType: 127 })))).message).toMatch(/link type 127/);
  });
});
