// What /metrics tells of a transport, whoever is behind it: the stack's counters, the interface's, and how long ticks take. metrics.ts
// and relay-observe.ts import it.
import type { Transport } from '../transports/transport.ts';
import { histogramSamples, type Sample } from './snapshot-metric.ts';
import { stackSamples } from './stack-metrics.ts';

/** Upper edges of our own histograms' buckets, the nearest to each power of two; microseconds. */
export const LATENCY_LIMITS_US = [
  1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 2047, 4095, 8191, 16383, 65535, 262143, 1048575,
];

export function transportSamples(transport: Transport): Sample[] {
  return [...stackSamples(transport.facts?.() ?? []), ...networkSamples(transport), ...tickSamples(transport)];
}

/** As node_exporter's network collector, of the interface that the kernel's own figures leave out. */
function networkSamples({ insight }: Transport): Sample[] {
  if (insight === undefined) return [];
  const { interface: device, mtu, engineCounters: frames, drops } = insight.stackFacts();
  const total = (name: string, value: number): Sample => ({
    name: `node_network_${name}_total`,
    help: `Network device statistic ${name}.`,
    type: 'counter',
    labels: { device },
    value,
  });
  return [
    total('receive_packets', frames.rxFrames),
    total('receive_bytes', frames.rxBytes),
    total('receive_drop', frames.rxDropped + Object.values(drops).reduce((sum, count) => sum + count, 0)),
    total('receive_errs', frames.rxTruncated),
    total('transmit_packets', frames.txFrames),
    total('transmit_bytes', frames.txBytes),
    total('transmit_errs', frames.txErrors),
    { name: 'node_network_up', help: 'Whether the interface is open', type: 'gauge', labels: { device }, value: 1 },
    { name: 'node_network_mtu_bytes', help: 'Largest IP packet', type: 'gauge', labels: { device }, value: mtu },
    {
      name: 'wiredis_engine_wakeups_total',
      help: 'Times the device woke the server',
      type: 'counter',
      labels: { device },
      value: frames.wakeups,
    },
    {
      name: 'wiredis_engine_syscalls_total',
      help: 'System calls made for frames',
      type: 'counter',
      labels: { device },
      value: frames.syscalls,
    },
  ];
}

/** How long ticks take: a request is in the stack no longer than the tick that its frame came with. */
function tickSamples(transport: Transport): Sample[] {
  const times = transport.tickTimes?.() ?? null;
  const budget = transport.tickBudget?.() ?? null;
  if (times === null || budget === null) return [];
  const part = (name: string, us: number): Sample => ({
    name: 'wiredis_tick_seconds_total',
    help: 'Time of ticks by what it was spent on, estimated from one of sixteen',
    type: 'counter',
    labels: { part: name },
    value: us / 1e6,
  });
  return [
    part('input', budget.inputUs),
    part('persistence', budget.persistenceUs),
    part('output', budget.outputUs),
    ...histogramSamples(
      { name: 'wiredis_time_in_stack_usec', help: 'From the receipt of a batch to its replies leaving, microseconds' },
      LATENCY_LIMITS_US,
      { upTo: (limit) => times.countUpTo(limit), total: times.total, sum: times.sumUs },
    ),
  ];
}
