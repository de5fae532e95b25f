// What memory is used for, as INFO and MEMORY tell it. Bytes in the arena and its tables are exact; what V8 keeps is
// estimated by object, and its heap is told beside it.
import { processMemory } from './process-facts.ts';
import type { Server } from './server.ts';

/** All in bytes, but for the counts. */
export interface MemoryFacts {
  readonly used: number;
  readonly peak: number;
  /** In use before anything was loaded. */
  readonly startup: number;
  /** Of `used`: all that is not keys and values. */
  readonly overhead: number;
  readonly dataset: number;
  /** Used since start-up. */
  readonly netUsed: number;
  readonly keys: number;
  readonly clients: number;
  readonly connected: number;
  readonly replicas: number;
  readonly replicationBacklog: number;
  readonly aofBuffer: number;
  /** What the arena and V8's heap have handed out, and hold. */
  readonly allocated: number;
  readonly active: number;
  readonly resident: number;
  readonly heapUsed: number;
  readonly total: number;
}

export function memoryFacts(server: Server): MemoryFacts {
  server.measureMemory();
  const { memory, arena, stats } = server;
  const { heapUsed, heapTotal, resident, total } = processMemory();
  let keys = 0;
  let tables = 0;
  for (const db of server.databases) {
    keys += db.size;
    tables += db.tableBytes;
  }
  const { config, replication } = server;
  // What is kept for replicas that are slow, beyond what the backlog may have; without any it is on its way out.
  const buffer = replication.stream.memory;
  const replicationBacklog = replication.replicas.length === 0 ? buffer : Math.min(buffer, config.replBacklogSize);
  const replicas = buffer - replicationBacklog + memory.replicas;
  const used = server.usedMemory;
  const overhead = memory.overhead + tables;
  return {
    used,
    peak: stats.memoryPeak,
    startup: memory.startup,
    overhead,
    dataset: used - overhead,
    netUsed: Math.max(0, used - memory.startup),
    keys,
    clients: memory.clients,
    connected: server.clients.size,
    replicas,
    replicationBacklog,
    aofBuffer: 0,
    allocated: arena.used + server.sharedBufferBytes + heapUsed,
    active: arena.reserved + server.sharedBufferBytes + heapTotal,
    resident,
    heapUsed,
    total,
  };
}
