// Sequence numbers: int32 that wrap, compared by the sign of their difference (RFC 9293 3.4). The same
// functions order timestamps (RFC 7323 5.2) and the clock's milliseconds. Imports nothing; used all over stack/.

export function before(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

export function after(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

export function atOrBefore(a: number, b: number): boolean {
  return ((a - b) | 0) <= 0;
}

export function atOrAfter(a: number, b: number): boolean {
  return ((a - b) | 0) >= 0;
}

/** How far `a` lies after `b`; negative when before. */
export function distance(a: number, b: number): number {
  return (a - b) | 0;
}

export function earlier(a: number, b: number): number {
  return ((a - b) | 0) < 0 ? a : b;
}

export function later(a: number, b: number): number {
  return ((a - b) | 0) > 0 ? a : b;
}
