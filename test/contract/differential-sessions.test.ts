// Sessions of several clients that wait for, listen to and hold back one another: real redis-server 7.0.15 and our server
// tell every client the same, byte for byte. Skipped where redis-server 7.0 is not installed.
import { describe, expect, it } from 'vitest';
import { redisInstalled } from '../support/redis-server.ts';
import { play, type Step } from '../support/scenario.ts';
import { serverPair } from '../support/server-pair.ts';

/** `a: BLPOP k 0` on each line; `wait 50` and `close a` are steps too. */
function script(text: string): Step[] {
  return text
    .trim()
    .split('\n')
    .map((line) => line.trim())
    .map((line): Step => {
      const [first, ...words] = line.split(/\s+/);
      if (first === 'wait') return ['wait', Number(words[0])];
      if (first === 'close') return ['close', words[0]];
      return [first.replace(':', ''), ...words.map((word) => (word === "''" ? '' : word))];
    });
}

const SCENARIOS: Readonly<Record<string, string>> = {
  'the client that has waited longest is served first': `
    a: BLPOP k 0
    b: BRPOP k 0
    c: BLPOP k 0
    d: RPUSH k 1 2
    d: RPUSH k 3
    d: LLEN k`,
  'a client that waits for several keys is served by the one that was ready first': `
    a: BLPOP k1 k2 k3 0
    b: MULTI
    b: RPUSH k3 x
    b: RPUSH k1 y
    b: EXEC
    b: LRANGE k1 0 -1
    b: LRANGE k3 0 -1`,
  'the same key twice': `
    a: BLPOP k k 0
    b: RPUSH k 1 2
    b: LRANGE k 0 -1`,
  'keys that go again within a transaction serve nobody': `
    a: BLPOP k 0
    b: MULTI
    b: LPUSH k 1
    b: DEL k
    b: EXEC
    b: MULTI
    b: LPUSH k 1
    b: DEL k
    b: SET k 1
    b: EXEC
    b: DEL k
    b: LPUSH k 2`,
  'one move feeds the next, in a ring': `
    a: BLMOVE k1 k2 LEFT RIGHT 0
    b: BLMOVE k2 k3 RIGHT LEFT 0
    c: BRPOPLPUSH k3 k4 0
    e: BLPOP k4 0
    d: RPUSH k1 first
    d: EXISTS k1 k2 k3 k4
    a: BRPOPLPUSH k1 k1 0
    d: RPUSH k1 self
    d: LRANGE k1 0 -1`,
  'a move to a key of another type fails when it is served': `
    d: SET s 1
    a: BLMOVE k s LEFT LEFT 0
    b: BLPOP k 0
    d: RPUSH k v
    d: LRANGE k 0 -1`,
  'several elements, and sorted sets': `
    a: BLMPOP 0 2 k1 k2 RIGHT COUNT 2
    d: RPUSH k2 1 2 3
    d: LRANGE k2 0 -1
    a: BZPOPMIN z1 z2 0
    d: ZADD z2 2 two 1 one 3 three
    a: BZPOPMAX z1 z2 0
    b: BZMPOP 0 2 z1 z2 MIN COUNT 5
    c: BZMPOP 0 1 z3 MAX COUNT 2
    d: ZADD z3 1 a 2 b 3 c
    d: ZRANGE z3 0 -1 WITHSCORES
    a: HELLO 3
    a: BZPOPMIN z4 0
    b: BLPOP z4 0
    d: ZADD z4 1.5 m`,
  'keys that appear by RENAME, COPY, SORT, RESTORE-like stores and SWAPDB': `
    a: BLPOP k 0
    d: RPUSH other 1
    d: RENAME other k
    a: BLPOP k 0
    d: RPUSH other 3 1 2
    d: SORT other STORE k
    d: DEL k
    a: BLPOP k 0
    d: COPY other k
    d: DEL k
    a: BLPOP k 0
    d: SELECT 1
    d: RPUSH k swapped
    d: SWAPDB 0 1
    a: BZPOPMIN zs 0
    d: SELECT 0
    d: ZADD z1 1 a
    d: ZUNIONSTORE zs 1 z1`,
  times: `
    a: BLPOP k 0.05
    wait 80
    b: BRPOPLPUSH k l 0.03
    wait 60
    c: BZPOPMAX k 0.001
    wait 30
    a: HELLO 3
    a: BLMOVE k l LEFT LEFT 0.01
    wait 40
    a: BLPOP k -1
    a: BLPOP k abc
    a: BLPOP k 1e400
    a: BLPOP k 1e17
    a: BLPOP k inf
    a: BZPOPMIN k -0.5
    a: BLMPOP x 1 k LEFT
    a: BLMPOP 0 0 k LEFT
    a: BLMPOP 0 1 k MIDDLE
    a: BLMPOP 0 1 k LEFT COUNT 0
    a: BLMPOP 0 1 k LEFT COUNT 1 COUNT 1
    a: BZMPOP 0 1 k MIN EXTRA
    a: BLMOVE k l UP LEFT 0
    d: SET k v
    a: BLPOP k 0
    a: BLMOVE k l LEFT LEFT 0
    a: BZPOPMIN k 0`,
  'nothing waits within a transaction': `
    a: MULTI
    a: BLPOP k 0
    a: BLMOVE k l LEFT LEFT 0
    a: BRPOPLPUSH k l 0
    a: BZPOPMIN z 0
    a: BLMPOP 0 1 k LEFT
    a: EXEC
    a: HELLO 3
    a: MULTI
    a: BLPOP k 0
    a: BLMOVE k l LEFT LEFT 0
    a: EXEC`,
  'requests behind one that waits run afterwards': `
    a: BLPOP k 0
    a: PING
    a: BLPOP k 0
    a: ECHO behind
    d: RPUSH k 1
    d: RPUSH k 2`,
  'a client that goes away is not served': `
    a: BLPOP k 0
    b: BLPOP k 0
    close a
    wait 20
    d: RPUSH k 1`,
  'replies that are not wanted': `
    a: CLIENT REPLY OFF
    a: BLPOP k 0
    d: RPUSH k 1
    a: SUBSCRIBE ch
    d: PUBLISH ch hello
    a: UNSUBSCRIBE ch
    a: CLIENT REPLY ON
    b: CLIENT REPLY SKIP
    b: BLPOP k 0
    d: RPUSH k 2
    b: PING`,
  'waiting does not disturb WATCH, being served does': `
    w: WATCH dst
    w: MULTI
    w: READ
    a: BRPOPLPUSH src dst 0
    w: EXEC
    w: WATCH dst
    w: MULTI
    w: PING
    d: LPUSH src x
    w: EXEC`,
  'channels and patterns': `
    a: SUBSCRIBE one two one
    b: PSUBSCRIBE o* t?o
    a: PING
    a: PING text
    a: GET k
    a: SELECT 1
    d: PUBLISH one 1
    d: PUBLISH two 2
    d: PUBLISH three 3
    d: PUBSUB CHANNELS t*
    d: PUBSUB NUMSUB one two three
    d: PUBSUB NUMPAT
    d: PUBSUB CHANNELS a b
    a: UNSUBSCRIBE one
    a: UNSUBSCRIBE two nothing
    a: UNSUBSCRIBE
    a: GET k
    b: PUNSUBSCRIBE o*
    b: PUNSUBSCRIBE t?o
    b: PUNSUBSCRIBE
    d: PUBLISH one 1
    a: SUBSCRIBE x
    a: RESET
    a: PUBLISH x 1`,
  'subscribing with RESP3': `
    a: HELLO 3
    a: SUBSCRIBE ch
    a: PSUBSCRIBE c*
    a: PUBLISH ch self
    a: GET k
    a: PING
    a: MULTI
    a: PUBLISH ch inside
    a: SUBSCRIBE more
    a: EXEC
    d: PUBLISH more x
    a: UNSUBSCRIBE ch
    a: UNSUBSCRIBE
    a: PUNSUBSCRIBE`,
  shards: `
    a: SSUBSCRIBE s1 s2
    b: SUBSCRIBE s1
    d: SPUBLISH s1 x
    d: PUBLISH s1 y
    d: PUBSUB SHARDCHANNELS s2*
    d: PUBSUB SHARDNUMSUB s1 s2 s3
    a: SUNSUBSCRIBE s1
    a: PING
    a: SUNSUBSCRIBE
    a: SUNSUBSCRIBE
    a: CLIENT PAUSE 1 ALL x
    a: CLIENT UNBLOCK 1 ERROR x
    c: MULTI
    c: SSUBSCRIBE s1
    c: EXEC`,
  'keyspace notifications': `
    d: CONFIG SET notify-keyspace-events KEA
    a: PSUBSCRIBE *
    d: SET k v
    d: SET k v EX 100
    d: DEL k
    d: LPUSH l 1
    d: LPOP l
    d: HSET h f v
    d: SADD s a
    d: ZADD z 1 a
    d: EXPIRE z 100
    d: RENAME z y
    b: BLPOP bl 0
    d: RPUSH bl x
    d: CONFIG SET notify-keyspace-events Kmn
    d: GET missing
    d: SET fresh 1
    d: CONFIG SET notify-keyspace-events ''
    d: SET quiet 1`,
  'tracking of what was read': `
    a: HELLO 3
    a: CLIENT TRACKING ON
    a: GET k
    a: MGET k j
    d: SET k 1
    d: SET k 2
    d: SET j 1
    a: GET k
    a: SET k 3
    a: CLIENT TRACKINGINFO
    a: CLIENT GETREDIR
    a: CLIENT TRACKING ON NOLOOP
    a: GET k
    a: SET k 4
    a: GET k
    d: FLUSHALL
    a: GET k
    a: MULTI
    a: GET k
    a: SET k 5
    a: EXEC
    a: CLIENT TRACKING OFF
    a: GET k
    d: SET k 6
    a: CLIENT CACHING YES
    a: CLIENT TRACKING ON OPTIN
    a: GET k
    d: SET k 7
    a: CLIENT CACHING YES
    a: CLIENT TRACKINGINFO
    a: GET k
    d: SET k 8
    a: CLIENT CACHING NO
    a: CLIENT TRACKING ON OPTOUT
    a: CLIENT TRACKING ON BCAST
    a: CLIENT TRACKING OFF
    a: CLIENT TRACKING ON OPTOUT
    a: CLIENT CACHING NO
    a: GET k
    d: SET k 9
    a: GET k
    d: SET k 10`,
  'tracking by prefix': `
    a: HELLO 3
    a: CLIENT TRACKING ON BCAST PREFIX user: PREFIX item:
    a: CLIENT TRACKING ON BCAST PREFIX user:1
    a: CLIENT TRACKING ON PREFIX x
    a: CLIENT TRACKING ON BCAST PREFIX x: PREFIX x:y
    a: CLIENT TRACKING ON BCAST OPTIN
    a: CLIENT TRACKING ON BCAST PREFIX more:
    a: CLIENT TRACKINGINFO
    d: MSET user:1 a item:1 b other c user:2 d
    a: SET user:1 x
    a: CLIENT TRACKING OFF
    a: CLIENT TRACKING ON BCAST NOLOOP
    a: SET mine 1
    d: SET theirs 1
    d: FLUSHDB
    a: CLIENT TRACKING ON OPTIN OPTOUT
    a: CLIENT TRACKING MAYBE
    a: CLIENT TRACKING ON REDIRECT 99999`,
  'a pause holds writers back, not readers': `
    d: CLIENT PAUSE 150 WRITE
    a: GET k
    a: SET k 1
    b: PUBLISH ch x
    c: MULTI
    c: GET k
    c: EXEC
    c: FOO
    wait 400
    d: GET k
    d: CLIENT PAUSE 60 ALL
    wait 400
    a: PING
    b: LPUSH l 1
    d: CLIENT PAUSE abc
    d: CLIENT PAUSE -1
    d: CLIENT PAUSE 1 SOME`,
  'RESET and the rest of a session': `
    a: WATCH k
    a: MULTI
    a: SET k 1
    a: RESET
    a: EXEC
    a: CLIENT SETNAME me
    a: SELECT 3
    a: HELLO 3
    a: RESET
    a: CLIENT GETNAME
    a: DBSIZE
    a: CLIENT NO-EVICT MAYBE
    a: CLIENT UNBLOCK 12345
    a: CLIENT UNBLOCK abc
    a: CLIENT UNBLOCK 1 MAYBE
    a: CLIENT KILL 1.2.3.4:5
    a: CLIENT KILL ID abc
    a: CLIENT KILL ID 0
    a: CLIENT KILL TYPE nobody
    a: CLIENT KILL SKIPME maybe
    a: CLIENT KILL TYPE pubsub
    a: CLIENT LIST TYPE nobody
    a: LATENCY LATEST
    a: LATENCY HISTORY x
    a: LATENCY RESET
    a: LATENCY GRAPH x`,
};

/** Numbers of connections differ from server to server. */
function comparable(outcome: Readonly<Record<string, string>>): Record<string, string> {
  const plain = ([name, text]: [string, string]) => [name, text.replace(/(\$2\r\nid\r\n):\d+/g, '$1:N')];
  return Object.fromEntries(Object.entries(outcome).map(plain));
}

describe.skipIf(!redisInstalled)('sessions of several clients', () => {
  const pair = serverPair();

  for (const [name, text] of Object.entries(SCENARIOS)) {
    // A session that two servers have at different speeds: what waits 100 ms may be looked at too early on a busy machine.
    it(name, { retry: 2 }, async () => {
      const cleanUp = script('z: CLIENT UNPAUSE\nz: FLUSHALL');
      const steps = script(text);
      const [wanted, got] = await pair.both((port) => play(port, steps));
      await pair.both((port) => play(port, cleanUp));
      expect(comparable(got)).toEqual(comparable(wanted));
    });
  }
});
