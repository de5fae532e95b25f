// When two replies are the same reply: byte for byte, or in any order where Redis promises none, or, where chance decides,
// from the same members. What may differ besides is listed, with its reason. For campaign.ts.
import type { Reply } from '../../support/replies.ts';

const UNORDERED = new Set(['keys', 'smembers', 'sinter', 'sunion', 'sdiff', 'hkeys', 'hvals', 'command|list']);
const PAIRS = new Set(['hgetall', 'config|get']);
const SCANS = new Set(['scan', 'sscan', 'hscan', 'zscan']);
const RANDOM = new Set(['srandmember', 'hrandfield', 'zrandmember', 'randomkey', 'spop']);

type Words = readonly string[];

/** Differences that stay, each with its reason. Words are those of the innermost command. */
const ALLOWED: readonly { reason: string; covers(words: Words, theirs: Reply, ours: Reply): boolean }[] = [
  {
    reason: 'HELP explains in our own sentences; which subcommands there are is the same',
    covers: (words, theirs, ours) =>
      words[1]?.toLowerCase() === 'help' && json(headingsOf(theirs)) === json(headingsOf(ours)),
  },
  {
    reason: 'times beyond 2^53 ms, the year 287396, are kept to the nearest double',
    covers: (words, theirs, ours) =>
      /expire|ttl/i.test(words[0]) &&
      farAway(theirs) &&
      Math.abs(Number(textOf(theirs)) - Number(textOf(ours))) <= 1024,
  },
  {
    reason: "redis-server reads the clock for idle times ten times a second only; ours is the tick's",
    covers: (words, theirs, ours) =>
      /^object$/i.test(words[0]) && /^idletime$/i.test(words[1]) && shapeOf(theirs) === shapeOf(ours),
  },
  {
    reason:
      'what COPY makes of a small integer is not shared in redis-server; ours does not remember where one came from',
    covers: (words, theirs, ours) =>
      /^object$/i.test(words[0]) &&
      /^refcount$/i.test(words[1]) &&
      textOf(theirs) === '1' &&
      textOf(ours) === '2147483647',
  },
  {
    reason: 'a payload has the order of the table, which has a random seed; what it holds is compared in the end',
    covers: (words, theirs, ours) =>
      /^dump$/i.test(words[0]) && isTable(theirs) && isTable(ours) && textOf(theirs).length === textOf(ours).length,
  },
  {
    reason: 'FUNCTION DUMP and LIST have the order of a table with a random seed',
    covers: (words, theirs, ours) =>
      /^function$/i.test(words[0]) &&
      (/^dump$/i.test(words[1])
        ? textOf(theirs).length === textOf(ours).length
        : /^list$/i.test(words[1]) && sortedDeep(theirs) === sortedDeep(ours)),
  },
  {
    reason: 'COMMAND INFO lists subcommands in the order of a table whose hash has a random seed',
    covers: (words, theirs, ours) =>
      nameOf(words) === 'command' && withSubcommandsSorted(theirs) === withSubcommandsSorted(ours),
  },
];

const nameOf = (words: Words): string => (words[0] ?? '').toLowerCase();
const itemsOf = (reply: Reply): Reply[] | null =>
  reply !== null && typeof reply === 'object' && 'items' in reply ? reply.items : null;
const json = (value: unknown): string => JSON.stringify(value);

const farAway = (reply: Reply): boolean => Number(textOf(reply)) > 2 ** 53 - 1;
/** RDB's types of sets and hashes that are tables. */
const isTable = (dump: Reply): boolean => typeof dump === 'string' && (dump[0] === '\x02' || dump[0] === '\x04');

/** Whatever the order is, at every level. */
function sortedDeep(reply: Reply): string {
  const items = itemsOf(reply);
  return items === null ? json(reply) : json(items.map(sortedDeep).sort());
}

/** HELP's lines without the indented ones. */
const headingsOf = (reply: Reply): unknown[] =>
  (itemsOf(reply) ?? [reply]).map(textOf).filter((line) => !line.startsWith(' '));

const textOf = (reply: Reply): string =>
  reply !== null && typeof reply === 'object' && 'text' in reply ? reply.text : String(reply);

/** Each command's tenth item are its subcommands. */
function withSubcommandsSorted(reply: Reply): string {
  const commands = (itemsOf(reply) ?? []).map((command) =>
    (itemsOf(command) ?? []).map((item, i) => (i === 9 ? sorted(item, 1) : item)),
  );
  return json(commands);
}

/** The command that a script of the generator runs with its arguments; else the words themselves. */
function innermost(words: Words): Words {
  const name = nameOf(words);
  const runs = name.startsWith('eval') ? /unpack\(ARGV\)/.test(words[1]) : name.startsWith('fcall');
  return runs && words[2] === '0' && words.length > 3 ? words.slice(3) : words;
}

function sorted(reply: Reply, size: number): string {
  const items = itemsOf(reply);
  if (items === null) return json(reply);
  const groups: string[] = [];
  for (let i = 0; i < items.length; i += size) groups.push(json(items.slice(i, i + size)));
  return json([(reply as { type: string }).type, groups.sort()]);
}

/** Whether redis-server took a range error (ERANGE) that an earlier command had left behind for one of this SORT. */
export function isRefusedSort(theirs: Reply, ours: Reply): boolean {
  const refused = "One or more scores can't be converted into double";
  return json(theirs).includes(refused) && !json(ours).includes(refused);
}

/** @param queued what EXEC runs. @returns whether they are the same for this command. */
export function sameReply(words: Words, theirs: Reply, ours: Reply, queued: readonly Words[]): boolean {
  if (json(theirs) === json(ours)) return true;
  if (nameOf(words) === 'exec') {
    const [a, b] = [itemsOf(theirs), itemsOf(ours)];
    if (a === null || b === null || a.length !== b.length) return false;
    return a.every((reply, i) => sameReply(queued[i] ?? [], reply, b[i], []));
  }
  const inner = innermost(words);
  // Lua's tables have no order, and maps and sets have become tables.
  if (inner !== words && /setresp\(3\)/.test(words[1]) && sortedDeep(theirs) === sortedDeep(ours)) return true;
  return sameUnordered(inner, theirs, ours) || ALLOWED.some(({ covers }) => covers(inner, theirs, ours));
}

function sameUnordered(words: Words, theirs: Reply, ours: Reply): boolean {
  const name = nameOf(words);
  if (UNORDERED.has(name)) return sorted(theirs, 1) === sorted(ours, 1);
  if (PAIRS.has(name)) return sorted(theirs, 2) === sorted(ours, 2);
  if (SCANS.has(name)) return sameScan(name, theirs, ours);
  if (RANDOM.has(name)) return shapeOf(theirs) === shapeOf(ours);
  if (name === 'sort' || name === 'sort_ro') return sameSort(words, theirs, ours);
  return false;
}

/** A walk that is not over has cursors and elements of its own. */
function sameScan(name: string, theirs: Reply, ours: Reply): boolean {
  const [a, b] = [itemsOf(theirs), itemsOf(ours)];
  if (a === null || b === null || a.length !== 2 || b.length !== 2) return false;
  if (a[0] !== '0' || b[0] !== '0') return itemsOf(a[1]) !== null && itemsOf(b[1]) !== null;
  const size = name === 'hscan' || name === 'zscan' ? 2 : 1;
  return sorted(a[1], size) === sorted(b[1], size);
}

/** Without an order, or by texts that are equal, elements come as the set has them. */
function sameSort(words: Words, theirs: Reply, ours: Reply): boolean {
  const options = words.slice(2).map((word) => word.toLowerCase());
  if (!options.includes('by')) return false;
  if (options.includes('limit')) return shapeOf(theirs) === shapeOf(ours);
  return sorted(theirs, 1) === sorted(ours, 1);
}

/** Types and lengths. */
function shapeOf(reply: Reply): string {
  const items = itemsOf(reply);
  if (items !== null) return json(items.map(shapeOf));
  if (typeof reply === 'string') return '"';
  return reply !== null && 'type' in reply ? reply.type : json(reply);
}

const LISTS: Readonly<Record<string, string>> = {
  srandmember: 'smembers',
  spop: 'smembers',
  hrandfield: 'hkeys',
  zrandmember: 'zrange',
  randomkey: 'keys',
};

/** @returns whether what chance picked is there. @param from the reply to the command before, if that lists all of them. */
export function pickedFrom(words: Words, picked: Reply, before: Words, from: Reply): boolean {
  const list = LISTS[nameOf(words)];
  if (list === undefined || list !== nameOf(before) || (list !== 'keys' && words[1] !== before[1])) return true;
  const all = itemsOf(from);
  if (all === null || picked === null) return true;
  const members = new Set(all.map(json));
  if (typeof picked === 'string') return members.has(json(picked));
  const items = itemsOf(picked);
  if (items === null) return true;
  if (!/^with/i.test(words[3] ?? '')) return items.every((item) => members.has(json(item)));
  const nested = items.every((item) => itemsOf(item) !== null);
  return nested
    ? items.every((item) => members.has(json(itemsOf(item)?.[0])))
    : items.every((item, i) => i % 2 === 1 || members.has(json(item)));
}
