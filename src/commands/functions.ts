// FUNCTION, FCALL and FCALL_RO.
import type { Call } from '../core/call.ts';
import type { CommandFlag, CommandSpec } from '../core/command.ts';
import { globToRegExp } from '../core/glob-text.ts';
import { OPCODE_FUNCTION_2, OPCODE_FUNCTION_PRE_GA, RdbError } from '../persistence/rdb-format.ts';
import { RdbInput } from '../persistence/rdb-input.ts';
import { RdbOutput } from '../persistence/rdb-output.ts';
import { readFunctions } from '../persistence/rdb-reader.ts';
import { writeFunctions } from '../persistence/rdb-writer.ts';
import { type Library, type LibraryFunction, LibrarySet, type LibraryStore } from '../scripting/libraries.ts';
import { commandFlags, SCRIPT_FLAGS } from '../scripting/script-flags.ts';
import { BUSY_SCRIPT, scriptingOf } from '../scripting/scripting.ts';
import { finishPayload, payloadValid, TRAILER_BYTES } from './dump.ts';
import { helpRow, rowsOf } from './rows.ts';
import { keyCount, killReply } from './scripting.ts';

function librariesOf(call: Call): LibraryStore {
  return scriptingOf(call.server).libraries;
}

// --- FCALL ---

function fcall(call: Call, readOnly: boolean): void {
  const { server } = call;
  // Before the commands that it runs.
  if (server.monitors.size > 0) server.feedMonitors(call);
  call.dontPropagate();
  const scripting = scriptingOf(server);
  const found = scripting.libraries.find(call.latin1(1));
  if (found === undefined) {
    call.reply.error('ERR Function not found');
    return;
  }
  const keys = keyCount(call, 'ERR Bad number of keys provided');
  if (keys < 0) return;
  const { engine } = scripting.libraries;
  const refusal = engine.run.prepare(call, found.name, false, found.flags, readOnly);
  if (refusal !== null) {
    call.reply.error(refusal);
    return;
  }
  scripting.invoke(engine, call, found.ref, keys);
}

function flagsOf(call: Call, flags: number): number {
  const found = librariesOf(call).find(call.latin1(1));
  return found === undefined ? flags : commandFlags(flags, found.flags);
}

// --- FUNCTION ---

function load(call: Call): void {
  let replace = false;
  for (let i = 2; i < call.argc - 1; i++) {
    if (!call.is(i, 'replace')) {
      call.reply.error(`ERR Unknown option given: ${call.cText(i)}`);
      return;
    }
    replace = true;
  }
  const code = call.latin1(call.argc - 1);
  const loaded = librariesOf(call).load(code, replace, undefined, !call.client.obeyed);
  if (typeof loaded === 'string') {
    call.reply.error(`ERR ${loaded}`);
    return;
  }
  call.server.dirty++;
  call.reply.bulkLatin1(loaded.name);
}

function wrongSubcommand(call: Call): void {
  call.reply.error(`ERR unknown subcommand or wrong number of arguments for '${call.cText(1)}'. Try FUNCTION HELP.`);
}

function remove(call: Call): void {
  if (!librariesOf(call).delete(call.latin1(2))) {
    call.reply.error('ERR Library not found');
    return;
  }
  call.server.dirty++;
  call.reply.ok();
}

function flush(call: Call): void {
  if (call.argc > 3) {
    wrongSubcommand(call);
    return;
  }
  if (call.argc === 3 && !call.is(2, 'sync') && !call.is(2, 'async')) {
    call.reply.error('ERR FUNCTION FLUSH only supports SYNC|ASYNC option');
    return;
  }
  librariesOf(call).replaceAll();
  call.server.dirty++;
  call.reply.ok();
}

function list(call: Call): void {
  let withCode = false;
  let pattern: string | null = null;
  for (let i = 2; i < call.argc; i++) {
    if (!withCode && call.is(i, 'withcode')) withCode = true;
    else if (pattern === null && call.is(i, 'libraryname')) {
      if (++i === call.argc) {
        call.reply.error('ERR library name argument was not given');
        return;
      }
      pattern = call.latin1(i);
    } else {
      call.reply.error(`ERR Unknown argument ${call.cText(i)}`);
      return;
    }
  }
  const matches = pattern === null ? null : globToRegExp(pattern);
  const all = [...librariesOf(call).libraries.values()];
  const chosen = matches === null ? all : all.filter(({ name }) => matches.test(name));
  call.reply.array(chosen.length);
  for (const library of chosen) libraryReply(call, library, withCode);
}

function libraryReply(call: Call, { code, functions, name }: Library, withCode: boolean): void {
  const { reply } = call;
  reply.map(withCode ? 4 : 3);
  reply.bulkLatin1('library_name');
  reply.bulkLatin1(name);
  reply.bulkLatin1('engine');
  reply.bulkLatin1('LUA');
  reply.bulkLatin1('functions');
  reply.array(functions.size);
  for (const one of functions.values()) functionReply(call, one);
  if (!withCode) return;
  reply.bulkLatin1('library_code');
  reply.bulkLatin1(code);
}

function functionReply(call: Call, { description, flags, name }: LibraryFunction): void {
  const { reply } = call;
  reply.map(3);
  reply.bulkLatin1('name');
  reply.bulkLatin1(name);
  reply.bulkLatin1('description');
  if (description === null) reply.null();
  else reply.bulkLatin1(description);
  reply.bulkLatin1('flags');
  const names = SCRIPT_FLAGS.filter(([, bit]) => (flags & bit) !== 0);
  reply.set(names.length);
  for (const [flag] of names) reply.simple(flag);
}

function stats(call: Call): void {
  const { reply, server } = call;
  const scripting = scriptingOf(server);
  const { run } = scripting;
  if (run?.isEval === true) {
    reply.error(BUSY_SCRIPT);
    return;
  }
  reply.map(2);
  reply.bulkLatin1('running_script');
  if (run === null) reply.null();
  else {
    reply.map(3);
    reply.bulkLatin1('name');
    reply.bulkLatin1(run.name);
    reply.bulkLatin1('command');
    reply.array(run.words.length);
    for (const word of run.words) reply.bulk(word, 0, word.length);
    reply.bulkLatin1('duration_ms');
    reply.integer(run.durationMs);
  }
  reply.bulkLatin1('engines');
  reply.map(1);
  reply.bulkLatin1('LUA');
  reply.map(2);
  reply.bulkLatin1('libraries_count');
  reply.integer(scripting.libraries.libraries.size);
  reply.bulkLatin1('functions_count');
  reply.integer(scripting.libraries.functionCount);
}

function dump(call: Call): void {
  const out = new RdbOutput(null, call.server.config.rdbcompression);
  for (const code of librariesOf(call).codes()) writeFunctions(out, code);
  const payload = finishPayload(out);
  call.reply.bulk(payload, 0, payload.length);
}

function restore(call: Call): void {
  const { bytes, lengths, offsets, reply, server } = call;
  const policy = call.argc > 3 ? call.latin1(3).toLowerCase() : 'append';
  if (call.argc > 4) {
    wrongSubcommand(call);
    return;
  }
  if (policy !== 'append' && policy !== 'replace' && policy !== 'flush') {
    reply.error('ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.');
    return;
  }
  if (!payloadValid(bytes, offsets[2], lengths[2], server.debug.skipChecksum)) {
    reply.error('ERR DUMP payload version or checksum are wrong');
    return;
  }
  const store = librariesOf(call);
  const set = new LibrarySet();
  let problem = readPayload(call, store, set);
  if (problem === null && policy === 'flush') store.replaceAll(set);
  else {
    problem ??= store.join(set, policy === 'replace');
    if (problem !== null) store.discard(set);
  }
  if (problem !== null) {
    reply.error(`ERR ${problem}`);
    return;
  }
  server.dirty++;
  reply.ok();
}

/** The libraries of word 2. @returns what is wrong, or null. */
function readPayload(call: Call, store: LibraryStore, set: LibrarySet): string | null {
  const input = RdbInput.fromBytes(call.bytes, call.offsets[2], call.lengths[2] - TRAILER_BYTES);
  try {
    while (!input.atEnd) {
      const opcode = input.byte();
      if (opcode !== OPCODE_FUNCTION_2 && opcode !== OPCODE_FUNCTION_PRE_GA) return 'given type is not a function';
      const code = Buffer.from(readFunctions(input, opcode)).toString('latin1');
      const loaded = store.load(code, false, set, false);
      if (typeof loaded === 'string') return loaded;
    }
    return null;
  } catch (error) {
    if (error instanceof RdbError) return 'Failed loading library payload';
    throw error;
  }
}

const HELP = [
  'LOAD [REPLACE] <FUNCTION CODE>',
  '    Adds a library, or puts it in the place of the one of its name.',
  'DELETE <LIBRARY NAME>',
  '    Forgets a library.',
  'LIST [LIBRARYNAME PATTERN] [WITHCODE]',
  '    Name, engine and functions of each library, and its code if asked for.',
  'STATS',
  '    What runs now, and how many libraries and functions there are.',
  'KILL',
  '    Ends the function that is running, unless it has written.',
  'FLUSH [ASYNC|SYNC]',
  '    Forgets all libraries.',
  'DUMP',
  '    All libraries as one payload.',
  'RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]',
  '    Adds the libraries of a payload: in place of all others, beside them, or over those of the same name.',
];

const noKeys = [0, 0, 0] as const;

function runner(name: string, extra: readonly CommandFlag[], summary: string, readOnly: boolean): CommandSpec {
  return {
    name,
    arity: -3,
    flags: [...extra, 'noscript', 'stale', 'skip_monitor', 'no_mandatory_keys', 'movablekeys'],
    keys: noKeys,
    group: 'scripting',
    since: '7.0.0',
    summary,
    run: (call) => fcall(call, readOnly),
    flagsOf,
  };
}

const sub = rowsOf('scripting', 'function|');

export const functionCommands: readonly CommandSpec[] = [
  runner('fcall', ['may_replicate'], 'Calls a function.', false),
  runner('fcall_ro', ['readonly'], 'Calls a function that only reads.', true),
  {
    name: 'function',
    arity: -2,
    flags: [],
    keys: noKeys,
    group: 'scripting',
    since: '7.0.0',
    summary: 'Commands about functions.',
    subcommands: [
      sub('delete', 3, ['write', 'noscript'], '7.0.0', 'Forgets a library.', remove),
      sub('dump', 2, ['noscript'], '7.0.0', 'Gives all libraries as one payload.', dump),
      sub('flush', -2, ['write', 'noscript'], '7.0.0', 'Forgets all libraries.', flush),
      helpRow(sub, '7.0.0', HELP),
      sub('kill', 2, ['noscript', 'allow_busy'], '7.0.0', 'Ends the running function.', (call) =>
        killReply(call, false),
      ),
      sub('list', -2, ['noscript'], '7.0.0', 'Tells about all libraries.', list),
      sub('load', -3, ['write', 'denyoom', 'noscript'], '7.0.0', 'Adds a library.', load),
      sub('restore', -3, ['write', 'denyoom', 'noscript'], '7.0.0', 'Adds the libraries of a payload.', restore),
      sub('stats', 2, ['noscript', 'allow_busy'], '7.0.0', 'Tells what runs and how many functions there are.', stats),
    ],
  },
];
