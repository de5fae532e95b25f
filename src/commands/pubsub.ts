// SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE, their opposites, PUBLISH, SPUBLISH and PUBSUB. Only table.ts imports this file.
import type { Call } from '../core/call.ts';
import { REPLY_ON } from '../core/client.ts';
import type { CommandFlag, CommandSpec } from '../core/command.ts';
import { PROPAGATE_REPLICAS } from '../core/propagation.ts';
import { globMatch } from '../data/glob.ts';
import type { ReplyWriter } from '../resp/reply-writer.ts';
import { subcommandError } from './help.ts';
import { helpRow, rowsOf } from './rows.ts';

/** Where clients listen: channels, patterns, channels of a shard. */
type Kind = 'channels' | 'patterns' | 'shardChannels';
const PREFIX: Readonly<Record<Kind, string>> = { channels: '', patterns: 'p', shardChannels: 's' };

/** Writes what tells a client of its subscriptions, even one that wants no replies (CLIENT REPLY). */
function confirm(call: Call, write: (reply: ReplyWriter) => void): void {
  const { client, server } = call;
  if (client.replyMode === REPLY_ON) {
    write(call.reply);
    return;
  }
  server.push.reset();
  server.push.protocol = client.protocol;
  write(server.push);
  client.deliver(server.push);
  server.push.reset();
}

function confirmation(call: Call, kind: Kind, verb: string, name: string | null): void {
  const { subscriptions } = call.client;
  const sharded = kind === 'shardChannels';
  const count = subscriptions === null ? 0 : sharded ? subscriptions.shardChannels.size : subscriptions.count;
  confirm(call, (reply) => {
    reply.push(3);
    reply.bulkLatin1(`${PREFIX[kind]}${verb}`);
    if (name === null) reply.null();
    else reply.bulkLatin1(name);
    reply.integer(count);
  });
}

function subscribe(call: Call, kind: Kind): void {
  const { client, server } = call;
  // Who expects one reply a command cannot subscribe; EXEC may, as it always could.
  if (client.inExec && (client.id === 0 || kind === 'shardChannels')) {
    call.reply.error(`ERR ${call.spec.name.toUpperCase()} isn't allowed for a DENY BLOCKING client`);
    return;
  }
  for (let i = 1; i < call.argc; i++) {
    const name = call.latin1(i);
    if (kind === 'patterns') server.pubsub.subscribePattern(client, name);
    else server.pubsub.subscribe(client, name, kind === 'shardChannels');
    confirmation(call, kind, 'subscribe', name);
  }
  client.updateGate();
}

function unsubscribe(call: Call, kind: Kind): void {
  const { client, server } = call;
  const names =
    call.argc > 1
      ? Array.from({ length: call.argc - 1 }, (_, i) => call.latin1(i + 1))
      : [...(client.subscriptions?.[kind] ?? [])];
  for (const name of names) {
    if (kind === 'patterns') server.pubsub.unsubscribePattern(client, name);
    else server.pubsub.unsubscribe(client, name, kind === 'shardChannels');
    confirmation(call, kind, 'unsubscribe', name);
  }
  if (names.length === 0) confirmation(call, kind, 'unsubscribe', null);
  if (client.subscriptions?.total === 0) client.subscriptions = null;
  client.updateGate();
}

function publish(call: Call, sharded: boolean): void {
  const { server } = call;
  const channel = call.latin1(1);
  const receivers = server.pubsub.publish(server.push, channel, sharded, call.bytes, call.offsets[2], call.lengths[2]);
  call.forcePropagation(PROPAGATE_REPLICAS);
  call.reply.integer(receivers);
}

// --- PUBSUB ---

function channelList(call: Call, names: Iterable<string>): void {
  if (call.argc > 3) {
    subcommandError(call);
    return;
  }
  const { bytes, lengths, offsets, reply } = call;
  const mark = reply.openDeferred();
  let count = 0;
  for (const name of names) {
    if (call.argc === 3) {
      const text = Buffer.from(name, 'latin1');
      if (!globMatch(bytes, offsets[2], lengths[2], text, 0, text.length)) continue;
    }
    reply.bulkLatin1(name);
    count++;
  }
  reply.closeArray(mark, count);
}

function listenerCounts(call: Call, listeners: ReadonlyMap<string, ReadonlySet<unknown>>): void {
  call.reply.array((call.argc - 2) * 2);
  for (let i = 2; i < call.argc; i++) {
    call.reply.bulk(call.bytes, call.offsets[i], call.lengths[i]);
    call.reply.integer(listeners.get(call.latin1(i))?.size ?? 0);
  }
}

const HELP = [
  'CHANNELS [<pattern>]',
  '    Channels that someone is subscribed to, those that match <pattern> if there is one.',
  'NUMPAT',
  '    How many patterns someone is subscribed to.',
  'NUMSUB [<channel> ...]',
  '    How many are subscribed to each channel, those with a pattern left out.',
  'SHARDCHANNELS [<pattern>]',
  '    As CHANNELS, of sharded channels.',
  'SHARDNUMSUB [<shardchannel> ...]',
  '    As NUMSUB, of sharded channels.',
];

const none = [0, 0, 0] as const;
const listening: readonly CommandFlag[] = ['pubsub', 'noscript', 'loading', 'stale'];
const publishing: readonly CommandFlag[] = ['pubsub', 'loading', 'stale', 'fast', 'may_replicate'];
const asking: readonly CommandFlag[] = ['pubsub', 'loading', 'stale'];
const row = rowsOf('pubsub');

const pubsub: CommandSpec = {
  name: 'pubsub',
  arity: -2,
  flags: [],
  keys: none,
  group: 'pubsub',
  since: '2.8.0',
  summary: 'Holds the commands about channels and who is subscribed to them.',
  subcommands: [
    row('pubsub|channels', -2, asking, '2.8.0', 'Lists the channels that someone is subscribed to.', (call) =>
      channelList(call, call.server.pubsub.channels.keys()),
    ),
    helpRow(rowsOf('pubsub', 'pubsub|'), '6.2.0', HELP),
    row('pubsub|numpat', 2, asking, '2.8.0', 'Counts the patterns that someone is subscribed to.', (call) =>
      call.reply.integer(call.server.pubsub.patterns.size),
    ),
    row('pubsub|numsub', -2, asking, '2.8.0', 'Counts who is subscribed to channels.', (call) =>
      listenerCounts(call, call.server.pubsub.channels),
    ),
    row('pubsub|shardchannels', -2, asking, '7.0.0', 'Lists the sharded channels that someone listens to.', (call) =>
      channelList(call, call.server.pubsub.shardChannels.keys()),
    ),
    row('pubsub|shardnumsub', -2, asking, '7.0.0', 'Counts who is subscribed to sharded channels.', (call) =>
      listenerCounts(call, call.server.pubsub.shardChannels),
    ),
  ],
};

export const pubsubCommands: readonly CommandSpec[] = [
  row('psubscribe', -2, listening, '2.0.0', 'Listens to channels whose name matches a pattern.', (call) =>
    subscribe(call, 'patterns'),
  ),
  row('publish', 3, publishing, '2.0.0', 'Sends a message to a channel.', (call) => publish(call, false)),
  pubsub,
  row('punsubscribe', -1, listening, '2.0.0', 'Ends listening to patterns.', (call) => unsubscribe(call, 'patterns')),
  row(
    'spublish',
    3,
    publishing,
    '7.0.0',
    'Sends a message to a sharded channel.',
    (call) => publish(call, true),
    [1, 1, 1],
  ),
  row(
    'ssubscribe',
    -2,
    listening,
    '7.0.0',
    'Listens to sharded channels.',
    (call) => subscribe(call, 'shardChannels'),
    [1, -1, 1],
  ),
  row('subscribe', -2, listening, '2.0.0', 'Listens to channels.', (call) => subscribe(call, 'channels')),
  row(
    'sunsubscribe',
    -1,
    listening,
    '7.0.0',
    'Ends listening to sharded channels.',
    (call) => unsubscribe(call, 'shardChannels'),
    [1, -1, 1],
  ),
  row('unsubscribe', -1, listening, '2.0.0', 'Ends listening to channels.', (call) => unsubscribe(call, 'channels')),
];
