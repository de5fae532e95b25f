// A master's dump in the place of the dataset: either what is here goes first, or the dump is loaded beside it and takes
// its place when it is whole. Slice by slice, so that the server answers meanwhile. Imported by dataset-files.ts.
import { basename, dirname } from 'node:path';
import { Keyspace } from '../core/keyspace.ts';
import type { MasterLoad } from '../core/persistence.ts';
import type { Server } from '../core/server.ts';
import { waitFor } from '../platform/timers.ts';
import { type LoadResult, loadSnapshot } from './snapshot.ts';

const PING_MS = 1000;

/** @returns what the dump says of itself; null: given up. @throws SnapshotError; what is here is then empty, or as it was. */
export async function loadFromMaster(server: Server, load: MasterLoad): Promise<ReadonlyMap<string, string> | null> {
  const { log } = server;
  server.loading = true;
  server.asyncLoading = load.serving;
  try {
    if (load.beside) return await loadBeside(server, load);
    log.notice('MASTER <-> REPLICA sync: Flushing old data');
    empty(server);
    log.notice('MASTER <-> REPLICA sync: Loading DB in memory');
    const loaded = await read(server, server.keyspace, load);
    if (loaded === null) return null;
    return told(server, loaded);
  } catch (error) {
    if (!load.beside) empty(server);
    throw error;
  } finally {
    server.loading = false;
    server.asyncLoading = false;
    server.updateExpiryMode();
  }
}

async function loadBeside(server: Server, load: MasterLoad): Promise<ReadonlyMap<string, string> | null> {
  const { keyspace, log } = server;
  const codes: Uint8Array[] = [];
  const beside = new Keyspace(keyspace.arena, keyspace.clock, keyspace.random, keyspace.databases.length);
  beside.lfu = keyspace.lfu;
  beside.functions = {
    codes: () => codes,
    load: (code) => {
      codes.push(code);
      return null;
    },
    clear: () => {
      codes.length = 0;
    },
  };
  let loaded: LoadResult | null = null;
  try {
    loaded = await read(server, beside, load);
  } finally {
    if (loaded === null) {
      log.notice('MASTER <-> REPLICA sync: Discarding temporary DB in background');
      for (const db of beside.databases) db.clear();
      beside.leave();
    }
  }
  if (loaded === null) return null;
  load.beforeReplace();
  log.notice('MASTER <-> REPLICA sync: Swapping active DB with loaded DB');
  keyspace.hooks.databaseEmptied(-1);
  keyspace.functions?.clear();
  for (const code of codes) keyspace.functions?.load(code, true);
  for (const [i, db] of keyspace.databases.entries()) {
    // Emptied by way of the database that is known, as a snapshot that is being taken watches it.
    db.clear(true);
    db.swap(beside.databases[i]);
    beside.databases[i].release();
  }
  beside.leave();
  log.notice('MASTER <-> REPLICA sync: Discarding old DB in background');
  return told(server, loaded);
}

function told(server: Server, loaded: LoadResult): ReadonlyMap<string, string> {
  const { log, persistence } = server;
  persistence.lastLoadKeysLoaded = loaded.keysLoaded;
  persistence.lastLoadKeysExpired = loaded.keysExpired;
  log.notice(`Done loading RDB, keys loaded: ${loaded.keysLoaded}, keys expired: ${loaded.keysExpired}.`);
  return loaded.aux;
}

function empty(server: Server): void {
  const { config, keyspace } = server;
  keyspace.hooks.databaseEmptied(-1);
  keyspace.clear(config.replicaLazyFlush);
  keyspace.functions?.clear();
}

async function read(server: Server, into: Keyspace, load: MasterLoad): Promise<LoadResult | null> {
  const { clock, config, scheduler } = server;
  const settings = { ...config, dir: dirname(load.path), dbfilename: basename(load.path) };
  let pinged = clock.unixMs;
  const pause = async (): Promise<void> => {
    await new Promise<void>((done) => scheduler.soon(done));
    clock.update();
    if (clock.unixMs - pinged < PING_MS) return;
    pinged = clock.unixMs;
    load.pause();
  };
  const wait = (milliseconds: number): Promise<void> => waitFor(scheduler, milliseconds);
  const keyDelayUs = (): number => config.keyLoadDelay;
  const pace = { pause, abandoned: load.abandoned, keyDelayUs, wait };
  const loaded = await loadSnapshot(into, settings, pace, { keepExpired: true });
  return load.abandoned() ? null : loaded;
}
