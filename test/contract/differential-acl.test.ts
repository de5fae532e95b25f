// Users: real redis-server 7.0.15 and our server take and refuse the same rules, describe the users alike and allow them
// the same. Skipped where redis-server 7.0 is not installed.
import { describe, expect, it } from 'vitest';
import { commandTable } from '../../src/commands/table.ts';
import { SeededRandom } from '../../src/platform/random.ts';
import { redisInstalled } from '../support/redis-server.ts';
import { play, type Step } from '../support/scenario.ts';
import { serverPair } from '../support/server-pair.ts';
import { RULES, randomRules, TRIALS } from './acl-rules.ts';

const RUNS = Number(process.env.DIFFERENTIAL_RUNS ?? 150);

/** Redis lists single commands in the order of a hash table whose seed is new at each start. */
function comparable(text: string): string {
  const ordered = (list: string): string => {
    const words = list.split(' ');
    const isSingle = (word: string): boolean => /^[+-][^@]/.test(word);
    return [...words.filter((word) => !isSingle(word)), ...words.filter(isSingle).sort()].join(' ');
  };
  return text
    .split(/([()\r\n])/)
    .map((part) => ordered(part.trim()))
    .join('\n')
    .replace(/\bid\n+:\d+/g, 'id:N');
}

/** `a: GET k` on each line. */
function script(text: string): Step[] {
  return text
    .trim()
    .split('\n')
    .map((line): Step => {
      const [first, ...words] = line.trim().split(/\s+/);
      return [first.replace(':', ''), ...words.map((word) => (word === "''" ? '' : word))];
    });
}

const SCENARIOS: Readonly<Record<string, string>> = {
  'what a user may not do': `
    a: SET other 1
    a: ACL SETUSER bob on >pw ~a* &c* +@read +@write +@pubsub +acl|whoami -ping
    a: AUTH bob wrong
    a: AUTH nobody pw
    a: AUTH bob pw
    a: ACL WHOAMI
    a: PING
    a: GET other
    a: SET a1 1
    a: MGET a1 other
    a: PUBLISH c1 x
    a: PUBLISH d1 x
    a: ACL LIST
    a: CONFIG GET port
    a: NOTHING
    a: RESET
    a: ACL WHOAMI
    a: CLIENT KILL USER nobody
    a: CLIENT KILL USER bob`,
  'transactions of one who may not do all': `
    a: ACL SETUSER bob on nopass ~a* +@all -@dangerous
    b: AUTH bob x
    b: MULTI
    b: SET other 1
    b: SET a1 1
    b: EXEC
    b: MULTI
    b: SET a1 1
    b: GET a1
    a: ACL SETUSER bob -get
    b: EXEC
    b: MULTI
    b: PING
    a: ACL SETUSER bob -exec
    b: EXEC
    b: PING
    a: ACL SETUSER bob +exec
    b: EXEC
    b: MULTI
    b: SET a1 2
    a: ACL SETUSER bob resetkeys ~b*
    b: EXEC
    a: INFO errorstats`,
  'scripts of one who may not do all': `
    a: ACL SETUSER bob on nopass ~a* &c +@all -incr
    b: AUTH bob x
    b: EVAL return{redis.pcall('set',KEYS[1],'1'),redis.acl_check_cmd('get','a'),redis.acl_check_cmd('get','b')} 1 a1
    b: EVAL return{redis.pcall('get','b')} 0
    b: EVAL return{redis.pcall('incr','a')} 0
    b: EVAL return{redis.pcall('publish','d','x')} 0
    b: EVAL return{redis.acl_check_cmd('nothing')} 0
    b: EVAL return{redis.call('get','b')} 0
    b: EVAL return{redis.call('get','b')} 1 b`,
  'sorting by what is not named': `
    a: RPUSH a1 2 1
    a: ACL SETUSER bob on nopass ~a* +@all
    b: AUTH bob x
    b: SORT a1
    b: SORT a1 BY nosort
    b: SORT a1 BY w_*
    b: SORT a1 GET #
    b: SORT_RO a1 GET w_*
    b: SORT a1 STORE b1
    a: ACL SETUSER bob %R~*
    b: SORT a1 BY w_* GET #
    b: SORT a1 BY w_* STORE b1`,
  'who is connected when users change': `
    a: ACL SETUSER bob on nopass &c* &d +@all
    b: AUTH bob x
    b: SUBSCRIBE c1 c2
    c: AUTH bob x
    c: PSUBSCRIBE c*
    d: AUTH bob x
    d: SSUBSCRIBE d
    a: ACL SETUSER bob resetchannels &c1 &c2 &d
    a: PUBLISH c1 hello
    a: SPUBLISH d hello
    a: ACL SETUSER bob resetchannels &d
    a: PUBLISH c1 hello
    a: SPUBLISH d hello
    e: AUTH bob x
    e: ACL DELUSER bob nobody
    e: PING
    a: PUBSUB NUMSUB c1
    a: ACL DELUSER default
    a: ACL USERS`,
  'the default user': `
    a: CONFIG SET requirepass one
    a: PING
    b: PING
    b: AUTH two
    b: AUTH one
    b: PING
    b: ACL GETUSER default
    b: ACL SETUSER default >two
    c: HELLO 3
    c: HELLO 3 AUTH default bad
    c: HELLO 3 AUTH default two SETNAME n
    d: AUTH default two three
    d: AUTH two
    d: ACL SETUSER default nopass
    d: CONFIG GET requirepass
    e: PING
    e: AUTH x
    e: ACL SETUSER default -get
    e: GET k
    e: RESET
    e: GET k
    e: ACL SETUSER default off
    f: PING
    e: GET k
    e: ACL SETUSER default on +get
    e: CONFIG SET requirepass ''`,
  'words that do not fit': `
    a: ACL
    a: ACL NOTHING
    a: ACL CAT nothing
    a: ACL CAT read x
    a: ACL CAT
    a: ACL GENPASS 0
    a: ACL GENPASS 4097
    a: ACL GENPASS x
    a: ACL GENPASS 1 2
    a: ACL LOG x
    a: ACL LOG 1 2
    a: ACL LOG -1
    a: ACL LOG RESET
    a: ACL GETUSER nobody
    a: ACL DRYRUN nobody get x
    a: ACL DRYRUN default nothing
    a: ACL DRYRUN default get
    a: ACL LOAD
    a: ACL SAVE
    a: ACL WHOAMI x
    a: ACL SETUSER
    a: ACL DELUSER`,
};

const WORDS = [
  ...['a1', 'a2', 'b1', 'c1', 'x', '0', '1', '2', '3', '-1', '', 'STORE', 'STOREDIST', 'GET', 'SET', 'INCRBY', 'BY'],
  ...['LIMIT', 'KEYS', 'AUTH', 'AUTH2', 'COPY', 'STREAMS', 'COUNT', 'BLOCK', 'GROUP', 'OVERFLOW', 'WEIGHTS'],
];

describe.skipIf(!redisInstalled)('users', () => {
  const pair = serverPair();

  /** Asks both, and expects like answers. */
  async function same(batch: readonly (readonly string[])[], about: string): Promise<void> {
    const [wanted, got] = await Promise.all(pair.peers.map((peer) => peer.run(batch)));
    batch.forEach((words, i) => {
      const context = `${about}: ${words.join(' ')}`;
      expect(comparable(got[i].bytes.toString('latin1')), context).toBe(comparable(wanted[i].bytes.toString('latin1')));
    });
  }

  const trials = TRIALS.map((trial) => ['ACL', 'DRYRUN', 'u', ...trial.split(' ')]);

  it('each rule is taken or refused, described and obeyed alike', { timeout: 60_000 }, async () => {
    for (const rules of RULES) {
      const setUser = ['ACL', 'SETUSER', 'u', ...rules.split(' ')];
      await same([['ACL', 'SETUSER', 'u'], setUser, ['ACL', 'GETUSER', 'u'], ['ACL', 'LIST'], ...trials], rules);
      await same([['ACL', 'DELUSER', 'u']], rules);
    }
  });

  it('random rules, one after another on the same user', { timeout: 120_000 }, async () => {
    const random = new SeededRandom(7);
    for (let run = 0; run < RUNS; run++) {
      if (run % 5 === 0)
        await same(
          [
            ['ACL', 'DELUSER', 'u'],
            ['ACL', 'SETUSER', 'u'],
          ],
          'anew',
        );
      const rules = randomRules(random);
      await same(
        [['ACL', 'SETUSER', 'u', ...rules.split(' ')], ['ACL', 'GETUSER', 'u'], ['ACL', 'LIST'], ...trials],
        rules,
      );
    }
  });

  it('keys of any command with any words, and what is done to them', { timeout: 120_000 }, async () => {
    const random = new SeededRandom(11);
    const names = commandTable
      .flatMap((spec) => [spec, ...(spec.subcommands ?? [])])
      .filter(({ run }) => run !== undefined);
    await same([['ACL', 'SETUSER', 'u', 'on', 'nopass', '~a*', '%R~b*', '%W~c*', '+@all']], 'user');
    for (const { arity, name } of names) {
      // Only we have these.
      if (name.startsWith('module|') || name.startsWith('wiredis')) continue;
      const batch: string[][] = [];
      for (let run = 0; run < 12; run++) {
        const first = name.split('|');
        const count = Math.abs(arity) - first.length + (arity < 0 ? random.below(6) : 0);
        const words = [
          ...first,
          ...Array.from({ length: Math.max(0, count) }, () => WORDS[random.below(WORDS.length)]),
        ];
        batch.push(['COMMAND', 'GETKEYSANDFLAGS', ...words], ['ACL', 'DRYRUN', 'u', ...words]);
      }
      await same(batch, name);
    }
  });

  for (const [name, text] of Object.entries(SCENARIOS)) {
    it(name, async () => {
      const steps = script(text);
      const [wanted, got] = await pair.both((port) => play(port, steps));
      const readable = (outcome: Record<string, string>): Record<string, string> =>
        Object.fromEntries(Object.entries(outcome).map(([who, received]) => [who, comparable(received)]));
      expect(readable(got)).toEqual(readable(wanted));
      const cleanUp = script('z: ACL DELUSER bob\nz: FLUSHALL\nz: CONFIG RESETSTAT');
      await pair.both((port) => play(port, cleanUp));
    });
  }
});
