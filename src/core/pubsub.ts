// Who listens to which channels and patterns, and publishing to them. A client that never subscribes has no
// Subscriptions. A message is written once for each protocol and handed to every listener. Only
// core/ imports it.
import { globMatch } from '../data/glob.ts';
import type { ReplyWriter } from '../resp/reply-writer.ts';
import type { Client } from './client.ts';

/** One client's, in the order in which it subscribed; names are Latin-1. */
export class Subscriptions {
  readonly channels = new Set<string>();
  readonly patterns = new Set<string>();
  readonly shardChannels = new Set<string>();

  /** Channels and patterns: what SUBSCRIBE's replies count. */
  get count(): number {
    return this.channels.size + this.patterns.size;
  }

  get total(): number {
    return this.count + this.shardChannels.size;
  }

  /** Bytes, about. */
  get memoryBytes(): number {
    return this.total * 64;
  }
}

/** Names and who subscribed to each, in that order. */
type Listeners = Map<string, Set<Client>>;

interface Pattern {
  readonly bytes: Uint8Array;
  readonly clients: Set<Client>;
}

export class PubSub {
  readonly channels: Listeners = new Map();
  readonly shardChannels: Listeners = new Map();
  readonly patterns = new Map<string, Pattern>();

  /** Whether anyone listens to channels that are not sharded. */
  get hasListeners(): boolean {
    return this.channels.size + this.patterns.size > 0;
  }

  // --- subscribing ---

  subscribe(client: Client, channel: string, sharded: boolean): void {
    subscriptionsOf(client)[sharded ? 'shardChannels' : 'channels'].add(channel);
    const all = sharded ? this.shardChannels : this.channels;
    const clients = all.get(channel);
    if (clients === undefined) all.set(channel, new Set([client]));
    else clients.add(client);
  }

  subscribePattern(client: Client, pattern: string): void {
    subscriptionsOf(client).patterns.add(pattern);
    const known = this.patterns.get(pattern);
    if (known !== undefined) known.clients.add(client);
    else this.patterns.set(pattern, { bytes: Buffer.from(pattern, 'latin1'), clients: new Set([client]) });
  }

  unsubscribe(client: Client, channel: string, sharded: boolean): void {
    client.subscriptions?.[sharded ? 'shardChannels' : 'channels'].delete(channel);
    const all = sharded ? this.shardChannels : this.channels;
    const clients = all.get(channel);
    clients?.delete(client);
    if (clients?.size === 0) all.delete(channel);
  }

  unsubscribePattern(client: Client, pattern: string): void {
    client.subscriptions?.patterns.delete(pattern);
    const known = this.patterns.get(pattern);
    known?.clients.delete(client);
    if (known?.clients.size === 0) this.patterns.delete(pattern);
  }

  /** The client listens to nothing any more; it is not told. */
  forget(client: Client): void {
    const { subscriptions } = client;
    if (subscriptions === null) return;
    for (const channel of subscriptions.channels) this.unsubscribe(client, channel, false);
    for (const channel of subscriptions.shardChannels) this.unsubscribe(client, channel, true);
    for (const pattern of subscriptions.patterns) this.unsubscribePattern(client, pattern);
    client.subscriptions = null;
  }

  // --- publishing ---

  /**
   * @param push writes the messages; empty before and after.
   * @returns how many clients got the message.
   */
  publish(
    push: ReplyWriter,
    channel: string,
    sharded: boolean,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): number {
    let receivers = 0;
    const clients = (sharded ? this.shardChannels : this.channels).get(channel);
    if (clients !== undefined) {
      receivers += this.#send(push, clients, () => {
        push.push(3);
        push.bulkLatin1(sharded ? 'smessage' : 'message');
        push.bulkLatin1(channel);
        push.bulk(bytes, offset, length);
      });
    }
    if (sharded || this.patterns.size === 0) return receivers;
    const name = Buffer.from(channel, 'latin1');
    for (const [pattern, known] of this.patterns) {
      if (!globMatch(known.bytes, 0, known.bytes.length, name, 0, name.length)) continue;
      receivers += this.#send(push, known.clients, () => {
        push.push(4);
        push.bulkLatin1('pmessage');
        push.bulkLatin1(pattern);
        push.bulkLatin1(channel);
        push.bulk(bytes, offset, length);
      });
    }
    return receivers;
  }

  #send(push: ReplyWriter, clients: ReadonlySet<Client>, write: () => void): number {
    for (const protocol of [2, 3] as const) {
      push.reset();
      push.protocol = protocol;
      for (const client of clients) {
        if (client.protocol !== protocol) continue;
        if (push.length === 0) write();
        client.deliver(push);
      }
    }
    push.reset();
    return clients.size;
  }
}

function subscriptionsOf(client: Client): Subscriptions {
  client.subscriptions ??= new Subscriptions();
  return client.subscriptions;
}
