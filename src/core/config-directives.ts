// Every directive of redis.conf that Redis 7.0.15 knows, and ours, which only those see who name them: type, default,
// range, whether it can change at run time, and whether it does anything: `ignored` has no effect, and a warning says so;
// `refused` would be dangerous to ignore. The names are the keys; src/core/config.ts turns them into typed fields.

import { titleProblem } from '../platform/process-title.ts';
import { quoteArg, splitArgs } from '../resp/split-args.ts';
import {
  bool,
  choice,
  choices,
  DENY_LOADING,
  type Directive,
  DirectiveError,
  HIDDEN,
  IMMUTABLE,
  INT_MAX,
  INT_MIN,
  ignored,
  LONG_MAX,
  MULTI_WORD,
  number,
  PROTECTED,
  parseMemory,
  refused,
  SENSITIVE,
  text,
  UINT_MAX,
  ULONG_MAX,
} from './directive.ts';
import { formatNotifyFlags, parseNotifyFlags } from './notify-flags.ts';

export interface SavePoint {
  readonly seconds: number;
  readonly changes: number;
}

export interface OutputBufferLimit {
  readonly hard: number;
  readonly soft: number;
  readonly softSeconds: number;
}

/** Limits by client class: `normal`, `slave`, `pubsub`. */
export type OutputBufferLimits = readonly [OutputBufferLimit, OutputBufferLimit, OutputBufferLimit];

const CLIENT_CLASSES = ['normal', 'slave', 'pubsub'];
const fixed = { flags: IMMUTABLE };
const hidden = { flags: HIDDEN };
/** Ours: what asks for all that Redis has does not see them. */
const own = { flags: IMMUTABLE | HIDDEN };
const fileNameOnly = (what: string) => (value: string) =>
  value.includes('/') ? `${what} can't be a path, just a filename` : null;
const notEmpty = (what: string) => (value: string) =>
  value === '' ? `${what} can't be empty` : fileNameOnly(what)(value);
const PROTECTED_ACTION = ['no', 'yes', 'local'] as const;
const SHUTDOWN_FLAGS = ['default', 'save', 'nosave', 'now', 'force'] as const;
const SYSLOG_FACILITIES = [
  'user',
  'local0',
  'local1',
  'local2',
  'local3',
  'local4',
  'local5',
  'local6',
  'local7',
] as const;
const port = (fallback: number, flags = 0): Directive<number> => number(fallback, 0, 65535, { flags });
const count = (fallback: number, options: { flags?: number; alias?: string } = {}): Directive<number> =>
  number(fallback, 0, INT_MAX, options);
const size = (fallback: number, options: { flags?: number; alias?: string } = {}): Directive<number> =>
  number(fallback, 0, LONG_MAX, { ...options, as: 'memory' });

const savePoints: Directive<readonly SavePoint[]> = {
  fallback: [
    { seconds: 3600, changes: 1 },
    { seconds: 300, changes: 100 },
    { seconds: 60, changes: 10000 },
  ],
  flags: MULTI_WORD,
  alias: undefined,
  parse(words) {
    const list = words.length === 1 ? words[0].split(' ').filter((word) => word !== '') : words;
    if (list.length === 0) return [];
    if (list.length % 2 !== 0) throw new DirectiveError('Invalid save parameters');
    const points: SavePoint[] = [];
    for (let i = 0; i < list.length; i += 2) {
      const seconds = Number(list[i]);
      const changes = Number(list[i + 1]);
      if (!/^\d+$/.test(list[i]) || !/^\d+$/.test(list[i + 1]) || seconds < 1) {
        throw new DirectiveError('Invalid save parameters');
      }
      points.push({ seconds, changes });
    }
    return points;
  },
  format: (points) => points.map((point) => `${point.seconds} ${point.changes}`).join(' '),
  lines: (points) => (points.length === 0 ? ['""'] : points.map((point) => `${point.seconds} ${point.changes}`)),
};

const outputBufferLimits: Directive<OutputBufferLimits> = {
  fallback: [
    { hard: 0, soft: 0, softSeconds: 0 },
    { hard: 256 * 1024 ** 2, soft: 64 * 1024 ** 2, softSeconds: 60 },
    { hard: 32 * 1024 ** 2, soft: 8 * 1024 ** 2, softSeconds: 60 },
  ],
  flags: MULTI_WORD,
  alias: undefined,
  parse(words, previous) {
    const list = words.length === 1 ? words[0].split(' ').filter((word) => word !== '') : words;
    if (list.length % 4 !== 0) throw new DirectiveError('Wrong number of arguments in buffer limit configuration.');
    const limits: [OutputBufferLimit, OutputBufferLimit, OutputBufferLimit] = [...previous];
    for (let i = 0; i < list.length; i += 4) {
      const name = list[i].toLowerCase();
      const which = CLIENT_CLASSES.indexOf(name === 'replica' ? 'slave' : name);
      if (which < 0) throw new DirectiveError('Invalid client class specified in buffer limit configuration.');
      const hard = parseMemory(list[i + 1]);
      const soft = parseMemory(list[i + 2]);
      const softSeconds = Number(list[i + 3]);
      if (!(hard >= 0) || !(soft >= 0) || !/^\d+$/.test(list[i + 3])) {
        throw new DirectiveError('Error in hard, soft or soft_seconds setting in buffer limit configuration.');
      }
      limits[which] = { hard, soft, softSeconds };
    }
    return limits;
  },
  format: (limits) => limitLines(limits).join(' '),
  lines: (limits) => limitLines(limits),
};

function limitLines(limits: OutputBufferLimits): string[] {
  return limits.map((limit, i) => `${CLIENT_CLASSES[i]} ${limit.hard} ${limit.soft} ${limit.softSeconds}`);
}

const bindAddresses: Directive<readonly string[]> = {
  fallback: ['*', '-::*'],
  flags: MULTI_WORD,
  alias: undefined,
  parse(words) {
    const list = words.flatMap((word) => word.split(' ')).filter((word) => word !== '');
    if (list.length > 16) throw new DirectiveError('Too many bind addresses specified.');
    return list;
  },
  format: (list) => list.join(' '),
  lines: (list) => [list.length === 0 ? '""' : list.join(' ')],
};

const notifications: Directive<number> = {
  fallback: 0,
  flags: 0,
  alias: undefined,
  parse(words) {
    const flags = parseNotifyFlags(words.join(''));
    if (flags < 0) throw new DirectiveError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
    return flags;
  },
  format: formatNotifyFlags,
};

const replicaOf: Directive<{ readonly host: string; readonly port: number } | null> = {
  fallback: null,
  flags: IMMUTABLE | MULTI_WORD,
  alias: 'slaveof',
  parse(given) {
    const words = given.length === 1 ? given[0].split(' ') : given;
    if (words.length !== 2) throw new DirectiveError('wrong number of arguments');
    if (words[0].toLowerCase() === 'no' && words[1].toLowerCase() === 'one') return null;
    const masterPort = Number(words[1]);
    if (!/^\d+$/.test(words[1]) || masterPort > 65535) throw new DirectiveError('Invalid master port');
    return { host: words[0], port: masterPort };
  },
  format: (value) => (value === null ? '' : `${value.host} ${value.port}`),
  lines: (value) => (value === null ? [] : [`${value.host} ${value.port}`]),
};

/** `loadmodule PATH [ARG ...]` and its like: each line adds one. */
const moduleLines: Directive<readonly (readonly string[])[]> = {
  fallback: [],
  flags: IMMUTABLE | MULTI_WORD | HIDDEN,
  alias: undefined,
  parse(words, previous) {
    if (words.length === 0) throw new DirectiveError('wrong number of arguments');
    return [...previous, words];
  },
  format: (modules) => modules.map((words) => words.join(' ')).join(' '),
  lines: (modules) => modules.map((words) => words.map(quoteArg).join(' ')),
};

/** The words of a program's command line, however they were quoted. */
const commandLine: Directive<readonly string[]> = {
  fallback: [],
  flags: IMMUTABLE | MULTI_WORD | HIDDEN,
  alias: undefined,
  parse(words) {
    const parsed = words.length === 1 ? splitArgs(words[0]) : words;
    if (parsed === null) throw new DirectiveError('unbalanced quotes');
    return parsed;
  },
  format: (words) => words.map(quoteArg).join(' '),
  lines: (words) => [words.map(quoteArg).join(' ')],
};

const hostName = (value: string): string | null =>
  /^[a-z0-9.-]*$/i.test(value) ? null : 'Hostnames may only contain alphanumeric characters, hyphens or dots';

const upstreamAddress = (value: string): string | null =>
  /^$|^unix:.+$|^tcp:.+:[1-9]\d{0,4}$/.test(value) ? null : 'argument must be unix:PATH or tcp:HOST:PORT';

export interface Forward {
  readonly port: number;
  /** `unix:PATH` or `tcp:HOST:PORT`. */
  readonly upstream: string;
}

/** `relay-forward PORT UPSTREAM`: each line adds one. */
const forwards: Directive<readonly Forward[]> = {
  fallback: [],
  flags: IMMUTABLE | MULTI_WORD | HIDDEN,
  alias: undefined,
  parse(given, previous) {
    const words = given.flatMap((word) => word.split(' ')).filter((word) => word !== '');
    const [portText, upstream] = words;
    const isPort = /^[1-9]\d{0,4}$/.test(portText) && Number(portText) <= 65535;
    if (words.length !== 2 || !isPort || upstreamAddress(upstream) !== null) {
      throw new DirectiveError('argument must be PORT and unix:PATH or tcp:HOST:PORT');
    }
    return [...previous, { port: Number(portText), upstream }];
  },
  format: (list) => forwardLines(list).join(' '),
  lines: (list) => forwardLines(list),
};

function forwardLines(list: readonly Forward[]): string[] {
  return list.map((forward) => `${forward.port} ${forward.upstream}`);
}

const oomScores: Directive<readonly number[]> = {
  fallback: [0, 200, 800],
  flags: MULTI_WORD,
  alias: undefined,
  parse(words) {
    const list = words.flatMap((word) => word.split(' '));
    if (list.length !== 3) throw new DirectiveError('wrong number of arguments');
    const scores = list.map((word) => (/^-?\d+$/.test(word) ? Number(word) : Number.NaN));
    if (scores.some((score) => !(score >= -2000 && score <= 2000))) {
      throw new DirectiveError('Invalid oom-score-adj-values, elements must be between -2000 and 2000.');
    }
    return scores;
  },
  format: (scores) => scores.join(' '),
  lines: (scores) => [scores.join(' ')],
};

const percentiles: Directive<readonly number[]> = {
  fallback: [50, 99, 99.9],
  flags: MULTI_WORD,
  alias: undefined,
  parse(words) {
    const list = words.length === 1 && words[0] === '' ? [] : words.flatMap((word) => word.split(' '));
    const values = list.map(Number);
    if (list.includes('') || values.some(Number.isNaN))
      throw new DirectiveError('Invalid latency-tracking-info-percentiles parameters');
    if (values.some((value) => !(value >= 0 && value <= 100))) {
      throw new DirectiveError('latency-tracking-info-percentiles parameters should sit between [0.0,100.0]');
    }
    return values;
  },
  format: (values) => values.join(' '),
  lines: (values) => [values.length === 0 ? '""' : values.join(' ')],
};

export const directives = {
  'acl-pubsub-default': choice('resetchannels', ['allchannels', 'resetchannels']),
  aclfile: text('', fixed),
  'acllog-max-len': number(128, 0, LONG_MAX),
  'active-defrag-cycle-max': ignored(number(25, 1, 99)),
  'active-defrag-cycle-min': ignored(number(1, 1, 99)),
  'active-defrag-ignore-bytes': ignored(number(100 * 1024 ** 2, 1, LONG_MAX, { as: 'memory' })),
  'active-defrag-max-scan-fields': ignored(number(1000, 1, LONG_MAX)),
  'active-defrag-threshold-lower': ignored(number(10, 0, 1000)),
  'active-defrag-threshold-upper': ignored(number(100, 0, 1000)),
  'active-expire-effort': number(1, 1, 10),
  activedefrag: ignored(bool(false)),
  activerehashing: ignored(bool(true)),
  'always-show-logo': ignored(bool(false, fixed)),
  'aof-disable-auto-gc': bool(false),
  'aof-load-truncated': bool(true),
  'aof-rewrite-incremental-fsync': bool(true),
  'aof-timestamp-enabled': bool(false),
  'aof-use-rdb-preamble': bool(true),
  aof_rewrite_cpulist: ignored(text('', fixed)),
  appenddirname: text('appendonlydir', { flags: IMMUTABLE, check: notEmpty('appenddirname') }),
  appendfilename: text('appendonly.aof', { flags: IMMUTABLE, check: notEmpty('appendfilename') }),
  appendfsync: choice('everysec', ['everysec', 'always', 'no']),
  appendonly: bool(false, { flags: DENY_LOADING }),
  'auto-aof-rewrite-min-size': size(64 * 1024 ** 2),
  'auto-aof-rewrite-percentage': count(100),
  bgsave_cpulist: ignored(text('', fixed)),
  bind: bindAddresses,
  'bind-source-addr': text(''),
  bio_cpulist: ignored(text('', fixed)),
  'busy-reply-threshold': number(5000, 0, LONG_MAX, { alias: 'lua-time-limit' }),
  'client-output-buffer-limit': outputBufferLimits,
  'client-query-buffer-limit': number(1024 ** 3, 1024 ** 2, LONG_MAX, { as: 'memory' }),
  'cluster-allow-pubsubshard-when-down': ignored(bool(true)),
  'cluster-allow-reads-when-down': ignored(bool(false)),
  'cluster-allow-replica-migration': ignored(bool(true)),
  'cluster-announce-bus-port': ignored(port(0)),
  'cluster-announce-hostname': ignored(text('', { check: hostName })),
  'cluster-announce-ip': ignored(text('')),
  'cluster-announce-port': ignored(port(0)),
  'cluster-announce-tls-port': ignored(port(0)),
  'cluster-config-file': ignored(text('nodes.conf', fixed)),
  'cluster-enabled': refused(bool(false, fixed), "cluster mode is not supported in this version: set it to 'no'"),
  'cluster-link-sendbuf-limit': ignored(number(0, 0, ULONG_MAX, { as: 'memory' })),
  'cluster-migration-barrier': ignored(count(1)),
  'cluster-node-timeout': ignored(number(15000, 0, LONG_MAX)),
  'cluster-port': ignored(port(0, IMMUTABLE)),
  'cluster-preferred-endpoint-type': ignored(choice('ip', ['ip', 'hostname', 'unknown-endpoint'])),
  'cluster-replica-no-failover': ignored(bool(false, { alias: 'cluster-slave-no-failover' })),
  'cluster-replica-validity-factor': ignored(count(10, { alias: 'cluster-slave-validity-factor' })),
  'cluster-require-full-coverage': ignored(bool(true)),
  'control-socket': text('auto', own),
  core: choice('embedded', ['embedded', 'relay'], own),
  'crash-log-enabled': bool(true),
  'crash-memcheck-enabled': ignored(bool(true)),
  daemonize: bool(false, fixed),
  databases: number(16, 1, INT_MAX, fixed),
  dbfilename: text('dump.rdb', { flags: PROTECTED, check: fileNameOnly('dbfilename') }),
  dir: text('', { flags: PROTECTED | DENY_LOADING }),
  'disable-thp': ignored(bool(true, fixed)),
  'dynamic-hz': ignored(bool(true)),
  'enable-debug-command': choice('no', PROTECTED_ACTION, fixed),
  'enable-module-command': choice('no', PROTECTED_ACTION, fixed),
  'enable-protected-configs': choice('no', PROTECTED_ACTION, fixed),
  engine: choice('auto', ['auto', 'afxdp', 'afpacket', 'pcap', 'tap', 'raw'], own),
  'hash-max-listpack-entries': number(512, 0, LONG_MAX, { alias: 'hash-max-ziplist-entries' }),
  'hash-max-listpack-value': size(64, { alias: 'hash-max-ziplist-value' }),
  'hll-sparse-max-bytes': size(3000),
  hz: count(10),
  'ignore-warnings': ignored(text('')),
  'io-threads': ignored(number(1, 1, 128, fixed)),
  'io-threads-do-reads': ignored(bool(false, fixed)),
  'jemalloc-bg-thread': ignored(bool(true)),
  'key-load-delay': number(0, INT_MIN, INT_MAX, { flags: HIDDEN }),
  'latency-monitor-threshold': number(0, 0, LONG_MAX),
  'latency-tracking': bool(true),
  'latency-tracking-info-percentiles': percentiles,
  'lazyfree-lazy-eviction': bool(false),
  'lazyfree-lazy-expire': bool(false),
  'lazyfree-lazy-server-del': bool(false),
  'lazyfree-lazy-user-del': bool(false),
  'lazyfree-lazy-user-flush': bool(false),
  'lfu-decay-time': count(1),
  'lfu-log-factor': count(10),
  'list-compress-depth': ignored(count(0)),
  'list-max-listpack-size': number(-2, INT_MIN, INT_MAX, { alias: 'list-max-ziplist-size' }),
  'loading-process-events-interval-bytes': ignored(number(2 * 1024 ** 2, 1024, INT_MAX, hidden)),
  loadmodule: moduleLines,
  'log-format': choice('redis', ['redis', 'json'], own),
  logfile: text('', fixed),
  loglevel: choice('notice', ['debug', 'verbose', 'notice', 'warning']),
  'lua-enable-deprecated-api': ignored(bool(false, { flags: IMMUTABLE | HIDDEN })),
  masterauth: text('', { flags: SENSITIVE }),
  masteruser: text('', { flags: SENSITIVE }),
  maxclients: number(10000, 1, UINT_MAX),
  maxmemory: number(0, 0, ULONG_MAX, { as: 'memory' }),
  'maxmemory-clients': number(0, -100, LONG_MAX, { as: 'percent' }),
  'maxmemory-eviction-tenacity': number(10, 0, 100),
  'maxmemory-policy': choice('noeviction', [
    'volatile-lru',
    'volatile-lfu',
    'volatile-random',
    'volatile-ttl',
    'allkeys-lru',
    'allkeys-lfu',
    'allkeys-random',
    'noeviction',
  ]),
  'maxmemory-samples': number(5, 1, INT_MAX),
  'metrics-bind': text('127.0.0.1', own),
  'metrics-port': port(0, IMMUTABLE | HIDDEN),
  'metrics-token': text('', { flags: IMMUTABLE | HIDDEN | SENSITIVE }),
  'min-replicas-max-lag': count(10, { alias: 'min-slaves-max-lag' }),
  'min-replicas-to-write': count(0, { alias: 'min-slaves-to-write' }),
  'module-add': moduleLines,
  'module-strict': bool(true, hidden),
  'move-listen': text('', own),
  'move-secret': text('', { flags: own.flags | SENSITIVE }),
  netdev: text('netdev.conf', own),
  'no-appendfsync-on-rewrite': bool(false),
  'notify-keyspace-events': notifications,
  'oom-score-adj': choice('no', ['no', 'yes', 'relative', 'absolute']),
  'oom-score-adj-values': oomScores,
  pidfile: text('', fixed),
  port: port(6379),
  'proc-title-template': text('{title} {listen-addr} {server-mode}', { check: titleProblem }),
  'propagation-error-behavior': choice('ignore', ['ignore', 'panic', 'panic-on-replicas']),
  'protected-mode': bool(true),
  'proto-max-bulk-len': number(512 * 1024 ** 2, 1024 ** 2, LONG_MAX, { as: 'memory' }),
  'rdb-del-sync-files': bool(false),
  'rdb-key-save-delay': number(0, INT_MIN, INT_MAX, { flags: HIDDEN }),
  'rdb-save-incremental-fsync': bool(true),
  rdbchecksum: bool(true, fixed),
  rdbcompression: bool(true),
  'relay-forward': forwards,
  'relay-spawn': commandLine,
  'relay-upstream': text('', { ...own, check: upstreamAddress }),
  'repl-backlog-size': number(1024 ** 2, 1, LONG_MAX, { as: 'memory' }),
  'repl-backlog-ttl': number(3600, 0, LONG_MAX),
  'repl-disable-tcp-nodelay': bool(false),
  'repl-diskless-load': choice('disabled', ['disabled', 'on-empty-db', 'swapdb'], { flags: DENY_LOADING }),
  'repl-diskless-sync': bool(true),
  'repl-diskless-sync-delay': count(5),
  'repl-diskless-sync-max-replicas': count(0),
  'repl-ping-replica-period': number(10, 1, INT_MAX, { alias: 'repl-ping-slave-period' }),
  'repl-timeout': number(60, 1, INT_MAX),
  'replica-announce-ip': text('', { alias: 'slave-announce-ip' }),
  'replica-announce-port': number(0, 0, 65535, { alias: 'slave-announce-port' }),
  'replica-announced': bool(true),
  'replica-ignore-disk-write-errors': bool(false),
  'replica-ignore-maxmemory': bool(true, { alias: 'slave-ignore-maxmemory' }),
  'replica-lazy-flush': bool(false, { alias: 'slave-lazy-flush' }),
  'replica-priority': count(100, { alias: 'slave-priority' }),
  'replica-read-only': bool(true, { alias: 'slave-read-only' }),
  'replica-serve-stale-data': bool(true, { alias: 'slave-serve-stale-data' }),
  replicaof: replicaOf,
  requirepass: text('', { flags: SENSITIVE }),
  'sanitize-dump-payload': choice('no', ['no', 'yes', 'clients']),
  save: savePoints,
  server_cpulist: ignored(text('', fixed)),
  'set-max-intset-entries': number(512, 0, LONG_MAX),
  'set-proc-title': bool(true, fixed),
  'shutdown-on-sigint': choices(['default'], SHUTDOWN_FLAGS),
  'shutdown-on-sigterm': choices(['default'], SHUTDOWN_FLAGS),
  'shutdown-timeout': count(10),
  'slowlog-log-slower-than': number(10000, -1, LONG_MAX),
  'slowlog-max-len': number(128, 0, LONG_MAX),
  'socket-mark-id': ignored(number(0, 0, UINT_MAX, fixed)),
  'stop-writes-on-bgsave-error': bool(true),
  'stream-node-max-bytes': size(4096),
  'stream-node-max-entries': number(100, 0, LONG_MAX),
  supervised: choice('no', ['upstart', 'systemd', 'auto', 'no'], fixed),
  'syslog-enabled': ignored(bool(false, fixed)),
  'syslog-facility': ignored(choice('local0', SYSLOG_FACILITIES, fixed)),
  'syslog-ident': ignored(text('redis', fixed)),
  'tcp-backlog': number(511, 0, INT_MAX, fixed),
  'tcp-keepalive': count(300),
  timeout: count(0),
  'tls-auth-clients': choice('yes', ['no', 'yes', 'optional']),
  'tls-ca-cert-dir': text(''),
  'tls-ca-cert-file': text(''),
  'tls-cert-file': text(''),
  'tls-ciphers': text(''),
  'tls-ciphersuites': text(''),
  'tls-client-cert-file': text(''),
  'tls-client-key-file': text(''),
  'tls-client-key-file-pass': text('', { flags: SENSITIVE }),
  'tls-cluster': ignored(bool(false)),
  'tls-dh-params-file': text(''),
  'tls-key-file': text(''),
  'tls-key-file-pass': text('', { flags: SENSITIVE }),
  'tls-port': port(0),
  'tls-prefer-server-ciphers': bool(false),
  'tls-protocols': text(''),
  'tls-replication': bool(false),
  'tls-session-cache-size': ignored(count(20 * 1024)),
  'tls-session-cache-timeout': count(300),
  'tls-session-caching': ignored(bool(true)),
  'tracking-table-max-keys': number(1000000, 0, LONG_MAX),
  transport: choice('userspace', ['userspace', 'kernel'], own),
  unixsocket: text('', fixed),
  unixsocketperm: number(0, 0, 0o777, { flags: IMMUTABLE, as: 'octal' }),
  'use-exit-on-panic': ignored(bool(false, hidden)),
  'user-after-open': text('', own),
  'watchdog-period': ignored(number(0, 0, INT_MAX, hidden)),
  workers: number(1, 1, 64, own),
  'zset-max-listpack-entries': number(128, 0, LONG_MAX, { alias: 'zset-max-ziplist-entries' }),
  'zset-max-listpack-value': size(64, { alias: 'zset-max-ziplist-value' }),
} as const;
