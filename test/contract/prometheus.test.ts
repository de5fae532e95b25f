// What packaging/ has for Prometheus and Grafana: promtool loads the rules and the scrape configuration, each alert fires for
// its condition and for nothing else, and whatever rules and board ask for is on a metrics page.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dashboard } from '../../scripts/generated/grafana-dashboard.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { RelayMetrics } from '../../src/observe/relay-observe.ts';
import { Samples } from '../../src/observe/series.ts';
import { systemStopwatch } from '../../src/platform/stopwatch.ts';
import type { RelayServerFacts } from '../../src/relay/relay-server.ts';
import { OurServer } from '../support/our-server.ts';
import { promtool, promtoolObstacle } from '../support/promtool.ts';
import { openUserspacePair } from '../support/userspace-pair.ts';

const RULES = 'packaging/prometheus/wiredis-alerts.yml';
const rules = readFileSync(RULES, 'utf8');

/** An alert: what makes it fire, what does not, and when. Values are promtool's: 'first+stepxcount', a value a minute. */
interface Case {
  readonly alert: string;
  readonly bad: Readonly<Record<string, string>>;
  readonly good: Readonly<Record<string, string>>;
  /** Minutes. */
  readonly silentUntil: number;
  readonly firesAt: number;
  readonly severity: 'warning' | 'critical';
  readonly labels?: Readonly<Record<string, string>>;
  readonly summary: string;
}

const SITE = 'instance="db:9121",job="wiredis"';
const ENGINE = { [`wiredis_engine_wakeups_total{${SITE},device="eth1"}`]: '1+1x30' };
const DROPS = `node_network_receive_drop_total{${SITE},device="eth1"}`;
const cpu = (user: string, system: string) => ({
  [`redis_cpu_user_seconds_total{${SITE}}`]: user,
  [`redis_cpu_sys_seconds_total{${SITE}}`]: system,
});
const segments = (again: string) => ({
  ...ENGINE,
  [`node_netstat_Tcp_RetransSegs{${SITE}}`]: again,
  [`node_netstat_Tcp_OutSegs{${SITE}}`]: '0+6000x30',
});
const memory = (used: string) => ({
  [`redis_memory_used_bytes{${SITE}}`]: used,
  [`redis_memory_max_bytes{${SITE}}`]: '100x30',
});
const clients = (connected: string) => ({
  [`redis_connected_clients{${SITE}}`]: connected,
  [`redis_max_clients{${SITE}}`]: '100x30',
});

const CASES: readonly Case[] = [
  {
    alert: 'WiredisDown',
    bad: { [`up{${SITE}}`]: '0x30' },
    good: { [`up{${SITE}}`]: '1x30', 'up{instance="db:9121",job="other"}': '0x30' },
    ...{ silentUntil: 0, firesAt: 2, severity: 'critical', summary: 'db:9121 does not answer' },
  },
  {
    alert: 'WiredisMemoryNearlyFull',
    bad: memory('95x30'),
    good: memory('85x30'),
    ...{ silentUntil: 4, firesAt: 6, severity: 'warning', summary: 'db:9121 uses 95% of maxmemory' },
  },
  {
    alert: 'WiredisClientsNearlyFull',
    bad: clients('81x30'),
    good: clients('80x30'),
    ...{ silentUntil: 4, firesAt: 6, severity: 'warning', summary: 'db:9121 has 81% of maxclients' },
  },
  {
    alert: 'WiredisRejectsConnections',
    bad: { [`redis_rejected_connections_total{${SITE}}`]: '3x2 4x30' },
    good: { [`redis_rejected_connections_total{${SITE}}`]: '3x30' },
    ...{ silentUntil: 2, firesAt: 4, severity: 'warning', summary: 'db:9121 has refused connections' },
  },
  {
    alert: 'WiredisSaveFails',
    bad: { [`redis_rdb_last_bgsave_status{${SITE}}`]: '0x30', [`redis_aof_last_write_status{${SITE}}`]: '1x30' },
    good: { [`redis_rdb_last_bgsave_status{${SITE}}`]: '1x30', [`redis_aof_last_write_status{${SITE}}`]: '1x30' },
    ...{ silentUntil: 0, firesAt: 2, severity: 'critical', summary: 'db:9121 cannot write its dataset to disk' },
  },
  {
    alert: 'WiredisSaveFails',
    bad: { [`redis_aof_last_write_status{${SITE}}`]: '0x30' },
    good: { [`redis_aof_last_write_status{${SITE}}`]: '1x30' },
    ...{ silentUntil: 0, firesAt: 2, severity: 'critical', summary: 'db:9121 cannot write its dataset to disk' },
  },
  {
    alert: 'WiredisManyRetransmissions',
    bad: segments('0+180x30'),
    good: segments('0+60x30'),
    ...{ silentUntil: 9, firesAt: 15, severity: 'warning', summary: 'db:9121 sends 3% of its segments again' },
  },
  {
    alert: 'WiredisInterfaceDown',
    bad: { ...ENGINE, [`node_network_up{${SITE},device="eth1"}`]: '0x30' },
    // One that has nothing to do with us is node_exporter's to tell.
    good: {
      ...ENGINE,
      [`node_network_up{${SITE},device="eth1"}`]: '1x30',
      'node_network_up{instance="db:9100",job="node",device="eth9"}': '0x30',
    },
    ...{ silentUntil: 0, firesAt: 2, severity: 'critical', summary: 'db:9121: nobody reaches it over eth1' },
    labels: { device: 'eth1' },
  },
  {
    alert: 'WiredisInterfaceDrops',
    bad: { ...ENGINE, [DROPS]: '0+9000x30' },
    good: { ...ENGINE, [DROPS]: '0+3000x30' },
    ...{ silentUntil: 9, firesAt: 15, severity: 'warning', summary: 'db:9121 drops 150 packets a second on eth1' },
    labels: { device: 'eth1' },
  },
  {
    alert: 'WiredisCoreIsFull',
    bad: cpu('0+30x30', '0+29x30'),
    good: cpu('0+30x30', '0+20x30'),
    ...{ silentUntil: 9, firesAt: 15, severity: 'warning', summary: 'db:9121 uses its whole core' },
  },
  {
    alert: 'WiredisUpstreamDown',
    bad: { [`wiredis_relay_upstream_up{${SITE},port="main"}`]: '0x30' },
    good: { [`wiredis_relay_upstream_up{${SITE},port="main"}`]: '1x30' },
    ...{
      silentUntil: 0,
      firesAt: 2,
      severity: 'critical',
      summary: 'db:9121 does not reach its redis-server (port main)',
    },
    labels: { port: 'main' },
  },
];

/** promtool's test of one case; its files are YAML, which JSON is. */
function unitTests({ alert, bad, good, silentUntil, firesAt, severity, labels, summary }: Case): object[] {
  const description = new RegExp(`alert: ${alert}\\n[\\s\\S]*?description: "(.*)"`).exec(rules)?.[1];
  const fired = {
    exp_labels: { instance: 'db:9121', job: 'wiredis', ...labels, severity },
    exp_annotations: { summary, description },
  };
  const test = (series: Readonly<Record<string, string>>, at: number, expected: readonly object[]): object => ({
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    alert_rule_test: [{ eval_time: `${at}m`, alertname: alert, exp_alerts: expected }],
  });
  return [test(bad, silentUntil, []), test(bad, firesAt, [fired]), test(good, firesAt, [])];
}

const reason = promtoolObstacle === null ? '' : ` [skipped: ${promtoolObstacle}]`;

describe.skipIf(promtoolObstacle !== null)(`promtool${reason}`, () => {
  let place = '';
  beforeAll(() => {
    place = mkdtempSync(join(tmpdir(), 'wiredis-prometheus-'));
  });
  afterAll(() => rmSync(place, { recursive: true, force: true }));

  const write = (name: string, text: string): string => {
    writeFileSync(join(place, name), text);
    return join(place, name);
  };

  it('loads the alert rules', async () => {
    expect(await promtool(['check', 'rules', '--lint-fatal', RULES])).toMatchObject({ code: 0 });
  });

  it('loads the scrape configuration with them', async () => {
    const scrape = readFileSync('packaging/prometheus/scrape.yml', 'utf8');
    const path = write('prometheus.yml', `${scrape}\nrule_files: [${JSON.stringify(resolve(RULES))}]\n`);
    expect(await promtool(['check', 'config', '--lint-fatal', path])).toMatchObject({ code: 0 });
  });

  it('has a case for every alert', () => {
    const alerts = [...rules.matchAll(/alert: (\w+)/g)].map(([, name]) => name);
    expect([...new Set(CASES.map(({ alert }) => alert))].sort()).toEqual(alerts.sort());
  });

  it.each(CASES.map((one, i) => [`${one.alert} (${Object.keys(one.bad)[0].split('{')[0]})`, one, i] as const))(
    '%s fires for its condition, and not before, nor without it',
    async (_, one, i) => {
      const tests = { rule_files: [resolve(RULES)], evaluation_interval: '1m', tests: unitTests(one) };
      const { code, said } = await promtool(['test', 'rules', write(`case-${i}.yml`, JSON.stringify(tests))]);
      expect(code, said).toBe(0);
    },
  );

  it('finds nothing wrong with the metrics page but names that others have chosen', async () => {
    const { text } = await page();
    const { code, said } = await promtool(['check', 'metrics'], text);
    // 3: it loads, and there is advice.
    expect([0, 3], said).toContain(code);
    const ours = said.split('\n').filter((line) => /^(wiredis)_/.test(line));
    expect(ours).toEqual([]);
    expect(said).not.toContain('error while linting');
  });
});

const RELAY: RelayServerFacts = {
  ...{ upstream: 'unix:redis.sock', upstreamDown: false, upstreamFailures: 0, clients: 0, waiting: 0, maxclients: 100 },
  ...{
    accepted: 0,
    rejected: 0,
    turnedAway: 0,
    bytesIn: 0,
    bytesOut: 0,
    childPid: null,
    childRestarts: 0,
    forwards: [],
  },
};

/** What a server on its own stack tells, and a relay beside it. */
async function page(): Promise<{ text: string; names: ReadonlySet<string> }> {
  const ours = await OurServer.start();
  const [stack, other] = openUserspacePair();
  try {
    stack.measureTicks(systemStopwatch);
    ours.server.hooks = { ...ours.server.hooks, transportFacts: () => stack.facts() };
    const peer = ours.connect();
    await peer.ask('SET', 'a', '1');
    await peer.ask('LPUSH', 'a', '1');
    peer.close();
    const metrics = new Metrics(ours.server, stack);
    const relay = new Samples();
    new RelayMetrics().add(relay, RELAY);
    const names = new Set([...metrics.read().series, ...relay.series].map(({ name }) => name));
    return { text: await metrics.text(), names };
  } finally {
    await ours.stop();
    await stack.close(0);
    await other.close(0);
  }
}

it('board and alerts ask only for metrics that there are', async () => {
  const { names } = await page();
  const asked = [...`${rules}${JSON.stringify(dashboard())}`.matchAll(/\b(redis|node|wiredis)_[A-Za-z_]+/g)];
  const families = new Set(asked.map(([name]) => name.replace(/_bucket$/, '')));
  const known = new Set([...names].map((name) => name.replace(/_bucket$/, '')));
  expect([...families].filter((name) => !known.has(name))).toEqual([]);
  expect(families.size).toBeGreaterThan(30);
});
