// COMMAND and its subcommands: what the server tells clients about its commands.
import type { Call } from '../core/call.ts';
import type { CommandFlag, CommandSpec } from '../core/command.ts';
import type { Command } from '../core/command-table.ts';
import { globToRegExp } from '../core/glob-text.ts';
import { hasKeys, type KeySpec } from '../core/key-specs.ts';
import { type CommandArgument, commandArguments } from './command-details.ts';
import { complexityOf } from './complexities.ts';
import { DEPRECATIONS, SYSTEM_COMMANDS } from './deprecations.ts';
import { helpRow, rowsOf } from './rows.ts';

function command(call: Call): void {
  const all = call.server.commands.all;
  call.reply.array(all.length);
  for (const one of all) infoReply(call, one);
}

/** `get`, or `client|list` for a subcommand. */
function lookUp(call: Call, i: number): Command | null {
  const [name, sub, ...rest] = call.latin1(i).split('|');
  const found = call.server.commands.named(name);
  if (sub === undefined || rest.length > 0) return rest.length > 0 ? null : found;
  return found?.subcommands?.named(sub) ?? null;
}

function infoReply(call: Call, one: Command): void {
  const { reply } = call;
  const { spec } = one;
  const details = call.server.detailsOf(spec);
  reply.array(10);
  reply.bulkLatin1(one.parent === null ? one.calledAs : spec.name);
  reply.integer(spec.arity);
  simpleSet(call, [...spec.flags.filter((flag) => flag !== 'may_replicate'), ...(one.module === '' ? [] : ['module'])]);
  for (const position of spec.keys) reply.integer(position);
  simpleSet(call, details.categories);
  reply.set(details.tips.length);
  for (const tip of details.tips) reply.bulkLatin1(tip);
  reply.set(details.keySpecs.length);
  for (const keySpec of details.keySpecs) keySpecReply(call, keySpec);
  const subcommands = one.subcommands?.all ?? [];
  if (subcommands.length === 0) reply.set(0);
  else {
    reply.array(subcommands.length);
    for (const sub of subcommands) infoReply(call, sub);
  }
}

function simpleSet(call: Call, words: readonly string[]): void {
  call.reply.set(words.length);
  for (const word of words) call.reply.simple(word);
}

function keySpecReply(call: Call, spec: KeySpec): void {
  const { reply } = call;
  reply.map(spec.notes === undefined ? 3 : 4);
  if (spec.notes !== undefined) {
    reply.bulkLatin1('notes');
    reply.bulkLatin1(spec.notes);
  }
  reply.bulkLatin1('flags');
  simpleSet(call, spec.flags);
  for (const part of ['begin_search', 'find_keys'] as const) {
    reply.bulkLatin1(part);
    reply.map(2);
    reply.bulkLatin1('type');
    reply.bulkLatin1(spec[part].type);
    reply.bulkLatin1('spec');
    const entries = Object.entries(spec[part].spec) as [string, string | number][];
    reply.map(entries.length);
    for (const [name, value] of entries) {
      reply.bulkLatin1(name);
      if (typeof value === 'number') reply.integer(value);
      else reply.bulkLatin1(value);
    }
  }
}

function commandCount(call: Call): void {
  call.reply.integer(call.server.commands.all.length);
}

function commandInfo(call: Call): void {
  if (call.argc === 2) {
    command(call);
    return;
  }
  call.reply.array(call.argc - 2);
  for (let i = 2; i < call.argc; i++) {
    const found = lookUp(call, i);
    if (found === null) call.reply.null();
    else infoReply(call, found);
  }
}

function commandList(call: Call): void {
  let wanted: (one: Command) => boolean = () => true;
  if (call.argc === 5 && call.is(2, 'filterby')) {
    const value = call.latin1(4);
    if (call.is(3, 'module')) {
      const module = call.text(4);
      if (call.server.modules?.loaded.some(({ name }) => name === module) !== true) {
        call.reply.emptyArray();
        return;
      }
      wanted = (one) => one.module !== '' && one.module === module;
    } else if (call.is(3, 'aclcat')) {
      const category = `@${value.toLowerCase()}`;
      wanted = (one) => call.server.detailsOf(one.spec).categories.includes(category);
    } else if (call.is(3, 'pattern')) {
      const matches = globToRegExp(value);
      wanted = (one) => matches.test(fullName(one));
    } else {
      call.syntaxError();
      return;
    }
  } else if (call.argc !== 2) {
    call.syntaxError();
    return;
  }
  const all = call.server.commands.all.flatMap((one) => [one, ...(one.subcommands?.all ?? [])]);
  const names = all.filter(wanted).map(fullName);
  call.reply.array(names.length);
  for (const name of names) call.reply.bulkLatin1(name);
}

function fullName(one: Command): string {
  return one.parent === null ? one.calledAs : one.spec.name;
}

function commandDocs(call: Call): void {
  const { reply } = call;
  const chosen: Command[] = [];
  if (call.argc === 2) chosen.push(...call.server.commands.all);
  for (let i = 2; i < call.argc; i++) {
    const found = lookUp(call, i);
    if (found !== null) chosen.push(found);
  }
  reply.map(chosen.length);
  for (const one of chosen) {
    reply.bulkLatin1(fullName(one));
    docsReply(call, one);
  }
}

function docsReply(call: Call, one: Command): void {
  const { reply } = call;
  const { spec } = one;
  const args = commandArguments(spec.name);
  const subcommands = one.subcommands?.all ?? [];
  const deprecation = DEPRECATIONS[spec.name];
  const flag = deprecation !== undefined ? 'deprecated' : SYSTEM_COMMANDS.has(spec.name) ? 'syscmd' : null;
  const extras = (flag === null ? 0 : 1) + (deprecation === undefined ? 0 : 2);
  const complexity = complexityOf(spec.name);
  const optional = [complexity !== undefined, args.length > 0, subcommands.length > 0].filter(Boolean).length;
  reply.map(3 + extras + optional);
  for (const field of ['summary', 'since', 'group'] as const) {
    reply.bulkLatin1(field);
    reply.bulkText(spec[field]);
  }
  if (complexity !== undefined) {
    reply.bulkLatin1('complexity');
    reply.bulkLatin1(complexity);
  }
  if (flag !== null) {
    reply.bulkLatin1('doc_flags');
    simpleSet(call, [flag]);
  }
  if (deprecation !== undefined) {
    reply.bulkLatin1('deprecated_since');
    reply.bulkLatin1(deprecation.since);
    reply.bulkLatin1('replaced_by');
    reply.bulkLatin1(deprecation.replacedBy);
  }
  if (args.length > 0) {
    reply.bulkLatin1('arguments');
    argumentsReply(call, args);
  }
  if (subcommands.length === 0) return;
  reply.bulkLatin1('subcommands');
  reply.map(subcommands.length);
  for (const sub of subcommands) {
    reply.bulkLatin1(sub.spec.name);
    docsReply(call, sub);
  }
}

const ARGUMENT_FIELDS = [
  'name',
  'type',
  'key_spec_index',
  'token',
  'since',
  'deprecated_since',
  'flags',
  'arguments',
] as const;

function argumentsReply(call: Call, args: readonly CommandArgument[]): void {
  const { reply } = call;
  reply.array(args.length);
  for (const argument of args) {
    const fields = ARGUMENT_FIELDS.filter((field) => argument[field] !== undefined);
    reply.map(fields.length);
    for (const field of fields) {
      reply.bulkLatin1(field);
      if (field === 'arguments') argumentsReply(call, argument.arguments ?? []);
      else if (field === 'flags') simpleSet(call, argument.flags ?? []);
      else if (field === 'key_spec_index') reply.integer(argument.key_spec_index ?? 0);
      else reply.bulkLatin1(String(argument[field]));
    }
  }
}

/** GETKEYS and GETKEYSANDFLAGS. */
function commandGetKeys(call: Call, withFlags: boolean): void {
  const { reply } = call;
  const found = call.server.commands.find(call.bytes, call.offsets[2], call.lengths[2]);
  const hasSub = found !== null && found.subcommands !== null && call.argc > 3;
  const one = hasSub ? found.subcommands!.find(call.bytes, call.offsets[3], call.lengths[3]) : found;
  if (one === null) {
    reply.error('ERR Invalid command specified');
    return;
  }
  if (!hasKeys(call.server.detailsOf(one.spec).keySpecs)) {
    reply.error('ERR The command has no key arguments');
    return;
  }
  const count = call.argc - 2;
  if (one.arity > 0 ? count !== one.arity : count < -one.arity) {
    reply.error('ERR Invalid number of arguments specified for command');
    return;
  }
  const keys = call.server.keysOf(call, one.spec, 2);
  if (keys.length === 0 && !one.spec.flags.includes('no_mandatory_keys')) {
    reply.error('ERR Invalid arguments specified for command');
    return;
  }
  reply.array(keys.length);
  for (const { flags, position } of keys) {
    if (withFlags) reply.array(2);
    reply.bulk(call.bytes, call.offsets[position], call.lengths[position]);
    if (withFlags) simpleSet(call, flags);
  }
}

const HELP = [
  '(no subcommand)',
  '    Facts about all commands.',
  'COUNT',
  '    How many commands there are.',
  'LIST [FILTERBY (MODULE|ACLCAT|PATTERN) <value>]',
  '    Names of all commands, or of those that fit.',
  'INFO [<command-name> ...]',
  '    Facts about commands.',
  'DOCS [<command-name> ...]',
  '    Descriptions of commands.',
  'GETKEYS <full-command>',
  '    The keys in a command.',
  'GETKEYSANDFLAGS <full-command>',
  '    The keys in a command and what happens to them.',
];

const flags: readonly CommandFlag[] = ['loading', 'stale'];
const row = rowsOf('server', 'command|');

export const commandCommand: CommandSpec = {
  name: 'command',
  arity: -1,
  flags,
  keys: [0, 0, 0],
  group: 'server',
  since: '2.8.13',
  summary: 'Tells facts about all commands.',
  run: command,
  subcommands: [
    row('count', 2, flags, '2.8.13', 'Counts the commands.', commandCount),
    row('docs', -2, flags, '7.0.0', 'Describes commands.', commandDocs),
    row('getkeys', -4, flags, '2.8.13', 'Finds the keys in a command.', (call) => commandGetKeys(call, false)),
    row('getkeysandflags', -4, flags, '7.0.0', 'Finds the keys in a command and what happens to them.', (call) =>
      commandGetKeys(call, true),
    ),
    helpRow(row, '5.0.0', HELP),
    row('info', -2, flags, '2.8.13', 'Tells facts about commands.', commandInfo),
    row('list', -2, flags, '7.0.0', 'Lists the names of commands.', commandList),
  ],
};
