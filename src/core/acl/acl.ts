// The users of a server: who they are, what they may do, and what becomes of clients when that changes. core/, scripts
// and commands about users import it. A server where everyone is the default user, and that may do everything, pays
// nothing. Texts are Latin-1.
import type { Client } from '../client.ts';
import type { CommandSpec } from '../command.ts';
import type { ArgVector } from '../nested-call.ts';
import type { Server } from '../server.ts';
import { loadAclFile, saveAclFile } from './acl-file.ts';
import { AclLog, type DenialContext, type DenialReason } from './acl-log.ts';
import {
  ALLOWED,
  allowsChannel,
  DENIED_CHANNEL,
  DENIED_COMMAND,
  DENIED_KEY,
  Permission,
  type Subject,
} from './permission.ts';
import type { RuleCommands } from './rule-commands.ts';
import { isUnmatched, mergeSelectors, type UserDefinition } from './rule-words.ts';
import { hasSpaces, type RuleContext } from './selector.ts';
import { User } from './user.ts';

const REASONS: Readonly<Record<number, DenialReason>> = {
  [DENIED_COMMAND]: 'command',
  [DENIED_KEY]: 'key',
  [DENIED_CHANNEL]: 'channel',
};

const NAME_OF_DEFAULT = 'default';

export class Acl {
  readonly commands: RuleCommands;
  readonly log = new AclLog();
  /** Who has not said who he is. */
  readonly defaultUser: User;
  /** Of what no client sent: a replication master's stream, a file, a module. No rule applies to it. */
  readonly superuser: User;
  readonly #server: Server;
  #users: Map<string, User>;
  readonly #permission = new Permission();

  /** @param commands as they are before any is renamed. */
  constructor(server: Server, commands: RuleCommands) {
    this.#server = server;
    this.commands = commands;
    this.defaultUser = this.#createUnrestricted(NAME_OF_DEFAULT);
    this.superuser = this.#createUnrestricted('(superuser)');
    this.#users = new Map([[NAME_OF_DEFAULT, this.defaultUser]]);
  }

  #createUnrestricted(name: string): User {
    const user = new User(name, this.#context);
    for (const rule of ['+@all', '~*', '&*', 'on', 'nopass']) user.apply(rule, this.#context);
    return user;
  }

  get #context(): RuleContext {
    return { commands: this.commands, allChannels: this.#server.config.aclPubsubDefault === 'allchannels' };
  }

  /** By name, in the order of its bytes. */
  get users(): User[] {
    return [...this.#users.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  find(name: string): User | null {
    return this.#users.get(name) ?? null;
  }

  /** What ACL LIST, the ACL file and redis.conf say of the users. */
  get lines(): string[] {
    return this.users.map((user) => `user ${user.name} ${user.describe(this.commands)}`);
  }

  /** Whether who connects must say who he is. */
  get authRequired(): boolean {
    return !this.defaultUser.noPassword || !this.defaultUser.enabled;
  }

  // --- logging in ---

  /** AUTH. @returns false, and a line in the log, when the words are not those of a user who may log in. */
  authenticate(client: Client, name: string, password: Uint8Array, command: string): boolean {
    const user = this.find(name);
    if (user?.accepts(password) === true) {
      client.authenticated = true;
      client.user = user;
      client.updateGate();
      return true;
    }
    const context = client.transaction?.active === true ? 'multi' : 'toplevel';
    this.log.add({ reason: 'auth', context, object: command, username: name }, client);
    return false;
  }

  // --- changing users ---

  /** `requirepass`. @param password empty: none is needed. */
  setDefaultPassword(password: string): void {
    const user = this.defaultUser;
    user.apply('resetpass', this.#context);
    user.apply(password === '' ? 'nopass' : `>${Buffer.from(password, 'utf8').toString('latin1')}`, this.#context);
    this.#changed();
  }

  /** ACL SETUSER: all rules or none. @returns what is wrong, or null. */
  setUser(name: string, words: readonly string[]): string | null {
    const rules = mergeSelectors(words);
    if (isUnmatched(rules)) return `Unmatched parenthesis in acl selector starting at '${rules.unmatched}'.`;
    const known = this.find(name);
    const changed = new User(name, this.#context);
    if (known !== null) changed.become(known);
    for (const rule of rules) {
      const problem = changed.apply(rule, this.#context);
      if (problem !== null) return `Error in ACL SETUSER modifier '${rule}': ${problem}`;
    }
    if (known === null) this.#users.set(name, changed);
    else {
      this.#closeRevoked(known, changed);
      known.become(changed);
    }
    this.#changed();
    return null;
  }

  /** @returns whether there was such a user. */
  deleteUser(name: string): boolean {
    const user = this.find(name);
    if (user === null) return false;
    this.#users.delete(name);
    this.#closeClientsOf(user);
    return true;
  }

  #changed(): void {
    this.#server.updateAuthGate();
    for (const client of this.#server.clients.values()) client.updateGate();
  }

  #closeClientsOf(user: User): void {
    for (const client of [...this.#server.clients.values()]) {
      if (client.user !== user) continue;
      // Should anything still run for it, it is nobody.
      client.user = this.defaultUser;
      client.authenticated = false;
      client.updateGate();
      if (client === this.#server.current) client.closeAfterReply();
      else client.close();
    }
  }

  /** Subscribers lose their connection with the right to what they listen to. */
  #closeRevoked(before: User, after: User): void {
    if (after.selectors.some((selector) => selector.allChannels)) return;
    const allowed = after.selectors.flatMap((selector) => selector.channels);
    const isIncluded = before.selectors.every(
      (selector) =>
        !selector.allChannels && selector.channels.every(({ text }) => allowed.some((other) => other.text === text)),
    );
    if (isIncluded) return;
    for (const client of [...this.#server.clients.values()]) {
      const { subscriptions } = client;
      if (client.user !== before || subscriptions === null || client.type !== 'pubsub') continue;
      const { channels, patterns, shardChannels } = subscriptions;
      const keeps =
        [...patterns].every((pattern) => allowsChannel(allowed, pattern, true)) &&
        [...channels, ...shardChannels].every((channel) => allowsChannel(allowed, channel, false));
      if (!keeps) client.close();
    }
  }

  // --- files ---

  /** Nobody is let in until `start`: who the default user is, is not known yet. */
  suspend(): void {
    this.defaultUser.apply('off', this.#context);
    this.#changed();
  }

  /** Users of the ACL file, or of redis.conf when there is none, once all commands are there. @returns what is wrong, or null. */
  start(definitions: readonly UserDefinition[], path: string): string | null {
    this.defaultUser.apply('on', this.#context);
    return path === '' ? this.#define(definitions) : this.load(path);
  }

  #define(definitions: readonly UserDefinition[]): string | null {
    for (const { name, rules } of definitions) {
      if (hasSpaces(name)) return 'Spaces not allowed in ACL usernames';
      const user = this.find(name) ?? new User(name, this.#context);
      if (user === this.defaultUser) user.apply('reset', this.#context);
      for (const rule of rules) {
        const problem = user.apply(rule, this.#context);
        if (problem !== null) return `Error loading ACL rule '${rule}' for the user named '${name}': ${problem}`;
      }
      this.#users.set(name, user);
      if (!user.enabled) {
        this.#server.log.notice(`The user '${name}' is disabled: its definition has no 'on'. Is that what you want?`);
      }
    }
    this.#changed();
    return null;
  }

  /** The users become those of the file, or stay as they are. @returns what is wrong, or null. */
  load(path: string): string | null {
    const loaded = loadAclFile(path, this.#context);
    if (typeof loaded === 'string') return loaded;
    const before = this.#users;
    this.defaultUser.become(loaded.get(NAME_OF_DEFAULT) ?? this.#createUnrestricted(NAME_OF_DEFAULT));
    this.#users = loaded.set(NAME_OF_DEFAULT, this.defaultUser);
    for (const user of before.values()) if (user !== this.defaultUser) this.#closeClientsOf(user);
    this.#changed();
    return null;
  }

  /** @returns what went wrong, or null. */
  save(path: string): string | null {
    return saveAclFile(path, this.lines);
  }

  // --- permissions ---

  /** @returns ALLOWED or DENIED_*; `deniedWord` tells which word names what is denied. */
  check(user: User, spec: CommandSpec, words: ArgVector): number {
    if (user.isUnrestricted) return ALLOWED;
    return this.#permission.check(user, this.#subject(spec, words));
  }

  /** Of the latest `check`: the word that names the key or channel. */
  get deniedWord(): number {
    return this.#permission.deniedWord;
  }

  /** Whether a command that the user may run may read keys that its words do not name: SORT. */
  mayReadAnyKey(user: User, spec: CommandSpec, words: ArgVector): boolean {
    return user.isUnrestricted || this.#permission.mayReadAnyKey(user, this.#subject(spec, words));
  }

  #subject(spec: CommandSpec, words: ArgVector): Subject {
    return { spec, words, keys: () => this.#server.keysOf(words, spec) };
  }

  /**
   * As `check`, for a command that is to run: what is denied goes to the log.
   * @param client who sent it, or called the script that runs it.
   */
  admit(client: Client, spec: CommandSpec, words: ArgVector, context: DenialContext): number {
    const denied = this.check(client.user, spec, words);
    if (denied === ALLOWED) return ALLOWED;
    const { bytes, lengths, offsets } = words;
    const { deniedWord } = this;
    const object =
      denied === DENIED_COMMAND
        ? spec.name
        : Buffer.from(bytes.buffer, bytes.byteOffset + offsets[deniedWord], lengths[deniedWord]).toString('latin1');
    this.log.add({ reason: REASONS[denied], context, object, username: client.user.name }, client);
    return denied;
  }
}
