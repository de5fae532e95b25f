// Glob patterns over bytes with the meaning KEYS, SCAN and PSUBSCRIBE give them (Redis's stringmatchlen): `*`, `?`,
// `[a-c]`, `[^x]`, backslash. Iterative over stars, so that no pattern costs more than length times length.
// Anyone may import it.

const STAR = 42;
const QUESTION = 63;
const OPEN = 91;
const CLOSE = 93;
const CARET = 94;
const BACKSLASH = 92;
const DASH = 45;
/** Runs of stars. */
const STARS_MAX = 1000;

/** Whether the whole range `text` matches the whole range `pattern`. */
export function globMatch(
  pattern: Uint8Array,
  patternOffset: number,
  patternLength: number,
  text: Uint8Array,
  textOffset: number,
  textLength: number,
  ignoreCase = false,
): boolean {
  const patternEnd = patternOffset + patternLength;
  const textEnd = textOffset + textLength;
  let p = patternOffset;
  let t = textOffset;
  // Where to go on when what follows the latest star does not match: the star takes one byte more.
  let afterStar = -1;
  let starText = 0;
  let stars = 0;
  for (;;) {
    if (p < patternEnd && pattern[p] === STAR) {
      while (p < patternEnd && pattern[p] === STAR) p++;
      if (p === patternEnd) return true;
      // As in Redis, where each star is a call within the one before: more of them match nothing.
      if (++stars > STARS_MAX) return false;
      afterStar = p;
      starText = t;
      continue;
    }
    if (t === textEnd) return p === patternEnd;
    const next = p < patternEnd ? matchOne(pattern, p, patternEnd, text[t], ignoreCase) : -1;
    if (next >= 0) {
      p = next;
      t++;
    } else if (afterStar >= 0) {
      p = afterStar;
      t = ++starText;
    } else {
      return false;
    }
  }
}

/** Position behind the pattern element at `p` if it matches the byte, else -1. */
function matchOne(pattern: Uint8Array, p: number, end: number, byte: number, ignoreCase: boolean): number {
  const element = pattern[p];
  if (element === QUESTION) return p + 1;
  if (element === OPEN) return matchClass(pattern, p + 1, end, byte, ignoreCase);
  const literal = element === BACKSLASH && p + 1 < end ? p + 1 : p;
  return same(pattern[literal], byte, ignoreCase) ? literal + 1 : -1;
}

/** A class from behind its `[`. One that is not closed ends with the pattern. */
function matchClass(pattern: Uint8Array, start: number, end: number, byte: number, ignoreCase: boolean): number {
  let p = start;
  const negated = p < end && pattern[p] === CARET;
  if (negated) p++;
  let found = false;
  for (; p < end && pattern[p] !== CLOSE; p++) {
    if (pattern[p] === BACKSLASH && p + 1 < end) {
      p++;
      if (pattern[p] === byte) found = true;
    } else if (p + 2 < end && pattern[p + 1] === DASH) {
      let low = fold(pattern[p], ignoreCase);
      let high = fold(pattern[p + 2], ignoreCase);
      if (low > high) [low, high] = [high, low];
      const folded = fold(byte, ignoreCase);
      if (folded >= low && folded <= high) found = true;
      p += 2;
    } else if (same(pattern[p], byte, ignoreCase)) {
      found = true;
    }
  }
  const behind = p < end ? p + 1 : end;
  return found !== negated ? behind : -1;
}

function same(a: number, b: number, ignoreCase: boolean): boolean {
  return a === b || (ignoreCase && fold(a, true) === fold(b, true));
}

function fold(byte: number, ignoreCase: boolean): number {
  return ignoreCase && byte >= 65 && byte <= 90 ? byte + 32 : byte;
}
