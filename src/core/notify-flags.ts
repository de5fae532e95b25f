// Classes of keyspace notifications: bits, and the letters of `notify-keyspace-events`.

export const NOTIFY_KEYSPACE = 1;
export const NOTIFY_KEYEVENT = 2;
export const NOTIFY_GENERIC = 4;
export const NOTIFY_STRING = 8;
export const NOTIFY_LIST = 16;
export const NOTIFY_SET = 32;
export const NOTIFY_HASH = 64;
export const NOTIFY_ZSET = 128;
export const NOTIFY_EXPIRED = 256;
export const NOTIFY_EVICTED = 512;
export const NOTIFY_STREAM = 1024;
export const NOTIFY_KEY_MISS = 2048;
export const NOTIFY_MODULE = 8192;
export const NOTIFY_NEW = 16384;
/** What the letter `A` stands for. */
const NOTIFY_ALL =
  NOTIFY_GENERIC |
  NOTIFY_STRING |
  NOTIFY_LIST |
  NOTIFY_SET |
  NOTIFY_HASH |
  NOTIFY_ZSET |
  NOTIFY_EXPIRED |
  NOTIFY_EVICTED |
  NOTIFY_STREAM |
  NOTIFY_MODULE;

/** In the order in which Redis prints them. */
const LETTERS: readonly (readonly [letter: string, bit: number])[] = [
  ['g', NOTIFY_GENERIC],
  ['$', NOTIFY_STRING],
  ['l', NOTIFY_LIST],
  ['s', NOTIFY_SET],
  ['h', NOTIFY_HASH],
  ['z', NOTIFY_ZSET],
  ['x', NOTIFY_EXPIRED],
  ['e', NOTIFY_EVICTED],
  ['t', NOTIFY_STREAM],
  ['d', NOTIFY_MODULE],
];
const EXTRA_LETTERS: readonly (readonly [letter: string, bit: number])[] = [
  ['n', NOTIFY_NEW],
  ['K', NOTIFY_KEYSPACE],
  ['E', NOTIFY_KEYEVENT],
  ['m', NOTIFY_KEY_MISS],
];

/** @returns bits, or -1 when a letter is unknown. */
export function parseNotifyFlags(text: string): number {
  let flags = 0;
  for (const char of text) {
    const known = [...LETTERS, ...EXTRA_LETTERS, ['A', NOTIFY_ALL] as const].find(([letter]) => letter === char);
    if (known === undefined) return -1;
    flags |= known[1];
  }
  return flags;
}

export function formatNotifyFlags(flags: number): string {
  const classes = (flags & NOTIFY_ALL) === NOTIFY_ALL ? 'A' : lettersOf(LETTERS, flags);
  return classes + lettersOf(EXTRA_LETTERS, flags);
}

function lettersOf(table: typeof LETTERS, flags: number): string {
  return table.map(([letter, bit]) => ((flags & bit) === 0 ? '' : letter)).join('');
}
