// DEBUG: what those who test the server want to see and to set. Names, words and replies are Redis 7.0's. server.ts
// lists the command; debug-values.ts has the subcommands that look at keys.

import type { Call } from '../core/call.ts';
import { isLoopback } from '../core/client-address.ts';
import { datasetDigest } from '../core/dataset-digest.ts';
import { parseMemory } from '../core/directive.ts';
import { globMatch } from '../data/glob.ts';
import { setPackedThreshold } from '../data/quicklist.ts';
import { blockMs } from '../platform/stopwatch.ts';
import { rewriteConfig } from './config-commands.ts';
import { debugListpack, debugObject, digestValues, htstats, htstatsKey, populate, sdslen } from './debug-values.ts';
import { helpReply } from './help.ts';

interface Subcommand {
  /** Number of words, DEBUG and its own name included. */
  readonly argcMin: number;
  readonly argcMax: number;
  readonly run: (call: Call) => void;
}

const PACKED_THRESHOLD_MAX = 4 * 1024 ** 3;
const REPLY_BUFFER_PEAK_RESET_MS = 5000;

/** A failure that DEBUG was asked for: nothing catches it, so the process reports it and ends. */
class RequestedCrash extends Error {
  readonly code = 'DEBUG_CRASH';
}

function crash(call: Call, message: string): void {
  call.server.log.warning(message);
  call.server.scheduler.soon(() => {
    throw new RequestedCrash(message);
  });
}

/** As C's atoi. */
function leadingInteger(call: Call, i: number): number {
  return Number.parseInt(call.latin1(i), 10) || 0;
}

function sleep(call: Call): void {
  blockMs((Number.parseFloat(call.latin1(2)) || 0) * 1000);
  // Within a transaction it stays the same time.
  if (!call.client.inExec) call.server.clock.update();
  call.reply.ok();
}

function reload(call: Call): void {
  const { reply, server } = call;
  const options = { save: true, flush: true, merge: false };
  for (let i = 2; i < call.argc; i++) {
    if (call.is(i, 'merge')) options.merge = true;
    else if (call.is(i, 'noflush')) options.flush = false;
    else if (call.is(i, 'nosave')) options.save = false;
    else {
      reply.error('ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.');
      return;
    }
  }
  const problem = server.hooks.reload === undefined ? 'this server has no dump file' : server.hooks.reload(options);
  if (problem !== null) {
    reply.error(`ERR ${problem}`);
    return;
  }
  server.log.warning('DB reloaded by DEBUG RELOAD');
  reply.ok();
}

function loadAof(call: Call): void {
  const { reply, server } = call;
  const problem = server.hooks.loadAof === undefined ? 'this server has no append-only file' : server.hooks.loadAof();
  if (problem !== null) {
    reply.error(`ERR ${problem}`);
    return;
  }
  server.dirty = 0;
  server.log.warning('Append Only File loaded by DEBUG LOADAOF');
  reply.ok();
}

function packedThreshold(call: Call): void {
  const bytes = parseMemory(call.latin1(2));
  // 1 byte would leave no element that may be packed.
  if (!(bytes >= 0 && bytes < PACKED_THRESHOLD_MAX)) {
    call.reply.error('ERR argument must be a memory value bigger than 1 and smaller than 4gb');
    return;
  }
  setPackedThreshold(bytes);
  call.reply.ok();
}

function replyBuffer(call: Call): void {
  const { debug } = call.server;
  if (call.is(2, 'peak-reset-time')) {
    let time = call.is(3, 'never') ? -1 : REPLY_BUFFER_PEAK_RESET_MS;
    if (!call.is(3, 'never') && !call.is(3, 'reset')) time = call.integer(3);
    if (Number.isNaN(time)) return;
    debug.replyBufferPeakResetMs = time;
  } else if (call.is(2, 'resizing')) debug.replyBufferResizing = leadingInteger(call, 3) !== 0;
  else {
    unknown(call);
    return;
  }
  call.reply.ok();
}

/** Sets a switch to whether word 2 is a number other than 0. */
function toggle(set: (call: Call, on: boolean) => void): Subcommand {
  return {
    argcMin: 3,
    argcMax: 3,
    run: (call) => {
      set(call, leadingInteger(call, 2) !== 0);
      call.reply.ok();
    },
  };
}

function replyError(call: Call): void {
  call.reply.error(call.latin1(2));
}

const SAMPLES: Readonly<Record<string, (call: Call) => void>> = {
  string: ({ reply }) => reply.bulkLatin1('Hello World'),
  integer: ({ reply }) => reply.integer(12345),
  double: ({ reply }) => reply.double('3.141'),
  bignum: ({ reply }) => reply.bigNumber('1234567999999999999999999999999999999'),
  null: ({ reply }) => reply.null(),
  array: ({ reply }) => {
    reply.array(3);
    for (let i = 0; i < 3; i++) reply.integer(i);
  },
  set: ({ reply }) => {
    reply.set(3);
    for (let i = 0; i < 3; i++) reply.integer(i);
  },
  map: ({ reply }) => {
    reply.map(3);
    for (let i = 0; i < 3; i++) {
      reply.integer(i);
      reply.boolean(i === 1);
    }
  },
  attrib: ({ reply }) => {
    if (reply.protocol === 3) {
      reply.attribute(1);
      reply.bulkLatin1('key-popularity');
      reply.array(2);
      reply.bulkLatin1('key:123');
      reply.integer(90);
    }
    // An attribute is no reply: one has to follow.
    reply.bulkLatin1('Some real reply following the attribute');
  },
  push: ({ reply }) => {
    if (reply.protocol < 3) {
      reply.error('ERR RESP2 is not supported by this command');
      return;
    }
    reply.push(2);
    reply.bulkLatin1('server-cpu-usage');
    reply.integer(42);
    // A push is no reply either.
    reply.bulkLatin1('Some real reply following the push reply');
  },
  true: ({ reply }) => reply.boolean(true),
  false: ({ reply }) => reply.boolean(false),
  verbatim: ({ reply }) => reply.verbatim('This is a verbatim\nstring', 'txt'),
};

function protocol(call: Call): void {
  const sample = SAMPLES[call.latin1(2).toLowerCase()];
  if (sample !== undefined) sample(call);
  else {
    call.reply.error(
      'ERR Wrong protocol type name. Please use one of the following: ' +
        'string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false',
    );
  }
}

/** Random patterns against random text: none may fail or go on without end. */
function stringMatchTest(call: Call): void {
  const { random } = call.server;
  const pattern = new Uint8Array(32);
  const text = new Uint8Array(32);
  for (let cycle = 0; cycle < 1000; cycle++) {
    for (let i = 0; i < 32; i++) {
      pattern[i] = random.int32() & 127;
      text[i] = random.int32() & 127;
    }
    globMatch(pattern, 0, random.int32() & 31, text, 0, random.int32() & 31);
  }
  call.reply.simple('Apparently Redis did not crash: test passed');
}

/** Clients by the power of two of what they cost: below 32 kB, up to 64 kB, and so on. */
const CLIENT_BUCKETS = 19;
const FIRST_BUCKET_BITS = 15;

function clientEviction(call: Call): void {
  const { clientMemory } = call.server;
  if (clientMemory.limit === 0) {
    call.reply.error('ERR maxmemory-clients is disabled.');
    return;
  }
  const bytes = new Array<number>(CLIENT_BUCKETS).fill(0);
  const clients = new Array<number>(CLIENT_BUCKETS).fill(0);
  for (const size of clientMemory.sizes()) {
    const bits = Math.floor(Math.log2(Math.max(1, size)));
    const bucket = Math.min(CLIENT_BUCKETS - 1, Math.max(0, bits - FIRST_BUCKET_BITS + 1));
    bytes[bucket] += size;
    clients[bucket]++;
  }
  const lines = bytes.map((total, i) => {
    const from = i === 0 ? 0 : 2 ** (FIRST_BUCKET_BITS + i - 1);
    const to = i === CLIENT_BUCKETS - 1 ? '+            : ' : ` - ${pad(2 ** (FIRST_BUCKET_BITS + i) - 1)}: `;
    return `bucket ${pad(from)}${to}tot-mem: ${pad(total)}, clients: ${clients[i]}\n`;
  });
  call.reply.verbatim(lines.join(''), 'txt');
}

const pad = (value: number): string => String(value).padStart(10);

function structSize(call: Call): void {
  const header = call.db.dict.headerBytes;
  call.reply.bulkLatin1(`bits:64 robj:0 dictentry:${header} sdshdr5:0 sdshdr8:0 sdshdr16:0 sdshdr32:0 sdshdr64:0 `);
}

function exactly(argc: number, run: (call: Call) => void): Subcommand {
  return { argcMin: argc, argcMax: argc, run };
}

function from(argcMin: number, argcMax: number, run: (call: Call) => void): Subcommand {
  return { argcMin, argcMax, run };
}

function done(call: Call): void {
  call.reply.ok();
}

const SUBCOMMANDS: Readonly<Record<string, Subcommand>> = {
  help: exactly(2, (call) => helpReply(call, HELP)),
  assert: exactly(2, (call) => crash(call, 'DEBUG ASSERT called')),
  panic: from(2, Infinity, (call) => crash(call, 'DEBUG PANIC called')),
  segfault: from(2, Infinity, (call) => crash(call, 'DEBUG SEGFAULT called')),
  oom: from(2, Infinity, (call) => crash(call, 'DEBUG OOM called')),
  restart: from(2, 3, (call) => call.reply.error('ERR failed to restart the server. Check server logs.')),
  'crash-and-recover': from(2, 3, (call) => call.reply.error('ERR failed to restart the server. Check server logs.')),
  log: exactly(3, (call) => {
    call.server.log.warning(`DEBUG LOG: ${call.text(2)}`);
    call.reply.ok();
  }),
  // What is never referred to again is collected: there is nothing to leak.
  leak: exactly(3, done),
  jmap: exactly(2, done),
  reload: from(2, Infinity, reload),
  loadaof: from(2, Infinity, loadAof),
  'drop-cluster-packet-filter': exactly(3, (call) => {
    if (!Number.isNaN(call.integer(2))) call.reply.ok();
  }),
  object: exactly(3, debugObject),
  sdslen: exactly(3, sdslen),
  listpack: exactly(3, debugListpack),
  quicklist: from(3, 4, (call) => debugListpack(call, 'quicklist')),
  populate: from(3, 5, populate),
  digest: exactly(2, (call) => call.reply.simple(datasetDigest(call.server.keyspace))),
  'digest-value': from(2, Infinity, digestValues),
  protocol: exactly(3, protocol),
  sleep: exactly(3, sleep),
  'set-active-expire': toggle(({ server }, on) => {
    server.debug.activeExpire = on;
  }),
  'quicklist-packed-threshold': exactly(3, packedThreshold),
  'set-skip-checksum-validation': toggle(({ server }, on) => {
    server.debug.skipChecksum = on;
  }),
  'aof-flush-sleep': exactly(3, (call) => {
    call.server.debug.aofFlushSleepUs = leadingInteger(call, 2);
    call.reply.ok();
  }),
  replicate: from(3, Infinity, (call) => {
    const words: Uint8Array[] = [];
    for (let i = 2; i < call.argc; i++) words.push(call.word(i));
    call.server.replication.feedWords(words);
    call.reply.ok();
  }),
  error: exactly(3, replyError),
  structsize: exactly(2, structSize),
  htstats: exactly(3, htstats),
  'htstats-key': exactly(3, htstatsKey),
  'change-repl-id': exactly(2, (call) => {
    call.server.log.warning('Changing replication IDs after receiving DEBUG change-repl-id');
    call.server.replication.changeId();
    call.server.replication.clearId2();
    call.reply.ok();
  }),
  'config-rewrite-force-all': exactly(2, (call) => rewriteConfig(call, true)),
  'stringmatch-test': exactly(2, stringMatchTest),
  'set-disable-deny-scripts': toggle(({ server }, on) => {
    server.debug.scriptsRunAll = on;
  }),
  'client-eviction': exactly(2, clientEviction),
  'pause-cron': toggle(({ server }, on) => {
    server.debug.pauseCron = on;
  }),
  replybuffer: exactly(4, replyBuffer),
};

const HELP = [
  'AOF-FLUSH-SLEEP <microsec>',
  '    Waits that long before each write to the append-only file.',
  'ASSERT',
  '    Ends the process as a failed assertion does.',
  'CHANGE-REPL-ID',
  '    Gives the server a new replication ID.',
  'CONFIG-REWRITE-FORCE-ALL',
  '    Writes all directives to the configuration file, also those at their defaults.',
  'REPLICATE <word> [<word> ...]',
  '    Sends a command to the replicas that nothing here has to do with.',
  'DIGEST',
  '    A hexadecimal digest of the whole dataset.',
  'DIGEST-VALUE <key> [<key> ...]',
  '    Digests of the values of these keys.',
  'ERROR <string>',
  '    Replies with an error of these words.',
  'HTSTATS <dbid>',
  '    Figures about the hash table of a database.',
  'HTSTATS-KEY <key>',
  '    Figures about the hash table of a value.',
  'LISTPACK <key>',
  '    Checks that a value is a listpack and logs its outline.',
  'LOADAOF',
  '    Writes out the append-only file and loads it again.',
  'LOG <message>',
  '    Writes a line to the log.',
  'OBJECT <key>',
  '    Internals of a value.',
  'PANIC',
  '    Ends the process as a panic does.',
  'PAUSE-CRON <0|1>',
  '    Stops the work at intervals.',
  'POPULATE <count> [<prefix>] [<size>]',
  '    Makes <count> strings named <prefix>:0 and on (key:0 and on by default).',
  'PROTOCOL <type>',
  '    Replies with a sample: string, integer, double, bignum, null, array, set, map, attrib, push, verbatim,',
  '    true or false.',
  'QUICKLIST <key> [<0|1>]',
  '    Checks that a value is a quicklist and logs its outline.',
  'QUICKLIST-PACKED-THRESHOLD <size>',
  '    From how many bytes on an element of a list gets a node of its own; 0: the default.',
  'RELOAD [NOSAVE] [NOFLUSH] [MERGE]',
  '    Saves, empties and loads the dataset, leaving out what the options say.',
  'REPLYBUFFER PEAK-RESET-TIME <NEVER|RESET|time>',
  '    Milliseconds between two resets of the peak of reply buffers.',
  'REPLYBUFFER RESIZING <0|1>',
  '    Whether reply buffers change their size.',
  'SDSLEN <key>',
  '    Sizes of a key and its string.',
  'SEGFAULT',
  '    Ends the process.',
  'SET-ACTIVE-EXPIRE <0|1>',
  '    Whether expired keys are deleted though nobody asks for them.',
  'SET-SKIP-CHECKSUM-VALIDATION <0|1>',
  '    Whether checksums of dump files and payloads are looked at.',
  'SLEEP <seconds>',
  '    Stops the server for a while.',
  'STRINGMATCH-TEST',
  '    Tries the matcher of patterns with random input.',
  'STRUCTSIZE',
  '    Sizes of internal records.',
];

function unknown(call: Call): void {
  call.reply.error(`ERR unknown subcommand or wrong number of arguments for '${call.cText(1)}'. Try DEBUG HELP.`);
}

export function debug(call: Call): void {
  const { enableDebugCommand } = call.server.config;
  const allowed =
    enableDebugCommand === 'yes' ||
    (enableDebugCommand === 'local' && isLoopback(call.client.connection.remoteAddress));
  if (!allowed) {
    call.reply.error(
      'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a ' +
        'local connection, otherwise you need to set this option in the configuration file, and then restart the server.',
    );
    return;
  }
  const name = call.latin1(1).toLowerCase();
  const found = Object.hasOwn(SUBCOMMANDS, name) ? SUBCOMMANDS[name] : undefined;
  if (found === undefined || call.argc < found.argcMin || call.argc > found.argcMax) unknown(call);
  else found.run(call);
}
