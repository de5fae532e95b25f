// The same commands to redis-server 7.0 and to our server, both on one frozen clock; compared are the replies, the keyspace
// events, the count of changes and in the end all values. A difference is shrunk to the steps that are needed for it. For
// differential.test.ts and run.ts.
import { OurServer } from '../../support/our-server.ts';
import { type Answer, Peer, RedisServer } from '../../support/redis-server.ts';
import type { Reply } from '../../support/replies.ts';
import { isRefusedSort, pickedFrom, sameReply } from './comparison.ts';
import { FrozenClock } from './frozen-clock.ts';
import { ADVANCE, LIBRARY, makeRound, type Round, type Step } from './generator.ts';

const START_MS = 1_700_000_000_000;
const BATCH = 100;
const HANG_MS = 20_000;
const DIRECTIVES = {
  // One way to write each value.
  rdbcompression: 'no',
  'proto-max-bulk-len': 1024 ** 2,
  'notify-keyspace-events': 'KEAmn',
  'enable-debug-command': 'yes',
} as const;
const DATABASES = ['0', '1'];
/** Sets that only hold distances: their last digits depend on the mathematics library. */
const DISTANCES = 'd1';

export interface Difference {
  readonly seed: number;
  readonly commands: number;
  readonly protocol: 2 | 3;
  readonly config: readonly string[];
  /** What is left of the round's steps. */
  readonly steps: readonly Step[];
  /** The command that was answered differently, or what of the dataset differs. */
  readonly at: readonly string[];
  readonly theirs: unknown;
  readonly ours: unknown;
}

type Found = Pick<Difference, 'at' | 'theirs' | 'ours'>;

/** What shrinking must keep. */
const kindOf = (found: Found | null): string =>
  found === null ? '' : found.at[0] === '@events' ? found.at.join(' ') : found.at[0];

/** One of the two: a client that asks, and one that hears the keyspace's events. */
class Side {
  readonly peer: Peer;
  readonly #listener: Peer;

  constructor(port: number) {
    this.peer = new Peer(port);
    this.#listener = new Peer(port);
  }

  async open(): Promise<void> {
    await this.#listener.ask('PSUBSCRIBE', '__keyevent@*__:*', '@end');
    await this.#listener.next();
  }

  /**
   * Events of keys since the last call, as `event key @database`; what expires or is missed in one go comes in no
   * certain order.
   */
  async events(): Promise<string[]> {
    await this.peer.ask('PUBLISH', '@end', '');
    const events: string[] = [];
    let unordered: string[] = [];
    for (;;) {
      const message = await this.#listener.next();
      const words = message !== null && typeof message === 'object' && 'items' in message ? message.items : [];
      const event = `${words[2]} ${words[3]}`;
      if (words[2] !== '@end' && /:(expired|keymiss) /.test(event)) {
        unordered.push(event);
        continue;
      }
      events.push(...unordered.sort());
      unordered = [];
      if (words[2] === '@end') return events;
      events.push(event);
    }
  }

  close(): void {
    this.peer.close();
    this.#listener.close();
  }
}

export class Campaign {
  readonly #clock: FrozenClock;
  readonly #redis: RedisServer;
  readonly #our: OurServer;
  readonly #theirs: Side;
  readonly #ours: Side;
  /** Commands sent, without what shrinking sent. */
  commands = 0;

  private constructor(clock: FrozenClock, redis: RedisServer, our: OurServer) {
    this.#clock = clock;
    this.#redis = redis;
    this.#our = our;
    this.#theirs = new Side(redis.port);
    this.#ours = new Side(our.port);
  }

  static async start(): Promise<Campaign> {
    const clock = new FrozenClock(START_MS);
    const redis = await RedisServer.start(DIRECTIVES, undefined, clock.environment);
    const our = await OurServer.start(DIRECTIVES, undefined, { clock });
    const campaign = new Campaign(clock, redis, our);
    await Promise.all([campaign.#theirs.open(), campaign.#ours.open()]);
    return campaign;
  }

  async stop(): Promise<void> {
    this.#theirs.close();
    this.#ours.close();
    await this.#our.stop();
    await this.#redis.stop();
    this.#clock.close();
  }

  /** @returns null when there was no difference. */
  async round(seed: number, commands: number): Promise<Difference | null> {
    const round = makeRound(seed, commands);
    for (const step of round.steps) this.commands += step.length;
    const found = await this.#play(round, round.steps);
    if (found === null) return null;
    const steps = await this.#shrink(round, found);
    const last = (await this.#play(round, steps)) ?? found;
    return { seed, commands, protocol: round.protocol, config: round.config, steps, ...last };
  }

  /** Drops steps, ever smaller runs of them, while what is left still shows the same command differ. */
  async #shrink(round: Round, found: Found): Promise<readonly Step[]> {
    const name = kindOf(found);
    let steps = round.steps;
    for (let size = Math.ceil(steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let end = steps.length; end > 0; end -= size) {
        const fewer = [...steps.slice(0, Math.max(0, end - size)), ...steps.slice(end)];
        if (kindOf(await this.#play(round, fewer)) === name) steps = fewer;
      }
    }
    return steps;
  }

  async #play(round: Round, steps: readonly Step[]): Promise<Found | null> {
    await this.#prepare(round);
    let batch: (readonly string[])[] = [];
    const context = new Context();
    let found: Found | null = null;
    const flush = async (): Promise<void> => {
      found ??= await this.#compare(batch, context);
      batch = [];
    };
    for (const step of steps) {
      if (step[0][0] === ADVANCE) {
        await flush();
        this.#clock.set(this.#clock.unixMs + Number(step[0][1]));
      } else batch.push(...step);
      if (batch.length >= BATCH) await flush();
      if (found !== null) return found;
    }
    await flush();
    return found ?? (await this.#compareAll(['DISCARD'])) ?? (await this.#compareDatasets());
  }

  async #prepare(round: Round): Promise<void> {
    this.#clock.set(START_MS);
    const words = [
      ...[['DISCARD'], ['UNWATCH'], ['FLUSHALL'], ['FUNCTION', 'FLUSH'], ['SCRIPT', 'FLUSH'], ['SELECT', '0']],
      ...[
        ['DEBUG', 'SET-ACTIVE-EXPIRE', '0'],
        ['CONFIG', 'SET', ...round.config],
        ['CLIENT', 'SETNAME', ''],
      ],
      ...[
        ['FUNCTION', 'LOAD', LIBRARY],
        ['CONFIG', 'RESETSTAT'],
        ['HELLO', String(round.protocol)],
      ],
    ];
    await Promise.all([this.#theirs.peer.run(words), this.#ours.peer.run(words)]);
    await Promise.all([this.#theirs.events(), this.#ours.events()]);
    this.#changes = await this.#changesSoFar();
    this.#isSpoiled = false;
  }

  #changes: readonly [number, number] = [0, 0];
  /** A SORT that redis-server alone refused has stored nothing there: what follows has no common ground. */
  #isSpoiled = false;

  async #changesSoFar(): Promise<[number, number]> {
    const count = async ({ peer }: Side): Promise<number> => {
      const info = (await peer.run([['INFO', 'persistence']]))[0].bytes.toString('latin1');
      return Number(/rdb_changes_since_last_save:(\d+)/.exec(info)?.[1]);
    };
    return Promise.all([count(this.#theirs), count(this.#ours)]);
  }

  async #both(batch: readonly (readonly string[])[]): Promise<[Answer[], Answer[]]> {
    let timer: NodeJS.Timeout | undefined;
    const hang = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer: ${JSON.stringify(batch)}`)), HANG_MS);
    });
    try {
      return await Promise.race([Promise.all([this.#theirs.peer.run(batch), this.#ours.peer.run(batch)]), hang]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #compare(batch: readonly (readonly string[])[], context: Context): Promise<Found | null> {
    if (batch.length === 0 || this.#isSpoiled) return null;
    const [theirs, ours] = await this.#both(batch);
    for (const [i, words] of batch.entries()) {
      const queued = context.queuedFor(words, theirs[i].reply);
      this.#isSpoiled ||= isRefusedSort(theirs[i].reply, ours[i].reply);
      if (this.#isSpoiled) return null;
      const same = theirs[i].bytes.equals(ours[i].bytes) || sameReply(words, theirs[i].reply, ours[i].reply, queued);
      const possible = i === 0 || pickedFrom(words, ours[i].reply, batch[i - 1], ours[i - 1].reply);
      if (!same || !possible) return { at: words, theirs: theirs[i].reply, ours: ours[i].reply };
    }
    return null;
  }

  async #compareAll(...batch: string[][]): Promise<Found | null> {
    const [theirs, ours] = await this.#both(batch);
    for (const [i, words] of batch.entries()) {
      if (!sameReply(words, theirs[i].reply, ours[i].reply, [])) {
        return { at: words, theirs: theirs[i].reply, ours: ours[i].reply };
      }
    }
    return null;
  }

  /** Events, changes, and then every value: encodings, digests, payloads, times to live. */
  async #compareDatasets(): Promise<Found | null> {
    if (this.#isSpoiled) return null;
    const [theirEvents, ourEvents] = await Promise.all([this.#theirs.events(), this.#ours.events()]);
    const length = Math.max(theirEvents.length, ourEvents.length);
    for (let i = 0; i < length; i++) {
      if (theirEvents[i] !== ourEvents[i]) {
        return {
          at: ['@events', theirEvents[i], ourEvents[i]],
          theirs: theirEvents.slice(i, i + 3),
          ours: ourEvents.slice(i, i + 3),
        };
      }
    }
    const [theirChanges, ourChanges] = await this.#changesSoFar();
    const changes = [theirChanges - this.#changes[0], ourChanges - this.#changes[1]];
    if (changes[0] !== changes[1]) return { at: ['@changes'], theirs: changes[0], ours: changes[1] };
    for (const database of DATABASES) {
      const found = (await this.#compareAll(['SELECT', database], ['KEYS', '*'])) ?? (await this.#compareValues());
      if (found !== null) return found;
    }
    return null;
  }

  async #compareValues(): Promise<Found | null> {
    const [[{ reply }]] = await this.#both([['KEYS', '*']]);
    const keys = (reply as { items: string[] }).items.filter((key) => key !== DISTANCES);
    for (const key of keys) {
      const batch = [
        ['TYPE', key],
        ['OBJECT', 'ENCODING', key],
        ['PEXPIRETIME', key],
        ['DEBUG', 'DIGEST-VALUE', key],
      ];
      const found = (await this.#compareAll(...batch)) ?? (await this.#comparePayloads(key));
      if (found !== null) return found;
    }
    return null;
  }

  /** Byte for byte, but for tables, which have no order: the digest has shown that they hold the same. */
  async #comparePayloads(key: string): Promise<Found | null> {
    const [theirs, ours] = await this.#both([
      ['OBJECT', 'ENCODING', key],
      ['DUMP', key],
    ]);
    const [theirDump, ourDump] = [theirs[1].reply, ours[1].reply];
    const unordered = theirs[0].reply === 'hashtable';
    const same = unordered ? String(theirDump).length === String(ourDump).length : theirDump === ourDump;
    return same ? null : { at: ['@DUMP', key, String(theirs[0].reply)], theirs: theirDump, ours: ourDump };
  }
}

/** Which commands an EXEC runs. */
class Context {
  #queued: (readonly string[])[] = [];

  queuedFor(words: readonly string[], reply: Reply): readonly (readonly string[])[] {
    if (reply !== null && typeof reply === 'object' && 'text' in reply && reply.text === 'QUEUED') {
      this.#queued.push(words);
      return [];
    }
    if (!/^(exec|discard|multi)$/i.test(words[0] ?? '')) return [];
    const queued = this.#queued;
    this.#queued = [];
    return queued;
  }
}

const show = (value: unknown): string => JSON.stringify(value)?.slice(0, 2000) ?? 'undefined';

/** For people, with the line that plays it again. */
export function describeDifference(difference: Difference): string {
  const { steps, at, theirs, ours, seed, commands, protocol, config } = difference;
  return [
    `difference at ${show(at)} (RESP${protocol}, CONFIG SET ${config.join(' ')})`,
    ...steps.flatMap((step) => step.map((words) => `    ${show(words)}`)),
    `  redis-server: ${show(theirs)}`,
    `  wiredis:      ${show(ours)}`,
    `  again: scripts/fuzz-commands.sh --round ${seed} ${commands}`,
  ].join('\n');
}
