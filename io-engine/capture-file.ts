// Reads capture files, classic pcap and pcapng, of either byte order and any time resolution, a piece at a time; also cuts a
// pcapng stream into its blocks. (`pcap-parser`, which pcap-replay.ts feeds frames from, knows classic microseconds
// only.) Cold path; src/cli imports this.
import { closeSync, openSync, readSync } from 'node:fs';
import { EngineError } from './frame-engine.ts';

const PIECE_BYTES = 1 << 20;
const BLOCK_SECTION_HEADER = 0x0a0d0d0a;
const BLOCK_INTERFACE = 1;
const BLOCK_SIMPLE_PACKET = 3;
const BLOCK_STATISTICS = 5;
const BLOCK_ENHANCED_PACKET = 6;
const OPTION_COMMENT = 1;
const OPTION_EPB_FLAGS = 2;
const OPTION_ISB_IFRECV = 4;
const OPTION_ISB_IFDROP = 5;
const OPTION_IF_TSRESOL = 9;
/** A block or packet longer than this is damage. */
const LENGTH_MAX = 16 * 1024 * 1024;

export interface CapturedPacket {
  /** Microseconds since 1970. */
  readonly unixUs: number;
  /** LINKTYPE_*: 1 Ethernet, 101 raw IP. */
  readonly linkType: number;
  /** What was kept of it. */
  readonly bytes: Uint8Array;
  readonly originalLength: number;
  /** As the capturing host saw it. */
  readonly direction: 'in' | 'out' | null;
  readonly comment: string;
}

/** Every packet of a file. @param onCut it ends in the middle of one. @throws EngineError BAD_FILE */
export function* readCaptureFile(path: string, onCut: () => void = () => {}): Generator<CapturedPacket> {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw new EngineError('BAD_FILE', `cannot read ${path}: ${(error as Error).message}`);
  }
  try {
    let decoder: Decoder | null = null;
    for (;;) {
      const piece = new Uint8Array(PIECE_BYTES);
      const length = readPiece(fd, piece, path);
      if (length === 0 && decoder === null) throw new EngineError('BAD_FILE', `${path} is empty`);
      if (length === 0) break;
      const bytes = piece.subarray(0, length);
      decoder ??= decoderFor(bytes, path);
      yield* decoded(decoder, bytes, path);
    }
    if (decoder?.isInPacket === true) onCut();
  } finally {
    closeSync(fd);
  }
}

/** A folder can be opened, but not read. */
function readPiece(fd: number, piece: Uint8Array, path: string): number {
  try {
    return readSync(fd, piece);
  } catch (error) {
    throw new EngineError('BAD_FILE', `cannot read ${path}: ${(error as Error).message}`);
  }
}

interface Decoder {
  /** @returns the packets that are complete now. */
  push(piece: Uint8Array): CapturedPacket[];
  /** What was pushed last began a packet. */
  readonly isInPacket: boolean;
}

/** Lengths that lead out of their block are damage. */
function decoded(decoder: Decoder, piece: Uint8Array, path: string): CapturedPacket[] {
  try {
    return decoder.push(piece);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new EngineError('BAD_FILE', `${path} is damaged: a block is shorter than what it should hold`);
  }
}

function decoderFor(start: Uint8Array, path: string): Decoder {
  const magic = start.length < 24 ? 0 : viewOf(start).getUint32(0, true);
  if (magic === BLOCK_SECTION_HEADER) {
    const splitter = new BlockSplitter();
    const reader = new BlockReader();
    return {
      push: (piece) => splitter.push(piece).flatMap((block) => reader.read(block) ?? []),
      get isInPacket() {
        return splitter.isInBlock;
      },
    };
  }
  const classic = ClassicReader.forMagic(magic, start);
  if (classic === null) throw new EngineError('BAD_FILE', `${path} is neither pcap nor pcapng`);
  return classic;
}

/** Cuts a pcapng stream into blocks. */
export class BlockSplitter {
  #rest: Uint8Array = new Uint8Array(0);
  #littleEndian = true;

  get isInBlock(): boolean {
    return this.#rest.length > 0;
  }

  /** @returns the blocks that are complete now. @throws EngineError BAD_FILE */
  push(piece: Uint8Array): Uint8Array[] {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    const view = viewOf(bytes);
    const blocks: Uint8Array[] = [];
    let at = 0;
    while (bytes.length - at >= 12) {
      // Reads the same both ways.
      if (view.getUint32(at) === BLOCK_SECTION_HEADER) this.#littleEndian = view.getUint32(at + 8, true) === 0x1a2b3c4d;
      const length = view.getUint32(at + 4, this.#littleEndian);
      if (length < 12 || length > LENGTH_MAX)
        throw new EngineError('BAD_FILE', `a pcapng block of ${length} bytes: the file is damaged`);
      if (bytes.length - at < length) break;
      blocks.push(bytes.subarray(at, at + length));
      at += length;
    }
    this.#rest = bytes.slice(at);
    return blocks;
  }
}

/** Understands the blocks of a pcapng stream, in their order. */
export class BlockReader {
  /** As the latest statistics block says: packets that were wanted, and those of them that are missing. */
  received = 0;
  dropped = 0;
  #littleEndian = true;
  readonly #interfaces: { readonly linkType: number; readonly ticksPerUs: number }[] = [];

  /** @returns the packet, if it is one. */
  read(block: Uint8Array): CapturedPacket | null {
    const view = viewOf(block);
    if (view.getUint32(0) === BLOCK_SECTION_HEADER) {
      this.#littleEndian = view.getUint32(8, true) === 0x1a2b3c4d;
      this.#interfaces.length = 0;
      return null;
    }
    const little = this.#littleEndian;
    switch (view.getUint32(0, little)) {
      case BLOCK_INTERFACE:
        this.#interfaces.push({ linkType: view.getUint16(8, little), ticksPerUs: this.#resolution(view, block) });
        return null;
      case BLOCK_ENHANCED_PACKET:
        return this.#packet(view, block);
      case BLOCK_SIMPLE_PACKET: {
        const length = view.getUint32(8, little);
        const bytes = block.subarray(12, 12 + Math.min(length, block.length - 16));
        const linkType = this.#interfaces[0]?.linkType ?? 0;
        return { unixUs: 0, linkType, bytes, originalLength: length, direction: null, comment: '' };
      }
      case BLOCK_STATISTICS:
        this.#statistics(view, block);
        return null;
      default:
        return null;
    }
  }

  #packet(view: DataView, block: Uint8Array): CapturedPacket | null {
    const little = this.#littleEndian;
    const source = this.#interfaces[view.getUint32(8, little)];
    if (source === undefined) return null;
    const ticks = view.getUint32(12, little) * 2 ** 32 + view.getUint32(16, little);
    const length = Math.min(view.getUint32(20, little), block.length - 32);
    let direction: CapturedPacket['direction'] = null;
    let comment = '';
    for (const [code, at, size] of this.#options(view, block, 28 + ((length + 3) & ~3))) {
      if (code === OPTION_COMMENT)
        comment += (comment === '' ? '' : '; ') + new TextDecoder().decode(block.subarray(at, at + size));
      if (code === OPTION_EPB_FLAGS) direction = ([null, 'in', 'out', null] as const)[view.getUint32(at, little) & 3];
    }
    return {
      unixUs: ticks / source.ticksPerUs,
      linkType: source.linkType,
      bytes: block.subarray(28, 28 + length),
      originalLength: view.getUint32(24, little),
      direction,
      comment,
    };
  }

  #resolution(view: DataView, block: Uint8Array): number {
    for (const [code, at] of this.#options(view, block, 16)) {
      if (code !== OPTION_IF_TSRESOL) continue;
      const value = view.getUint8(at);
      return (value & 0x80) !== 0 ? 2 ** (value & 0x7f) / 1e6 : 10 ** value / 1e6;
    }
    return 1;
  }

  #statistics(view: DataView, block: Uint8Array): void {
    for (const [code, at, size] of this.#options(view, block, 20)) {
      if (size !== 8) continue;
      const count = Number(view.getBigUint64(at, this.#littleEndian));
      if (code === OPTION_ISB_IFRECV) this.received = count;
      if (code === OPTION_ISB_IFDROP) this.dropped = count;
    }
  }

  *#options(view: DataView, block: Uint8Array, from: number): Generator<[code: number, at: number, size: number]> {
    const end = block.length - 4;
    for (let at = from; at + 4 <= end; ) {
      const code = view.getUint16(at, this.#littleEndian);
      const size = view.getUint16(at + 2, this.#littleEndian);
      if (code === 0 || at + 4 + size > end) return;
      yield [code, at + 4, size];
      at += 4 + ((size + 3) & ~3);
    }
  }
}

/** The classic format: a header of 24 bytes, then 16 before each packet. */
class ClassicReader {
  readonly #littleEndian: boolean;
  readonly #ticksPerUs: number;
  readonly #linkType: number;
  #rest: Uint8Array = new Uint8Array(0);
  #atHeader = true;

  private constructor(littleEndian: boolean, ticksPerUs: number, linkType: number) {
    this.#littleEndian = littleEndian;
    this.#ticksPerUs = ticksPerUs;
    this.#linkType = linkType;
  }

  static forMagic(magic: number, start: Uint8Array): ClassicReader | null {
    const kinds: Readonly<Record<number, readonly [boolean, number]>> = {
      2712847316: [true, 1],
      3569595041: [false, 1],
      2712812621: [true, 1000],
      1295823521: [false, 1000],
    };
    const kind = kinds[magic];
    if (kind === undefined) return null;
    return new ClassicReader(kind[0], kind[1], viewOf(start).getUint32(20, kind[0]) & 0xffff);
  }

  get isInPacket(): boolean {
    return this.#rest.length > 0;
  }

  push(piece: Uint8Array): CapturedPacket[] {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    const view = viewOf(bytes);
    const little = this.#littleEndian;
    const packets: CapturedPacket[] = [];
    let at = this.#atHeader ? 24 : 0;
    this.#atHeader = false;
    while (bytes.length - at >= 16) {
      const length = view.getUint32(at + 8, little);
      if (length > LENGTH_MAX) throw new EngineError('BAD_FILE', `a packet of ${length} bytes: the file is damaged`);
      if (bytes.length - at < 16 + length) break;
      packets.push({
        unixUs: view.getUint32(at, little) * 1e6 + view.getUint32(at + 4, little) / this.#ticksPerUs,
        linkType: this.#linkType,
        bytes: bytes.subarray(at + 16, at + 16 + length),
        originalLength: view.getUint32(at + 12, little),
        direction: null,
        comment: '',
      });
      at += 16 + length;
    }
    this.#rest = bytes.slice(at);
    return packets;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
