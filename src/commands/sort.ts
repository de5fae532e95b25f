// SORT and SORT_RO: elements of a list, set or sorted set in the order of themselves or of other keys' values, and
// values of other keys beside them. Elements are held as Latin-1 strings, whose order is that of their bytes.
// Reply texts are Redis 7.0's. Only table.ts imports this file.
import type { Call } from '../core/call.ts';
import { GATE_ACL } from '../core/client.ts';
import type { CommandSpec } from '../core/command.ts';
import { WRONG_TYPE } from '../core/errors.ts';
import { NOTIFY_LIST } from '../core/notify-flags.ts';
import type { Collection } from '../data/collection.ts';
import { EntryList } from '../data/dict.ts';
import { Element } from '../data/element.ts';
import type { Hash } from '../data/hash.ts';
import { List } from '../data/list.ts';
import { parseDoubleText } from '../data/number-format.ts';
import { SetValue } from '../data/set.ts';
import { SortedSet } from '../data/sorted-set.ts';
import { TYPE_HASH, TYPE_STRING } from '../data/value-type.ts';
import { keyChanged } from './collection-words.ts';
import { discardWord } from './key-deletion.ts';
import { sortPart } from './partial-sort.ts';

/** list-max-listpack-size: 8 KiB a node. */
const STANDARD_FILL = -2;

interface Options {
  descending: boolean;
  alpha: boolean;
  start: number;
  /** -1: all. */
  count: number;
  /** BY's pattern; null: the elements themselves. */
  by: Pattern | null;
  /** BY names no key: elements stay in the order they have. */
  unsorted: boolean;
  gets: Pattern[];
  /** Word of STORE's key; 0: none. */
  storeWord: number;
}

/** `weight_*` or `object_*->field`: where to look for a value that belongs to an element. */
interface Pattern {
  /** `#`: the element itself. */
  readonly itself: boolean;
  /** Text in front of and behind the element; null: the pattern has no `*` and names nothing. */
  readonly around: readonly [string, string] | null;
  readonly field: string | null;
}

function parsePattern(text: string): Pattern {
  const star = text.indexOf('*');
  if (text === '#' || star < 0) return { itself: text === '#', around: null, field: null };
  const arrow = text.indexOf('->', star + 1);
  const hasField = arrow >= 0 && arrow + 2 < text.length;
  const behind = hasField ? text.slice(star + 1, arrow) : text.slice(star + 1);
  return { itself: false, around: [text.slice(0, star), behind], field: hasField ? text.slice(arrow + 2) : null };
}

/** @returns null after an error was replied. */
function parseOptions(call: Call, readOnly: boolean): Options | null {
  const options: Options = {
    descending: false,
    alpha: false,
    start: 0,
    count: -1,
    by: null,
    unsorted: false,
    gets: [],
    storeWord: 0,
  };
  for (let i = 2; i < call.argc; i++) {
    const rest = call.argc - i - 1;
    if (call.is(i, 'asc')) options.descending = false;
    else if (call.is(i, 'desc')) options.descending = true;
    else if (call.is(i, 'alpha')) options.alpha = true;
    else if (call.is(i, 'limit') && rest >= 2) {
      options.start = call.integer(i + 1);
      if (Number.isNaN(options.start)) return null;
      options.count = call.integer(i + 2);
      if (Number.isNaN(options.count)) return null;
      i += 2;
    } else if (!readOnly && call.is(i, 'store') && rest >= 1) options.storeWord = ++i;
    else if (call.is(i, 'by') && rest >= 1) {
      options.by = parsePattern(call.latin1(++i));
      options.unsorted = options.by.around === null;
      if (!options.unsorted && !mayReadAnyKey(call, 'BY')) return null;
    } else if (call.is(i, 'get') && rest >= 1) {
      options.gets.push(parsePattern(call.latin1(++i)));
      if (!mayReadAnyKey(call, 'GET')) return null;
    } else {
      call.syntaxError();
      return null;
    }
  }
  return options;
}

/** What patterns name is not among the words: only who may read all keys may use them. Replies when he may not. */
function mayReadAnyKey(call: Call, option: string): boolean {
  const { client, server } = call;
  if ((client.gate & GATE_ACL) === 0 || server.acl.mayReadAnyKey(client.user, call.spec, call)) return true;
  call.reply.error(`ERR ${option} option of SORT denied due to insufficient ACL permissions.`);
  return false;
}

const element = new Element();
const handles = new EntryList();

function text(): string {
  return Buffer.from(element.bytes.buffer, element.bytes.byteOffset + element.offset, element.length).toString(
    'latin1',
  );
}

/** The value that the pattern names for this element; null when there is none. */
function lookUp(call: Call, pattern: Pattern, subject: string): string | null {
  if (pattern.itself) return subject;
  if (pattern.around === null) return null;
  const { db } = call;
  const key = Buffer.from(pattern.around[0] + subject + pattern.around[1], 'latin1');
  const entry = db.findForRead(key, 0, key.length);
  if (entry === 0) return null;
  if (pattern.field === null) {
    if (db.typeOf(entry) !== TYPE_STRING) return null;
    element.set(db.bytesOf(entry), db.valueOffset(entry), db.valueLength(entry));
    return text();
  }
  if (db.typeOf(entry) !== TYPE_HASH) return null;
  const hash = db.collectionOf(entry) as Hash;
  const field = Buffer.from(pattern.field, 'latin1');
  const handle = hash.find(field, 0, field.length);
  if (handle === 0) return null;
  hash.value(handle, element);
  return text();
}

/** All elements in the order that the value keeps them, or backwards. */
function elementsOf(value: Collection, backwards: boolean): string[] {
  const found: string[] = [];
  if (value instanceof List) {
    value.emit(0, value.length, {
      bulk: (bytes, offset, length) => {
        element.set(bytes, offset, length);
        found.push(text());
      },
    });
  } else if (value instanceof SortedSet) {
    for (let node = value.first(); node !== 0; node = value.next(node)) {
      value.member(node, element);
      found.push(text());
    }
  } else if (value instanceof SetValue) {
    for (let at = 0; at !== -1; ) {
      handles.length = 0;
      at = value.walk(at, handles);
      for (let i = 0; i < handles.length; i++) {
        value.member(handles.refs[i], element);
        found.push(text());
      }
    }
    return found;
  }
  return backwards ? found.reverse() : found;
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A text, up to a zero byte, as strtod takes it whole: white space in front, nothing behind; NaN otherwise. */
function scoreOf(text: string): number {
  const zero = text.indexOf('\0');
  const string = zero < 0 ? text : text.slice(0, zero);
  const trimmed = string.replace(/^[ \t\n\v\f\r]+/, '');
  return trimmed === '' && trimmed === string ? 0 : parseDoubleText(trimmed);
}

/** @returns null when an element has no number. */
function sorted(call: Call, elements: string[], options: Options): string[] | null {
  const { by, alpha, descending } = options;
  const sign = descending ? -1 : 1;
  if (alpha && by === null) return elements.sort((a, b) => sign * byText(a, b));
  const weights = elements.map((one) => (by === null ? one : lookUp(call, by, one)));
  const order = elements.map((_, i) => i);
  if (alpha) {
    // What has no weight comes first.
    const compare = (a: number, b: number): number => {
      const x = weights[a];
      const y = weights[b];
      if (x === null || y === null) return x === y ? 0 : sign * (x === null ? -1 : 1);
      return sign * byText(x, y);
    };
    const [first, last] = shown(options, elements.length);
    if (first === 0 && last === elements.length - 1) order.sort(compare);
    else sortPart(order, compare, first, last);
  } else {
    const scores = weights.map((weight) => (weight === null ? 0 : scoreOf(weight)));
    if (scores.some(Number.isNaN)) return null;
    order.sort(
      (a, b) => sign * (scores[a] < scores[b] ? -1 : scores[a] > scores[b] ? 1 : byText(elements[a], elements[b])),
    );
  }
  return order.map((i) => elements[i]);
}

/** The first and the last place that LIMIT shows, as Redis counts them: an empty range lies before the last place. */
function shown({ start, count }: Options, length: number): [first: number, last: number] {
  const first = Math.max(0, start);
  if (first >= length) return [length - 1, length - 2];
  return [first, count < 0 ? length - 1 : Math.min(length, first + count) - 1];
}

function run(call: Call, readOnly: boolean): void {
  const { db, reply } = call;
  const options = parseOptions(call, readOnly);
  if (options === null) return;
  const entry = db.findForRead(call.bytes, call.offsets[1], call.lengths[1]);
  const value = entry === 0 || db.typeOf(entry) === TYPE_STRING ? null : db.collectionOf(entry);
  if (entry !== 0 && !(value instanceof List || value instanceof SetValue || value instanceof SortedSet)) {
    reply.error(WRONG_TYPE);
    return;
  }
  // A set has no order of its own: where the outcome is kept or a script sees it, it gets one.
  if (options.unsorted && value instanceof SetValue && (options.storeWord > 0 || call.client.caller !== null)) {
    options.unsorted = false;
    options.alpha = true;
    options.by = null;
  }
  // As in Redis: sorting converts the key itself.
  if (value instanceof SortedSet) value.toSkiplist();
  const elements = value === null ? [] : elementsOf(value, options.unsorted && options.descending);
  const ordered = options.unsorted ? elements : sorted(call, elements, options);
  if (ordered === null) {
    reply.error("ERR One or more scores can't be converted into double");
    return;
  }
  const start = Math.max(0, options.start);
  const chosen = ordered.slice(start, options.count < 0 ? undefined : start + options.count);
  if (options.storeWord > 0) store(call, chosen, options);
  else replyWith(call, chosen, options.gets);
}

function replyWith(call: Call, chosen: readonly string[], gets: readonly Pattern[]): void {
  const { reply } = call;
  reply.array(chosen.length * Math.max(1, gets.length));
  for (const one of chosen) {
    if (gets.length === 0) reply.bulkLatin1(one);
    for (const pattern of gets) {
      const found = lookUp(call, pattern, one);
      if (found === null) reply.null();
      else reply.bulkLatin1(found);
    }
  }
}

function store(call: Call, chosen: readonly string[], options: Options): void {
  const { gets, storeWord } = options;
  const { bytes, offsets, lengths, db, server } = call;
  // Redis gives this list its standard nodes, whatever the directive says.
  const list = new List(server.arena, STANDARD_FILL);
  for (const one of chosen) {
    for (const found of gets.length === 0 ? [one] : gets.map((pattern) => lookUp(call, pattern, one) ?? '')) {
      list.push(false, Buffer.from(found, 'latin1'), 0, found.length);
    }
  }
  call.reply.integer(list.length);
  if (list.length === 0) {
    list.release();
    discardWord(call, storeWord);
    return;
  }
  db.setCollection(bytes, offsets[storeWord], lengths[storeWord], list);
  keyChanged(call, storeWord, NOTIFY_LIST, 'sortstore', list.length);
}

const base = { keys: [1, 1, 1], group: 'generic', arity: -2 } as const;

export const sortCommands: readonly CommandSpec[] = [
  {
    ...base,
    name: 'sort',
    flags: ['write', 'denyoom', 'movablekeys'],
    since: '1.0.0',
    run: (call) => run(call, false),
    summary: 'Sorts the elements of a list, set or sorted set, and stores the outcome if asked to.',
  },
  {
    ...base,
    name: 'sort_ro',
    flags: ['readonly', 'movablekeys'],
    since: '7.0.0',
    run: (call) => run(call, true),
    summary: 'Sorts the elements of a list, set or sorted set.',
  },
];
