// Whether a user may run a command with these words. Called for users who may not do everything, and by ACL DRYRUN;
// src/core/acl imports it.
import { globMatch } from '../../data/glob.ts';
import type { CommandSpec } from '../command.ts';
import { KEY_READ, type KeyPosition, keyAccess } from '../key-specs.ts';
import type { ArgVector } from '../nested-call.ts';
import type { ChannelPattern, Selector } from './selector.ts';
import type { User } from './user.ts';

/** In the order in which they count when selectors differ about what is wrong. */
export const ALLOWED = 0;
export const DENIED_COMMAND = 1;
export const DENIED_KEY = 2;
export const DENIED_CHANNEL = 3;

/** Words of commands that name channels: the last is the first too, or the last there is. */
const CHANNELS: Readonly<Record<string, { readonly one: boolean; readonly literal: boolean }>> = {
  publish: { one: true, literal: false },
  spublish: { one: true, literal: false },
  subscribe: { one: false, literal: false },
  ssubscribe: { one: false, literal: false },
  psubscribe: { one: false, literal: true },
};

/** A command with its words. */
export interface Subject {
  readonly spec: CommandSpec;
  readonly words: ArgVector;
  readonly keys: () => readonly KeyPosition[];
}

/** The outcome of the latest check. */
export class Permission {
  /** Word that names what is denied; 0: the command. */
  deniedWord = 0;

  /** @returns ALLOWED, or what is denied: DENIED_*, `deniedWord`. */
  check(user: User, subject: Subject): number {
    let denied = DENIED_COMMAND;
    let word = 0;
    this.deniedWord = 0;
    const cached = once(subject);
    for (const selector of user.selectors) {
      const verdict = this.#checkSelector(selector, cached);
      if (verdict === ALLOWED) return ALLOWED;
      if (verdict > denied || (verdict === denied && this.deniedWord > word)) {
        denied = verdict;
        word = this.deniedWord;
      }
    }
    this.deniedWord = word;
    return denied;
  }

  /** As `check`, and any key may be read besides: for commands that find keys while they run. */
  mayReadAnyKey(user: User, subject: Subject): boolean {
    return user.selectors.some(
      (selector) => selector.allowsAllKeys(KEY_READ) && this.#checkSelector(selector, subject) === ALLOWED,
    );
  }

  #checkSelector(selector: Selector, { keys, spec, words }: Subject): number {
    const { flags, name } = spec;
    if (!selector.allCommands && !selector.allowsCommand(name) && !flags.includes('no_auth')) {
      const first = words.argc < 2 ? null : latin1(words, 1).toLowerCase();
      if (!selector.firstArgs(name).some((one) => one.toLowerCase() === first)) return DENIED_COMMAND;
    }
    if (!selector.allKeys) {
      for (const { flags: uses, position } of keys()) {
        const { bytes, lengths, offsets } = words;
        if (selector.allowsKey(bytes, offsets[position], lengths[position], keyAccess(uses))) continue;
        this.deniedWord = position;
        return DENIED_KEY;
      }
    }
    return selector.allChannels ? ALLOWED : this.#checkChannels(selector, name, words);
  }

  #checkChannels(selector: Selector, name: string, words: ArgVector): number {
    const channels = CHANNELS[name];
    if (channels === undefined) return ALLOWED;
    const end = channels.one ? 2 : words.argc;
    for (let i = 1; i < end; i++) {
      if (allowsChannel(selector.channels, latin1(words, i), channels.literal)) continue;
      this.deniedWord = i;
      return DENIED_CHANNEL;
    }
    return ALLOWED;
  }
}

/** The keys are looked for once, and only if a selector asks. */
function once(subject: Subject): Subject {
  let found: readonly KeyPosition[] | null = null;
  return {
    ...subject,
    keys: () => {
      found ??= subject.keys();
      return found;
    },
  };
}

/** @param literal the channel is a pattern itself: it must be allowed in these very words. */
export function allowsChannel(patterns: readonly ChannelPattern[], channel: string, literal: boolean): boolean {
  if (literal) return patterns.some(({ text }) => text === channel);
  const bytes = Buffer.from(channel, 'latin1');
  return patterns.some((pattern) => globMatch(pattern.bytes, 0, pattern.bytes.length, bytes, 0, bytes.length));
}

function latin1({ bytes, lengths, offsets }: ArgVector, i: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + offsets[i], lengths[i]).toString('latin1');
}
