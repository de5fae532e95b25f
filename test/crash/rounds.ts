// Kills a server again and again while clients write to it, and looks after each restart whether everything that was
// acknowledged is there; and again on disks that fill up. Used over the kernel's sockets and over the lab.
import { expect } from 'vitest';
import { SeededRandom } from '../../src/platform/random.ts';
import { SmallDisk } from './small-disk.ts';

/** WIREDIS_CRASH_ROUNDS: how many kills; few where every change runs it. */
export const ROUNDS = Number(process.env.WIREDIS_CRASH_ROUNDS ?? 6);
export const SEED = Number(process.env.WIREDIS_CRASH_SEED ?? 1);
/** Disks that are filled: each takes four starts of a server. */
export const DISKS = Math.ceil(ROUNDS / 5);

/** What a writer's connection was told. */
export interface Acknowledged {
  readonly list: number;
  readonly pairs: number;
}

/**
 * Directives that make the append-only file be rewritten all the time, now in one form and now in the other. What is
 * written but not on the disk outlives the process, too.
 */
export function crashDirectives(round: number): string[] {
  return Object.entries({
    appendonly: 'yes',
    appendfsync: round % 4 === 3 ? 'no' : 'always',
    save: '',
    'auto-aof-rewrite-min-size': '20kb',
    'auto-aof-rewrite-percentage': '20',
    'aof-use-rdb-preamble': round % 3 === 0 ? 'no' : 'yes',
    'rdb-key-save-delay': round % 2 === 0 ? '20000' : '0',
  }).flatMap(([name, value]) => [`--${name}`, value]);
}

/** A server that a round talks to. */
export interface Victim {
  /** One command; what redis-cli prints for it. */
  ask(...words: string[]): Promise<string>;
  /** Starts the writer; resolves with what it printed when its connections are gone. */
  write(seed: number): Promise<string>;
  kill(): Promise<void>;
  /** Resolves when it has ended by itself. */
  end(): Promise<void>;
}

/** @param start gives a server over the same directory each time. */
export async function crashRounds(start: (round: number) => Promise<Victim>): Promise<void> {
  const random = new SeededRandom(SEED);
  let acknowledged: Acknowledged[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const victim = await start(round);
    await verify(victim, acknowledged);
    const told = victim.write(SEED * 1000 + round);
    await new Promise((resolve) => setTimeout(resolve, 250 + random.below(400)));
    await victim.kill();
    if (round % 50 === 49) console.log(`${round + 1} rounds, nothing lost`);
    acknowledged = further(acknowledged, JSON.parse(await told) as Acknowledged[]);
  }
  const last = await start(ROUNDS);
  await verify(last, acknowledged);
  await last.kill();
  expect(acknowledged.every(({ list, pairs }) => list > 0 && pairs > 0)).toBe(true);
}

/** Of a server that promises safety: it ends where it cannot keep the promise. */
export function fullDiskDirectives(round: number): string[] {
  return [...crashDirectives(round), '--appendfsync', 'always'];
}

/**
 * Clients write until the disk is full, while the file is rewritten again and again: what was acknowledged loads from the
 * full disk, and further writes are kept once there is room.
 * @param start gives a server over that folder.
 */
export async function fullDiskRounds(start: (folder: string, round: number) => Promise<Victim>): Promise<void> {
  const random = new SeededRandom(SEED);
  for (let round = 0; round < DISKS; round++) {
    const disk = new SmallDisk(96 + random.below(416));
    const seed = SEED * 1000 + round;
    let victim: Victim | null = null;
    try {
      victim = await start(disk.folder, round);
      const told = JSON.parse(await victim.write(seed)) as Acknowledged[];
      await victim.end();
      victim = await start(disk.folder, round);
      await verify(victim, told);
      await victim.kill();
      disk.grow(16 * 1024);
      victim = await start(disk.folder, round);
      await verify(victim, told);
      const more = victim.write(seed + 1);
      await new Promise((resolve) => setTimeout(resolve, 250 + random.below(400)));
      await victim.kill();
      const acknowledged = further(told, JSON.parse(await more) as Acknowledged[]);
      victim = await start(disk.folder, round);
      await verify(victim, acknowledged);
    } finally {
      await victim?.kill();
      disk.remove();
    }
    if (round % 10 === 9) console.log(`${round + 1} disks filled, nothing lost`);
  }
}

/** On a busy machine a writer may be told nothing before the end of its round. */
function further(before: readonly Acknowledged[], told: readonly Acknowledged[]): Acknowledged[] {
  return told.map(({ list, pairs }, i) => ({
    list: Math.max(list, before[i]?.list ?? 0),
    pairs: Math.max(pairs, before[i]?.pairs ?? 0),
  }));
}

/** Everything acknowledged is there, in order, and no transaction is there by half. */
export async function verify(victim: Victim, acknowledged: readonly Acknowledged[]): Promise<void> {
  for (const [i, { list, pairs }] of acknowledged.entries()) {
    const elements = (await victim.ask('LRANGE', `l:${i}`, '0', '-1')).split('\n').filter((word) => word !== '');
    expect(elements.length).toBeGreaterThanOrEqual(list);
    expect(elements.every((element, at) => element === String(at + 1))).toBe(true);
    const a = Number(await victim.ask('GET', `a:${i}`));
    expect(a).toBeGreaterThanOrEqual(pairs);
    expect(Number(await victim.ask('GET', `b:${i}`))).toBe(a);
  }
}
