// INFO: sections and fields as Redis 7.0 names them. What this server does not have (forks, modules)
// is reported as Redis reports it when unused. The section `wiredis` is ours and comes only when asked for.

import { replicationFields } from '../replication/info.ts';
import type { Command } from './command-table.ts';
import { memoryFacts } from './memory-facts.ts';
import type { JobKind } from './persistence.ts';
import { operatingSystem, processorTime } from './process-facts.ts';
import { REDIS_VERSION, type Server } from './server.ts';

export type Field = readonly [name: string, value: string | number];
/** @param named asked for, not one of many. */
type Section = (server: Server, named: boolean) => Field[];

const TITLES: Readonly<Record<string, string>> = { cpu: 'CPU' };
/** All sections, in the order in which Redis prints them. */
const ALL_SECTIONS: Readonly<Record<string, Section>> = {
  server: serverSection,
  clients: clientsSection,
  memory: memorySection,
  persistence: persistenceSection,
  stats: statsSection,
  replication: replicationSection,
  cpu: cpuSection,
  modules: modulesSection,
  commandstats: commandStatsSection,
  errorstats: errorStatsSection,
  latencystats: latencyStatsSection,
  cluster: () => [['cluster_enabled', 0]],
  keyspace: keyspaceSection,
  wiredis: wiredisSection,
};
/** Left out of `INFO all`, whose fields are Redis's. */
const OWN_SECTION = 'wiredis';
/** Left out of a plain INFO. */
const ON_REQUEST = new Set(['commandstats', 'latencystats', OWN_SECTION]);

/** @param names sections asked for, lower case; none: the default ones. */
export function infoText(server: Server, names: readonly string[]): string {
  const wanted = new Set<string>();
  const named = new Set<string>();
  for (const name of names.length === 0 ? ['default'] : names) {
    if (name === 'all' || name === 'everything') {
      for (const section of Object.keys(ALL_SECTIONS)) {
        if (name === 'everything' || section !== OWN_SECTION) wanted.add(section);
      }
      named.add('modules');
    } else if (name === 'default') {
      for (const section of Object.keys(ALL_SECTIONS)) if (!ON_REQUEST.has(section)) wanted.add(section);
    } else {
      wanted.add(name);
      named.add(name);
    }
  }
  const parts: string[] = [];
  for (const [name, section] of Object.entries(ALL_SECTIONS)) {
    if (!wanted.has(name)) continue;
    const title = TITLES[name] ?? name[0].toUpperCase() + name.slice(1);
    parts.push(
      `# ${title}\r\n${section(server, named.has(name))
        .map(([field, value]) => `${field}:${value}\r\n`)
        .join('')}`,
    );
  }
  return parts.join('\r\n');
}

/** The fields of some of its sections, without their text: for metrics. */
export function infoFields(server: Server, sections: readonly string[]): Field[] {
  return sections.flatMap((name) => ALL_SECTIONS[name](server, true));
}

function serverSection(server: Server): Field[] {
  const { clock, config } = server;
  const uptime = Math.max(0, Math.floor((clock.unixMs - server.startedAt) / 1000));
  return [
    ['redis_version', REDIS_VERSION],
    ['redis_git_sha1', '00000000'],
    ['redis_git_dirty', 0],
    ['redis_build_id', '0000000000000000'],
    ['redis_mode', 'standalone'],
    ['os', operatingSystem],
    ['arch_bits', 64],
    ['monotonic_clock', 'POSIX clock_gettime'],
    ['multiplexing_api', server.transport === 'kernel' ? 'epoll' : 'wiredis-userspace'],
    ['atomicvar_api', 'c11-builtin'],
    ['gcc_version', '0.0.0'],
    ['process_id', process.pid],
    ['process_supervised', server.supervisedBy],
    ['run_id', server.runId],
    ['tcp_port', config.port],
    ['server_time_usec', clock.unixMs * 1000],
    ['uptime_in_seconds', uptime],
    ['uptime_in_days', Math.floor(uptime / 86400)],
    ['hz', config.hz],
    ['configured_hz', config.hz],
    ['lru_clock', Math.floor(clock.unixMs / 1000) & 0xffffff],
    ['executable', process.argv[1] ?? ''],
    ['config_file', server.configFile],
    ['io_threads_active', 0],
    ...(server.pendingShutdown.active
      ? [['shutdown_in_milliseconds', server.pendingShutdown.millisecondsLeft] as const]
      : []),
  ];
}

function clientsSection(server: Server): Field[] {
  let input = 0;
  let output = 0;
  for (const client of server.clients.values()) {
    input = Math.max(input, client.queryCapacity);
    output = Math.max(output, client.outputBytes);
  }
  return [
    ['connected_clients', server.clients.size - server.replication.replicas.length],
    ['cluster_connections', 0],
    ['maxclients', server.config.maxclients],
    ['client_recent_max_input_buffer', input],
    ['client_recent_max_output_buffer', output],
    ['blocked_clients', server.blocking.count() + server.pauses.heldClients.size],
    ['tracking_clients', server.tracking.clients],
    ['clients_in_timeout_table', server.blocking.clientsInTimeoutTable],
  ];
}

function memorySection(server: Server): Field[] {
  const facts = memoryFacts(server);
  const { used, peak, overhead, dataset, netUsed, startup, resident, allocated, active, total, clients } = facts;
  const percent = (part: number, whole: number): string =>
    `${whole === 0 ? '0.00' : ((part / whole) * 100).toFixed(2)}%`;
  const ratio = (part: number, whole: number): string => (whole === 0 ? '0.00' : (part / whole).toFixed(2));
  const { maxmemory, maxmemoryPolicy } = server.config;
  const { lazyFree } = server.keyspace;
  return [
    ['used_memory', used],
    ['used_memory_human', humanBytes(used)],
    ['used_memory_rss', resident],
    ['used_memory_rss_human', humanBytes(resident)],
    ['used_memory_peak', peak],
    ['used_memory_peak_human', humanBytes(peak)],
    ['used_memory_peak_perc', percent(used, peak)],
    ['used_memory_overhead', overhead],
    ['used_memory_startup', startup],
    ['used_memory_dataset', dataset],
    ['used_memory_dataset_perc', percent(dataset, netUsed)],
    ['allocator_allocated', allocated],
    ['allocator_active', active],
    ['allocator_resident', resident],
    ['total_system_memory', total],
    ['total_system_memory_human', humanBytes(total)],
    ...scriptingFields(server),
    ['maxmemory', maxmemory],
    ['maxmemory_human', humanBytes(maxmemory)],
    ['maxmemory_policy', maxmemoryPolicy],
    ['allocator_frag_ratio', ratio(active, allocated)],
    ['allocator_frag_bytes', active - allocated],
    ['allocator_rss_ratio', ratio(resident, active)],
    ['allocator_rss_bytes', resident - active],
    ['rss_overhead_ratio', '1.00'],
    ['rss_overhead_bytes', 0],
    ['mem_fragmentation_ratio', ratio(resident, used)],
    ['mem_fragmentation_bytes', resident - used],
    ['mem_not_counted_for_evict', server.bytesNotEvictedFor],
    ['mem_replication_backlog', facts.replicationBacklog],
    ['mem_total_replication_buffers', server.replication.stream.memory],
    ['mem_clients_slaves', facts.replicas],
    ['mem_clients_normal', clients],
    ['mem_cluster_links', 0],
    ['mem_aof_buffer', 0],
    ['mem_allocator', 'arena'],
    ['active_defrag_running', 0],
    ['lazyfree_pending_objects', lazyFree.pending],
    ['lazyfreed_objects', lazyFree.freed],
  ];
}

/** Zeros until the first script or function. */
function scriptingFields({ scripting }: Server): Field[] {
  const evalMemory = scripting?.evalEngine.sandbox.memoryBytes ?? 0;
  const functionMemory = scripting?.libraries.engine.sandbox.memoryBytes ?? 0;
  const scripts = scripting?.scripts.memoryBytes ?? 0;
  const functions = scripting?.libraries.memoryBytes ?? 0;
  return [
    ['used_memory_lua', evalMemory],
    ['used_memory_vm_eval', evalMemory],
    ['used_memory_lua_human', humanBytes(evalMemory)],
    ['used_memory_scripts_eval', scripts],
    ['number_of_cached_scripts', scripting?.scripts.size ?? 0],
    ['number_of_functions', scripting?.libraries.functionCount ?? 0],
    ['number_of_libraries', scripting?.libraries.libraries.size ?? 0],
    ['used_memory_vm_functions', functionMemory],
    ['used_memory_vm_total', evalMemory + functionMemory],
    ['used_memory_vm_total_human', humanBytes(evalMemory + functionMemory)],
    ['used_memory_functions', functions],
    ['used_memory_scripts', scripts + functions],
    ['used_memory_scripts_human', humanBytes(scripts + functions)],
  ];
}

function persistenceSection(server: Server): Field[] {
  const { persistence } = server;
  const { job } = persistence;
  const second = Math.floor(server.clock.unixMs / 1000);
  const running = (kind: JobKind): number => (job?.kind === kind ? second - job.startedAt : -1);
  const done = job === null || job.keysTotal === 0 ? 0 : (job.keysDone * 100) / job.keysTotal;
  const fields: Field[] = [
    ['loading', server.loading && !server.asyncLoading ? 1 : 0],
    ['async_loading', server.asyncLoading ? 1 : 0],
    ['current_cow_peak', 0],
    ['current_cow_size', 0],
    ['current_cow_size_age', 0],
    ['current_fork_perc', done.toFixed(2)],
    ['current_save_keys_processed', job?.keysDone ?? 0],
    ['current_save_keys_total', job?.keysTotal ?? 0],
    ['rdb_changes_since_last_save', server.dirty],
    ['rdb_bgsave_in_progress', job !== null && job.kind !== 'aof' ? 1 : 0],
    ['rdb_last_save_time', persistence.lastSaveTime],
    ['rdb_last_bgsave_status', persistence.lastSaveOk ? 'ok' : 'err'],
    ['rdb_last_bgsave_time_sec', persistence.lastSaveSeconds],
    ['rdb_current_bgsave_time_sec', running('rdb')],
    ['rdb_saves', persistence.saves],
    ['rdb_last_cow_size', 0],
    ['rdb_last_load_keys_expired', persistence.lastLoadKeysExpired],
    ['rdb_last_load_keys_loaded', persistence.lastLoadKeysLoaded],
    ['aof_enabled', persistence.aofState === 'off' ? 0 : 1],
    ['aof_rewrite_in_progress', job?.kind === 'aof' ? 1 : 0],
    ['aof_rewrite_scheduled', persistence.rewriteScheduled ? 1 : 0],
    ['aof_last_rewrite_time_sec', persistence.lastRewriteSeconds],
    ['aof_current_rewrite_time_sec', running('aof')],
    ['aof_last_bgrewrite_status', persistence.lastRewriteOk ? 'ok' : 'err'],
    ['aof_rewrites', persistence.rewrites],
    ['aof_rewrites_consecutive_failures', persistence.rewriteFailures],
    ['aof_last_write_status', persistence.aofError === null ? 'ok' : 'err'],
    ['aof_last_cow_size', 0],
    ['module_fork_in_progress', 0],
    ['module_fork_last_cow_size', 0],
  ];
  if (persistence.aofState === 'off') return fields;
  return [
    ...fields,
    ['aof_current_size', persistence.aofCurrentSize],
    ['aof_base_size', persistence.aofBaseSize],
    ['aof_pending_rewrite', 0],
    ['aof_buffer_length', persistence.aofBufferLength],
    ['aof_pending_bio_fsync', persistence.aofPendingSyncs],
    ['aof_delayed_fsync', persistence.aofDelayedSyncs],
  ];
}

function statsSection(server: Server): Field[] {
  const { stats } = server;
  const keys = server.keyspace.stats;
  const kilobytes = (perSecond: number): string => (perSecond / 1024).toFixed(2);
  const zero = (...names: string[]): Field[] => names.map((name) => [name, 0]);
  return [
    ['total_connections_received', stats.connectionsReceived],
    ['total_commands_processed', stats.commandsProcessed],
    ['instantaneous_ops_per_sec', Math.round(stats.operations.perSecond)],
    ['total_net_input_bytes', stats.netInputBytes],
    ['total_net_output_bytes', stats.netOutputBytes],
    ['total_net_repl_input_bytes', stats.replicationInputBytes],
    ['total_net_repl_output_bytes', stats.replicationOutputBytes],
    ['instantaneous_input_kbps', kilobytes(stats.input.perSecond)],
    ['instantaneous_output_kbps', kilobytes(stats.output.perSecond)],
    ['instantaneous_input_repl_kbps', '0.00'],
    ['instantaneous_output_repl_kbps', '0.00'],
    ['rejected_connections', stats.connectionsRejected],
    ['sync_full', server.replication.stats.full],
    ['sync_partial_ok', server.replication.stats.partial],
    ['sync_partial_err', server.replication.stats.partialRefused],
    ['expired_keys', keys.expiredKeys],
    ['expired_stale_perc', keys.expiredStalePercent.toFixed(2)],
    ['expired_time_cap_reached_count', keys.expiredTimeCapReached],
    ['expire_cycle_cpu_milliseconds', Math.floor(keys.expireCycleUs / 1000)],
    ['evicted_keys', server.eviction.evictedKeys],
    ['evicted_clients', stats.evictedClients],
    ['total_eviction_exceeded_time', Math.floor(server.eviction.totalExceededUs / 1000)],
    ['current_eviction_exceeded_time', Math.floor(server.eviction.currentExceededUs / 1000)],
    ['keyspace_hits', keys.hits],
    ['keyspace_misses', keys.misses],
    ['pubsub_channels', server.pubsub.channels.size],
    ['pubsub_patterns', server.pubsub.patterns.size],
    ['pubsubshard_channels', server.pubsub.shardChannels.size],
    ...zero('latest_fork_usec'),
    // None forks; this is how often something was written in the background.
    ['total_forks', server.persistence.jobs],
    ['migrate_cached_sockets', stats.migrateCachedSockets],
    ['slave_expires_tracked_keys', server.keyspace.ownVolatile?.size ?? 0],
    ...zero('active_defrag_hits', 'active_defrag_misses'),
    ...zero('active_defrag_key_hits', 'active_defrag_key_misses', 'total_active_defrag_time'),
    ['current_active_defrag_time', 0],
    ['tracking_total_keys', server.tracking.totalKeys],
    ['tracking_total_items', server.tracking.totalItems],
    ['tracking_total_prefixes', server.tracking.totalPrefixes],
    ['unexpected_error_replies', stats.unexpectedErrorReplies],
    ['total_error_replies', stats.errorReplies],
    ['dump_payload_sanitizations', 0],
    ['total_reads_processed', stats.readsProcessed],
    ['total_writes_processed', stats.writesProcessed],
    ...zero(
      'io_threaded_reads_processed',
      'io_threaded_writes_processed',
      'reply_buffer_shrinks',
      'reply_buffer_expands',
    ),
  ];
}

function replicationSection(server: Server): Field[] {
  return replicationFields(server.replication);
}

function cpuSection(): Field[] {
  const { system, user } = processorTime();
  const seconds = (microseconds: number): string => (microseconds / 1e6).toFixed(6);
  return [
    ['used_cpu_sys', seconds(system)],
    ['used_cpu_user', seconds(user)],
    ['used_cpu_sys_children', seconds(0)],
    ['used_cpu_user_children', seconds(0)],
    ['used_cpu_sys_main_thread', seconds(system)],
    ['used_cpu_user_main_thread', seconds(user)],
  ];
}

/** Commands and subcommands that were called, failed or refused. */
function usedCommands(server: Server): Command[] {
  const all = server.commands.all.flatMap((command) => [command, ...(command.subcommands?.all ?? [])]);
  return all.filter((command) => command.calls + command.rejectedCalls + command.failedCalls > 0);
}

/** The server's own commands are many: they come when the section is asked for. */
function modulesSection({ modules }: Server, named: boolean): Field[] {
  return modules?.info(named) ?? [];
}

function commandStatsSection(server: Server): Field[] {
  return usedCommands(server).map((command) => {
    const time = Math.round(command.timeUs);
    const perCall = command.calls === 0 ? '0.00' : (command.timeUs / command.calls).toFixed(2);
    return [
      `cmdstat_${command.spec.name}`,
      `calls=${command.calls},usec=${time},usec_per_call=${perCall},rejected_calls=${command.rejectedCalls},failed_calls=${command.failedCalls}`,
    ];
  });
}

function latencyStatsSection(server: Server): Field[] {
  const percentiles = server.config.latencyTrackingInfoPercentiles;
  const fields: Field[] = [];
  for (const command of usedCommands(server)) {
    const { histogram } = command;
    if (histogram === null) continue;
    const values = percentiles.map((percent) => `p${percent}=${histogram.percentile(percent).toFixed(3)}`);
    fields.push([`latency_percentiles_usec_${command.spec.name}`, values.join(',')]);
  }
  return fields;
}

function wiredisSection(server: Server): Field[] {
  return [['transport', server.transport], ...(server.hooks.transportFacts?.() ?? [])];
}

function errorStatsSection(server: Server): Field[] {
  return [...server.stats.errorsByCode]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, count]) => [`errorstat_${code}`, `count=${count}`]);
}

function keyspaceSection(server: Server): Field[] {
  return server.databases
    .filter((db) => db.size > 0)
    .map((db) => [
      `db${db.index}`,
      `keys=${db.size},expires=${db.expiries.size},avg_ttl=${Math.round(db.averageTtlMs)}`,
    ]);
}

/** `1.50M`, as Redis prints sizes. */
function humanBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes}B`;
  const units = ['K', 'M', 'G', 'T', 'P'];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(2)}${units[unit]}`;
}
