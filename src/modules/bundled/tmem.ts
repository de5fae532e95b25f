// tmem: transcendent memory. An ephemeral pool of pages that may be gone at any time: a put never fails for lack of
// memory, the oldest pages give way, and `maxmemory` takes the pool's memory before it evicts a key. With
// `tmem-victim-cache yes` it is the second chance of strings that `maxmemory` evicts: whoever asks for such a key finds it.
import { LRUCache } from 'lru-cache';
import {
  API_VERSION,
  boolSetting,
  type Call,
  type Database,
  defineModule,
  type MemoryPool,
  type ModuleContext,
  memorySetting,
  type VictimStore,
} from '../api.ts';

const PAGE_BYTES_MAX = 1024 ** 2;
/** About what an entry costs beside its key and its value. */
const ENTRY_BYTES = 128;
const VICTIM = 'v';
const PAGE = 'p';

interface Page {
  readonly value: Uint8Array;
  /** Of a victim: Unix time, milliseconds; -1: it does not expire. */
  readonly expiryMs: number;
}

let context: ModuleContext;
let pool: Pool;

/** Pages by name: their kind and key, for victims with the database's number. */
class Pool implements MemoryPool {
  puts = 0;
  gets = 0;
  hits = 0;
  invalidations = 0;
  evictions = 0;
  victimsKept = 0;
  victimsRestored = 0;
  #cache: LRUCache<string, Page>;

  constructor(bytesMax: number) {
    this.#cache = this.#create(bytesMax);
  }

  #create(bytesMax: number): LRUCache<string, Page> {
    return new LRUCache<string, Page>({
      // 0 would mean no limit at all.
      maxSize: Math.max(1, bytesMax),
      sizeCalculation: ({ value }, name) => name.length + value.length + ENTRY_BYTES,
      dispose: (_page, _name, reason) => {
        if (reason === 'evict') this.evictions++;
      },
    });
  }

  /** The newest pages stay. */
  resize(bytesMax: number): void {
    const old = this.#cache;
    this.#cache = this.#create(bytesMax);
    // From the oldest on, so that the order stays.
    for (const [name, page] of [...old.entries()].reverse()) this.#cache.set(name, page);
  }

  get bytes(): number {
    return this.#cache.calculatedSize;
  }

  get pages(): number {
    return this.#cache.size;
  }

  put(name: string, value: Uint8Array, expiryMs = -1): void {
    this.#cache.set(name, { value, expiryMs });
  }

  get(name: string): Page | undefined {
    return this.#cache.get(name);
  }

  delete(name: string): boolean {
    return this.#cache.delete(name);
  }

  names(): string[] {
    return [...this.#cache.keys()];
  }

  shrink(bytes: number): number {
    const before = this.bytes;
    while (before - this.bytes < bytes && this.#cache.pop() !== undefined);
    return before - this.bytes;
  }
}

// --- commands ---

/** Time in the pool in the latest command, microseconds. */
let poolUs = 0;

function inPool<T>(work: () => T): T {
  const began = context.stopwatch();
  const result = work();
  poolUs = context.stopwatch() - began;
  return result;
}

/** @returns whether it was put; otherwise an error was replied. */
function put(call: Call): boolean {
  if (call.lengths[2] > PAGE_BYTES_MAX) {
    call.reply.error('ERR a page holds 1 MiB at most');
    return false;
  }
  const name = PAGE + call.latin1(1);
  const value = call.copy(2);
  inPool(() => pool.put(name, value));
  pool.puts++;
  return true;
}

function get(call: Call): Uint8Array | null {
  const name = PAGE + call.latin1(1);
  const page = inPool(() => pool.get(name));
  pool.gets++;
  if (page === undefined) return null;
  pool.hits++;
  return page.value;
}

function tmemPut(call: Call): void {
  if (put(call)) call.reply.ok();
}

function tmemGet(call: Call): void {
  const value = get(call);
  if (value === null) call.reply.null();
  else call.reply.bulk(value, 0, value.length);
}

function tmemInval(call: Call): void {
  if (pool.delete(PAGE + call.latin1(1))) pool.invalidations++;
  call.reply.ok();
}

/** Nanoseconds in all, and in the pool alone. */
function replyTimes(call: Call, began: number): void {
  const { reply } = call;
  const redisUs = context.stopwatch() - began;
  reply.map(2);
  reply.bulkLatin1('redisTime');
  reply.integer(Math.round(redisUs * 1000));
  reply.bulkLatin1('poolTime');
  reply.integer(Math.round(poolUs * 1000));
}

function tmemPutTime(call: Call): void {
  const began = context.stopwatch();
  if (put(call)) replyTimes(call, began);
}

function tmemGetTime(call: Call): void {
  const began = context.stopwatch();
  if (get(call) === null) call.reply.null();
  else replyTimes(call, began);
}

function tmemInfo(call: Call): void {
  const fields: readonly (readonly [string, number])[] = [
    ['pages', pool.pages],
    ['bytes', pool.bytes],
    ['max_bytes', context.setting<number>('tmem-max-bytes')],
    ['puts', pool.puts],
    ['gets', pool.gets],
    ['hits', pool.hits],
    ['misses', pool.gets - pool.hits],
    ['invalidations', pool.invalidations],
    ['evictions', pool.evictions],
    ['victims_kept', pool.victimsKept],
    ['victims_restored', pool.victimsRestored],
  ];
  call.reply.verbatim(`# Tmem\r\n${fields.map(([name, value]) => `tmem_${name}:${value}\r\n`).join('')}`, 'txt');
}

// --- victims ---

const latin1 = (bytes: Uint8Array, offset: number, length: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + offset, length).toString('latin1');

const victimName = (index: number, key: string): string => `${VICTIM}${index}:${key}`;

const victims: VictimStore = {
  keep(db, entry) {
    const bytes = db.bytesOf(entry);
    const value = bytes.slice(db.valueOffset(entry), db.valueOffset(entry) + db.valueLength(entry));
    const key = latin1(bytes, db.keyOffset(entry), db.keyLength(entry));
    pool.put(victimName(db.index, key), value, db.expiryOf(entry));
    pool.victimsKept++;
  },
  restore(db, bytes, offset, length) {
    const name = victimName(db.index, latin1(bytes, offset, length));
    const page = pool.get(name);
    if (page === undefined) return 0;
    pool.delete(name);
    if (page.expiryMs !== -1 && page.expiryMs <= context.unixMs) return 0;
    pool.victimsRestored++;
    return putBack(db, bytes, offset, length, page);
  },
  emptied(index) {
    const prefix = index < 0 ? VICTIM : victimName(index, '');
    for (const name of pool.names()) if (name.startsWith(prefix)) pool.delete(name);
  },
  swapped(a, b) {
    const moved: [string, Page][] = [];
    for (const [from, to] of [
      [a, b],
      [b, a],
    ]) {
      const prefix = victimName(from, '');
      for (const name of pool.names()) {
        if (!name.startsWith(prefix)) continue;
        moved.push([victimName(to, name.slice(prefix.length)), pool.get(name)!]);
        pool.delete(name);
      }
    }
    for (const [name, page] of moved) pool.put(name, page.value, page.expiryMs);
  },
};

function putBack(db: Database, bytes: Uint8Array, offset: number, length: number, { value, expiryMs }: Page): number {
  const entry = db.addString(bytes, offset, length, value.length);
  db.bytesOf(entry).set(value, db.valueOffset(entry));
  if (expiryMs !== -1) db.setExpiry(entry, expiryMs);
  // Everyone was told of its deletion.
  const key = bytes.slice(offset, offset + length);
  context.propagate(db, 'SET', key, value, ...(expiryMs === -1 ? [] : ['PXAT', expiryMs]));
  return entry;
}

/** As a second chance for keys the pool is memory beside `maxmemory`, or nothing would be won; else it is part of it. */
function applySettings(): void {
  const isVictimCache = context.setting<boolean>('tmem-victim-cache');
  context.victims = isVictimCache ? victims : null;
  context.removeMemoryPool(pool);
  if (!isVictimCache) {
    victims.emptied(-1);
    context.addMemoryPool(pool);
  }
}

export default defineModule({
  name: 'tmem',
  version: '1.0',
  apiVersion: API_VERSION,
  settings: {
    'tmem-max-bytes': memorySetting(64 * 1024 ** 2),
    'tmem-victim-cache': boolSetting(false),
  },
  commands: [
    { name: 'tmemput', arity: 3, flags: ['fast'], summary: 'Puts a page into the pool.', run: tmemPut },
    { name: 'tmemget', arity: 2, flags: ['fast'], summary: 'Tells a page of the pool.', run: tmemGet },
    { name: 'tmeminval', arity: 2, flags: ['fast'], summary: 'Takes a page out of the pool.', run: tmemInval },
    { name: 'tmemputtime', arity: 3, flags: ['fast'], summary: 'TMEMPUT that tells its time.', run: tmemPutTime },
    { name: 'tmemgettime', arity: 2, flags: ['fast'], summary: 'TMEMGET that tells its time.', run: tmemGetTime },
    { name: 'tmeminfo', arity: 1, flags: [], summary: 'Tells the state of the pool.', run: tmemInfo },
  ],
  onLoad(given) {
    context = given;
    pool = new Pool(context.setting<number>('tmem-max-bytes'));
    applySettings();
  },
  onSetting(_context, name) {
    if (name === 'tmem-max-bytes') pool.resize(context.setting<number>(name));
    else applySettings();
  },
});
