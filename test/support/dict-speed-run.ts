// Micro-benchmark of the keyspace's table: time and heap bytes per operation at a million keys, memory per key, and
// the longest pause while ten million keys are filled in. scripts/bench/dict.sh builds and runs it.
import { Arena } from '../../src/data/arena.ts';
import { Dict, EntryList } from '../../src/data/dict.ts';

const KEY_BYTES = 16;
const VALUE_BYTES = 64;
const EXTRA_WORDS = 2;

const key = new Uint8Array(KEY_BYTES).fill(48);
key.set([107, 101, 121, 58]);
const value = new Uint8Array(VALUE_BYTES).fill(120);

/** Writes `key:000000012345` for a number. */
function setKey(n: number): void {
  let rest = n;
  for (let i = KEY_BYTES - 1; i >= 4; i--) {
    const quotient = Math.floor(rest / 10);
    key[i] = 48 + rest - quotient * 10;
    rest = quotient;
  }
}

let state = 1;
function below(limit: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return ((state >>> 0) % limit) | 0;
}

function measure(name: string, count: number, run: (count: number) => void): void {
  run(Math.min(count, 200_000));
  globalThis.gc?.();
  const heapBefore = process.memoryUsage().heapUsed;
  const start = performance.now();
  run(count);
  const elapsed = performance.now() - start;
  const heap = process.memoryUsage().heapUsed - heapBefore;
  const ns = ((elapsed * 1e6) / count).toFixed(0).padStart(5);
  console.log(`${name.padEnd(34)} ${ns} ns  ${(heap / count).toFixed(3)} heap bytes`);
}

function fill(dict: Dict, from: number, to: number): number {
  let longest = 0;
  let last = performance.now();
  for (let n = from; n < to; n++) {
    setKey(n);
    dict.set(key, 0, KEY_BYTES, value, 0, VALUE_BYTES);
    if ((n & 15) === 0) {
      const now = performance.now();
      if (now - last > longest) longest = now - last;
      last = now;
    }
  }
  return longest;
}

let sink = 0;
const million = 1_000_000;
{
  const dict = new Dict(new Arena(), EXTRA_WORDS);
  fill(dict, 0, million);
  measure('make a key (part of all below)', 4 * million, (count) => {
    for (let i = 0; i < count; i++) {
      setKey(below(million));
      sink += key[9];
    }
  });
  // What the machine's memory allows: a look-up cannot be faster than its two cache misses.
  const reference = new Int32Array(32 << 20).map((_, i) => Math.imul(i, 0x9e3779b1) & ((32 << 20) - 1));
  measure('reference: two dependent misses', 4 * million, (count) => {
    for (let i = 0; i < count; i++) sink += reference[reference[below(32 << 20)]];
  });
  measure('find, hit, random of a million', 4 * million, (count) => {
    for (let i = 0; i < count; i++) {
      setKey(below(million));
      sink += dict.find(key, 0, KEY_BYTES);
    }
  });
  measure('find, miss', 4 * million, (count) => {
    for (let i = 0; i < count; i++) {
      setKey(million + below(million));
      sink += dict.find(key, 0, KEY_BYTES);
    }
  });
  measure('set in place, same length', 4 * million, (count) => {
    for (let i = 0; i < count; i++) {
      setKey(below(million));
      sink += dict.set(key, 0, KEY_BYTES, value, 0, VALUE_BYTES) ? 1 : 0;
    }
  });
  measure('delete and insert', 2 * million, (count) => {
    for (let i = 0; i < count; i++) {
      setKey(below(million));
      dict.delete(key, 0, KEY_BYTES);
      dict.set(key, 0, KEY_BYTES, value, 0, VALUE_BYTES);
    }
  });
  const source = { int32: () => below(0x7fffffff) * 2 };
  measure('random entry', million, (count) => {
    for (let i = 0; i < count; i++) sink += dict.random(source);
  });
  const out = new EntryList();
  const start = performance.now();
  let cursor = 0;
  let seen = 0;
  do {
    out.length = 0;
    cursor = dict.scan(cursor, out);
    seen += out.length;
  } while (cursor !== 0);
  console.log(`scan of ${seen} entries: ${(performance.now() - start).toFixed(0)} ms`);
}
{
  const keys = Number(process.argv[2] ?? 10 * million);
  globalThis.gc?.();
  const rssBefore = process.memoryUsage().rss;
  const arena = new Arena();
  const dict = new Dict(arena, EXTRA_WORDS);
  const start = performance.now();
  const longest = fill(dict, 0, keys);
  const seconds = (performance.now() - start) / 1000;
  const rss = process.memoryUsage().rss - rssBefore;
  console.log(`fill ${keys} keys: ${seconds.toFixed(1)} s, ${((seconds * 1e9) / keys).toFixed(0)} ns each`);
  console.log(`longest time for 16 insertions: ${longest.toFixed(2)} ms`);
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
  console.log(
    `used ${megabytes(arena.used)}, resident ${megabytes(rss)}, ${(arena.used / keys).toFixed(1)} bytes a key`,
  );
}
if (sink === 1) console.log('');
