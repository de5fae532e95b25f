import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { receiveAll, sendFrame } from './frame-copies.ts';
import { MemoryWire } from './memory-wire.ts';
import { recordFrames } from './recorder.ts';

const directory = mkdtempSync(join(tmpdir(), 'recorder-'));
afterAll(() => rmSync(directory, { recursive: true }));

const hasTcpdump = spawnSync('tcpdump', ['--version']).status === 0;

function frame(number: number, length = 60): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5]);
  for (let i = 14; i < length; i++) bytes[i] = number;
  return bytes;
}

/** The packets of a pcapng file as this test reads the format, independent of the writer. */
function readPackets(path: string): { direction: number; unixUs: number; bytes: Uint8Array }[] {
  const file = readFileSync(path);
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const packets = [];
  for (let at = 0; at < file.length; ) {
    const type = view.getUint32(at, true);
    const length = view.getUint32(at + 4, true);
    expect(view.getUint32(at + length - 4, true)).toBe(length);
    if (type === 6) {
      const captured = view.getUint32(at + 20, true);
      packets.push({
        unixUs: view.getUint32(at + 12, true) * 2 ** 32 + view.getUint32(at + 16, true),
        direction: view.getUint32(at + 28 + ((captured + 3) & ~3) + 4, true),
        bytes: new Uint8Array(file.subarray(at + 28, at + 28 + captured)),
      });
    }
    at += length;
  }
  return packets;
}

describe('Recorder', () => {
  it('keeps every frame, both ways, with its time and direction', () => {
    const path = join(directory, 'both.pcapng');
    const wire = new MemoryWire();
    const peer = wire.ends[0];
    const engine = recordFrames(wire.ends[1], path);
    const startUs = Date.now() * 1000 - 1000;
    sendFrame(peer, frame(1, 61));
    sendFrame(peer, frame(2, 1514));
    expect(receiveAll(engine)).toHaveLength(2);
    sendFrame(engine, frame(3));
    expect(receiveAll(peer)).toEqual([frame(3)]);
    engine.close();
    engine.close();
    const packets = readPackets(path);
    expect(packets.map((packet) => packet.direction)).toEqual([1, 1, 2]);
    expect(packets.map((packet) => packet.bytes)).toEqual([frame(1, 61), frame(2, 1514), frame(3)]);
    for (const { unixUs } of packets) {
      expect(unixUs).toBeGreaterThan(startUs - 10_000_000);
      expect(unixUs).toBeLessThan(startUs + 10_000_000);
    }
    expect(engine.recording).toMatchObject({ recorded: 3, dropped: 0, bytesWritten: readFileSync(path).length });
  });

  it.skipIf(!hasTcpdump)('writes what tcpdump reads (needs tcpdump)', async () => {
    const path = join(directory, 'tcpdump.pcapng');
    const wire = new MemoryWire();
    const engine = recordFrames(wire.ends[1], path);
    for (let i = 0; i < 300; i++) {
      sendFrame(wire.ends[0], frame(i, 60 + i));
      engine.receive();
      // Lets some writes finish while others are under way.
      if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    engine.close();
    const lengths = (): unknown[] => {
      const text = execFileSync('tcpdump', ['-r', path, '-nn', '-e'], { encoding: 'utf8', stdio: 'pipe' });
      const lines = text.split('\n').filter((line) => line.includes('0x88b5'));
      return lines.map((line) => /length (\d+)/.exec(line)?.[1]);
    };
    // Writes that were under way at the end take their time.
    const expected = Array.from({ length: 300 }, (_, i) => String(60 + i));
    await expect.poll(lengths, { timeout: 10_000 }).toEqual(expected);
  });

  it('records one direction when told to', () => {
    const path = join(directory, 'out.pcapng');
    const wire = new MemoryWire();
    const engine = recordFrames(wire.ends[1], path, { direction: 'out' });
    sendFrame(wire.ends[0], frame(1));
    engine.receive();
    sendFrame(engine, frame(2));
    engine.close();
    expect(readPackets(path).map((packet) => packet.bytes)).toEqual([frame(2)]);
  });

  it('stops at its size limit with a whole last packet', () => {
    const path = join(directory, 'limit.pcapng');
    const reasons: string[] = [];
    const wire = new MemoryWire();
    const engine = recordFrames(wire.ends[1], path, { fileBytesMax: 1000, onStop: (reason) => reasons.push(reason) });
    for (let i = 0; i < 20; i++) sendFrame(engine, frame(i));
    engine.close();
    expect(reasons).toEqual([`recording to ${path} ended: reached its limit of 1000 bytes`]);
    expect(readPackets(path).length).toBe(engine.recording.recorded);
    expect(engine.recording.recorded + engine.recording.dropped).toBe(20);
    expect(readFileSync(path).length).toBeLessThanOrEqual(1000);
    expect(receiveAll(wire.ends[0])).toHaveLength(20);
  });

  it('drops from the file, not from the wire, what the memory cannot hold while the disk is busy', () => {
    const path = join(directory, 'burst.pcapng');
    const wire = new MemoryWire();
    const engine = recordFrames(wire.ends[1], path);
    let received = 0;
    // No turn of the event loop: the first write cannot finish.
    for (let i = 0; i < 2000; i++) {
      sendFrame(engine, frame(i, 1514));
      received += receiveAll(wire.ends[0]).length;
    }
    expect(received).toBe(2000);
    expect(engine.recording.dropped).toBeGreaterThan(0);
    expect(engine.recording.recorded + engine.recording.dropped).toBe(2000);
    engine.close();
  });

  it('ends the recording, not the traffic, on a full disk', async () => {
    const wire = new MemoryWire();
    let reason = '';
    const engine = recordFrames(wire.ends[1], '/dev/full', { onStop: (why) => (reason = why) });
    sendFrame(engine, frame(1));
    await expect.poll(() => reason, { timeout: 10_000 }).toMatch(/^recording to \/dev\/full ended: ENOSPC/);
    sendFrame(engine, frame(2));
    expect(engine.isRecording).toBe(false);
    expect(engine.recording.dropped).toBe(1);
    engine.close();
    expect(receiveAll(wire.ends[0])).toEqual([frame(1), frame(2)]);
  });

  it('refuses a path it cannot write with one line', () => {
    const wire = new MemoryWire();
    expect(() => recordFrames(wire.ends[0], join(directory, 'no/such/x.pcapng'))).toThrow(
      /^cannot record to .*ENOENT.*$/,
    );
  });
});
