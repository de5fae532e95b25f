// CRC-64 as RDB files and DUMP payloads carry it (Jones polynomial, reflected, no final inversion). Kept as two
// int32 halves: a bigint a byte would be a hundred times slower. Only src/persistence/ and DUMP import this file.

const POLYNOMIAL = 0x95ac9329ac4bc9b5n; // reflected
const lowTable = new Int32Array(256);
const highTable = new Int32Array(256);

for (let i = 0; i < 256; i++) {
  let value = BigInt(i);
  for (let bit = 0; bit < 8; bit++) value = (value & 1n) === 1n ? (value >> 1n) ^ POLYNOMIAL : value >> 1n;
  lowTable[i] = Number(BigInt.asIntN(32, value));
  highTable[i] = Number(BigInt.asIntN(32, value >> 32n));
}

/** A running checksum: starts at 0. */
export class Crc64 {
  #low = 0;
  #high = 0;

  update(bytes: Uint8Array, offset: number, length: number): void {
    let low = this.#low;
    let high = this.#high;
    for (let i = offset; i < offset + length; i++) {
      const index = (low ^ bytes[i]) & 255;
      low = ((low >>> 8) | (high << 24)) ^ lowTable[index];
      high = (high >>> 8) ^ highTable[index];
    }
    this.#low = low;
    this.#high = high;
  }

  reset(): void {
    this.#low = 0;
    this.#high = 0;
  }

  /** Writes the eight bytes, little-endian. */
  write(to: Uint8Array, offset: number): void {
    for (let i = 0; i < 4; i++) {
      to[offset + i] = this.#low >>> (8 * i);
      to[offset + 4 + i] = this.#high >>> (8 * i);
    }
  }

  /** Whether the eight bytes are this checksum. */
  equals(bytes: Uint8Array, offset: number): boolean {
    for (let i = 0; i < 4; i++) {
      if (bytes[offset + i] !== ((this.#low >>> (8 * i)) & 255)) return false;
      if (bytes[offset + 4 + i] !== ((this.#high >>> (8 * i)) & 255)) return false;
    }
    return true;
  }
}
