// A 64-bit counter in two halves: it counts without allocating and keeps whatever a dump or a client sets it to.
// Anyone in src/ may import it.

export class Counter64 {
  high = 0;
  low = 0;

  set(high: number, low: number): void {
    this.high = high | 0;
    this.low = low | 0;
  }

  copy(other: Counter64): void {
    this.set(other.high, other.low);
  }

  setBig(value: bigint): void {
    this.high = Number(BigInt.asIntN(32, value >> 32n));
    this.low = Number(BigInt.asIntN(32, value));
  }

  increment(): void {
    this.low = (this.low + 1) | 0;
    if (this.low === 0) this.high = (this.high + 1) | 0;
  }

  get isZero(): boolean {
    return (this.high | this.low) === 0;
  }

  /** As a signed number. */
  get big(): bigint {
    return (BigInt(this.high) << 32n) | BigInt(this.low >>> 0);
  }
}
