// Ranges of scores and of members, as ZRANGEBYSCORE and ZRANGEBYLEX have them. Anyone in src/ may import it.
import { compareBytes } from './element.ts';

export class ScoreRange {
  min = 0;
  max = 0;
  minExclusive = false;
  maxExclusive = false;

  /** Whether a score lies below the range. */
  isBelow(score: number): boolean {
    return this.minExclusive ? score <= this.min : score < this.min;
  }

  isAbove(score: number): boolean {
    return this.maxExclusive ? score >= this.max : score > this.max;
  }
}

export const LEX_FINITE = 0;
export const LEX_MINUS = -1;
export const LEX_PLUS = 1;

/** One end of a range of members. */
export class LexBound {
  /** LEX_MINUS is before, LEX_PLUS behind every member. */
  infinite = LEX_FINITE;
  exclusive = false;
  bytes: Uint8Array = new Uint8Array(0);
  offset = 0;
  length = 0;

  /** Order of a member against this bound: negative before, positive behind. */
  compare(bytes: Uint8Array, offset: number, length: number): number {
    if (this.infinite !== LEX_FINITE) return -this.infinite;
    return compareBytes(bytes, offset, length, this.bytes, this.offset, this.length);
  }
}

export class LexRange {
  readonly min = new LexBound();
  readonly max = new LexBound();

  isBelow(bytes: Uint8Array, offset: number, length: number): boolean {
    const order = this.min.compare(bytes, offset, length);
    return this.min.exclusive ? order <= 0 : order < 0;
  }

  isAbove(bytes: Uint8Array, offset: number, length: number): boolean {
    const order = this.max.compare(bytes, offset, length);
    return this.max.exclusive ? order >= 0 : order > 0;
  }
}
