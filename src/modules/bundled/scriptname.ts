// scriptname: names for scripts, and running a script by its name. Names, and the scripts that they stand for, survive
// a restart.
import { API_VERSION, type Call, defineModule, type ModuleContext, type Word } from '../api.ts';

const NO_SCRIPT = 'NOSCRIPT Target SHA not found. Please use SCRIPT LOAD.';
const NO_NAME = 'NONAME Script name not found. Please use SCRIPTNAME SET.';

/** SHA-1 by name; names are Latin-1, a character a byte. */
const names = new Map<string, string>();
let context: ModuleContext;

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

/** The SHA-1 in word `i`; null: there is no such script. */
function shaAt(call: Call, i: number): string | null {
  const sha = call.latin1(i).toLowerCase();
  return sha.length === 40 && context.scriptBody(sha) !== null ? sha : null;
}

function set(call: Call): void {
  const sha = shaAt(call, 3);
  if (sha === null) {
    call.reply.error(NO_SCRIPT);
    return;
  }
  const name = call.latin1(2);
  names.set(name, sha);
  // Whoever reads this later may not have the script.
  if (call.propagates) {
    call.propagateAs('SCRIPT', 'LOAD', context.scriptBody(sha)!);
    call.propagateAs('SCRIPTNAME', 'SET', name, sha);
  }
  call.server.dirty++;
  call.reply.bulkLatin1(name);
}

function get(call: Call): void {
  const sha = names.get(call.latin1(2));
  if (sha === undefined) call.reply.error(NO_NAME);
  else call.reply.bulkLatin1(sha);
}

function getAll(call: Call): void {
  call.reply.array(names.size * 2);
  for (const [name, sha] of names) {
    call.reply.bulkLatin1(name);
    call.reply.bulkLatin1(sha);
  }
}

function remove(call: Call): void {
  const name = call.latin1(2);
  const sha = names.get(name);
  if (sha === undefined) {
    call.reply.error(NO_NAME);
    return;
  }
  names.delete(name);
  call.server.dirty++;
  call.reply.bulkLatin1(sha);
}

/** SCRIPTNAME SET name sha | GET name | GETALL | DEL name */
function scriptName(call: Call): void {
  const { argc } = call;
  if (argc === 4 && call.is(1, 'set')) set(call);
  else if (argc === 3 && call.is(1, 'get')) get(call);
  else if (argc === 2 && call.is(1, 'getall')) getAll(call);
  else if (argc === 3 && call.is(1, 'del')) remove(call);
  else call.reply.error('ERR Unknown scriptName subcommand or arg count');
}

/** EVALNAME name-or-sha numkeys [key ...] [arg ...] */
function evalName(call: Call): void {
  const sha = shaAt(call, 1) ?? names.get(call.latin1(1)) ?? null;
  if (sha === null || context.scriptBody(sha) === null) {
    call.reply.error(NO_SCRIPT);
    return;
  }
  const rest = Array.from({ length: call.argc - 2 }, (_, i) => call.copy(i + 2));
  context.forward(call, 'EVALSHA', sha, ...rest);
}

export default defineModule({
  name: 'sh.matt.scriptName',
  version: '0.3',
  apiVersion: API_VERSION,
  commands: [
    {
      name: 'scriptname',
      arity: -2,
      flags: ['noscript'],
      group: 'scripting',
      summary: 'Sets, tells and deletes names of scripts.',
      run: scriptName,
    },
    {
      name: 'evalname',
      arity: -3,
      flags: ['noscript', 'may_replicate', 'movablekeys', 'no_mandatory_keys'],
      group: 'scripting',
      summary: 'Runs a script by its name, or by its SHA-1.',
      run: evalName,
    },
  ],
  onLoad(given) {
    context = given;
  },
  onUnload() {
    names.clear();
  },
  *persist(): Iterable<readonly Word[]> {
    for (const [name, sha] of names) {
      const body = context.scriptBody(sha);
      // SCRIPT FLUSH has taken the script: the name stands for nothing.
      if (body === null) continue;
      yield ['SCRIPT', 'LOAD', body];
      yield ['SCRIPTNAME', 'SET', bytes(name), sha];
    }
  },
});
