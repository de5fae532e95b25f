// Sorts only what LIMIT will show: quicksort with the partition of Bentley and McIlroy ("Engineering a Sort Function",
// 1993), not going into parts that nobody will see. Redis sorts like that for BY with LIMIT, and for COUNT in geo searches; as it keeps no order among
// equals, the same steps are what gives them the same places. sort.ts and geo-search.ts import it.

/** Fewer are sorted by insertion. */
const INSERTION_BELOW = 7;
/** More get their pivot from nine candidates. */
const NINTHER_ABOVE = 40;

/** @returns negative, 0 or positive, for two of the values that are sorted. */
type Compare = (a: number, b: number) => number;

/** Sorts `values` so that the places from `first` to `last` hold what a whole sort would put there. */
export function sortPart(values: number[], compare: Compare, first: number, last: number): void {
  const parts = [[0, values.length]];
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    const [start, end] = part;
    if (end - start < INSERTION_BELOW) {
      insertionSort(values, compare, start, end);
      continue;
    }
    const [below, above] = partition(values, compare, start, end);
    for (const [from, to] of [
      [start, start + below],
      [end - above, end],
    ]) {
      if (to - from > 1 && from <= last && to > first) parts.push([from, to]);
    }
  }
}

function insertionSort(values: number[], compare: Compare, start: number, end: number): void {
  for (let i = start + 1; i < end; i++) {
    for (let at = i; at > start && compare(values[at - 1], values[at]) > 0; at--) swap(values, at, at - 1);
  }
}

/** Puts what is less than the pivot in front, what is more behind, equals between. @returns how many are less, and more. */
function partition(values: number[], compare: Compare, start: number, end: number): [below: number, above: number] {
  swap(values, start, pivotOf(values, compare, start, end));
  const pivot = values[start];
  // Equals are gathered at both ends: [start, equalsEnd) and (equalsStart, end).
  let equalsEnd = start + 1;
  let equalsStart = end - 1;
  let low = start + 1;
  let high = end - 1;
  for (;;) {
    for (; low <= high; low++) {
      const order = compare(values[low], pivot);
      if (order > 0) break;
      if (order === 0) swap(values, equalsEnd++, low);
    }
    for (; low <= high; high--) {
      const order = compare(values[high], pivot);
      if (order < 0) break;
      if (order === 0) swap(values, high, equalsStart--);
    }
    if (low > high) break;
    swap(values, low++, high--);
  }
  swapRanges(values, start, low, Math.min(equalsEnd - start, low - equalsEnd));
  swapRanges(values, low, end, Math.min(equalsStart - high, end - equalsStart - 1));
  return [low - equalsEnd, equalsStart - high];
}

function pivotOf(values: number[], compare: Compare, start: number, end: number): number {
  const length = end - start;
  const middle = start + (length >> 1);
  if (length === INSERTION_BELOW) return middle;
  const median = (a: number, b: number, c: number): number => medianOf(values, compare, a, b, c);
  if (length <= NINTHER_ABOVE) return median(start, middle, end - 1);
  const step = length >> 3;
  return median(
    median(start, start + step, start + 2 * step),
    median(middle - step, middle, middle + step),
    median(end - 1 - 2 * step, end - 1 - step, end - 1),
  );
}

/** @returns the place of the three that is in the middle; which of equal ones, is Redis's choice. */
function medianOf(values: number[], compare: Compare, a: number, b: number, c: number): number {
  const [x, y, z] = [values[a], values[b], values[c]];
  if (compare(x, y) < 0) {
    if (compare(y, z) < 0) return b;
    return compare(x, z) < 0 ? c : a;
  }
  if (compare(y, z) > 0) return b;
  return compare(x, z) < 0 ? a : c;
}

/** Exchanges the `count` values from `start` on with the last `count` before `end`. */
function swapRanges(values: number[], start: number, end: number, count: number): void {
  for (let i = 0; i < count; i++) swap(values, start + i, end - count + i);
}

function swap(values: number[], a: number, b: number): void {
  const value = values[a];
  values[a] = values[b];
  values[b] = value;
}
