// What was denied, and to whom: ACL LOG. Like events within a minute are one entry. src/core/acl and ACL LOG import it.
import type { Client } from '../client.ts';

const GROUPING_MS = 60_000;
/** Entries that a new one is compared with. */
const COMPARED = 10;

export type DenialReason = 'command' | 'key' | 'channel' | 'auth';
export type DenialContext = 'toplevel' | 'multi' | 'lua' | 'module';

/** Texts are Latin-1. */
export interface Denial {
  readonly reason: DenialReason;
  readonly context: DenialContext;
  /** The command, key or channel. */
  readonly object: string;
  readonly username: string;
}

export interface AclLogEntry extends Denial {
  count: number;
  /** Unix time of the latest event, milliseconds. */
  time: number;
  /** The client of the latest event, as CLIENT LIST describes it. */
  clientInfo: string;
}

export class AclLog {
  #entries: AclLogEntry[] = [];

  /** Latest first. */
  get entries(): readonly AclLogEntry[] {
    return this.#entries;
  }

  /** @param client who sent the command, or called the script that ran it. */
  add(denial: Denial, client: Client): void {
    const { clock, config } = client.server;
    const time = clock.unixMs;
    const clientInfo = client.infoLine();
    const entries = this.#entries;
    const known = entries.slice(0, COMPARED).findIndex((entry) => isAlike(entry, denial, time));
    if (known >= 0) {
      const [entry] = entries.splice(known, 1);
      entry.count++;
      entry.time = time;
      entry.clientInfo = clientInfo;
      entries.unshift(entry);
      return;
    }
    entries.unshift({ ...denial, count: 1, time, clientInfo });
    if (entries.length > config.acllogMaxLen) entries.length = config.acllogMaxLen;
  }

  reset(): void {
    this.#entries = [];
  }
}

function isAlike(entry: AclLogEntry, denial: Denial, time: number): boolean {
  return (
    entry.reason === denial.reason &&
    entry.context === denial.context &&
    Math.abs(time - entry.time) <= GROUPING_MS &&
    entry.object === denial.object &&
    entry.username === denial.username
  );
}
