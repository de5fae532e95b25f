import { beforeEach, expect, test } from 'vitest';
import { Arena } from '../data/arena.ts';
import { ManualClock } from '../platform/clock.ts';
import { silentLog } from '../platform/log.ts';
import { SeededRandom } from '../platform/random.ts';
import { ReplyWriter } from '../resp/reply-writer.ts';
import type { Call } from './call.ts';
import type { Client } from './client.ts';
import type { CommandFlag, CommandSpec } from './command.ts';
import { createConfig } from './config.ts';
import { Keyspace } from './keyspace.ts';
import { RAN, REFUSED, UNKNOWN_COMMAND, WordList, WRONG_ARITY } from './nested-call.ts';
import { Server } from './server.ts';

let server: Server;
let client: Client;
let reply: ReplyWriter;

const row = (name: string, arity: number, run: (call: Call) => void, flags: CommandFlag[] = []): CommandSpec => ({
  name,
  arity,
  flags,
  keys: [0, 0, 0],
  group: 'generic',
  since: '1.0.0',
  summary: '',
  run,
});

const commands: CommandSpec[] = [
  row('echo', 2, (call) => call.reply.bulk(call.bytes, call.offsets[1], call.lengths[1])),
  row('fail', 1, (call) => call.reply.error('ERR failed')),
  // Runs its words but the first, then tells its own name again.
  row('twice', -2, (call) => {
    const inner = new WordList();
    for (let i = 1; i < call.argc; i++) inner.addBytes(call.bytes, call.offsets[i], call.lengths[i]);
    call.server.nested.run(call.client, inner, call.reply);
    call.reply.bulkLatin1(call.latin1(0));
  }),
];

beforeEach(() => {
  const clock = new ManualClock();
  const random = new SeededRandom(1);
  server = new Server({
    config: createConfig(),
    keyspace: new Keyspace(new Arena(), clock, random),
    commands,
    clock,
    random,
    scheduler: { createAlarm: () => ({ arm() {}, disarm() {} }), soon() {} },
    stopwatch: () => 0,
    log: silentLog,
  });
  client = server.nested.createClient('test');
  reply = new ReplyWriter();
});

const words = (...all: string[]): WordList => all.reduce((list, word) => list.add(word), new WordList());
const text = (): string => Buffer.from(reply.bytes.subarray(0, reply.length)).toString('latin1');

test('runs the words of a command and appends its reply', () => {
  expect(server.nested.run(client, words('ECHO', '\x00\xff'), reply)).toBe(RAN);
  expect(server.nested.run(client, words('fail'), reply)).toBe(RAN);
  expect(text()).toBe('$2\r\n\x00\xff\r\n-ERR failed\r\n');
  expect(server.commands.named('echo')?.calls).toBe(1);
  expect(server.commands.named('fail')?.failedCalls).toBe(1);
});

test('each depth has words of its own, and an error counts for the command that replied it', () => {
  server.nested.run(client, words('twice', 'TWICE', 'fail'), reply);
  expect(text()).toBe('-ERR failed\r\n$5\r\nTWICE\r\n$5\r\ntwice\r\n');
  expect(server.commands.named('fail')?.failedCalls).toBe(1);
  expect(server.commands.named('twice')?.failedCalls).toBe(0);
  expect(server.stats.errorReplies).toBe(1);
});

test('says why words cannot be run, without a reply', () => {
  expect(server.nested.run(client, words('nothing'), reply)).toBe(UNKNOWN_COMMAND);
  expect(server.nested.run(client, words('echo'), reply)).toBe(WRONG_ARITY);
  expect(server.nested.run(client, words('echo', 'x'), reply, () => 'ERR not now')).toBe(REFUSED);
  expect(server.nested.refusal).toBe('ERR not now');
  expect(reply.length).toBe(0);
  expect(server.commands.named('echo')?.rejectedCalls).toBe(2);
});
