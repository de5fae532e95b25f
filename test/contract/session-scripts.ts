// What clients say to a server, as raw text: sessions by hand for the corners of the protocol, and seeded ones.
import type { SeededRandom } from '../../src/platform/random.ts';
import { splitArgs } from '../../src/resp/split-args.ts';
import { request } from '../support/replies.ts';

/** Requests, one a line or divided by semicolons, their words quoted as for inline requests. */
const script = (text: string): string =>
  text
    .split(/[;\n] */)
    .map((line) => splitArgs(line) ?? [])
    .filter((words) => words.length > 0)
    .map(request)
    .join('');
const all = (...requests: string[][]): string => requests.map(request).join('');
const inline = (...lines: string[]): string => lines.map((line) => `${line}\r\n`).join('');

/** Sessions that the server is to survive; each on a connection of its own. */
export const SESSIONS: Readonly<Record<string, string>> = {
  'inline requests': inline(
    ...['PING', '', '   ', '  SET   k   v ', 'GET k\t', 'get k', 'ECHO "a b"', 'ECHO ""', "ECHO 'it\\'s'"],
    ...['ECHO "\\x41\\n\\r\\t\\b\\a\\\\\\"\\q\\xzz"', "ECHO 'no \\n escape'", 'ECHO \xff\xfe', 'ECHO a"b"', '$4', ':1'],
  ),
  'lines end with LF too': 'PING\nSET k v\nGET k\n\n\r\nECHO "x"\n',
  'empty and negative counts': `*0\r\n*-1\r\n*-5\r\n${all(['PING'])}*0\r\nPING\r\n`,
  'nothing checks what ends a bulk': '*2\r\n$4\r\nECHOxx$3\r\nabcyyPING\r\n',
  'empty words': script(`
    ""; "" ""; ECHO ""; SET "" ""; GET ""; PING ""`),
  'unknown commands': script(String.raw`
    nope; nope a b; NoPe "" ${'x'.repeat(200)} y; ${'x'.repeat(300)} y; "n\r\npe" "a\r\nb"
    nope ${Array.from({ length: 40 }, (_, i) => `arg${i}`).join(' ')}
    "no\x00pe" "a\x00b" c; "no\xffpe" "\xfe"; "get " k; " get" k; CLIENT nope; client ${'x'.repeat(200)}
    CONFIG "n\r\npe" x; COMMAND nope; OBJECT nope k`),
  'numbers of words': script(`
    GET; GET a b; SET a; PING a b; ECHO; EXEC x; MULTI x; WATCH; CLIENT; CLIENT SETNAME; CLIENT GETNAME x; CONFIG
    CONFIG GET; SELECT; SELECT 1 2; AUTH; RESET x; COMMAND COUNT x; OBJECT ENCODING; OBJECT; HSET h f; MSET a
    MSET a b c; ZADD z 1; DBSIZE x; CONFIG SET a`),
  transactions: script(`
    EXEC; DISCARD; MULTI; MULTI; SET k 1; INCR k; LPUSH k x; GET k; EXEC; MULTI; EXEC; MULTI; SET k; SET k 2
    EXEC; GET k; MULTI; nope; DISCARD; MULTI; WATCH k; GET k; EXEC; MULTI; SET k 3; DISCARD; WATCH k; SET k 4
    MULTI; GET k; EXEC; WATCH k other; UNWATCH; SET k 5; MULTI; GET k; EXEC; MULTI; SELECT 3; SET k three; EXEC
    GET k; SELECT 0; MULTI; UNWATCH; PING; CLIENT GETNAME; FLUSHALL; EXEC; MULTI; RESET; EXEC; MULTI; CLIENT nope
    EXEC; MULTI; MULTI; EXEC; MULTI; SAVE; EXEC; WATCH k; MULTI; SET k own; EXEC; MULTI; AUTH x; EXEC; MULTI
    MONITOR; EXEC; MULTI; QUIT`),
  'a watched key that expires or was missing': script(`
    SET w 1 PXAT 1; WATCH w; MULTI; PING; EXEC; WATCH gone; DEL gone; MULTI; PING; EXEC; WATCH gone; FLUSHALL
    MULTI; PING; EXEC; SET w 1; WATCH w; FLUSHDB; MULTI; PING; EXEC; SET w 1; WATCH w; SWAPDB 0 1; MULTI; PING
    EXEC; SWAPDB 0 1; WATCH w; EXPIRE w 1000; MULTI; PING; EXEC; WATCH w; GET w; PERSIST nokey; SETNX w x; MULTI
    PING; EXEC; SELECT 1; SET b 1; SELECT 0; WATCH b; SWAPDB 0 1; MULTI; PING; EXEC; SWAPDB 0 1; WATCH b; SELECT 1
    DEL b; MULTI; PING; EXEC`),
  'HELLO and RESET': script(`
    HELLO; HELLO 3; HELLO; CLIENT GETNAME; HELLO 2; HELLO 3 SETNAME me; CLIENT GETNAME; HELLO 4; HELLO 1; HELLO x
    HELLO 3 nope; HELLO 3 AUTH default; HELLO 3 AUTH default any; HELLO 3 AUTH nobody any; HELLO 3 SETNAME
    HELLO 2 SETNAME "a b"; HELLO 99999999999999999999; HELLO ""; HELLO 03; HELLO 2 SETNAME ""; CLIENT GETNAME
    SELECT 5; SET five 5; HELLO 3; RESET; GET five; CLIENT GETNAME; HGETALL none
    HELLO 3 SETNAME a SETNAME b AUTH default x; CLIENT GETNAME; MULTI; HELLO 2; GET none; HELLO 3; GET none; EXEC
    GET none`),
  'AUTH without a password': script(`
    AUTH x; AUTH default x; AUTH nobody x; AUTH a b c; AUTH ""; PING`),
  'names and replies': script(String.raw`
    CLIENT SETNAME me; CLIENT GETNAME; CLIENT SETNAME "a b"; CLIENT SETNAME "\xff"; CLIENT SETNAME ~!
    CLIENT GETNAME; CLIENT SETNAME ""; CLIENT GETNAME; CLIENT REPLY x; CLIENT REPLY SKIP; ECHO unheard
    ECHO heard; CLIENT REPLY OFF; ECHO unheard; nope; CLIENT REPLY SKIP; ECHO unheard; CLIENT REPLY ON
    ECHO heard; CLIENT REPLY SKIP; CLIENT REPLY SKIP; ECHO unheard; ECHO heard; CLIENT REPLY SKIP; nope
    ECHO heard; CLIENT REPLY SKIP; CLIENT REPLY ON; ECHO heard; CLIENT REPLY OFF; RESET; ECHO x; CLIENT REPLY SKIP
    RESET; ECHO heard`),
  'CLIENT REPLY in transactions': script(`
    MULTI; CLIENT REPLY SKIP; ECHO a; EXEC; ECHO b; ECHO c; CLIENT REPLY SKIP; MULTI; ECHO d; EXEC; MULTI; ECHO e
    CLIENT REPLY OFF; ECHO f; EXEC; ECHO g; CLIENT REPLY ON; MULTI; CLIENT REPLY SKIP; CLIENT REPLY ON; EXEC
    ECHO h; ECHO i`),
  'other CLIENT words': script(`
    CLIENT NO-EVICT on; CLIENT NO-EVICT x; CLIENT KILL 1.2.3.4:5; CLIENT KILL ID x; CLIENT KILL ID 0
    CLIENT KILL ID 999999; CLIENT KILL TYPE x; CLIENT KILL USER x; CLIENT KILL a b c; CLIENT KILL SKIPME x
    CLIENT LIST TYPE x; CLIENT LIST ID x; CLIENT LIST nope; CLIENT LIST TYPE replica; CLIENT LIST ID 99999
    CLIENT PAUSE x; CLIENT PAUSE -1; CLIENT PAUSE 1 x; CLIENT PAUSE 0 WRITE; CLIENT UNPAUSE; CLIENT ID x`),
  SELECT: script(`
    SELECT 0; SELECT 15; SELECT 16; SELECT -1; SELECT x; SELECT ""; SELECT 1.0; SELECT 01; SELECT 99999999999
    SELECT 9223372036854775808; SELECT 1; SET k v; DBSIZE; SWAPDB 0 1; DBSIZE; SELECT 0; DBSIZE; SWAPDB 0 16
    SWAPDB x 0; SWAPDB 0 x; MOVE k 0; MOVE k 3; FLUSHDB x; FLUSHALL ASYNC; FLUSHALL a b`),
  'types, encodings and times': script(`
    SET i 1; SET s x; SET l ${'x'.repeat(45)}; RPUSH li a; SADD se 1; SADD sm a; HSET h f v; ZADD z 1.5 m; TYPE i
    OBJECT ENCODING i; TTL i; TYPE s; OBJECT ENCODING s; TTL s; TYPE l; OBJECT ENCODING l; TTL l; TYPE li
    OBJECT ENCODING li; TTL li; TYPE se; OBJECT ENCODING se; TTL se; TYPE sm; OBJECT ENCODING sm; TTL sm; TYPE h
    OBJECT ENCODING h; TTL h; TYPE z; OBJECT ENCODING z; TTL z; TYPE none; OBJECT ENCODING none; TTL none
    EXPIRE i 1000; TTL i; EXPIREAT i 9999999999; EXPIRETIME i; PEXPIRETIME i; EXPIRE i x
    EXPIRE i 9223372036854775807; EXPIRE i 1 NX XX; EXPIRE i 1 zz; EXPIRE none 1; PERSIST i; TTL i; OBJECT FREQ i
    OBJECT REFCOUNT s; OBJECT ENCODING a b; GET li; LPUSH i x; EXPIRE s -1; EXISTS s; TOUCH i s; RENAME none x
    COPY i i; RANDOMKEY x; TYPE none`),
  'replies that RESP3 has types for': script(`
    HELLO 3; HSET h f v; HGETALL h; SADD s 1; SMEMBERS s; ZADD z 1.5 m inf n; ZSCORE z m
    ZRANGE z 0 -1 WITHSCORES; GET none; MGET h none; LPOP none 1; LPOP none; ZRANDMEMBER none
    HRANDFIELD h 1 WITHVALUES; SPOP s 1; CONFIG GET maxmemory; CONFIG GET nope; ZADD z INCR 1 m; ZPOPMIN z
    ZMPOP 1 z MIN; ZMPOP 1 z MIN; WATCH k; SET k v; MULTI; EXEC; LCS k k IDX; COMMAND GETKEYS GET k
    LMPOP 1 none LEFT; DEBUG nope; CLIENT GETNAME`),
  CONFIG: script(`
    CONFIG SET nope 1; CONFIG SET maxmemory x; CONFIG SET maxmemory 1 nope 2; CONFIG SET port
    CONFIG SET appendonly maybe; CONFIG SET databases 3; CONFIG SET hz x; CONFIG SET maxmemory-policy x
    CONFIG SET timeout 0 timeout 1; CONFIG SET slowlog-max-len 64; CONFIG GET slowlog-max-len
    CONFIG SET slowlog-max-len 128 timeout -1; CONFIG GET slowlog-max-len; CONFIG SET slowlog-max-len 128
    CONFIG SET save x; CONFIG SET notify-keyspace-events x; CONFIG SET notify-keyspace-events KEA
    CONFIG GET notify-keyspace-events; CONFIG SET notify-keyspace-events ""; CONFIG RESETSTAT; CONFIG GET SAVE
    CONFIG SET maxmemory 100mb; CONFIG GET maxmemory; CONFIG SET maxmemory 0; CONFIG REWRITE`),
  'more of the server': script(`
    DBSIZE; LASTSAVE x; SLOWLOG LEN x; SLOWLOG GET x; SLOWLOG GET -2; SHUTDOWN x; SHUTDOWN SAVE NOSAVE
    COMMAND GETKEYS; COMMAND GETKEYS nope; COMMAND GETKEYS PING; COMMAND GETKEYS MSET a 1 b 2
    COMMAND GETKEYS GET; COMMAND GETKEYS ZUNION 2 a b; COMMAND GETKEYSANDFLAGS SET a 1; COMMAND INFO nope
    COMMAND LIST FILTERBY x y; COMMAND LIST FILTERBY MODULE x; COMMAND DOCS nope; COMMAND LIST x; TIME x
    INFO nope; ROLE; ECHO a b; LOLWUT VERSION x; DEBUG SLEEP 0`),
  'options of CLIENT': script(`
    CLIENT TRACKING; CLIENT TRACKING x; CLIENT TRACKING ON x; CLIENT TRACKING ON REDIRECT; CLIENT TRACKING ON REDIRECT x
    CLIENT TRACKING ON REDIRECT 99999; CLIENT TRACKING ON PREFIX a; CLIENT TRACKING ON BCAST PREFIX a PREFIX a
    CLIENT TRACKING ON BCAST PREFIX a PREFIX ab; CLIENT TRACKING ON BCAST PREFIX a PREFIX b; CLIENT TRACKINGINFO
    CLIENT TRACKING ON BCAST PREFIX c; CLIENT TRACKING ON BCAST PREFIX aa; CLIENT TRACKING ON OPTIN; CLIENT TRACKING OFF
    CLIENT CACHING yes; CLIENT TRACKING ON OPTIN OPTOUT; CLIENT TRACKING ON OPTIN BCAST; CLIENT TRACKING ON OPTIN
    CLIENT CACHING no; CLIENT CACHING yes; CLIENT TRACKINGINFO; GET k; CLIENT TRACKINGINFO; CLIENT CACHING x
    CLIENT TRACKING ON OPTOUT; CLIENT TRACKING OFF; CLIENT TRACKING ON OPTOUT NOLOOP; CLIENT CACHING no
    CLIENT TRACKINGINFO; CLIENT CACHING yes; CLIENT GETREDIR; CLIENT TRACKING off OPTIN; CLIENT TRACKINGINFO x
    CLIENT UNBLOCK; CLIENT UNBLOCK x; CLIENT UNBLOCK 99999; CLIENT UNBLOCK 99999 x; CLIENT UNBLOCK 99999 ERROR
    CLIENT UNBLOCK 99999 TIMEOUT x; CLIENT KILL LADDR 1.2.3.4:5; CLIENT KILL ID 99999 SKIPME no; CLIENT KILL MAXAGE 1
    CLIENT KILL USER default ID 99999; CLIENT PAUSE 99999999999999999999; CLIENT PAUSE 9223372036854775807
    CLIENT UNPAUSE; CLIENT PAUSE 1 WRITE x; CLIENT SETINFO lib-name x; CLIENT NO-TOUCH on`),
  'options of others': script(`
    SLOWLOG GET 1 2; SLOWLOG RESET x; SLOWLOG x; LATENCY; LATENCY GRAPH x; LATENCY HISTORY x; LATENCY LATEST x
    LATENCY RESET a b; LATENCY HISTOGRAM nope; MEMORY USAGE nope; MEMORY USAGE k SAMPLES; MEMORY USAGE k SAMPLES -1
    MEMORY DOCTOR x; MEMORY x; OBJECT FREQ k; OBJECT IDLETIME none; MODULE LOAD; MODULE LOADEX /x x; MODULE UNLOAD none
    SCRIPT FLUSH x; SCRIPT FLUSH SYNC ASYNC; SCRIPT KILL x; SCRIPT DEBUG x; FUNCTION KILL; FUNCTION LIST x
    FUNCTION LIST LIBRARYNAME; FUNCTION LIST WITHCODE WITHCODE; FUNCTION LIST LIBRARYNAME a LIBRARYNAME b
    FUNCTION DELETE none; FUNCTION RESTORE x; FUNCTION RESTORE x x; FUNCTION FLUSH x; FUNCTION LOAD REPLACE
    FUNCTION LOAD x y; FCALL x y; FCALL x -1; FCALL x 1; EVAL x y; EVAL "return 1" -1; EVAL "return 1" 1; EVALSHA x 0
    PUBSUB CHANNELS a b; PUBSUB NUMSUB a b; PUBSUB NUMPAT x; PUBSUB SHARDNUMSUB a; PUBSUB x; COMMAND GETKEYS EVAL x 5 a
    COMMAND LIST FILTERBY; COMMAND LIST FILTERBY ACLCAT x; COMMAND LIST FILTERBY PATTERN xreadgr*; WAIT x 0; WAIT 0 x
    WAIT 0 -1; FAILOVER; FAILOVER ABORT; FAILOVER TO a; FAILOVER TO a b; FAILOVER TIMEOUT 0; FAILOVER FORCE
    FAILOVER x; REPLICAOF a b; REPLICAOF a 70000; REPLICAOF NO ONE; REPLCONF a; REPLCONF x y; REPLCONF rdb-only x
    SWAPDB -1 0; BGSAVE x; BGREWRITEAOF x; SAVE x; SHUTDOWN ABORT; SHUTDOWN NOSAVE ABORT; CLUSTER INFO; CLUSTER x
    READONLY; ASKING; MONITOR x; SYNC x; PSYNC; DEBUG x; CONFIG SET dir /none/such; CONFIG SET dbfilename a/b`),
  'an end amid a request': `${all(['PING'])}*2\r\n$4\r\nECHO\r\n$10\r\nhalf`,
};

/** What ends a connection: the end of a session, sent in one piece. */
export const BREAKS: readonly string[] = [
  all(['QUIT'], ['SET', 'k', 'w']),
  ...[
    '*1\r\nfoo\r\n',
    '*abc\r\n',
    '*1x\r\n',
    '*+1\r\n',
    '* 1\r\n',
    '*01\r\n',
    '*\r\n',
    '*-1x\r\n',
    '*2147483648\r\n',
    '*1.5\r\n',
  ],
  ...[
    '*99999999999999999999\r\n',
    '*1\r\n$abc\r\n',
    '*1\r\n$-1\r\n',
    '*1\r\n$\r\n',
    '*1\r\n$+4\r\nPING\r\n',
    '*1\r\n$04\r\nPING\r\n',
  ],
  ...[
    '*1\r\n$536870913\r\n',
    '*1\r\n$99999999999999999999\r\n',
    '*2\r\n$4\r\nECHO\r\n:1\r\n',
    '*2\r\n$4\r\nECHO\r\n\r\n',
    '*1\r\n*1\r\n',
  ],
  ...['*1\r\n\xff\r\n', 'SET "open\r\n', "GET 'open\r\n", 'ECHO "a"b\r\n', "ECHO 'a'b\r\n"],
  ...['x'.repeat(65537), `*${'1'.repeat(65536)}`, `*1\r\n$${'1'.repeat(65536)}`, `${'x '.repeat(32769)}`],
];

type Make = (random: SeededRandom) => string[];

const pick = <T>(random: SeededRandom, from: readonly T[]): T => from[random.below(from.length)];
const KEYS = ['k', 'l', 'm', 'counter'];

/** One request of a seeded session. */
const makers: Make[] = [
  (r) => ['SET', pick(r, KEYS), pick(r, ['v', '1', '', 'x'.repeat(300), '\r\n\0\xff'])],
  (r) => [pick(r, ['GET', 'INCR', 'DEL', 'EXISTS', 'TYPE', 'TTL', 'STRLEN', 'LPOP', 'LLEN', 'HLEN']), pick(r, KEYS)],
  (r) => ['APPEND', pick(r, KEYS), 'tail'],
  (r) => ['RPUSH', pick(r, KEYS), 'a', 'b'],
  (r) => ['LRANGE', pick(r, KEYS), '0', '-1'],
  (r) => ['HSET', pick(r, KEYS), 'f', '1'],
  (r) => [pick(r, ['HGETALL', 'HKEYS']), pick(r, KEYS)],
  (r) => ['ZADD', pick(r, KEYS), '1', 'a', '2.5', 'b'],
  (r) => ['ZRANGE', pick(r, KEYS), '0', '-1', 'WITHSCORES'],
  (r) => ['OBJECT', 'ENCODING', pick(r, KEYS)],
  (r) => ['EXPIRE', pick(r, KEYS), '100000'],
  (r) => ['MGET', ...KEYS.slice(0, 1 + r.below(4))],
  (r) => ['MSET', 'k', '1', 'l', ...(r.below(3) === 0 ? [] : ['2'])],
  () => ['MULTI'],
  () => ['MULTI'],
  () => ['EXEC'],
  () => ['EXEC'],
  () => ['DISCARD'],
  (r) => ['WATCH', pick(r, KEYS)],
  () => ['UNWATCH'],
  (r) => ['SELECT', pick(r, ['0', '0', '1', '15', '16', 'x'])],
  (r) => ['CLIENT', 'SETNAME', pick(r, ['me', 'a b', ''])],
  () => ['CLIENT', 'GETNAME'],
  (r) => ['CLIENT', 'REPLY', pick(r, ['ON', 'ON', 'ON', 'OFF', 'SKIP', 'SKIP', 'x'])],
  (r) => ['HELLO', pick(r, ['2', '3', '3', '4', 'x']), ...(r.below(3) === 0 ? ['SETNAME', 'you'] : [])],
  () => ['RESET'],
  () => ['PING'],
  (r) => ['ECHO', 'x'.repeat(r.below(2000))],
  (r) => [pick(r, ['nope', 'GET', 'CONFIG', 'OBJECT', 'CLIENT', 'HSET']), ...pick(r, [[], ['x'], ['nope', 'y']])],
  (r) => [pick(r, ['FLUSHALL', 'FLUSHDB', 'DBSIZE'])],
  () => ['SWAPDB', '0', '1'],
  (r) => ['AUTH', ...pick(r, [['x'], ['default', 'x'], ['a', 'b', 'c']])],
  (r) => ['CONFIG', 'GET', pick(r, ['maxmemory', 'nope', 'databases'])],
];

const isPlain = (words: readonly string[]): boolean => words.every((word) => /^[\w.-]+$/.test(word));

/** A session of `length` requests, some of them inline; every fourth ends with a protocol error. */
export function seededSession(random: SeededRandom, length: number): { text: string; end: string } {
  let text = '';
  let queueing = false;
  for (let i = 0; i < length; i++) {
    let words = pick(random, makers)(random);
    // Within EXEC it may cut off the head of EXEC's reply: by hand above, where that makes sense.
    if (queueing && words[1] === 'REPLY') words = ['PING'];
    if (words[0] === 'MULTI') queueing = true;
    else if (/^(EXEC|DISCARD|RESET)$/.test(words[0])) queueing = false;
    text += isPlain(words) && random.below(3) === 0 ? `${words.join(' ')}\r\n` : request(words);
  }
  return { text, end: random.below(4) === 0 ? pick(random, BREAKS) : '' };
}

/** One request for a connection of several that share keys. */
export function sharedRequest(random: SeededRandom): string[] {
  const words = pick(random, makers)(random);
  return words[0] === 'CLIENT' && words[1] === 'REPLY' ? ['GET', 'k'] : words;
}
