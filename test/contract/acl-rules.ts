// Rules of ACL SETUSER to try on two servers: hand-picked ones, and random ones made of the same parts.
import type { SeededRandom } from '../../src/platform/random.ts';

const HASH = 'c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2';

/** Each line is one ACL SETUSER behind the name. */
export const RULES: readonly string[] = [
  'on >secret ~a* &c1 -@all +get (%R~x +set)',
  'on nopass ~* &* +@all',
  'reset on >a >b >a <b',
  '<missing',
  `on #${HASH}`,
  `!${HASH}`,
  '#short',
  `#${HASH.toUpperCase()}`,
  `!${HASH.replace('c', 'z')}`,
  'ON NoPass AllKeys ALLCHANNELS AllCommands',
  'allkeys ~a',
  'resetkeys ~a ~b %R~a %W~a %RW~c %r~d %wr~e ~a',
  '%RR~a',
  '%~a',
  '%',
  '%X~a',
  '%RW',
  '%Rx',
  '~',
  '&',
  'allchannels &a',
  'resetchannels &a &a &b*',
  '~a\tb',
  '+get -get +GET',
  '+@all -@dangerous -debug +config|get',
  '+@all -config +config|set',
  '+config -config|set',
  '+select|0 +select|1 +SELECT|0',
  '+@all +select|0',
  '-select +select|0 +select',
  '-select|0',
  '+config|get|x',
  '+config|',
  '+config|nothing',
  '+select|',
  '+nothing',
  '-nothing',
  '+nothing|x',
  '+@nothing',
  '-@nothing',
  '+',
  '-',
  '+@',
  '+@READ -@write +@String',
  '+@all -@all',
  '-@all +@read +@write',
  '+@all -@read -@slow',
  '+@read -get',
  '+@hash +@set -hset +acl|whoami',
  '(~a +get) (~b +set)',
  '( ~a +get ) (~b',
  '(',
  ')',
  '()',
  '(on)',
  '(>pass)',
  '((~a))',
  '(~a (+get))',
  '(~a +get) clearselectors (~b +set)',
  '(&* &a)',
  '("a)',
  'sanitize-payload',
  'skip-sanitize-payload sanitize-payload',
  'skip-sanitize-payload on off on',
  'resetpass nopass',
  'nopass >x',
  'clearselectors resetkeys resetchannels nocommands',
  'nothing',
  '',
  '>',
  '+info +client|list +client|info',
  '-@all +@connection -auth +@transaction',
  '+@all -@connection',
  '+@all -eval -@scripting +eval',
];

/** Commands to try as each user: without running them. */
export const TRIALS: readonly string[] = [
  'GET a1',
  'SET a1 v',
  'SET a1 v GET',
  'SET x v',
  'GETDEL a1',
  'COPY a1 b1',
  'MGET a1 b1 x',
  'EVAL script 2 a1 zz',
  'EVAL script 0',
  'PUBLISH c1 m',
  'PUBLISH a m',
  'SPUBLISH b1 m',
  'SUBSCRIBE c1 a',
  'PSUBSCRIBE b*',
  'PSUBSCRIBE b',
  'UNSUBSCRIBE z',
  'CONFIG GET x',
  'CONFIG SET x y',
  'CONFIG NOTHING',
  'CONFIG',
  'SELECT 0',
  'SELECT 1',
  'ACL WHOAMI',
  'AUTH x',
  'INFO',
  'CLIENT LIST',
  'HSET a1 f v',
  'SORT a1 STORE b1',
  'MIGRATE h 1 k 0 1',
  'XREAD STREAMS a1 b1 0 0',
  'ZUNIONSTORE a1 0',
  'EXISTS b1 c',
  'NOTHING',
  'GET',
];

const COMMANDS = ['get', 'set', 'config', 'config|get', 'client|list', 'debug', 'select', 'eval', 'xgroup', 'object'];
const CATEGORIES = ['read', 'write', 'fast', 'slow', 'dangerous', 'admin', 'hash', 'keyspace', 'connection', 'stream'];
const ROOT = ['on', 'off', 'nopass', 'resetpass', '>p', '<p', 'reset', 'sanitize-payload', 'clearselectors'];

function pick<T>(random: SeededRandom, list: readonly T[]): T {
  return list[random.below(list.length)];
}

function permission(random: SeededRandom): string {
  const sign = random.below(2) === 0 ? '+' : '-';
  switch (random.below(9)) {
    case 0:
      return pick(random, ['allkeys', 'resetkeys', 'allchannels', 'resetchannels']);
    case 1:
      return pick(random, ['~a*', '%R~a*', '%W~x', '%RW~b?', '~*']);
    case 2:
      return pick(random, ['&a', '&b*', '&c?', '&*']);
    case 3:
      return pick(random, ['+@all', '-@all', 'allcommands', 'nocommands']);
    case 4:
      return pick(random, ['+select|0', '+select|1', '+get|x']);
    case 5:
    case 6:
      return `${sign}@${pick(random, CATEGORIES)}`;
    default:
      return sign + pick(random, COMMANDS);
  }
}

/** Rules in their order, most of which hold. */
export function randomRules(random: SeededRandom): string {
  return Array.from({ length: 1 + random.below(8) }, () => {
    const kind = random.below(8);
    if (kind === 0) return pick(random, ROOT);
    if (kind > 1) return permission(random);
    return `(${Array.from({ length: random.below(4) }, () => permission(random)).join(' ')})`;
  }).join(' ');
}
