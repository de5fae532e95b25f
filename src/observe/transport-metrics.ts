// What /metrics tells of a transport, whoever is behind it: the stack's counters, the interface's, and how long ticks
// take. metrics.ts and relay-observe.ts import it.
import type { Transport } from '../transports/transport.ts';
import { counter, gauge, histogram, type Samples, type Series, SeriesBook } from './series.ts';
import { addStackSamples } from './stack-metrics.ts';

/** Upper edges of our own histograms' buckets, the nearest to each power of two; microseconds. */
export const LATENCY_LIMITS_US = [
  1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 2047, 4095, 8191, 16383, 65535, 262143, 1048575,
];

export class TransportMetrics {
  readonly #transport: Transport;
  readonly #devices = new SeriesBook(deviceSeries);

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** @param facts as the transport tells them. */
  add(samples: Samples, facts = this.#transport.facts?.() ?? []): void {
    addStackSamples(samples, facts);
    this.#addDevice(samples, facts);
    addTicks(samples, this.#transport);
  }

  /** As node_exporter's network collector, of the interface that the kernel's own figures leave out. */
  #addDevice(samples: Samples, facts: readonly (readonly [name: string, value: string | number])[]): void {
    const { insight } = this.#transport;
    if (insight === undefined) return;
    const { name, mtu, link, counters } = insight.deviceFacts();
    const device = this.#devices.get(name);
    let dropped = counters.rxDropped;
    for (const [fact, value] of facts) if (fact.startsWith('drop-')) dropped += Number(value);
    samples.add(device.receivePackets, counters.rxFrames);
    samples.add(device.receiveBytes, counters.rxBytes);
    samples.add(device.receiveDrop, dropped);
    samples.add(device.receiveErrs, counters.rxTruncated);
    samples.add(device.transmitPackets, counters.txFrames);
    samples.add(device.transmitBytes, counters.txBytes);
    samples.add(device.transmitErrs, counters.txErrors);
    samples.add(device.up, link.state === 'up' ? 1 : 0);
    samples.add(device.carrierChanges, link.changes);
    samples.add(device.mtu, mtu);
    samples.add(device.wakeups, counters.wakeups);
    samples.add(device.syscalls, counters.syscalls);
  }
}

function deviceSeries(device: string): Readonly<Record<DeviceSeries, Series>> {
  const total = (name: string): Series =>
    counter(`node_network_${name}_total`, `Network device statistic ${name}.`, { device });
  return {
    receivePackets: total('receive_packets'),
    receiveBytes: total('receive_bytes'),
    receiveDrop: total('receive_drop'),
    receiveErrs: total('receive_errs'),
    transmitPackets: total('transmit_packets'),
    transmitBytes: total('transmit_bytes'),
    transmitErrs: total('transmit_errs'),
    up: gauge('node_network_up', 'Whether the interface is up and has a carrier', { device }),
    carrierChanges: total('carrier_changes'),
    mtu: gauge('node_network_mtu_bytes', 'Largest IP packet', { device }),
    wakeups: counter('wiredis_engine_wakeups_total', 'Times the device woke the server', { device }),
    syscalls: counter('wiredis_engine_syscalls_total', 'System calls made for frames', { device }),
  };
}

type DeviceSeries =
  | 'receivePackets'
  | 'receiveBytes'
  | 'receiveDrop'
  | 'receiveErrs'
  | 'transmitPackets'
  | 'transmitBytes'
  | 'transmitErrs'
  | 'up'
  | 'carrierChanges'
  | 'mtu'
  | 'wakeups'
  | 'syscalls';

const tickSeries = (part: string): Series =>
  counter('wiredis_tick_seconds_total', 'Time of ticks by what it was spent on, estimated from one of sixteen', {
    part,
  });
const TICK_INPUT = tickSeries('input');
const TICK_PERSISTENCE = tickSeries('persistence');
const TICK_OUTPUT = tickSeries('output');
const TIME_IN_STACK = histogram(
  'wiredis_time_in_stack_usec',
  'From the receipt of a batch to its replies leaving, microseconds',
  LATENCY_LIMITS_US,
);

/** How long ticks take: a request is in the stack no longer than the tick that its frame came with. */
function addTicks(samples: Samples, transport: Transport): void {
  const times = transport.tickTimes?.() ?? null;
  const budget = transport.tickBudget?.() ?? null;
  if (times === null || budget === null) return;
  samples.add(TICK_INPUT, budget.inputUs / 1e6);
  samples.add(TICK_PERSISTENCE, budget.persistenceUs / 1e6);
  samples.add(TICK_OUTPUT, budget.outputUs / 1e6);
  samples.addHistogram(TIME_IN_STACK, times.countsUpTo(LATENCY_LIMITS_US), times.total, times.sumUs);
}
