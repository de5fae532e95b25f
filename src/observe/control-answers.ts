// What the control socket answers: the questions of `wiredis netstat`, `arp`, `route`, `top`, `capture` and `doctor`. Handed
// the server and its transport by the composition root; asks them only when somebody asks.
import type { Client } from '../core/client.ts';
import { clientFlags } from '../core/client-info.ts';
import type { Server } from '../core/server.ts';
import type { ConnectionHandler, StackInsight, Transport } from '../transports/transport.ts';
import { compileFilter } from './capture/filter.ts';
import { type ControlAnswers, ControlError, type ControlRequest, type ControlStream } from './control-server.ts';
import { coreSubject } from './core-subject.ts';
import type { Subject } from './subject.ts';
import { topFeed } from './top-feed.ts';

/** Connections in one answer unless the asker wants others: building them all could hold up a busy server. */
const CONNECTIONS_DEFAULT = 1000;
const CONNECTIONS_MAX = 20_000;
/** How long another host may take to answer. */
const PROBE_MS_MAX = 5000;
/** Captures at a time: each may have megabytes on their way to a slow disk. */
const CAPTURES_MAX = 4;

/** Who is at the other end of a connection, as the core knows it. */
export interface ClientFacts {
  readonly id: number;
  readonly address: string;
  readonly name: string;
  readonly flags: string;
  readonly command: string;
  readonly ageMs: number;
}

export function controlAnswers(server: Server, transport: Transport): ControlAnswers {
  return {
    server: () => serverFacts(server, transport),
    ...subjectAnswers(coreSubject(server, transport)),
    clients: () => [...server.clients.values()].slice(0, CONNECTIONS_MAX).map((client) => clientFacts(server, client)),
  };
}

/** What the Redis core and a relay answer alike. */
export function subjectAnswers(subject: Subject): ControlAnswers {
  const { transport, idOf } = subject;
  let captures = 0;
  return {
    top: (request, stream) => topFeed(subject, request, stream),
    stack: () => insightOf(transport).stackFacts(),
    connections: (request) => {
      const limit = Math.min(CONNECTIONS_MAX, numberOf(request, 'limit', CONNECTIONS_DEFAULT));
      return insightOf(transport).connectionFacts(idOf, limit);
    },
    probe: ({ address, timeoutMs }, stream) => {
      const limit = typeof timeoutMs === 'number' ? Math.min(PROBE_MS_MAX, timeoutMs) : PROBE_MS_MAX;
      const asked = insightOf(transport).probe(String(address), limit);
      const refused = ({ message, code = 'FAILED' }: Error & { code?: string }) =>
        stream.line({ error: message, code });
      void asked.then((facts) => stream.line({ ok: facts }), refused).then(() => stream.end());
    },
    capture: (request, stream) => {
      if (captures >= CAPTURES_MAX) throw new ControlError('BUSY', `${captures} captures run already: end one first`);
      const stop = startCapture(insightOf(transport), idOf, request, stream);
      captures++;
      stream.onClose = () => {
        captures--;
        stop();
      };
    },
  };
}

/** Streams pcapng after a first line. @returns ends it. @throws FilterError */
function startCapture(
  insight: StackInsight,
  idOf: (handler: ConnectionHandler) => number,
  request: ControlRequest,
  stream: ControlStream,
): () => void {
  const filter = typeof request.filter === 'string' ? request.filter : '';
  const matches = compileFilter(filter, insight.linkType);
  stream.line({ ok: { linkType: insight.linkType, interface: insight.stackFacts().interface } });
  return insight.startCapture({ matches, snapLength: numberOf(request, 'snapLength', 0), sink: stream }, idOf);
}

function insightOf(transport: Transport): StackInsight {
  if (transport.insight !== undefined) return transport.insight;
  throw new ControlError(
    'KERNEL',
    "this server uses the kernel's sockets: 'ss -tin', 'ip neigh', 'ip route' and 'tcpdump' show what it does",
  );
}

export function numberOf(request: ControlRequest, name: string, fallback: number): number {
  const value = request[name];
  return typeof value === 'number' && value >= 0 ? value : fallback;
}

function serverFacts(server: Server, transport: Transport): object {
  const { config, stats } = server;
  return {
    pid: process.pid,
    transport: transport.name,
    netdev: config.netdev,
    port: config.port,
    bind: config.bind,
    clients: server.clients.size,
    commands: stats.commandsProcessed,
  };
}

function clientFacts(server: Server, client: Client): ClientFacts {
  return {
    id: client.id,
    address: client.address,
    name: client.name,
    flags: clientFlags(client),
    command: client.lastCommand?.spec.name ?? '',
    ageMs: server.clock.unixMs - client.createdAt,
  };
}
