// The metrics port of `core relay`: /metrics with the relay's figures and the stack's. The Redis server behind it has its own exporter.
// relay-server.ts opens it.
import { Registry } from 'prom-client';
import type { Log } from '../platform/log.ts';
import { systemStopwatch } from '../platform/stopwatch.ts';
import type { RelayFacts } from '../relay/relay.ts';
import type { RelayServerFacts } from '../relay/relay-server.ts';
import type { Transport } from '../transports/transport.ts';
import { ObserveDoor, type ObserveSettings, send } from './observe-door.ts';
import { fillRegistry, type Sample } from './snapshot-metric.ts';
import { transportSamples } from './transport-metrics.ts';

/** @throws ObserveError with one line. */
export async function openRelayObserve(
  settings: ObserveSettings,
  log: Log,
  transport: Transport,
  facts: () => RelayServerFacts,
): Promise<ObserveDoor> {
  const registry = new Registry();
  const door = new ObserveDoor(settings, log, async (url, _request, response) => {
    if (url.pathname !== '/metrics') return send(response, 404, 'text/plain', 'not found; try /metrics\n');
    fillRegistry(registry, [...relaySamples(facts()), ...transportSamples(transport)]);
    send(response, 200, registry.contentType, await registry.metrics());
  });
  await door.open();
  transport.measureTicks?.(systemStopwatch);
  return door;
}

/** Of the main port, without a label, and of each one that is forwarded. */
export function relaySamples(facts: RelayServerFacts): Sample[] {
  const child: Sample = {
    name: 'wiredis_relay_child_restarts_total',
    help: 'Times the Redis server of relay-spawn was started again',
    type: 'counter',
    value: facts.childRestarts,
  };
  return [...portSamples('main', facts), ...facts.forwards.flatMap((one) => portSamples(String(one.port), one)), child];
}

function portSamples(port: string, facts: RelayFacts): Sample[] {
  const labels = { port };
  const sample = (type: 'gauge' | 'counter', name: string, help: string, value: number): Sample => ({
    name: `wiredis_relay_${name}${type === 'counter' ? '_total' : ''}`,
    help,
    type,
    labels,
    value,
  });
  return [
    sample(
      'gauge',
      'upstream_up',
      'Whether the last attempt to reach the upstream succeeded',
      facts.upstreamDown ? 0 : 1,
    ),
    sample('gauge', 'clients', 'Clients that are connected', facts.clients),
    sample('gauge', 'clients_waiting', 'Of these, those whose upstream is yet to be reached', facts.waiting),
    sample('counter', 'connections_accepted', 'Clients that have connected', facts.accepted),
    sample('counter', 'connections_rejected', 'Clients beyond a limit', facts.rejected),
    sample('counter', 'connections_turned_away', 'Clients told that the upstream is down', facts.turnedAway),
    sample('counter', 'upstream_failures', 'Attempts to reach the upstream that failed', facts.upstreamFailures),
    sample('counter', 'bytes_to_upstream', 'Bytes from clients to the upstream', facts.bytesIn),
    sample('counter', 'bytes_from_upstream', 'Bytes from the upstream to clients', facts.bytesOut),
  ];
}
