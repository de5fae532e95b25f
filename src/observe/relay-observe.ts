// The metrics port of `core relay`: the web page, and /metrics with the relay's figures and the stack's. The Redis server behind
// it has its own exporter. relay-server.ts opens it.
import type { RelayFacts } from '../relay/relay.ts';
import type { RelayServerFacts } from '../relay/relay-server.ts';
import { MetricsPage } from './metrics-page.ts';
import type { ObserveSettings } from './observe-door.ts';
import { type MetricsText, ObserveServer } from './observe-server.ts';
import { counter, gauge, histogram, Samples, type Series, SeriesBook } from './series.ts';
import type { Subject } from './subject.ts';
import { LATENCY_LIMITS_US, TransportMetrics } from './transport-metrics.ts';

/** @throws ObserveError with one line. */
export async function openRelayObserve(
  settings: ObserveSettings,
  subject: Subject,
  facts: () => RelayServerFacts,
): Promise<ObserveServer> {
  const observe = new ObserveServer(subject, relayText(subject, facts), settings);
  await observe.start();
  return observe;
}

function relayText(subject: Subject, facts: () => RelayServerFacts): MetricsText {
  const page = new MetricsPage();
  const relay = new RelayMetrics();
  const network = new TransportMetrics(subject.transport);
  const text = (): Promise<string> => {
    const samples = new Samples();
    relay.add(samples, facts());
    addAnswers(samples, subject);
    network.add(samples);
    return page.text(samples);
  };
  return { contentType: page.contentType, text };
}

const ANSWERS = histogram(
  'wiredis_relay_answer_usec',
  "From a client's bytes to the first that the upstream answers, microseconds",
  LATENCY_LIMITS_US,
);

function addAnswers(samples: Samples, subject: Subject): void {
  const { latency, byCommand } = subject.totals();
  const sumUs = [...byCommand.values()].reduce((sum, { timeUs }) => sum + timeUs, 0);
  samples.addHistogram(ANSWERS, latency.countsUpTo(LATENCY_LIMITS_US), latency.total, sumUs);
}

const CHILD_RESTARTS = counter(
  'wiredis_relay_child_restarts_total',
  'Times the Redis server of relay-spawn was started again',
);

/** Of the main port and of each one that is forwarded. */
export class RelayMetrics {
  readonly #ports = new SeriesBook(portSeries);

  add(samples: Samples, facts: RelayServerFacts): void {
    this.#addPort(samples, 'main', facts);
    for (const one of facts.forwards) this.#addPort(samples, String(one.port), one);
    samples.add(CHILD_RESTARTS, facts.childRestarts);
  }

  #addPort(samples: Samples, port: string, facts: RelayFacts): void {
    const values = [
      facts.upstreamDown ? 0 : 1,
      facts.clients,
      facts.waiting,
      facts.accepted,
      facts.rejected,
      facts.turnedAway,
      facts.upstreamFailures,
      facts.bytesIn,
      facts.bytesOut,
    ];
    this.#ports.get(port).forEach((series, i) => {
      samples.add(series, values[i]);
    });
  }
}

/** In the order of the values above. */
function portSeries(port: string): Series[] {
  const labels = { port };
  const up = (name: string, help: string): Series => gauge(`wiredis_relay_${name}`, help, labels);
  const total = (name: string, help: string): Series => counter(`wiredis_relay_${name}_total`, help, labels);
  return [
    up('upstream_up', 'Whether the last attempt to reach the upstream succeeded'),
    up('clients', 'Clients that are connected'),
    up('clients_waiting', 'Of these, those whose upstream is yet to be reached'),
    total('connections_accepted', 'Clients that have connected'),
    total('connections_rejected', 'Clients beyond a limit'),
    total('connections_turned_away', 'Clients told that the upstream is down'),
    total('upstream_failures', 'Attempts to reach the upstream that failed'),
    total('bytes_to_upstream', 'Bytes from clients to the upstream'),
    total('bytes_from_upstream', 'Bytes from the upstream to clients'),
  ];
}
