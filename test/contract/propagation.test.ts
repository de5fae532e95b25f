// What real redis-server 7.0.15 appends to its file, and what we hand to a sink, for the same commands: the same
// commands in the same words. Skipped where redis-server 7.0 is not installed.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROPAGATE_AOF, type PropagationSink } from '../../src/core/propagation.ts';
import { OurServer } from '../support/our-server.ts';
import { type Peer, RedisServer, redisInstalled } from '../support/redis-server.ts';
import { itemsOf, parseReply } from '../support/replies.ts';

/** Collects what is propagated. */
class Collector implements PropagationSink {
  readonly target = PROPAGATE_AOF;
  selectedDb = -1;
  text = '';

  feed(_db: number, bytes: Uint8Array, offset: number, length: number): void {
    this.text += Buffer.from(bytes.slice(offset, offset + length)).toString('latin1');
  }
}

/** Commands of a stream, one line each; times near now become `NOW+seconds`. */
function commandsOf(stream: Buffer): string[] {
  const lines: string[] = [];
  for (let at = 0; at < stream.length; ) {
    const parsed = parseReply(stream, at);
    if (parsed === null) throw new Error('half a command');
    lines.push(itemsOf(parsed.reply).map(wordOf).join(' '));
    at = parsed.end;
  }
  return lines;
}

function wordOf(word: unknown): string {
  const text = String(word);
  if (!/^\d{13}$/.test(text) || Math.abs(Number(text) - Date.now()) > 10_000_000) return text;
  return `NOW+${Math.round((Number(text) - Date.now()) / 10_000) * 10}`;
}

const w = (line: string): string[] => line.split(' ');

const DUMP_OF_A = '\x00\xc0\x01\x0a\x00';

/** Sessions that start with empty databases; each waits for the one before. `sleep N` waits N milliseconds. */
const SESSIONS: Readonly<Record<string, readonly string[]>> = {
  'commands as they came': [
    'SET a 1',
    'set a 2',
    'INCR a',
    'GET a',
    'APPEND a x',
    'DEL a b',
    'DEL nothing',
    'RPUSH l a b c',
  ],
  databases: [
    'SET a 1',
    'SELECT 3',
    'SET a 1',
    'SELECT 5',
    'GET a',
    'MOVE a 2',
    'SELECT 3',
    'MOVE a 2',
    'SWAPDB 2 3',
    'COPY a b DB 7',
  ],
  'SET with options': [
    'SET a 1 EX 1000',
    'SET a 1 PX 1000000',
    'SET a 1 EXAT 4000000000',
    'SET a 1 PXAT 4000000000000',
    'SET a 2 KEEPTTL',
    'SET a 3 NX',
    'SET a 3 XX GET',
    'SET a 3 get EX 1000 XX',
    'SET a 3 GET',
    'SETEX a 1000 v',
    'PSETEX a 1000000 v',
    'SETNX a v',
    'SETNX b v',
    'GETSET a v2',
    'GETSET new v2',
  ],
  'EXPIRE and its kin': [
    'MSET a 1 b 2 c 3 d 4 e 5 f 6',
    'EXPIRE a 1000',
    'EXPIRE a 2000 GT',
    'EXPIRE a 2000 NX',
    'PEXPIRE a 1000000 LT',
    'EXPIREAT a 4000000000',
    'PEXPIREAT a 4000000000000',
    'PEXPIREAT a 4000000000000 XX',
    'PERSIST a',
    'PERSIST a',
    'EXPIRE b -1',
    'EXPIREAT c 1',
    'PEXPIREAT d 1',
    'EXPIRE missing 100',
    'GETEX e EX 1000',
    'GETEX e PXAT 4000000000000',
    'GETEX e PERSIST',
    'GETEX e PERSIST',
    'GETEX e',
    'GETEX e PXAT 1',
    'GETDEL f',
    'GETDEL f',
  ],
  'lazyfree for expiry': [
    'CONFIG SET lazyfree-lazy-expire yes',
    'MSET a 1 b 2 c 3 d 4',
    'EXPIRE a -1',
    'GETEX b PXAT 1',
    'PEXPIRE c 20',
    'sleep 40',
    'GET c',
    'CONFIG SET lazyfree-lazy-expire no lazyfree-lazy-user-del yes',
    'GETDEL d',
    'CONFIG SET lazyfree-lazy-user-del no',
  ],
  'keys found expired': [
    'DEBUG SET-ACTIVE-EXPIRE 0',
    'SET a 1 PX 30',
    'SET b 1 PX 30',
    'SET c 1 PX 30',
    'SADD s 1',
    'PEXPIRE s 30',
    'sleep 60',
    'GET a',
    'SET b 2',
    'MULTI',
    'GET c',
    'SADD s 2',
    'EXEC',
    'DEBUG SET-ACTIVE-EXPIRE 1',
  ],
  'floating point': [
    'INCRBYFLOAT f 1.5',
    'INCRBYFLOAT f 1e2',
    'HINCRBYFLOAT h f 0.1',
    'HINCRBYFLOAT h f 0.2',
    'HINCRBY h g 3',
    'ZADD z 1 a',
    'ZINCRBY z 0.1 a',
    'ZADD z INCR 0.2 a',
  ],
  chance: [
    'SADD s a',
    'SPOP s',
    'SADD s 1 2 3',
    'SPOP s 5',
    'SADD one x',
    'SPOP one 1',
    'SPOP one',
    'SADD s a',
    'SPOP s 0',
    'SRANDMEMBER s',
  ],
  'pops of several keys': [
    'RPUSH l a b c d',
    'LMPOP 2 none l LEFT',
    'LMPOP 1 l RIGHT COUNT 10',
    'LMPOP 1 l RIGHT',
    'ZADD z 1 a 2 b 3 c',
    'ZMPOP 1 z MIN',
    'ZMPOP 2 none z MAX COUNT 9',
    'ZADD z 1 a',
    'ZPOPMIN z',
    'RPUSH l x',
    'LMOVE l l LEFT RIGHT',
    'RPOPLPUSH l m',
    'LPOP m 5',
  ],
  transactions: [
    'MULTI',
    'SET a 1',
    'GET a',
    'INCR a',
    'EXEC',
    'MULTI',
    'SET a 1',
    'EXEC',
    'MULTI',
    'GET a',
    'EXEC',
    'MULTI',
    'SET a 1',
    'SELECT 4',
    'SET b 2',
    'SELECT 0',
    'EXEC',
    'MULTI',
    'EXPIRE a 1000',
    'SPOP nothing',
    'HINCRBYFLOAT h f 1.5',
    'EXEC',
    'MULTI',
    'SET x',
    'EXEC',
  ],
  'whole databases': [
    'FLUSHALL',
    'FLUSHDB',
    'SET a 1',
    'FLUSHDB ASYNC',
    'SET a 1',
    'FLUSHALL SYNC',
    'MULTI',
    'FLUSHALL',
    'FLUSHDB',
    'EXEC',
  ],
  'nothing to tell': [
    'SADD s a',
    'SADD s a',
    'SREM s b',
    'HSET h f v',
    'HSET h f v',
    'HDEL h g',
    'ZADD z 1 a',
    'ZADD z 1 a',
    'LREM l 0 x',
    'RENAME s t',
    'RENAMENX t z',
    'COPY t u',
    'SORT t ALPHA',
    'LTRIM l 0 1',
    'SINTERSTORE d t u',
    'SINTERSTORE d none u',
    'SET s v',
    'SETRANGE s 0',
    'MSETNX s 1 n 2',
    'MSETNX n 1 o 2',
    'TOUCH n',
  ],
};

describe.skipIf(!redisInstalled)('what is told of changes', () => {
  let real: RedisServer;
  let ours: OurServer;
  let realPeer: Peer;
  let ourPeer: Peer;
  const sink = new Collector();

  beforeAll(async () => {
    real = await RedisServer.start({ appendonly: 'yes', appendfsync: 'always', 'auto-aof-rewrite-percentage': 0 });
    ours = await OurServer.start({ 'enable-debug-command': 'yes' });
    ours.server.propagation.addSink(sink);
    realPeer = real.connect();
    ourPeer = ours.connect();
  });

  afterAll(async () => {
    realPeer.close();
    ourPeer.close();
    await ours.stop();
    await real.stop();
  });

  const realStream = (): Buffer => {
    const directory = join(real.directory, 'appendonlydir');
    const file = readdirSync(directory).find((name) => name.endsWith('.incr.aof'));
    return readFileSync(join(directory, file!));
  };

  const both = async (words: readonly string[]): Promise<void> => {
    await Promise.all([realPeer.ask(...words), ourPeer.ask(...words)]);
  };

  const compare = async (requests: readonly (readonly string[])[]): Promise<void> => {
    // A stream that starts in database 0, and a database that both have left.
    await both(['FLUSHALL']);
    for (const words of [['SELECT', '9'], ['SET', 'mark', '1'], ['FLUSHALL'], ['SELECT', '0']]) await both(words);
    const mark = realStream().length;
    sink.text = '';
    for (const words of requests) {
      if (words[0] === 'sleep') await new Promise((resolve) => setTimeout(resolve, Number(words[1])));
      else await both(words);
    }
    expect(commandsOf(Buffer.from(sink.text, 'latin1'))).toEqual(commandsOf(realStream().subarray(mark)));
  };

  for (const [name, lines] of Object.entries(SESSIONS)) it(name, () => compare(lines.map(w)));

  it('RESTORE', async () => {
    const dump = String(await realPeer.ask('SET', 'a', '1').then(() => realPeer.ask('DUMP', 'a')));
    expect(dump.startsWith(DUMP_OF_A)).toBe(true);
    await compare([
      ['RESTORE', 'r', '0', dump],
      ['RESTORE', 'r', '1000000', dump, 'REPLACE'],
      ['RESTORE', 'r', '4000000000000', dump, 'REPLACE', 'ABSTTL'],
      ['RESTORE', 'r', '1000000', dump, 'REPLACE', 'IDLETIME', '10'],
      ['RESTORE', 'r', '1', dump, 'REPLACE', 'ABSTTL'],
      ['RESTORE', 'r', '1', dump, 'REPLACE', 'ABSTTL'],
    ]);
  });

  it('SPOP of some members is told as their removal', async () => {
    await both(['FLUSHALL']);
    await both(['SADD', 's', '1', '2', '3', '4', '5', '6']);
    sink.text = '';
    const mark = realStream().length;
    await both(['SPOP', 's', '3']);
    await both(['SPOP', 's']);
    const masked = (stream: Buffer): string[] => commandsOf(stream).map((line) => line.replace(/s \d$/, 's N'));
    expect(masked(Buffer.from(sink.text, 'latin1'))).toEqual(masked(realStream().subarray(mark)));
  });

  it('keys that expire unasked', async () => {
    await both(['FLUSHALL']);
    await both(['SELECT', '2']);
    await both(['CONFIG', 'SET', 'hz', '100']);
    sink.text = '';
    const mark = realStream().length;
    await both(['SET', 'a', '1', 'PX', '20']);
    const afterSet = (stream: Buffer): string[] => {
      const commands = commandsOf(stream);
      return commands.slice(commands.findIndex((line) => line.startsWith('SET a')) + 1);
    };
    await expect.poll(() => afterSet(Buffer.from(sink.text, 'latin1')), { timeout: 10_000 }).toEqual(['DEL a']);
    await expect.poll(() => afterSet(realStream().subarray(mark)), { timeout: 10_000 }).toEqual(['DEL a']);
    await both(['SELECT', '0']);
  });
});
