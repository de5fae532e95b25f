// One of several relay processes (`workers`): what the one that started it wants it to be, and the line between them. Its parent
// is workers.ts. Composition only.
import type { Config } from '../core/config.ts';

/** Handed to a worker in its environment. */
const MARK = 'WIREDIS_WORKER';
/** In a worker: standard input, output, errors, the line to the parent, then the program's map. */
export const MAP_FD = 4;

export interface WorkerSeat {
  readonly index: number;
  readonly count: number;
  readonly engine: 'afxdp' | 'afpacket';
  /** The program that parts the frames runs in generic mode. */
  readonly generic: boolean;
  /** `relay-upstream` for all of them. */
  readonly upstream: string;
}

/** To the parent. */
export type WorkerNews = { readonly ready: true } | { readonly problem: string } | { readonly frame: Uint8Array };
/** From the parent: a frame that another worker has heard. */
export type WorkerWord = { readonly frame: Uint8Array };

export function seatEnvironment(seat: WorkerSeat): NodeJS.ProcessEnv {
  return { ...process.env, [MARK]: JSON.stringify(seat) };
}

/** The seat of this process, null: it is nobody's worker. To be asked once. */
export function takeWorkerSeat(): WorkerSeat | null {
  const text = process.env[MARK];
  delete process.env[MARK];
  return text === undefined ? null : JSON.parse(text);
}

/** What a worker does not decide itself. */
export function seatConfig(config: Config, { index, engine, upstream }: WorkerSeat): void {
  config.engine = engine;
  config.relayUpstream = upstream;
  config.relaySpawn = [];
  config.pidfile = '';
  config.daemonize = false;
  // One port each.
  if (config.metricsPort !== 0) config.metricsPort += index;
}

/** @param then called when it is on its way, or there is nobody. */
export function tellParent(news: WorkerNews, then: () => void = () => {}): void {
  if (process.send === undefined || !process.connected) then();
  else process.send(news, undefined, undefined, then);
}

/** @param hear takes a frame. @param orphaned the parent is gone. */
export function listenToParent(hear: (frame: Uint8Array) => void, orphaned: () => void): void {
  process.on('message', (word: WorkerWord) => hear(word.frame));
  process.on('disconnect', orphaned);
  // The server decides how long this process lives, not the line.
  process.channel?.unref();
}
