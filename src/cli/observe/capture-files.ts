// Writes a pcapng stream, block by block, to one file, to a ring of files, or to standard output. For the capture tool.
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { CliError } from '../tool.ts';

export interface RingOptions {
  /** A file is full before it grows past this; 0: there is one. */
  readonly fileBytesMax: number;
  /** Files kept, the oldest go; 0: all. */
  readonly filesMax: number;
}

const BLOCK_SECTION_HEADER = 0x0a0d0d0a;
const BLOCK_INTERFACE = 1;
const SLEEPER = new Int32Array(new SharedArrayBuffer(4));

export class CaptureFiles {
  /** Of the files, oldest first. */
  readonly paths: string[] = [];
  readonly #path: string;
  readonly #ring: RingOptions;
  /** What every file begins with. */
  readonly #header: Uint8Array[] = [];
  #fd = -1;
  #bytes = 0;
  #number = 0;

  /** @param path `-`: standard output. */
  constructor(path: string, ring: RingOptions) {
    this.#path = path;
    this.#ring = ring;
  }

  /** @throws CliError when a file cannot be written; EPIPE: the reader of standard output has gone. */
  block(block: Uint8Array): void {
    const type = new DataView(block.buffer, block.byteOffset).getUint32(0, true);
    const isHeader = type === BLOCK_SECTION_HEADER || type === BLOCK_INTERFACE;
    if (isHeader) this.#header.push(block.slice());
    const { fileBytesMax } = this.#ring;
    const isFull = fileBytesMax > 0 && this.#bytes + block.length > fileBytesMax;
    if (this.#fd < 0) this.#open();
    else if (isFull && !isHeader) this.#next();
    this.#write(block);
  }

  close(): void {
    if (this.#fd > 2) closeSync(this.#fd);
    this.#fd = -1;
  }

  #next(): void {
    this.close();
    this.#open();
    for (const block of this.#header) this.#write(block);
  }

  #open(): void {
    this.#bytes = 0;
    if (this.#path === '-') {
      this.#fd = 1;
      return;
    }
    const path = this.#ring.fileBytesMax === 0 ? this.#path : numbered(this.#path, ++this.#number);
    try {
      this.#fd = openSync(path, 'w', 0o600);
    } catch (error) {
      throw new CliError('BAD_FILE', `cannot write ${path}: ${(error as Error).message}`);
    }
    this.paths.push(path);
    const { filesMax } = this.#ring;
    if (filesMax > 0 && this.paths.length > filesMax) rmSync(this.paths.shift()!, { force: true });
  }

  #write(block: Uint8Array): void {
    for (let at = 0; at < block.length; ) {
      try {
        at += writeSync(this.#fd, block, at);
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        if (code === 'EAGAIN') {
          // A full pipe: whoever reads it has the time that he needs, and the server leaves out what is too much meanwhile.
          Atomics.wait(SLEEPER, 0, 0, 2);
          continue;
        }
        throw new CliError(code ?? 'EIO', `cannot write ${this.#path}: ${message}`);
      }
    }
    this.#bytes += block.length;
  }
}

/** `a.pcapng` -> `a-00001.pcapng`. */
function numbered(path: string, number: number): string {
  const dot = path.lastIndexOf('.');
  const at = dot > path.lastIndexOf('/') ? dot : path.length;
  return `${path.slice(0, at)}-${String(number).padStart(5, '0')}${path.slice(at)}`;
}
