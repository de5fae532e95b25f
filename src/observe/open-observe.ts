// Opens the metrics port that `metrics-port` names, or none. Unlike a missing control socket, one that cannot be opened
// as it was asked for ends the start: it would be missed only when it is needed. The composition root imports it.
import type { Server } from '../core/server.ts';
import type { Transport } from '../transports/transport.ts';
import { coreSubject } from './core-subject.ts';

/** @returns null when there is none. @throws ObserveError with one line. */
export async function openObserve(server: Server, transport: Transport): Promise<{ close(): void } | null> {
  const { metricsPort: port, metricsBind: bind, metricsToken: token } = server.config;
  if (port === 0) return null;
  // Only now: a server without metrics needs neither HTTP nor the metrics library.
  const [{ ObserveServer }, { Metrics }] = await Promise.all([import('./observe-server.ts'), import('./metrics.ts')]);
  const observe = new ObserveServer(coreSubject(server, transport), new Metrics(server, transport), {
    port,
    bind,
    token,
  });
  await observe.start();
  server.log.notice(`Metrics and the web page on http://${bind.includes(':') ? `[${bind}]` : bind}:${port}/`);
  return observe;
}
