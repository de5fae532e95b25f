// SYNC and PSYNC at the master: a replica that can goes on from the backlog; the others get a snapshot, several of them
// the same one where their times and wishes agree. The snapshot goes to the dump file and from there to the replicas, or
// straight to their connections (`repl-diskless-sync`). Only src/replication/ and the commands import it.
import { statSync, unlink } from 'node:fs';
import { join } from 'node:path';
import type { Call } from '../core/call.ts';
import { REDIS_VERSION } from '../core/server.ts';
import { writeFiltered } from '../persistence/snapshot.ts';
import { rdbFormat } from '../persistence/snapshot-job.ts';
import type { Replica } from './replica.ts';
import { ReplicaSockets } from './replica-sockets.ts';
import { NO_ID, type Replication } from './replication.ts';

export class FullSync {
  readonly #replication: Replication;
  /** Where the snapshot that is being taken goes. */
  #target: 'none' | 'disk' | 'sockets' = 'none';
  /** The dump file is one that only replicas needed. */
  #madeFile = false;

  constructor(replication: Replication) {
    this.#replication = replication;
  }

  /** A snapshot is being sent as it is taken. */
  get toSockets(): boolean {
    return this.#target === 'sockets';
  }

  // --- requests ---

  /** SYNC, and PSYNC with the words `replid offset`. */
  request(call: Call, replica: Replica, partial: boolean): void {
    const replication = this.#replication;
    const { log } = replication.server;
    log.notice(`Replica ${replica.name} asks for synchronization`);
    if (partial) {
      const offset = call.integer(2);
      if (Number.isNaN(offset)) {
        log.warning(`Replica ${replica.name} asks for synchronization but with a wrong offset`);
        return;
      }
      const id = call.latin1(1);
      if (this.#goOn(replica, id.toLowerCase(), offset)) {
        replication.stats.partial++;
        return;
      }
      if (!id.startsWith('?')) replication.stats.partialRefused++;
    } else {
      replica.oldProtocol = true;
    }
    this.#queue(replica);
  }

  /** @returns false when the replica needs a snapshot. */
  #goOn(replica: Replica, id: string, offset: number): boolean {
    const replication = this.#replication;
    const { id2, id2Offset, server, stream } = replication;
    const { log } = server;
    if (id !== replication.id && (id !== id2 || offset > id2Offset)) {
      if (id.startsWith('?')) log.notice(`Full resync requested by replica ${replica.name}`);
      else if (id !== id2) {
        log.notice(
          `Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '${id}', my replication ` +
            `IDs are '${replication.id}' and '${id2}')`,
        );
      } else {
        log.notice(
          `Partial resynchronization not accepted: Requested offset for second ID was ${offset}, but I can reply up to ${id2Offset}`,
        );
      }
      return false;
    }
    if (!stream.holds(offset)) {
      log.notice(
        `Unable to partial resync with replica ${replica.name} for lack of backlog (Replica request was: ${offset}).`,
      );
      if (offset > replication.offset) {
        log.warning(
          `Warning: replica ${replica.name} tried to PSYNC with an offset that is greater than the master replication offset.`,
        );
      }
      return false;
    }
    replica.state = 'online';
    replica.ackTime = replication.second;
    replica.startsOnAck = false;
    replica.reader = stream.readerAt(offset);
    replication.add(replica);
    this.#say(replica, replica.capableOfPsync2 ? `+CONTINUE ${replication.id}\r\n` : '+CONTINUE\r\n');
    log.notice(
      `Partial resynchronization request from ${replica.name} accepted. Sending ${replica.pending} bytes of backlog ` +
        `starting from offset ${offset}.`,
    );
    replication.countGoodReplicas();
    replica.pull();
    return true;
  }

  #say(replica: Replica, text: string): void {
    const bytes = Buffer.from(text, 'latin1');
    replica.client.send(bytes, bytes.length);
  }

  #queue(replica: Replica): void {
    const replication = this.#replication;
    const { config, log, persistence } = replication.server;
    replication.stats.full++;
    replica.state = 'wait-start';
    replication.add(replica);
    if (config.replDisableTcpNodelay) replica.client.connection.setNoDelay(false);
    if (replication.replicas.length === 1 && !replication.stream.active) {
      // Nothing before this moment can be gone on from.
      replication.changeId();
      replication.clearId2();
      replication.createBacklog();
      log.notice(`Replication backlog created, my new replication IDs are '${replication.id}' and '${NO_ID}'`);
    }
    if (this.#target === 'disk') this.#join(replica);
    else if (this.#target === 'sockets') {
      log.notice('Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC');
    } else if (persistence.job?.kind === 'rdb') {
      log.notice("Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC");
    } else if (config.replDisklessSync && replica.capableOfEof && config.replDisklessSyncDelay > 0) {
      log.notice('Delay next BGSAVE for diskless SYNC');
    } else if (persistence.job === null) this.#start(replica.capableOfEof, replica.filter);
    else log.notice('No BGSAVE in progress, but another BG operation is active. BGSAVE for replication delayed');
  }

  /** A snapshot to disk for another replica is under way: this one gets it too, and the stream from the same place. */
  #join(replica: Replica): void {
    const { log } = this.#replication.server;
    const other = this.#replication.replicas.find(
      (one) => one !== replica && one.state === 'wait-end' && (!one.rdbOnly || replica.rdbOnly),
    );
    const fits =
      other !== undefined &&
      (!other.capableOfEof || replica.capableOfEof) &&
      (!other.capableOfPsync2 || replica.capableOfPsync2) &&
      other.filter === replica.filter;
    if (!fits) {
      log.notice("Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC");
      return;
    }
    if (!replica.rdbOnly && other.reader !== null) replica.reader = this.#replication.stream.readerLike(other.reader);
    this.#prepare(replica, other.initialOffset);
    log.notice('Waiting for end of BGSAVE for SYNC');
  }

  // --- snapshots ---

  /** Starts a snapshot for those who wait, when it is time. */
  startIfDue(): void {
    const { config, persistence } = this.#replication.server;
    if (persistence.job !== null) return;
    const waiting = this.#replication.replicas.filter(({ state }) => state === 'wait-start');
    if (waiting.length === 0) return;
    const { filter } = waiting[0];
    const together = waiting.filter((one) => one.filter === filter);
    const now = this.#replication.server.clock.unixMs;
    const idle = Math.max(...together.map(({ client }) => now - client.lastInteraction));
    const { replDisklessSync, replDisklessSyncDelay, replDisklessSyncMaxReplicas } = config;
    const due =
      !replDisklessSync ||
      (replDisklessSyncMaxReplicas > 0 && together.length >= replDisklessSyncMaxReplicas) ||
      idle >= replDisklessSyncDelay * 1000;
    if (due)
      this.#start(
        together.every(({ capableOfEof }) => capableOfEof),
        filter,
      );
  }

  #start(allKnowEof: boolean, filter: number): void {
    const replication = this.#replication;
    const { config, hooks, log } = replication.server;
    const toSockets = (config.replDisklessSync || filter !== 0) && allKnowEof;
    log.notice(`Starting BGSAVE for SYNC with target: ${toSockets ? 'replicas sockets' : 'disk'}`);
    const replicas = replication.replicas.filter((one) => one.state === 'wait-start' && one.filter === filter);
    const started = hooks.persistence !== undefined && (toSockets ? this.#toSockets(replicas, filter) : this.#toDisk());
    if (!started) {
      log.warning('BGSAVE for replication failed');
      for (const replica of replicas) {
        this.#say(replica, "-ERR BGSAVE failed, replication can't continue\r\n");
        replica.client.closeAfterReply();
      }
      return;
    }
    if (!toSockets) for (const replica of replicas) this.#begin(replica);
  }

  /** The snapshot is of this very moment: the replica needs all that comes from here on. */
  #begin(replica: Replica): void {
    const { offset, stream } = this.#replication;
    if (!replica.rdbOnly) replica.reader = stream.readerAt(offset + 1);
    this.#prepare(replica, offset);
  }

  #prepare(replica: Replica, offset: number): void {
    const replication = this.#replication;
    replica.initialOffset = offset;
    replica.state = 'wait-end';
    // Its stream begins with the selection of a database.
    replication.selectedDb = -1;
    if (!replica.oldProtocol) this.#say(replica, `+FULLRESYNC ${replication.id} ${offset}\r\n`);
  }

  #toDisk(): boolean {
    const { server } = this.#replication;
    this.#target = 'disk';
    const started = server.hooks.persistence!.startSave((error) => this.#savedToDisk(error));
    if (!started) this.#target = 'none';
    else if (server.config.rdbDelSyncFiles) this.#madeFile = true;
    return started;
  }

  /** A replica that waited for a snapshot is gone: the file is of no use if nobody else waits, and nobody asked for it. */
  waiterGone(): void {
    const { config, hooks } = this.#replication.server;
    if (this.#target !== 'disk' || config.save.length > 0) return;
    if (this.#replication.replicas.some(({ state }) => state === 'wait-end')) return;
    hooks.persistence?.stopSave();
  }

  /** `rdb-del-sync-files`: a file that was only made for replicas goes when they have it. */
  removeFile(): void {
    const { config, persistence } = this.#replication.server;
    if (!this.#madeFile || this.#target !== 'none') return;
    if (config.save.length > 0 || persistence.aofState !== 'off') this.#madeFile = false;
    else if (!this.#replication.replicas.some(({ state }) => /^(wait-end|send-file)$/.test(state))) {
      this.#madeFile = false;
      this.#replication.server.log.notice('Removing the RDB file used to feed replicas in a persistence-less instance');
      unlink(join(config.dir, config.dbfilename), () => {});
    }
  }

  #savedToDisk(error: Error | null): void {
    const replication = this.#replication;
    const { config, log } = replication.server;
    this.#target = 'none';
    for (const replica of replication.replicas.filter(({ state }) => state === 'wait-end')) {
      if (error !== null) {
        log.warning('SYNC failed. BGSAVE child returned an error');
        replica.client.close();
        continue;
      }
      const path = join(config.dir, config.dbfilename);
      try {
        replica.sendFile(path, statSync(path).size, () => {
          if (this.#putOnline(replica)) replica.pull();
        });
      } catch (problem) {
        log.warning(`SYNC failed. Can't open/stat DB after BGSAVE: ${String(problem)}`);
        replica.client.close();
      }
    }
  }

  #toSockets(replicas: readonly Replica[], filter: number): boolean {
    const { server } = this.#replication;
    const { config, hooks, keyspace } = server;
    const aux = this.#replication.dumpFields;
    for (const replica of replicas) this.#begin(replica);
    const sockets = new ReplicaSockets(replicas, server);
    if (filter !== 0) {
      // Functions alone, if that: it is short.
      const dump = writeFiltered(keyspace, { redisVersion: REDIS_VERSION, withIdleTime: false, aux }, filter);
      sockets.write(dump, dump.length);
      void sockets.finish().then(() => this.#sentToSockets(sockets, null));
      return true;
    }
    this.#target = 'sockets';
    const withIdleTime = config.maxmemoryPolicy.endsWith('lru');
    const format = rdbFormat({ redisVersion: REDIS_VERSION, withIdleTime, aux }, config.rdbchecksum);
    hooks.persistence!.startJob('replicas', sockets, format, (error) => {
      this.#target = 'none';
      this.#sentToSockets(sockets, error);
    });
    server.log.notice(`Background RDB transfer started by pid ${process.pid}`);
    return true;
  }

  #sentToSockets(sockets: ReplicaSockets, error: Error | null): void {
    const { log } = this.#replication.server;
    if (error === null) log.notice('Background RDB transfer terminated with success');
    else log.warning('Background transfer error');
    for (const replica of sockets.remaining) {
      if (error !== null) {
        log.warning('SYNC failed. BGSAVE child returned an error');
        replica.client.close();
        continue;
      }
      log.notice(
        `Streamed RDB transfer with replica ${replica.name} succeeded (socket). Waiting for REPLCONF ACK from replica ` +
          'to enable streaming',
      );
      replica.startsOnAck = true;
      this.#putOnline(replica);
    }
  }

  /** @returns false when the replica wanted the snapshot only. */
  #putOnline(replica: Replica): boolean {
    const { log } = this.#replication.server;
    if (replica.rdbOnly) {
      replica.state = 'done';
      log.notice(`RDB transfer completed, rdb only replica (${replica.name}) should be disconnected asap`);
      replica.client.closeAfterReply();
      return false;
    }
    replica.state = 'online';
    replica.ackTime = this.#replication.second;
    this.#replication.countGoodReplicas();
    log.notice(`Synchronization with replica ${replica.name} succeeded`);
    return true;
  }
}
