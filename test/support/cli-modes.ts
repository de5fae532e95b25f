// redis-cli in its modes, and what each has to show. Run on loopback by test/contract, on a wire by test/lab.

export interface CliMode {
  readonly name: string;
  /** Words behind the server's address. */
  readonly words: readonly string[];
  /** For its stdin. */
  readonly input?: string;
  /** The mode does not end by itself: it is stopped after so long. */
  readonly stopAfterSeconds?: number;
  /** What it prints, all of it in one go. */
  readonly shows: RegExp;
  readonly code?: number;
}

/** The dataset that the modes look at; see `fillCommands`. */
const KEYS = 300;

/** Lines for `--pipe`, and the dataset of the modes that follow. */
export function fillCommands(): string {
  const lines = ['FLUSHALL'];
  for (let i = 0; i < KEYS; i++) lines.push(`SET key:${i} "${'v'.repeat(i)}"`);
  lines.push(`RPUSH biglist ${Array.from({ length: 500 }, (_, i) => i).join(' ')}`);
  lines.push(`SADD bigset ${Array.from({ length: 700 }, (_, i) => `m${i}`).join(' ')}`);
  lines.push('HSET bighash a 1 b 2 c 3', 'ZADD bigzset 1 a 2 b', 'XADD bigstream 1-1 f v', '');
  return lines.join('\r\n');
}

/** @param scratch a directory for files. */
export function cliModes(scratch: string): CliMode[] {
  return [
    {
      name: '--pipe',
      words: ['--pipe'],
      input: fillCommands(),
      shows: /All data transferred.*\nLast reply received from server\.\nerrors: 0, replies: 306\n/s,
    },
    { name: 'a command', words: ['GET', 'key:3'], shows: /^vvv\n$/ },
    { name: '-3 --no-raw', words: ['-3', '--no-raw', 'HGETALL', 'bighash'], shows: /^1# "a" => "1"\n2# "b" => "2"\n/ },
    { name: '--json', words: ['--json', 'HGETALL', 'bighash'], shows: /^\{"a":"1","b":"2","c":"3"\}\n$/ },
    { name: '--csv', words: ['--csv', 'LRANGE', 'biglist', '0', '2'], shows: /^"0","1","2"\n$/ },
    { name: '-x', words: ['-x', 'SET', 'from-stdin'], input: 'a\0b', shows: /^OK\n$/ },
    { name: '-r and -i', words: ['-r', '3', '-i', '0.05', 'INCR', 'repeated'], shows: /^1\n2\n3\n$/ },
    { name: '-e', words: ['-e', 'INCR', 'biglist'], shows: /WRONGTYPE/, code: 1 },
    { name: '-n', words: ['-n', '3', 'DBSIZE'], shows: /^0\n$/ },
    { name: '--scan', words: ['--scan', '--pattern', 'key:29?'], shows: /^(key:29\d\n){10}$/ },
    {
      name: '--bigkeys',
      words: ['--bigkeys'],
      shows: /Biggest +list found .*biglist.* has 500 items.*Biggest +set found .*bigset.* has 700 members/s,
    },
    {
      name: '--memkeys',
      words: ['--memkeys'],
      shows: /Sampled 307 keys in the keyspace!.*Biggest +set found .*bigset.* has \d+ bytes/s,
    },
    { name: '--latency', words: ['--latency', '-i', '1'], shows: /^0 \d+ 0?\d*\.\d+ \d+\n|^\d+ \d+ \d+\.\d+ \d+\n/ },
    {
      name: '--latency-history',
      words: ['--latency-history', '-i', '1'],
      stopAfterSeconds: 3,
      shows: /\d+ \d+ \d+\.\d+ \d+/,
    },
    {
      name: '--stat',
      words: ['--stat', '-i', '0.2'],
      stopAfterSeconds: 2,
      shows: /keys +mem +clients +blocked +requests +connections.*\n307 +\d+\.\d+[KM] +\d+ +0 +\d+ \(\+\d+\) +\d+/s,
    },
    {
      name: '--eval',
      words: ['--eval', `${scratch}/script.lua`, 'key:5', ',', 'argument'],
      shows: /^key:5\nargument\nvvvvv\n$/,
    },
    { name: '--rdb', words: ['--rdb', `${scratch}/dump.rdb`], shows: /Transfer finished with success/ },
    {
      name: '--functions-rdb',
      words: ['--functions-rdb', `${scratch}/functions.rdb`],
      shows: /Transfer finished with success/,
    },
    { name: 'MONITOR', words: ['MONITOR'], stopAfterSeconds: 1, shows: /^OK\n/ },
    {
      name: 'subscribed mode',
      words: ['SUBSCRIBE', 'one', 'two'],
      stopAfterSeconds: 1,
      shows: /^subscribe\none\n1\nsubscribe\ntwo\n2\n/,
    },
    {
      name: 'a session of lines',
      words: [],
      input: 'SELECT 2\nSET a "b\\x00c"\nMULTI\nGET a\nSTRLEN a\nEXEC\nHELLO 3\nHGETALL nothing\nHELP\nOBJECT HELP\n',
      shows: /^OK\nOK\nOK\nQUEUED\nQUEUED\nb\0c\n3\n/,
    },
    { name: '--lru-test', words: ['--lru-test', '1000'], stopAfterSeconds: 3, shows: /\d+ Gets\/sec \| Hits: \d+/ },
  ];
}
