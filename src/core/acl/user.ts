// A user: whether he may log in, with which passwords, and what he may do. Passwords are kept as SHA-256 only.
// src/core and commands about users import it. Texts are Latin-1.
import { createHash, timingSafeEqual } from 'node:crypto';
import { describeSelector } from './describe.ts';
import type { RuleCommands } from './rule-commands.ts';
import { type RuleContext, Selector } from './selector.ts';

const NO_SUCH_PASSWORD = 'The password you are trying to remove from the user does not exist';
const NOT_A_HASH = 'The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters';
const HASH = /^[0-9a-f]{64}$/;

function hashOf(password: Uint8Array): string {
  return createHash('sha256').update(password).digest('hex');
}

export class User {
  readonly name: string;
  enabled = false;
  /** Any password will do. */
  noPassword = false;
  /** Whether payloads of RESTORE are looked at closely, if a rule has said so. */
  sanitize: 'skip' | 'sanitize' | null = null;
  /** SHA-256, 64 hexadecimal digits. */
  passwords: readonly string[] = [];
  /** The first is the user's own, the others were given in parentheses. */
  selectors: readonly Selector[];
  #description: string | null = null;

  constructor(name: string, context: RuleContext) {
    this.name = name;
    this.selectors = [new Selector(context.allChannels)];
  }

  get root(): Selector {
    return this.selectors[0];
  }

  /** Nothing that he does needs to be looked at. */
  get isUnrestricted(): boolean {
    return this.selectors.some((selector) => selector.isUnrestricted);
  }

  /** As Redis's ACL GETUSER lists them. */
  get flags(): string[] {
    const flags = [this.enabled ? 'on' : 'off'];
    if (this.noPassword) flags.push('nopass');
    if (this.sanitize !== null) flags.push(this.sanitize === 'skip' ? 'skip-sanitize-payload' : 'sanitize-payload');
    return flags;
  }

  /** Becomes what the other is, but for the name. */
  become(other: User): void {
    this.enabled = other.enabled;
    this.noPassword = other.noPassword;
    this.sanitize = other.sanitize;
    this.passwords = other.passwords;
    this.selectors = other.selectors.map((selector) => selector.copy());
    this.#description = null;
  }

  /** Whether he may log in with these words. */
  accepts(password: Uint8Array): boolean {
    if (!this.enabled) return false;
    if (this.noPassword) return true;
    const given = Buffer.from(hashOf(password), 'latin1');
    return this.passwords.some((known) => timingSafeEqual(given, Buffer.from(known, 'latin1')));
  }

  /** The rules that make him what he is, in one line. */
  describe(commands: RuleCommands): string {
    this.#description ??= [
      ...this.flags,
      ...this.passwords.map((hash) => `#${hash}`),
      ...this.selectors.map((selector, i) => {
        const text = describeSelector(selector, commands);
        return i === 0 ? text : `(${text})`;
      }),
    ].join(' ');
    return this.#description;
  }

  /** One rule of ACL SETUSER. @returns null, or why it is refused; nothing has changed then. */
  apply(rule: string, context: RuleContext): string | null {
    this.#description = null;
    if (rule === '') return null;
    switch (rule.toLowerCase()) {
      case 'on':
      case 'off':
        this.enabled = rule.toLowerCase() === 'on';
        return null;
      case 'skip-sanitize-payload':
        this.sanitize = 'skip';
        return null;
      case 'sanitize-payload':
        this.sanitize = 'sanitize';
        return null;
      case 'nopass':
      case 'resetpass':
        this.noPassword = rule.toLowerCase() === 'nopass';
        this.passwords = [];
        return null;
      case 'clearselectors':
        this.selectors = [this.root];
        return null;
      case 'reset':
        this.#reset(context);
        return null;
    }
    if ('>#<!'.includes(rule[0])) return this.#changePassword(rule);
    if (rule.startsWith('(') && rule.endsWith(')')) return this.#addSelector(rule, context);
    return this.root.apply(rule, context.commands);
  }

  #reset(context: RuleContext): void {
    this.enabled = false;
    this.noPassword = false;
    this.sanitize = 'sanitize';
    this.passwords = [];
    this.selectors = [new Selector(context.allChannels)];
  }

  #changePassword(rule: string): string | null {
    const word = rule.slice(1);
    const isClear = rule[0] === '>' || rule[0] === '<';
    if (!isClear && !HASH.test(word)) return NOT_A_HASH;
    const hash = isClear ? hashOf(Buffer.from(word, 'latin1')) : word;
    const known = this.passwords.includes(hash);
    if (rule[0] === '>' || rule[0] === '#') {
      if (!known) this.passwords = [...this.passwords, hash];
      this.noPassword = false;
      return null;
    }
    if (!known) return NO_SUCH_PASSWORD;
    this.passwords = this.passwords.filter((one) => one !== hash);
    return null;
  }

  #addSelector(rule: string, context: RuleContext): string | null {
    const selector = Selector.parse(rule, context);
    if (typeof selector === 'string') return selector;
    this.selectors = [...this.selectors, selector];
    return null;
  }
}
