import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type ChangeRules,
  changeConfig,
  createConfig,
  directiveNames,
  findDirective,
  getDirective,
  ignoredSettings,
  refusedSettings,
} from './config.ts';
import { argumentsToText, ConfigLoader } from './config-file.ts';
import { rewriteConfigFile, rewriteConfigText } from './config-rewrite.ts';
import { DirectiveError } from './directive.ts';

const rules: ChangeRules = { loading: false, protectedAllowed: false, apply: () => undefined };
const get = (config: ReturnType<typeof createConfig>, name: string): string =>
  getDirective(config, findDirective(name)!);

function load(text: string): ReturnType<typeof createConfig> {
  const config = createConfig();
  new ConfigLoader(config, '7.0.15').loadText(text, 'redis.conf');
  return config;
}

describe('directives', () => {
  test('all 192 names that Redis 7.0.15 tells; ours are told when asked for', () => {
    expect(directiveNames.length).toBe(192);
    for (const name of [
      'control-socket',
      'move-listen',
      'move-secret',
      'engine',
      'core',
      'relay-forward',
      'relay-spawn',
      'relay-upstream',
      'metrics-bind',
      'metrics-port',
      'metrics-token',
      'log-format',
      'user-after-open',
      'netdev',
      'transport',
      'workers',
      'key-load-delay',
    ]) {
      expect(directiveNames).not.toContain(name);
      expect(findDirective(name)).toBeDefined();
    }
  });

  test('typed fields and their text', () => {
    const config = createConfig();
    expect(config.listMaxListpackSize).toBe(-2);
    expect(config.aofRewriteCpulist).toBe('');
    expect(get(config, 'save')).toBe('3600 1 300 100 60 10000');
    expect(get(config, 'client-output-buffer-limit')).toBe(
      'normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60',
    );
    expect(get(config, 'unixsocketperm')).toBe('0');
    expect(get(config, 'slaveof')).toBe('');
  });
});

describe('numbers at the ends', () => {
  const parse = (name: string, word: string): string => {
    const { directive } = findDirective(name)!;
    return directive.format(directive.parse([word], directive.fallback));
  };

  test('64 bits are told exactly, and more are refused or cut off as Redis does', () => {
    expect(parse('acllog-max-len', '9223372036854775807')).toBe('9223372036854775807');
    expect(() => parse('acllog-max-len', '9223372036854775808')).toThrow("argument couldn't be parsed into an integer");
    expect(() => parse('hz', '9223372036854775808')).toThrow("argument couldn't be parsed into an integer");
    expect(parse('maxmemory', '99999999999999999999')).toBe('18446744073709551615');
  });

  test('a size without digits is none', () => {
    expect(parse('hll-sparse-max-bytes', '')).toBe('0');
    expect(() => parse('client-query-buffer-limit', '')).toThrow(
      'argument must be between 1048576 and 9223372036854775807 inclusive',
    );
  });

  test('what is no number is not out of bounds', () => {
    expect(() => parse('latency-tracking-info-percentiles', 'abc')).toThrow('Invalid latency-tracking-info-percent');
    expect(() => parse('latency-tracking-info-percentiles', '101')).toThrow('should sit between [0.0,100.0]');
    expect(() => parse('cluster-announce-hostname', 'a b')).toThrow('Hostnames may only contain');
  });
});

describe('changeConfig', () => {
  test('memory units, percents, aliases, several words in one value', () => {
    const config = createConfig();
    const pairs = [
      ['MAXMEMORY', '2gb'],
      ['maxmemory-clients', '5%'],
      ['list-max-ziplist-size', '-1'],
      ['client-output-buffer-limit', 'pubsub 1mb 0 10'],
      ['save', '900 1 10 100'],
      ['notify-keyspace-events', 'KEA'],
    ] as const;
    expect(changeConfig(config, pairs, rules)).toBe(null);
    expect(config.maxmemory).toBe(2 * 1024 ** 3);
    expect(get(config, 'maxmemory-clients')).toBe('5%');
    expect(get(config, 'list-max-listpack-size')).toBe('-1');
    expect(config.clientOutputBufferLimit[2]).toEqual({ hard: 1048576, soft: 0, softSeconds: 10 });
    expect(config.clientOutputBufferLimit[1].hard).toBe(268435456);
    expect(config.save).toEqual([
      { seconds: 900, changes: 1 },
      { seconds: 10, changes: 100 },
    ]);
    expect(get(config, 'notify-keyspace-events')).toBe('AKE');
  });

  test.each([
    [[['nope', '1']], "ERR Unknown option or number of arguments for CONFIG SET - 'nope'"],
    [
      [['databases', '1']],
      "ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config",
    ],
    [[['dir', '/tmp']], "ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config"],
    [
      [
        ['maxclients', '10'],
        ['Maxclients', '20'],
      ],
      "ERR CONFIG SET failed (possibly related to argument 'Maxclients') - duplicate parameter",
    ],
    [
      [['appendonly', 'maybe']],
      "ERR CONFIG SET failed (possibly related to argument 'appendonly') - argument must be 'yes' or 'no'",
    ],
    [
      [['maxclients', '0']],
      "ERR CONFIG SET failed (possibly related to argument 'maxclients') - argument must be between 1 and 4294967295 inclusive",
    ],
    [
      [['appendfsync', 'x']],
      "ERR CONFIG SET failed (possibly related to argument 'appendfsync') - argument(s) must be one of the following: everysec, always, no",
    ],
    [
      [['maxmemory', '10zb']],
      "ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value",
    ],
    [
      [['timeout', '1x']],
      "ERR CONFIG SET failed (possibly related to argument 'timeout') - argument couldn't be parsed into an integer",
    ],
  ] as const)('%j is refused as Redis does', (pairs, message) => {
    expect(changeConfig(createConfig(), pairs, rules)).toBe(message);
  });

  test('one refusal undoes the others, in values and in effect', () => {
    const config = createConfig();
    const applied: string[] = [];
    const failing: ChangeRules = {
      ...rules,
      apply(named) {
        applied.push(`${named.name}=${getDirective(config, named)}`);
        if (named.name === 'port' && config.port === 99) throw new DirectiveError('Unable to listen');
      },
    };
    expect(
      changeConfig(
        config,
        [
          ['hz', '50'],
          ['port', '99'],
        ],
        failing,
      ),
    ).toContain("'port') - Unable to listen");
    expect([config.hz, config.port]).toEqual([10, 6379]);
    expect(applied).toEqual(['hz=50', 'port=99', 'hz=10', 'port=6379']);
  });
});

describe('what is not there is never silent', () => {
  const finished = (text: string): ReturnType<typeof createConfig> => {
    const config = createConfig();
    const loader = new ConfigLoader(config, '7.0.15');
    loader.loadText(text, 'redis.conf');
    loader.finish();
    return config;
  };

  test.each([['cluster-enabled yes', 'cluster mode']])('%j is refused with its line', (line, what) => {
    const place = `Reading the configuration file, at line 2 of redis.conf\n>>> '${line}'\n`;
    expect(() => finished(`port 1\n${line}\nhz 20`)).toThrow(place);
    expect(() => finished(`port 1\n${line}\nhz 20`)).toThrow(
      new RegExp(`^${what} (is|are) not supported in this`, 'm'),
    );
  });

  test('what asks for nothing is accepted, and the last line counts', () => {
    const config = finished(
      'cluster-enabled yes\ncluster-enabled no\ntls-port 0\nreplicaof no one\nmaxmemory-policy allkeys-lru\n' +
        'user default on nopass sanitize-payload ~* &* +@all',
    );
    expect(config.clusterEnabled).toBe(false);
    expect(refusedSettings(config)).toEqual([]);
    expect(ignoredSettings(config)).toEqual([]);
  });

  test('what has no effect is told by name', () => {
    const config = finished('io-threads 4\nactivedefrag yes\nlua-time-limit 1\nhz 20\nset-proc-title yes');
    expect(ignoredSettings(config)).toEqual(['activedefrag', 'io-threads']);
  });

  test('CONFIG SET refuses it and changes nothing', () => {
    const config = createConfig();
    const before = { ...config };
    const set = (...pairs: [string, string][]): string | null => changeConfig(config, pairs, rules);
    expect(set(['hz', '50'], ['cluster-enabled', 'yes'])).not.toBe(null);
    expect(config).toEqual(before);
    expect(set(['maxmemory', '1mb'], ['maxmemory-policy', 'allkeys-lru'])).toBe(null);
  });

  test('every default is honoured', () => {
    expect(refusedSettings(createConfig())).toEqual([]);
    expect(ignoredSettings(createConfig())).toEqual([]);
  });
});

describe('redis.conf', () => {
  test('comments, quotes, save lines that add up, rename-command', () => {
    const config = load('# hello\n\nrequirepass "a b\\x41"\nsave 900 1\nsave 10 2 5 3\nbind 127.0.0.1 -::1\r\n');
    expect(config.requirepass).toBe('a bA');
    expect(config.save.map((point) => point.seconds)).toEqual([900, 10, 5]);
    expect(config.bind).toEqual(['127.0.0.1', '-::1']);
    expect(load('save ""').save).toEqual([]);
  });

  test.each([
    ['port 1\nfoo bar', 2, 'foo bar', 'Bad directive or wrong number of arguments'],
    ['port', 1, 'port', 'Bad directive or wrong number of arguments'],
    ['port abc', 1, 'port abc', "argument couldn't be parsed into an integer"],
    ['port 1 2', 1, 'port 1 2', 'wrong number of arguments'],
    ['dir "x', 1, 'dir "x', 'Unbalanced quotes in configuration line'],
  ])('%j names the line', (text, line, quotedLine, problem) => {
    expect(() => load(text)).toThrow(
      `\n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\nReading the configuration file, at line ${line} of redis.conf\n>>> '${quotedLine}'\n${problem}`,
    );
  });

  test('include reads files by pattern', () => {
    const folder = mkdtempSync(join(tmpdir(), 'wiredis-config-'));
    writeFileSync(join(folder, 'a.conf'), 'port 7001\n');
    writeFileSync(join(folder, 'b.conf'), 'hz 33\n');
    const config = load(`include ${folder}/*.conf`);
    expect([config.port, config.hz]).toEqual([7001, 33]);
    expect(() => load(`include ${folder}/none.conf`)).toThrow("can't open config file");
    rmSync(folder, { recursive: true });
  });

  test('command line words become lines', () => {
    const text = argumentsToText([
      '--port',
      '7000',
      '--save',
      '--requirepass',
      '--odd',
      '--bind',
      '1.1.1.1',
      '::1',
      '--hz 20',
    ]);
    const config = load(text);
    expect([config.port, config.save, config.requirepass, config.hz]).toEqual([7000, [], '--odd', 20]);
    expect(config.bind).toEqual(['1.1.1.1', '::1']);
  });

  test('CONFIG REWRITE keeps what it can', () => {
    const config = load('maxmemory 1mb\nhz 20\nsave 5 5');
    const text = rewriteConfigText(config, '# top\nmaxmemory 3mb\nrename-command a b\nmaxmemory 4mb\n');
    expect(text).toBe('# top\nmaxmemory 1048576\nrename-command a b\n# Generated by CONFIG REWRITE\nhz 20\nsave 5 5\n');
    const folder = mkdtempSync(join(tmpdir(), 'wiredis-config-'));
    const path = join(folder, 'redis.conf');
    writeFileSync(path, 'port 1\n');
    config.requirepass = 'two words';
    rewriteConfigFile(config, path, [], false);
    const again = createConfig();
    new ConfigLoader(again, '7.0.15').loadText(readFileSync(path, 'latin1'), path);
    expect(again).toEqual(config);
    rmSync(folder, { recursive: true });
  });
});

describe('metrics-port on the number of another port', () => {
  const problem = (text: string): string => {
    const config = createConfig();
    const loader = new ConfigLoader(config, '7.0.15');
    loader.loadText(text, 'redis.conf');
    try {
      loader.finish();
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  };

  test('is told with file and line of both', () => {
    const told = problem('transport kernel\nport 7000\n\nmetrics-port 7000');
    expect(told).toContain('at line 4 of redis.conf');
    expect(told).toContain('metrics-port and port are both 7000 (port: redis.conf:2): give one of them another number');
    expect(problem('transport kernel\nmetrics-port 6379')).toContain('(port: its default)');
    expect(problem('transport kernel\ntls-port 7000\nmetrics-port 7000')).toContain('metrics-port and tls-port');
  });

  test('is allowed where both can be listened on', () => {
    expect(problem('transport userspace\nport 7000\nmetrics-port 7000')).toBe('');
    expect(problem('transport kernel\nbind 10.0.0.1 -::*\nport 7000\nmetrics-port 7000')).toBe('');
    expect(problem('transport kernel\nport 7000\nmetrics-port 7001')).toBe('');
  });
});
