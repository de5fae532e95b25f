// INFO's section about replication, and ROLE's reply. core/info.ts and the commands import it.
import type { ReplyWriter } from '../resp/reply-writer.ts';
import type { MasterLink } from './master-link.ts';
import type { Replication } from './replication.ts';

type Field = readonly [name: string, value: string | number];

export function replicationFields(replication: Replication): Field[] {
  const { config } = replication.server;
  const { failover, link, replicas, stream } = replication;
  const minimum = config.minReplicasToWrite > 0 && config.minReplicasMaxLag > 0;
  return [
    ['role', link === null ? 'master' : 'slave'],
    ...(link === null ? [] : linkFields(replication, link)),
    ['connected_slaves', replicas.length],
    ...(minimum ? [['min_slaves_good_slaves', replication.goodReplicas] as const] : []),
    ...replicaFields(replication),
    ['master_failover_state', failover.stateName],
    ['master_replid', replication.id],
    ['master_replid2', replication.id2],
    ['master_repl_offset', replication.offset],
    ['second_repl_offset', replication.id2Offset],
    ['repl_backlog_active', stream.active ? 1 : 0],
    ['repl_backlog_size', config.replBacklogSize],
    ['repl_backlog_first_byte_offset', stream.active ? stream.firstOffset : 0],
    ['repl_backlog_histlen', stream.length],
  ];
}

function linkFields(replication: Replication, link: MasterLink): Field[] {
  const { config } = replication.server;
  const { downSince, state, transfer } = link;
  const fields: Field[] = [
    ['master_host', link.host],
    ['master_port', link.port],
    ['master_link_status', state === 'connected' ? 'up' : 'down'],
    ['master_last_io_seconds_ago', link.lastIoSeconds],
    ['master_sync_in_progress', state === 'sync' ? 1 : 0],
    ['slave_read_repl_offset', link.readOffset],
    ['slave_repl_offset', link.offset],
  ];
  if (transfer !== null) {
    const percent = transfer.size > 0 ? (transfer.read * 100) / transfer.size : 0;
    fields.push(
      ['master_sync_total_bytes', transfer.size],
      ['master_sync_read_bytes', transfer.read],
      ['master_sync_left_bytes', transfer.size - transfer.read],
      ['master_sync_perc', percent.toFixed(2)],
      ['master_sync_last_io_seconds_ago', link.silentSeconds],
    );
  }
  if (state !== 'connected') {
    fields.push(['master_link_down_since_seconds', downSince === 0 ? -1 : replication.second - downSince]);
  }
  return [
    ...fields,
    ['slave_priority', config.replicaPriority],
    ['slave_read_only', config.replicaReadOnly ? 1 : 0],
    ['replica_announced', config.replicaAnnounced ? 1 : 0],
  ];
}

function replicaFields(replication: Replication): Field[] {
  const fields: Field[] = [];
  for (const replica of replication.replicas) {
    const { ackOffset, ackTime, address, listeningPort, state, stateName } = replica;
    if (stateName === '') continue;
    const lag = state === 'online' ? replication.second - ackTime : 0;
    const text = `ip=${address},port=${listeningPort},state=${stateName},offset=${ackOffset},lag=${lag}`;
    fields.push([`slave${fields.length}`, text]);
  }
  return fields;
}

/** ROLE. */
export function writeRole(replication: Replication, reply: ReplyWriter): void {
  const { link } = replication;
  if (link !== null) {
    reply.array(5);
    reply.bulkLatin1('slave');
    reply.bulkLatin1(link.host);
    reply.integer(link.port);
    reply.bulkLatin1(link.state);
    reply.integer(link.stream?.offset ?? -1);
    return;
  }
  const online = replication.replicas.filter(({ state }) => state === 'online');
  reply.array(3);
  reply.bulkLatin1('master');
  reply.integer(replication.offset);
  reply.array(online.length);
  for (const { ackOffset, address, listeningPort } of online) {
    reply.array(3);
    reply.bulkLatin1(address);
    reply.bulkInteger(listeningPort);
    reply.bulkInteger(ackOffset);
  }
}
