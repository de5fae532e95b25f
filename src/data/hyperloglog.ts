// HyperLogLog as Redis stores it in a string, byte for byte: 16 bytes of header with a cached count, then 16384
// registers, either run-length coded (sparse) or 6 bits each (dense). An instance works on a copy of the string.
// The estimate is Otmar Ertl's (arXiv:1702.01284), the hash MurmurHash64A. Anyone in src/ may import it.
const HEADER_BYTES = 16;
const PRECISION_BITS = 14;
export const HLL_REGISTERS = 1 << PRECISION_BITS;
/** Bits of the hash that count towards a register. */
const HASH_BITS = 64 - PRECISION_BITS;
const REGISTER_MAX = 63;
const DENSE_BYTES = HEADER_BYTES + (HLL_REGISTERS * 6) / 8;
const ENCODING_AT = 4;
const CARDINALITY_AT = 8;
/** Highest bit of the cached cardinality: it is out of date. */
const STALE_AT = 15;
const STALE = 0x80;
export const HLL_DENSE = 0;
export const HLL_SPARSE = 1;

const SPARSE_VALUE_MAX = 32;
const SPARSE_VALUE_RUN_MAX = 4;
const SPARSE_ZERO_RUN_MAX = 64;
/** 0.5 / ln 2 */
const ALPHA_INFINITE = 0.7213475204444817;

/** What a change came to. */
const HLL_UNCHANGED = 0;
export const HLL_CHANGED = 1;
export const HLL_CORRUPT = -1;

// --- hash ---

const MURMUR_HIGH = 0xc6a4a793 | 0;
const MURMUR_LOW = 0x5bd1e995;
const SEED = 0xadc83b19 | 0;
let high = 0;
let low = 0;

/** (high, low) times the constant, modulo 2^64. */
function multiply(): void {
  const a0 = low & 0xffff;
  const a1 = low >>> 16;
  const b0 = MURMUR_LOW & 0xffff;
  const b1 = MURMUR_LOW >>> 16;
  const bottom = a0 * b0;
  const middle = a1 * b0 + (bottom >>> 16);
  const other = a0 * b1 + (middle % 65536);
  const carry = a1 * b1 + Math.floor(middle / 65536) + Math.floor(other / 65536);
  high = (carry + Math.imul(high, MURMUR_LOW) + Math.imul(low, MURMUR_HIGH)) | 0;
  low = (other << 16) | (bottom & 0xffff) | 0;
}

/** (high, low) ^= (high, low) >> 47 */
function fold(): void {
  low ^= high >>> 15;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

/** Leaves the hash in (high, low). */
function hash(bytes: Uint8Array, offset: number, length: number): void {
  high = 0;
  low = length;
  multiply();
  let hashHigh = high;
  let hashLow = low ^ SEED;
  let at = offset;
  for (const end = offset + (length & ~7); at < end; at += 8) {
    low = wordAt(bytes, at);
    high = wordAt(bytes, at + 4);
    multiply();
    fold();
    multiply();
    high ^= hashHigh;
    low ^= hashLow;
    multiply();
    hashHigh = high;
    hashLow = low;
  }
  high = hashHigh;
  low = hashLow;
  const rest = length & 7;
  if (rest > 0) {
    for (let i = 0; i < rest; i++) {
      if (i < 4) low ^= bytes[at + i] << (8 * i);
      else high ^= bytes[at + i] << (8 * (i - 4));
    }
    multiply();
  }
  fold();
  multiply();
  fold();
}

/** Zeros in front of the first one, and one more, of the hash's bits that do not choose the register. */
function runLength(): number {
  const lowBits = (low >>> PRECISION_BITS) | (high << (32 - PRECISION_BITS)) | 0;
  const highBits = high >>> PRECISION_BITS;
  if (lowBits !== 0) return 32 - Math.clz32(lowBits & -lowBits);
  if (highBits !== 0) return 64 - Math.clz32(highBits & -highBits);
  return HASH_BITS + 1;
}

// --- dense registers ---

function denseRegister(bytes: Uint8Array, index: number): number {
  const bit = index * 6;
  const at = HEADER_BYTES + (bit >> 3);
  const shift = bit & 7;
  return ((bytes[at] >> shift) | (bytes[at + 1] << (8 - shift))) & REGISTER_MAX;
}

function setDenseRegister(bytes: Uint8Array, index: number, value: number): void {
  const bit = index * 6;
  const at = HEADER_BYTES + (bit >> 3);
  const shift = bit & 7;
  bytes[at] = (bytes[at] & ~(REGISTER_MAX << shift)) | (value << shift);
  bytes[at + 1] = (bytes[at + 1] & ~(REGISTER_MAX >> (8 - shift))) | (value >> (8 - shift));
}

// --- sparse opcodes: 00zzzzzz zeros, 01zzzzzz zzzzzzzz many zeros, 1vvvvvrr a value repeated ---

const isZeros = (byte: number): boolean => (byte & 0xc0) === 0;
const isManyZeros = (byte: number): boolean => (byte & 0xc0) === 0x40;
const isValue = (byte: number): boolean => (byte & 0x80) !== 0;
const registerValue = (byte: number): number => ((byte >> 2) & 31) + 1;
const valueRun = (byte: number): number => (byte & 3) + 1;
const valueByte = (value: number, run: number): number => ((value - 1) << 2) | (run - 1) | 0x80;

function spanAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at];
  if (isValue(byte)) return valueRun(byte);
  return isZeros(byte) ? (byte & 63) + 1 : (((byte & 63) << 8) | bytes[at + 1]) + 1;
}

function zeros(run: number): number[] {
  return run > SPARSE_ZERO_RUN_MAX ? [((run - 1) >> 8) | 0x40, (run - 1) & 255] : [run - 1];
}

/** Whether a string can be a HyperLogLog: header and size. What follows is checked when it is read. */
export function isHyperLogLog(bytes: Uint8Array, offset: number, length: number): boolean {
  if (length < HEADER_BYTES) return false;
  const magic = [72, 89, 76, 76]; // HYLL
  if (magic.some((byte, i) => bytes[offset + i] !== byte)) return false;
  const encoding = bytes[offset + ENCODING_AT];
  return encoding === HLL_SPARSE || (encoding === HLL_DENSE && length === DENSE_BYTES);
}

export class HyperLogLog {
  /** The string is `bytes[0, length)`. */
  bytes: Uint8Array;
  length: number;
  /** `hll-sparse-max-bytes`. */
  readonly #sparseBytesMax: number;

  /** Empty and sparse. */
  constructor(sparseBytesMax: number) {
    this.#sparseBytesMax = sparseBytesMax;
    this.bytes = new Uint8Array(64);
    this.bytes.set([72, 89, 76, 76, HLL_SPARSE]);
    this.bytes.set(zeros(HLL_REGISTERS), HEADER_BYTES);
    this.length = HEADER_BYTES + 2;
  }

  /** A copy of a string that `isHyperLogLog` has seen. */
  static of(bytes: Uint8Array, offset: number, length: number, sparseBytesMax: number): HyperLogLog {
    const hll = new HyperLogLog(sparseBytesMax);
    // Room for one change that splits a run, and for the byte behind the last register.
    hll.bytes = new Uint8Array(length + 64);
    hll.bytes.set(bytes.subarray(offset, offset + length));
    hll.length = length;
    return hll;
  }

  get encoding(): number {
    return this.bytes[ENCODING_AT];
  }

  /** @returns HLL_*. */
  add(bytes: Uint8Array, offset: number, length: number): number {
    hash(bytes, offset, length);
    return this.raise(low & (HLL_REGISTERS - 1), runLength());
  }

  /** Makes a register at least `value`. @returns HLL_*. */
  raise(index: number, value: number): number {
    if (this.encoding === HLL_SPARSE) return this.#raiseSparse(index, value);
    if (value <= denseRegister(this.bytes, index)) return HLL_UNCHANGED;
    setDenseRegister(this.bytes, index, value);
    return HLL_CHANGED;
  }

  #raiseSparse(index: number, value: number): number {
    if (value > SPARSE_VALUE_MAX) return this.#promote(index, value);
    if (this.bytes.length < this.length + 3) this.#grow();
    const { bytes, length } = this;
    let at = HEADER_BYTES;
    let first = 0;
    let span = 0;
    let previous = HEADER_BYTES;
    while (at < length) {
      span = spanAt(bytes, at);
      if (index < first + span) break;
      previous = at;
      at += isManyZeros(bytes[at]) ? 2 : 1;
      first += span;
    }
    if (at >= length) return HLL_CORRUPT;
    const byte = bytes[at];
    if (isValue(byte) && registerValue(byte) >= value) return HLL_UNCHANGED;
    if (span === 1 && !isManyZeros(byte)) bytes[at] = valueByte(value, 1);
    else {
      const sequence = splitRun(byte, index - first, value, first + span - 1 - index);
      const old = isManyZeros(byte) ? 2 : 1;
      const delta = sequence.length - old;
      if (delta > 0 && length + delta > this.#sparseBytesMax) return this.#promote(index, value);
      bytes.copyWithin(at + sequence.length, at + old, length);
      bytes.set(sequence, at);
      this.length += delta;
    }
    this.#joinValues(previous);
    this.invalidate();
    return HLL_CHANGED;
  }

  /** Joins neighbours of the same value among the five opcodes from `start` on. */
  #joinValues(start: number): void {
    const { bytes } = this;
    let at = start;
    for (let looks = 5; at < this.length && looks > 0; looks--) {
      const byte = bytes[at];
      if (!isValue(byte)) {
        at += isManyZeros(byte) ? 2 : 1;
        continue;
      }
      const next = bytes[at + 1];
      if (at + 1 < this.length && isValue(next) && registerValue(byte) === registerValue(next)) {
        const run = valueRun(byte) + valueRun(next);
        if (run <= SPARSE_VALUE_RUN_MAX) {
          bytes[at + 1] = valueByte(registerValue(byte), run);
          bytes.copyWithin(at, at + 1, this.length--);
          continue;
        }
      }
      at++;
    }
  }

  #grow(): void {
    const grown = new Uint8Array(this.bytes.length * 2);
    grown.set(this.bytes);
    this.bytes = grown;
  }

  #promote(index: number, value: number): number {
    return this.toDense() ? this.raise(index, value) : HLL_CORRUPT;
  }

  /** @returns false when the sparse form is not valid. */
  toDense(): boolean {
    if (this.encoding === HLL_DENSE) return true;
    const registers = new Uint8Array(HLL_REGISTERS);
    if (!this.mergeInto(registers)) return false;
    const dense = new Uint8Array(DENSE_BYTES + 1);
    dense.set(this.bytes.subarray(0, HEADER_BYTES));
    dense[ENCODING_AT] = HLL_DENSE;
    for (let i = 0; i < HLL_REGISTERS; i++) if (registers[i] !== 0) setDenseRegister(dense, i, registers[i]);
    this.bytes = dense;
    this.length = DENSE_BYTES;
    return true;
  }

  /** Raises each of 16384 registers to ours. @returns false when the sparse form is not valid. */
  mergeInto(registers: Uint8Array): boolean {
    const { bytes, length } = this;
    if (this.encoding === HLL_DENSE) {
      for (let i = 0; i < HLL_REGISTERS; i++) {
        const value = denseRegister(bytes, i);
        if (value > registers[i]) registers[i] = value;
      }
      return true;
    }
    let index = 0;
    for (let at = HEADER_BYTES; at < length; at += isManyZeros(bytes[at]) ? 2 : 1) {
      const end = index + spanAt(bytes, at);
      if (end > HLL_REGISTERS) return false;
      if (isValue(bytes[at])) {
        const value = registerValue(bytes[at]);
        for (let i = index; i < end; i++) if (value > registers[i]) registers[i] = value;
      }
      index = end;
    }
    return index === HLL_REGISTERS;
  }

  /** Opcodes of the sparse form: `Z:16000 v:1,2 z:382`. */
  describe(): string {
    const { bytes, length } = this;
    const words: string[] = [];
    for (let at = HEADER_BYTES; at < length; at += isManyZeros(bytes[at]) ? 2 : 1) {
      const byte = bytes[at];
      const span = spanAt(bytes, at);
      words.push(isValue(byte) ? `v:${registerValue(byte)},${span}` : `${isZeros(byte) ? 'z' : 'Z'}:${span}`);
    }
    return words.join(' ');
  }

  // --- count ---

  invalidate(): void {
    this.bytes[STALE_AT] |= STALE;
  }

  /** The count that is kept, -1 when it is out of date; what a stranger wrote there may be more than a number holds: see `exactCount`. */
  get cachedCount(): number {
    const { bytes } = this;
    if ((bytes[STALE_AT] & STALE) !== 0) return -1;
    return (wordAt(bytes, CARDINALITY_AT) >>> 0) + wordAt(bytes, CARDINALITY_AT + 4) * 0x1_0000_0000;
  }

  set cachedCount(count: number) {
    let rest = count;
    for (let i = 0; i < 8; i++) {
      this.bytes[CARDINALITY_AT + i] = rest % 256;
      rest = Math.floor(rest / 256);
    }
  }

  /** The count that is kept, to the last digit. */
  get exactCount(): bigint {
    const high = BigInt(wordAt(this.bytes, CARDINALITY_AT + 4) >>> 0);
    return (high << 32n) | BigInt(wordAt(this.bytes, CARDINALITY_AT) >>> 0);
  }

  /** @returns -1 when the sparse form is not valid. */
  count(): number {
    const registers = new Uint8Array(HLL_REGISTERS);
    return this.mergeInto(registers) ? estimate(registers) : -1;
  }
}

/** What takes a run's place when the register behind `before` others of it gets a value. */
function splitRun(byte: number, before: number, value: number, behind: number): number[] {
  const part = (run: number): number[] => {
    if (run === 0) return [];
    return isValue(byte) ? [valueByte(registerValue(byte), run)] : zeros(run);
  };
  return [...part(before), valueByte(value, 1), ...part(behind)];
}

/** How many different elements the registers have seen, about. */
export function estimate(registers: Uint8Array): number {
  const histogram = new Int32Array(REGISTER_MAX + 1);
  for (let i = 0; i < HLL_REGISTERS; i++) histogram[registers[i]]++;
  const m = HLL_REGISTERS;
  let z = m * tau((m - histogram[HASH_BITS + 1]) / m);
  for (let i = HASH_BITS; i >= 1; i--) {
    z += histogram[i];
    z *= 0.5;
  }
  z += m * sigma(histogram[0] / m);
  return Math.round((ALPHA_INFINITE * m * m) / z);
}

function sigma(start: number): number {
  if (start === 1) return Number.POSITIVE_INFINITY;
  let x = start;
  let y = 1;
  let z = x;
  for (let before = Number.NaN; before !== z; ) {
    x *= x;
    before = z;
    z += x * y;
    y += y;
  }
  return z;
}

function tau(start: number): number {
  if (start === 0 || start === 1) return 0;
  let x = start;
  let y = 1;
  let z = 1 - x;
  for (let before = Number.NaN; before !== z; ) {
    x = Math.sqrt(x);
    before = z;
    y *= 0.5;
    z -= (1 - x) ** 2 * y;
  }
  return z / 3;
}
