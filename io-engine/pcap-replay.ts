// Feeds the frames of a capture file in, as if they came from a device; what the stack sends is counted and goes
// nowhere (wrap the engine in a recorder to keep it). For tests that reproduce what a capture shows: no server opens it. The
// file is read whole when the engine is opened, so that a damaged one is refused before anything runs.
//
// Package `pcap-parser` reads the classic pcap format with microsecond timestamps only.
import { closeSync, openSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ArenaEngine, DEFAULT_RING } from './arena-engine.ts';
import { BATCH_MAX, EngineError, type Link } from './frame-engine.ts';

const LINKTYPE_ETHERNET = 1;
const LINKTYPE_RAW = 101;
const LINKTYPE_IPV4 = 228;

/** libpcap's own limit (MAXIMUM_SNAPLEN): a length beyond it is not a length. */
const CAPTURED_LENGTH_MAX = 262_144;

const MAGIC_PCAP = [0xa1b2c3d4, 0xd4c3b2a1];
const MAGIC_PCAP_NANOSECONDS = [0xa1b23c4d, 0x4d3cb2a1];
const MAGIC_PCAPNG = 0x0a0d0d0a;

export interface ReplayOptions {
  /** A classic pcap file. */
  readonly file: string;
  /** The hardware address to answer as; null: the destination of the first frame that goes to one host. */
  readonly mac?: Uint8Array | null;
  /** Largest IP packet that may be sent, bytes; default 1500. */
  readonly mtu?: number;
  readonly rxRing?: number;
  readonly txRing?: number;
  /** Called when the last frame has been handed out. */
  readonly onEnd?: () => void;
}

interface Capture {
  readonly linkType: number;
  readonly frames: readonly Uint8Array[];
  /** Frames that the capture holds only the beginning of. */
  readonly cutOff: number;
}

/** @throws EngineError BAD_FILE: missing, not classic pcap, damaged, or of an unknown link type. */
export async function openPcapReplay(options: ReplayOptions): Promise<PcapReplay> {
  refuseOtherFormats(options.file);
  const capture = await readCapture(options.file);
  const { linkType, frames } = capture;
  if (linkType !== LINKTYPE_ETHERNET && linkType !== LINKTYPE_RAW && linkType !== LINKTYPE_IPV4) {
    throw badFile(options.file, `link type ${linkType} is neither Ethernet (1) nor raw IP (101, 228)`);
  }
  const medium = linkType === LINKTYPE_ETHERNET ? 'ethernet' : 'ip';
  const header = medium === 'ethernet' ? 14 : 0;
  const mtu = options.mtu ?? 1500;
  const longest = frames.reduce((most, frame) => Math.max(most, frame.length), 0);
  const link: Link = {
    name: options.file,
    medium,
    mac: options.mac ?? (medium === 'ethernet' ? firstHost(frames) : new Uint8Array(6)),
    mtu,
    frameCapacity: Math.max(mtu + header, longest),
    txChecksumOffload: false,
    tsoPayloadMax: 0,
  };
  return new PcapReplay(link, capture, options);
}

export class PcapReplay extends ArenaEngine {
  readonly name = 'replay';
  readonly #frames: readonly Uint8Array[];
  readonly #onEnd: (() => void) | null;
  #next = 0;

  constructor(link: Link, capture: Capture, options: ReplayOptions) {
    super(link, {
      rxRing: options.rxRing ?? DEFAULT_RING,
      txRing: options.txRing ?? DEFAULT_RING,
      batch: BATCH_MAX,
    });
    this.#frames = capture.frames;
    this.#onEnd = options.onEnd ?? null;
    this.counters.rxTruncated = capture.cutOff;
  }

  /** Frames of the file that have not been handed out. */
  get framesLeft(): number {
    return this.#frames.length - this.#next + this.waitingFrames;
  }

  protected override collect(): void {
    const before = this.#next;
    while (this.#next < this.#frames.length && this.freeRxSlots > 0) {
      const frame = this.#frames[this.#next++];
      this.deliver(new DataView(frame.buffer, frame.byteOffset, frame.length), 0, frame.length, 0);
    }
    if (before < this.#next && this.#next === this.#frames.length) this.#onEnd?.();
  }

  protected override get hasFrames(): boolean {
    return this.framesLeft > 0;
  }

  /** The file is a device with an endless transmit queue. */
  protected override transmit(): boolean {
    return true;
  }

  protected override closeDevice(): void {}
}

/** What pcap-parser has no word for: a short file, and formats it does not read. */
function refuseOtherFormats(file: string): void {
  const bytes = new Uint8Array(4);
  let length = 0;
  try {
    const fd = openSync(file, 'r');
    try {
      length = readSync(fd, bytes, 0, 4, 0);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw badFile(file, (error as Error).message);
  }
  const magic = new DataView(bytes.buffer).getUint32(0);
  const convert = `convert it first: tcpdump -r ${file} -w converted.pcap`;
  if (length < 4) throw badFile(file, 'it is too short to be a capture');
  if (magic === MAGIC_PCAPNG) throw badFile(file, `pcapng files cannot be replayed; ${convert}`);
  if (MAGIC_PCAP_NANOSECONDS.includes(magic)) {
    throw badFile(file, `pcap files with nanosecond timestamps cannot be replayed; ${convert}`);
  }
  if (!MAGIC_PCAP.includes(magic)) throw badFile(file, 'it is not a pcap file');
}

interface PacketHeader {
  readonly capturedLength: number;
  readonly originalLength: number;
}

interface ParsedPacket {
  readonly header: PacketHeader;
  readonly data: Uint8Array;
}

/** The part of package pcap-parser used here; it has no types of its own. */
interface PcapParser {
  /** What was read and not yet parsed. */
  readonly buffer: Uint8Array | null;
  readonly stream: { destroy(): void };
  on(event: 'globalHeader', listener: (header: { linkLayerType: number }) => void): this;
  on(event: 'packetHeader', listener: (header: PacketHeader) => void): this;
  on(event: 'packet', listener: (packet: ParsedPacket) => void): this;
  on(event: 'error', listener: (error: Error) => void): this;
  on(event: 'end', listener: () => void): this;
}

function readCapture(file: string): Promise<Capture> {
  const library = createRequire(import.meta.url)('pcap-parser') as { parse(path: string): PcapParser };
  return new Promise((resolve, reject) => {
    const parser = library.parse(file);
    const frames: Uint8Array[] = [];
    let linkType = -1;
    let cutOff = 0;
    let insidePacket = false;
    parser.on('globalHeader', (header) => {
      linkType = header.linkLayerType;
    });
    parser.on('packetHeader', (header) => {
      insidePacket = true;
      if (header.capturedLength <= CAPTURED_LENGTH_MAX) return;
      parser.stream.destroy();
      reject(
        badFile(file, `packet ${frames.length + cutOff + 1} claims ${header.capturedLength} bytes: it is damaged`),
      );
    });
    parser.on('packet', ({ header, data }) => {
      insidePacket = false;
      if (header.capturedLength < header.originalLength) cutOff++;
      else frames.push(new Uint8Array(data.buffer, data.byteOffset, data.length));
    });
    parser.on('error', (error) => reject(badFile(file, error.message)));
    parser.on('end', () => {
      const rest = parser.buffer?.length ?? 0;
      if (linkType < 0) reject(badFile(file, 'it ends inside the file header'));
      else if (insidePacket || rest > 0) reject(badFile(file, `it ends inside packet ${frames.length + cutOff + 1}`));
      else resolve({ linkType, frames, cutOff });
    });
  });
}

function firstHost(frames: readonly Uint8Array[]): Uint8Array {
  const unicast = frames.find((frame) => frame.length >= 14 && (frame[0] & 1) === 0);
  return unicast === undefined ? new Uint8Array(6) : unicast.slice(0, 6);
}

function badFile(file: string, reason: string): EngineError {
  return new EngineError('BAD_FILE', `cannot replay ${file}: ${reason}`);
}
