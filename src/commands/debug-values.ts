// The subcommands of DEBUG that look at keys, values and tables. debug.ts lists them.
import type { Call } from '../core/call.ts';
import { Digest, digestValue } from '../core/dataset-digest.ts';
import { NO_SUCH_KEY } from '../core/errors.ts';
import { type Dict, EntryList } from '../data/dict.ts';
import { Hash } from '../data/hash.ts';
import { List } from '../data/list.ts';
import { SetValue } from '../data/set.ts';
import { SortedSet } from '../data/sorted-set.ts';
import { TYPE_STRING } from '../data/value-type.ts';
import { RdbOutput } from '../persistence/rdb-output.ts';
import { writeValue } from '../persistence/rdb-value-writer.ts';
import { integerFrom, MUST_BE_POSITIVE } from './collection-words.ts';

/** Chains up to this length are listed on their own. */
const CHAIN_LENGTHS_LISTED = 50;

/** The entry of word 2, expired or not; 0 after an error reply. */
function entryOf(call: Call): number {
  const entry = call.db.dict.find(call.bytes, call.offsets[2], call.lengths[2]);
  if (entry === 0) call.reply.error(NO_SUCH_KEY);
  return entry;
}

export function debugObject(call: Call): void {
  const { db, server } = call;
  const entry = entryOf(call);
  if (entry === 0) return;
  const { keyspace } = db;
  const out = new RdbOutput(null, server.config.rdbcompression);
  writeValue(out, db, entry);
  const access = db.accessOf(entry);
  const idle = keyspace.lfu ? 0 : keyspace.idleSeconds(access);
  let extra = '';
  const value = db.typeOf(entry) === TYPE_STRING ? null : db.collectionOf(entry);
  if (value instanceof List) {
    let payload = 0;
    for (let node = value.head; node !== 0; node = value.nextNode(node)) payload += value.payloadBytes(node);
    const average = (value.length / value.nodes).toFixed(2);
    const compressed = server.config.listCompressDepth === 0 ? 0 : 1;
    extra =
      ` ql_nodes:${value.nodes} ql_avg_node:${average} ql_listpack_max:${value.fill}` +
      ` ql_compressed:${compressed} ql_uncompressed_size:${payload}`;
  }
  call.reply.simple(
    `Value at:0x${(entry * 16).toString(16)} refcount:1 encoding:${db.encodingOf(entry)} ` +
      `serializedlength:${out.length} lru:${access} lru_seconds_idle:${idle}${extra}`,
  );
}

export function sdslen(call: Call): void {
  const { db } = call;
  const entry = entryOf(call);
  if (entry === 0) return;
  if (db.typeOf(entry) !== TYPE_STRING || db.encodingOf(entry) === 'int') {
    call.reply.error('ERR Not an sds encoded string.');
    return;
  }
  // Key and string share one block.
  const capacity = db.keyspace.arena.capacityOf(entry);
  const key = db.keyLength(entry);
  const value = db.valueLength(entry);
  const spare = capacity - db.dict.headerBytes - key - value;
  call.reply.simple(
    `key_sds_len:${key}, key_sds_avail:0, key_zmalloc: ${capacity}, ` +
      `val_sds_len:${value}, val_sds_avail:${spare}, val_zmalloc: ${capacity}`,
  );
}

/** DEBUG LISTPACK and QUICKLIST: Redis prints the structure on its standard output, we write its outline to the log. */
export function debugListpack(call: Call, encoding = 'listpack'): void {
  const { db, reply, server } = call;
  const entry = entryOf(call);
  if (entry === 0) return;
  if (db.encodingOf(entry) !== encoding) {
    reply.error(`ERR Not a ${encoding} encoded object.`);
    return;
  }
  const value = db.collectionOf(entry);
  server.log.warning(`${encoding} of ${value.length} elements in ${value.memoryBytes()} bytes`);
  reply.simple(`${encoding[0].toUpperCase()}${encoding.slice(1)} structure printed on stdout`);
}

export function populate(call: Call): void {
  const { db } = call;
  const count = integerFrom(call, 2, 0, MUST_BE_POSITIVE);
  if (Number.isNaN(count)) return;
  const size = call.argc === 5 ? integerFrom(call, 4, 0, MUST_BE_POSITIVE) : 0;
  if (Number.isNaN(size)) return;
  const prefix = call.argc > 3 ? call.latin1(3) : 'key';
  for (let i = 0; i < count; i++) {
    const key = Buffer.from(`${prefix}:${i}`, 'latin1');
    if (db.find(key, 0, key.length) !== 0) continue;
    const text = Buffer.from(`value:${i}`, 'latin1');
    const length = size === 0 ? text.length : size;
    const entry = db.addString(key, 0, key.length, length);
    const start = db.valueOffset(entry);
    db.bytesOf(entry).fill(0, start, start + length);
    db.bytesOf(entry).set(text.subarray(0, length), start);
    db.keyspace.hooks.keyModified(db, key, 0, key.length);
  }
  call.reply.ok();
}

export function digestValues(call: Call): void {
  call.reply.array(call.argc - 2);
  for (let i = 2; i < call.argc; i++) {
    const digest = new Digest();
    // Expired keys too, as long as they are there.
    const entry = call.db.dict.find(call.bytes, call.offsets[i], call.lengths[i]);
    if (entry !== 0) digestValue(digest, call.db, entry);
    call.reply.simple(digest.hex());
  }
}

export function htstats(call: Call): void {
  const index = call.integer(2);
  if (Number.isNaN(index)) return;
  const db = call.server.databases[index];
  if (db === undefined) {
    call.reply.error('ERR Out of range database');
    return;
  }
  const expiring = db.expiries.size;
  const expiries = expiring === 0 ? NO_ENTRIES : `${TITLE} table size: ${expiring}\n number of elements: ${expiring}\n`;
  call.reply.verbatim(`[Dictionary HT]\n${tableFigures(db.dict)}[Expires HT]\n${expiries}`, 'txt');
}

export function htstatsKey(call: Call): void {
  const entry = entryOf(call);
  if (entry === 0) return;
  const value = call.db.typeOf(entry) === TYPE_STRING ? null : call.db.collectionOf(entry);
  const table = value instanceof Hash || value instanceof SetValue || value instanceof SortedSet ? value.table : null;
  if (table !== null) call.reply.verbatim(tableFigures(table), 'txt');
  else call.reply.error('ERR The value stored at the specified key is not represented using an hash table');
}

const TITLE = 'Hash table 0 stats (main hash table):\n';
const NO_ENTRIES = `${TITLE}No stats available for empty dictionaries\n`;

/** A slot of Redis's tables is a bucket of ours. */
function tableFigures(table: Dict): string {
  if (table.size === 0) return NO_ENTRIES;
  const slots = table.bucketCount;
  const byLength = new Map<number, number>();
  const entries = new EntryList();
  let longest = 0;
  for (let index = 0; index < slots; index++) {
    entries.length = 0;
    table.bucketEntries(index, entries);
    longest = Math.max(longest, entries.length);
    const listed = Math.min(entries.length, CHAIN_LENGTHS_LISTED - 1);
    byLength.set(listed, (byLength.get(listed) ?? 0) + 1);
  }
  const used = slots - (byLength.get(0) ?? 0);
  const average = (table.size / used).toFixed(2);
  const lines = [...byLength]
    .sort(([a], [b]) => a - b)
    .map(([length, count]) => `   ${length}: ${count} (${((count / slots) * 100).toFixed(2)}%)\n`);
  return (
    `${TITLE} table size: ${slots}\n number of elements: ${table.size}\n different slots: ${used}\n` +
    ` max chain length: ${longest}\n avg chain length (counted): ${average}\n` +
    ` avg chain length (computed): ${average}\n Chain length distribution:\n${lines.join('')}`
  );
}
