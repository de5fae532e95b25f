// Descriptors: each client over the kernel's sockets has one, and so has each file that a save or a rewrite opens. As
// redis-server does, `maxclients` is cut down to what the limit of open files has room for. The composition root imports it.
import { readFileSync } from 'node:fs';
import type { Log } from './log.ts';

/** For the runtime's own (about 25), files of the dataset, replication and whatever else is opened at a time. */
export const RESERVED_FILES = 64;

/** How many files this process may open; Node has raised that to what the system allows. */
function openFilesMax(): number {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
  return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
}

/** @param filesMax given by tests. */
export function limitClients(config: { maxclients: number }, log: Log, filesMax = openFilesMax()): void {
  const { maxclients } = config;
  if (maxclients + RESERVED_FILES <= filesMax) return;
  config.maxclients = Math.max(1, filesMax - RESERVED_FILES);
  log.warning(
    `maxclients ${maxclients} wants ${maxclients + RESERVED_FILES} open files, the limit is ${filesMax}: maxclients is ` +
      `${config.maxclients} now; 'ulimit -n' or systemd's LimitNOFILE raises the limit`,
  );
}
