// What a piece may cost at most: turns of the reference loop, about three times what it takes, so that only a change for the
// worse is found and never a busy machine; and bytes of V8's heap, which are exact.
export interface Limit {
  readonly turns: number;
  readonly heapBytes: number;
}

/** A batch of requests asks twice what time it is: two numbers. */
const TIME_BYTES = 40;

export const LIMITS: Readonly<Record<string, Limit>> = {
  wire: { turns: 1500, heapBytes: 0 },
  checksum: { turns: 1000, heapBytes: 0 },
  resp: { turns: 600, heapBytes: 0 },
  dict: { turns: 400, heapBytes: 0 },
  'tcp-loop': { turns: 15_000, heapBytes: 0 },
  'tick-get': { turns: 15_000, heapBytes: TIME_BYTES },
  'tick-set': { turns: 15_000, heapBytes: TIME_BYTES },
  'tick-get-16': { turns: 30_000, heapBytes: TIME_BYTES },
  'tick-set-16': { turns: 30_000, heapBytes: TIME_BYTES },
};
