// EVAL and its like, and SCRIPT.
import type { Call } from '../core/call.ts';
import type { CommandFlag, CommandSpec } from '../core/command.ts';
import { NO_SUCH_SCRIPT, NOT_AN_INTEGER } from '../core/errors.ts';
import { parseInteger } from '../data/integer.ts';
import type { Script } from '../scripting/script-cache.ts';
import { commandFlags, readShebang, UNDECLARED } from '../scripting/script-flags.ts';
import { scriptingOf } from '../scripting/scripting.ts';
import { helpRow, rowsOf } from './rows.ts';

/** The number of keys, word 2. @returns -1 after having replied an error. */
export function keyCount(call: Call, notANumber: string): number {
  const count = parseInteger(call.bytes, call.offsets[2], call.lengths[2]);
  if (Number.isNaN(count)) call.reply.error(notANumber);
  else if (count > call.argc - 3) call.reply.error("ERR Number of keys can't be greater than number of args");
  else if (count < 0) call.reply.error("ERR Number of keys can't be negative");
  else return count;
  return -1;
}

function evaluate(call: Call, bySha: boolean, readOnly: boolean): void {
  const { server } = call;
  // Before the commands that it runs.
  if (server.monitors.size > 0) server.feedMonitors(call);
  call.dontPropagate();
  const scripting = scriptingOf(server);
  if (bySha && call.lengths[1] !== 40) {
    call.reply.error(NO_SUCH_SCRIPT);
    return;
  }
  const keys = keyCount(call, NOT_AN_INTEGER);
  if (keys < 0) return;
  const script = bySha ? scripting.scripts.findSha(call, 1) : scripting.scripts.load(call, 1);
  if (script === undefined) call.reply.error(NO_SUCH_SCRIPT);
  else if (script !== null) run(call, script, keys, readOnly);
}

function run(call: Call, script: Script, keys: number, readOnly: boolean): void {
  const scripting = scriptingOf(call.server);
  const { evalEngine } = scripting;
  const refusal = evalEngine.run.prepare(call, script.sha, true, script.flags, readOnly);
  if (refusal !== null) {
    call.reply.error(refusal);
    return;
  }
  scripting.invoke(evalEngine, call, script.ref, keys);
}

/** What a script says of itself decides whether it may run, as if it were a command. */
function flagsOf(bySha: boolean): (call: Call, flags: number) => number {
  return (call, flags) => {
    const { scripts } = scriptingOf(call.server);
    const known = bySha ? scripts.findSha(call, 1) : scripts.findText(call, 1);
    if (known === undefined && bySha) return flags;
    const declared = known ?? readShebang(call.latin1(1));
    if (typeof declared === 'string' || (declared.flags & UNDECLARED) !== 0) return flags;
    return commandFlags(flags, declared.flags);
  };
}

// --- SCRIPT ---

function scriptLoad(call: Call): void {
  const script = scriptingOf(call.server).scripts.load(call, 2);
  if (script !== null) call.reply.bulkLatin1(script.sha);
}

function scriptExists(call: Call): void {
  const { scripts } = scriptingOf(call.server);
  call.reply.array(call.argc - 2);
  for (let i = 2; i < call.argc; i++) call.reply.integer(scripts.has(call.latin1(i)) ? 1 : 0);
}

function scriptFlush(call: Call): void {
  if (call.argc > 3 || (call.argc === 3 && !call.is(2, 'sync') && !call.is(2, 'async'))) {
    call.reply.error('ERR SCRIPT FLUSH only support SYNC|ASYNC option');
    return;
  }
  scriptingOf(call.server).scripts.flush();
  call.reply.ok();
}

export function killReply(call: Call, isEval: boolean): void {
  const problem = scriptingOf(call.server).kill(isEval);
  if (problem === null) call.reply.ok();
  else call.reply.error(problem);
}

function scriptDebug(call: Call): void {
  if (call.reply.length > 0) call.reply.error('ERR SCRIPT DEBUG must be called outside a pipeline');
  else if (call.is(2, 'no')) call.reply.ok();
  else if (call.is(2, 'yes') || call.is(2, 'sync')) {
    call.reply.error('ERR The Lua debugger is not supported in this version');
  } else call.reply.error('ERR Use SCRIPT DEBUG YES/SYNC/NO');
}

const HELP = [
  'DEBUG (YES|SYNC|NO)',
  '    Switches the debugger for the scripts that follow.',
  'EXISTS <sha1> [<sha1> ...]',
  '    Whether scripts are in the cache.',
  'FLUSH [ASYNC|SYNC]',
  '    Empties the cache of scripts.',
  'KILL',
  '    Ends the script that is running, unless it has written.',
  'LOAD <script>',
  '    Puts a script into the cache without running it.',
];

const noKeys = [0, 0, 0] as const;

function runner(
  name: string,
  extra: readonly CommandFlag[],
  since: string,
  summary: string,
  bySha: boolean,
  readOnly: boolean,
): CommandSpec {
  return {
    name,
    arity: -3,
    flags: [...extra, 'noscript', 'stale', 'skip_monitor', 'no_mandatory_keys', 'movablekeys'],
    keys: noKeys,
    group: 'scripting',
    since,
    summary,
    run: (call) => evaluate(call, bySha, readOnly),
    flagsOf: flagsOf(bySha),
  };
}

const sub = rowsOf('scripting', 'script|');

export const scriptingCommands: readonly CommandSpec[] = [
  runner('eval', ['may_replicate'], '2.6.0', 'Runs a script.', false, false),
  runner('evalsha', ['may_replicate'], '2.6.0', 'Runs a script of the cache.', true, false),
  runner('eval_ro', ['readonly'], '7.0.0', 'Runs a script that only reads.', false, true),
  runner('evalsha_ro', ['readonly'], '7.0.0', 'Runs a script of the cache that only reads.', true, true),
  {
    name: 'script',
    arity: -2,
    flags: [],
    keys: noKeys,
    group: 'scripting',
    since: '2.6.0',
    summary: 'Commands about scripts.',
    subcommands: [
      sub('debug', 3, ['noscript'], '3.2.0', 'Switches the debugger of scripts.', scriptDebug),
      sub('exists', -3, ['noscript'], '2.6.0', 'Tells whether scripts are in the cache.', scriptExists),
      sub('flush', -2, ['noscript'], '2.6.0', 'Empties the cache of scripts.', scriptFlush),
      helpRow(sub, '5.0.0', HELP),
      sub('kill', 2, ['noscript', 'allow_busy'], '2.6.0', 'Ends the running script.', (call) => killReply(call, true)),
      sub('load', 3, ['noscript', 'stale'], '2.6.0', 'Puts a script into the cache.', scriptLoad),
    ],
  },
];
