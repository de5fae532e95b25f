// Writes packaging/grafana/wiredis.json: panels as rows of a table, so that a new one is a line and not eighty of JSON.
// 'npm run generate' runs it; a test keeps the file current.

interface Query {
  readonly expr: string;
  readonly legend: string;
}

const q = (expr: string, legend: string): Query => ({ expr, legend });
const rate = (metric: string, labels = ''): string =>
  `rate(${metric}{instance="$instance"${labels}}[$__rate_interval])`;
const now = (metric: string): string => `${metric}{instance="$instance"}`;
const quantile = (share: number, metric: string, by: string): string =>
  `histogram_quantile(${share}, sum by (${by}) (${rate(`${metric}_bucket`)}))`;

/** @param unit as node_exporter has it in the name. */
const bothWays = (unit: string): Query[] => [
  q(rate(`node_network_receive_${unit}_total`), 'received {{device}}'),
  q(rate(`node_network_transmit_${unit}_total`), 'sent {{device}}'),
];

const PANELS: readonly (readonly [title: string, unit: string, ...queries: Query[]])[] = [
  ['Commands', 'ops', q(rate('redis_commands_processed_total'), 'commands/s')],
  ['Commands by name', 'ops', q(`topk(10, ${rate('redis_commands_total')})`, '{{cmd}}')],
  [
    'Command latency, p99',
    'µs',
    q(`topk(10, ${quantile(0.99, 'redis_commands_latencies_usec', 'le, cmd')})`, '{{cmd}}'),
  ],
  [
    'Time in stack',
    'µs',
    q(quantile(0.5, 'wiredis_time_in_stack_usec', 'le'), 'median'),
    q(quantile(0.99, 'wiredis_time_in_stack_usec', 'le'), 'p99'),
  ],
  [
    'Clients',
    'short',
    q(now('redis_connected_clients'), 'connected'),
    q(now('redis_blocked_clients'), 'blocked'),
    q(now('redis_max_clients'), 'limit'),
  ],
  [
    'Memory',
    'bytes',
    q(now('redis_memory_used_bytes'), 'used'),
    q(now('redis_memory_used_rss_bytes'), 'resident'),
    q(`${now('redis_memory_max_bytes')} > 0`, 'maxmemory'),
  ],
  ['Tick budget', 'percentunit', q(rate('wiredis_tick_seconds_total'), '{{part}}')],
  [
    'Processor',
    'percentunit',
    q(rate('redis_cpu_user_seconds_total'), 'user'),
    q(rate('redis_cpu_sys_seconds_total'), 'system'),
  ],
  ['Interface, bytes', 'Bps', ...bothWays('bytes')],
  ['Interface, frames', 'pps', ...bothWays('packets')],
  [
    'TCP: sent again',
    'short',
    q(rate('node_netstat_Tcp_RetransSegs'), 'segments/s'),
    q(rate('node_netstat_TcpExt_TCPTimeouts'), 'timeouts/s'),
    q(rate('node_netstat_TcpExt_TCPFastRetrans'), 'fast retransmits/s'),
  ],
  ['Dropped packets by reason', 'pps', q(`${rate('wiredis_stack_drops_total')} > 0`, '{{reason}}')],
  [
    'Keyspace',
    'ops',
    q(rate('redis_keyspace_hits_total'), 'hits'),
    q(rate('redis_keyspace_misses_total'), 'misses'),
    q(rate('redis_expired_keys_total'), 'expired'),
    q(rate('redis_evicted_keys_total'), 'evicted'),
  ],
  ['Keys by database', 'short', q(now('redis_db_keys'), '{{db}}')],
  ['Error replies', 'ops', q(rate('redis_errors_total'), '{{err}}')],
  [
    'Persistence',
    'short',
    q(now('redis_rdb_changes_since_last_save'), 'changes since the last save'),
    q(now('redis_aof_rewrite_in_progress'), 'AOF rewrite'),
    q(now('redis_rdb_bgsave_in_progress'), 'BGSAVE'),
  ],
];

// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Grafana's.
const SOURCE = { type: 'prometheus', uid: '${datasource}' };
const WIDTH = 12;
const HEIGHT = 8;

export function dashboard(): object {
  return {
    title: 'wiredis',
    uid: 'wiredis',
    tags: ['redis', 'wiredis'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: '10s',
    time: { from: 'now-1h', to: 'now' },
    templating: {
      list: [
        { name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Data source' },
        {
          name: 'instance',
          type: 'query',
          label: 'Server',
          datasource: SOURCE,
          query: { query: 'label_values(redis_up, instance)', refId: 'instance' },
          refresh: 2,
        },
      ],
    },
    panels: PANELS.map(([title, unit, ...queries], i) => ({
      id: i + 1,
      type: 'timeseries',
      title,
      datasource: SOURCE,
      gridPos: { x: (i % 2) * WIDTH, y: Math.floor(i / 2) * HEIGHT, w: WIDTH, h: HEIGHT },
      fieldConfig: { defaults: { unit, min: 0, custom: { fillOpacity: 8, lineWidth: 1 } }, overrides: [] },
      options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi' } },
      targets: queries.map(({ expr, legend }, n) => ({
        refId: String.fromCharCode(65 + n),
        datasource: SOURCE,
        expr,
        legendFormat: legend,
      })),
    })),
  };
}
