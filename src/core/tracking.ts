// Server-assisted client-side caching: which clients may hold which keys, and telling them when a key changes. In the
// default mode the server remembers the keys that a client reads; in broadcasting mode the client names prefixes. As in
// Redis, keys are remembered without their database. core/ and commands/tracking.ts import it.
import type { ReplyWriter } from '../resp/reply-writer.ts';
import type { Call } from './call.ts';
import type { Client } from './client.ts';
import type { Server } from './server.ts';

export interface TrackingOptions {
  readonly bcast: boolean;
  readonly optin: boolean;
  readonly optout: boolean;
  readonly noloop: boolean;
  /** Number of the client that gets the messages; 0: this one. */
  readonly redirect: number;
}

/** What a client that tracks has asked for. */
export class ClientTracking {
  options: TrackingOptions;
  /** Of broadcasting mode, Latin-1. */
  readonly prefixes = new Set<string>();
  /** CLIENT CACHING was given for the next command. */
  caching = false;
  /** The client that messages went to is gone. */
  brokenRedirect = false;

  constructor(options: TrackingOptions) {
    this.options = options;
  }

  /** Bytes, about. */
  get memoryBytes(): number {
    return this.prefixes.size * PREFIX_BYTES;
  }
}

/** About what a prefix and its place in the index need. */
const PREFIX_BYTES = 64;

/** Clients in broadcasting mode for a prefix, and the keys to tell them of, with who changed each last. */
interface Prefix {
  readonly clients: Set<Client>;
  keys: Map<string, Client | null>;
}

/** The pub/sub channel that a RESP2 client listens to for others. */
const CHANNEL = '__redis__:invalidate';
/** Keys forgotten at a time when the table is over `tracking-table-max-keys`. */
const EVICTIONS_PER_STEP = 100;
/** Bit of `Dispatcher.afterwards`. */
const AFTER_TRACKING = 2;

export class Tracking {
  readonly #server: Server;
  /** Numbers of the clients that may hold a key. */
  #readers = new Map<string, Set<number>>();
  #items = 0;
  /** How many clients track. */
  clients = 0;
  readonly #prefixes = new Map<string, Prefix>();
  /** What is to be sent to the client whose command runs, behind its reply; null: everything is invalid. */
  #pending: { readonly client: Client; readonly key: string | null }[] = [];
  /** Keys wait to be broadcast: `Server.settle` does it. */
  hasBroadcast = false;

  constructor(server: Server) {
    this.#server = server;
  }

  get totalKeys(): number {
    return this.#readers.size;
  }

  get totalItems(): number {
    return this.#items;
  }

  get totalPrefixes(): number {
    return this.#prefixes.size;
  }

  /** Whether a changed key can matter to anyone. */
  get active(): boolean {
    return this.clients > 0 || this.#readers.size > 0;
  }

  // --- on and off ---

  enable(client: Client, options: TrackingOptions, prefixes: readonly string[]): void {
    if (client.tracking === null) this.clients++;
    client.tracking ??= new ClientTracking(options);
    const { tracking } = client;
    tracking.options = options;
    tracking.brokenRedirect = false;
    if (options.bcast) for (const prefix of prefixes.length === 0 ? [''] : prefixes) this.#addPrefix(client, prefix);
    client.updateGate();
  }

  #addPrefix(client: Client, prefix: string): void {
    client.tracking?.prefixes.add(prefix);
    const known = this.#prefixes.get(prefix);
    if (known === undefined) this.#prefixes.set(prefix, { clients: new Set([client]), keys: new Map() });
    else known.clients.add(client);
  }

  disable(client: Client): void {
    const { tracking } = client;
    if (tracking === null) return;
    for (const prefix of tracking.prefixes) {
      const known = this.#prefixes.get(prefix);
      known?.clients.delete(client);
      if (known?.clients.size === 0) this.#prefixes.delete(prefix);
    }
    client.tracking = null;
    this.clients--;
    client.updateGate();
  }

  // --- reading ---

  /** A client that tracks has run a command that reads. @param words which are keys. */
  remember(call: Call, words: readonly number[]): void {
    const { client } = call;
    const { tracking } = client;
    if (tracking === null || tracking.options.bcast) return;
    if (tracking.options.optin && !tracking.caching) return;
    if (tracking.options.optout && tracking.caching) return;
    for (const i of words) {
      const key = call.latin1(i);
      const readers = this.#readers.get(key);
      if (readers === undefined) this.#readers.set(key, new Set([client.id]));
      else if (readers.has(client.id)) continue;
      else readers.add(client.id);
      this.#items++;
    }
    if (this.#overLimit()) this.#server.dispatcher.afterwards |= AFTER_TRACKING;
  }

  #overLimit(): boolean {
    const limit = this.#server.config.trackingTableMaxKeys;
    return limit > 0 && this.#readers.size > limit;
  }

  /** Forgets some keys while there are more than `tracking-table-max-keys`; who read them is told. */
  limitKeys(): void {
    for (let i = 0; i < EVICTIONS_PER_STEP && this.#overLimit(); i++) {
      const [key] = this.#readers.keys();
      this.#invalidate(key, null);
    }
  }

  /** Which clients may hold which keys, by their numbers. */
  get readers(): [key: string, clients: number[]][] {
    return [...this.#readers].map(([key, ids]) => [key, [...ids]]);
  }

  /** Puts back what `readers` told. */
  set readers(all: readonly (readonly [key: string, clients: readonly number[]])[]) {
    this.#readers = new Map(all.map(([key, ids]) => [key, new Set(ids)]));
    this.#items = all.reduce((sum, [, ids]) => sum + ids.length, 0);
  }

  // --- changes ---

  keyModified(bytes: Uint8Array, offset: number, length: number): void {
    const key = Buffer.from(bytes.buffer, bytes.byteOffset + offset, length).toString('latin1');
    for (const [prefix, { keys }] of this.#prefixes) {
      if (!key.startsWith(prefix)) continue;
      keys.set(key, this.#server.actor);
      this.hasBroadcast = true;
    }
    this.#invalidate(key, this.#server.actor);
  }

  /** @param actor who changed it: he is told behind the reply, or not at all. */
  #invalidate(key: string, actor: Client | null): void {
    const readers = this.#readers.get(key);
    if (readers === undefined) return;
    const { clients } = this.#server;
    for (const id of readers) {
      const client = clients.get(id);
      const options = client?.tracking?.options;
      if (client === undefined || options === undefined || options.bcast) continue;
      if (client !== actor) this.#sendKeys(client, [key]);
      else if (!options.noloop) this.#sendLater(client, key);
    }
    this.#items -= readers.size;
    this.#readers.delete(key);
  }

  /** A database was emptied. */
  flushed(): void {
    const { actor, clients } = this.#server;
    for (const client of clients.values()) {
      if (client.tracking === null) continue;
      if (client === actor) this.#sendLater(client, null);
      else this.#sendAll(client);
    }
    this.#readers = new Map();
    this.#items = 0;
  }

  // --- telling ---

  #sendLater(client: Client, key: string | null): void {
    this.#pending.push({ client, key });
    this.#server.dispatcher.afterwards |= AFTER_TRACKING;
  }

  /** The command, or the transaction, of the client is over. */
  sendPending(): void {
    if (this.#pending.length > 0) {
      const pending = this.#pending;
      this.#pending = [];
      for (const { client, key } of pending) {
        if (key === null) this.#sendAll(client);
        else this.#sendKeys(client, [key]);
      }
    }
    if (this.#overLimit()) this.limitKeys();
  }

  /** Tells clients in broadcasting mode what has changed since the last time. */
  broadcast(): void {
    this.hasBroadcast = false;
    for (const name of [...this.#prefixes.keys()].sort()) {
      const prefix = this.#prefixes.get(name);
      if (prefix === undefined || prefix.keys.size === 0) continue;
      const { keys } = prefix;
      prefix.keys = new Map();
      const names = [...keys.keys()].sort();
      for (const client of [...prefix.clients]) {
        const noloop = client.tracking?.options.noloop === true;
        const news = noloop ? names.filter((name) => keys.get(name) !== client) : names;
        if (news.length > 0) this.#sendKeys(client, news);
      }
    }
  }

  #sendKeys(client: Client, keys: readonly string[]): void {
    this.#send(client, (push) => {
      push.array(keys.length);
      for (const key of keys) push.bulkLatin1(key);
    });
  }

  #sendAll(client: Client): void {
    this.#send(client, (push) => {
      // The null is of the tracking client's protocol, whoever gets it.
      push.protocol = client.protocol;
      push.null();
    });
  }

  #send(client: Client, writeKeys: (push: ReplyWriter) => void): void {
    const { tracking } = client;
    if (tracking === null) return;
    const { redirect } = tracking.options;
    const target = redirect === 0 ? client : this.#server.clients.get(redirect);
    const { push } = this.#server;
    push.reset();
    if (target === undefined) {
      tracking.brokenRedirect = true;
      if (client.protocol === 2) return;
      push.protocol = 3;
      push.push(2);
      push.bulkLatin1('tracking-redir-broken');
      push.integer(redirect);
      client.deliver(push);
    } else {
      push.protocol = target.protocol;
      if (target.protocol === 3) {
        push.push(2);
        push.bulkLatin1('invalidate');
      } else if (redirect !== 0 && target.subscriptions !== null) {
        push.push(3);
        push.bulkLatin1('message');
        push.bulkLatin1(CHANNEL);
      } else return;
      writeKeys(push);
      target.deliver(push);
    }
    push.reset();
  }
}
