// `wiredis netstat`: what ss, netstat -s and nstat show of the kernel's stack, of ours.
import { sleep } from '../../platform/sleep.ts';
import type { RelayServerFacts } from '../../relay/relay-server.ts';
import type { ConnectionFacts, StackFacts } from '../../transports/userspace.ts';
import { askServer, SERVER_HELP, SERVER_OPTION } from '../observe/server-option.ts';
import { shortBytes, shortMicroseconds, tableLines } from '../observe/table.ts';
import { CliError, EXIT_OK, parseOptions, secondsIn, type Tool, wholeNumber } from '../tool.ts';

const help = `Usage: wiredis netstat [--connections|--listeners|--statistics|--drops|--relay] [--watch] [--json] [--server PID|PATH]

Connections, listeners, protocol counters and dropped packets of a running server's own TCP/IP stack: the kernel's tools
(ss, netstat, nstat) do not see them. Without a choice: listeners, connections and drops. Counters have the names of
RFC 4022 (TCP) and RFC 4293 (IP, ICMP) where these have one.

Columns: Recv-Q received and not yet read, Send-Q written and not yet acknowledged, Flight of these on the way, bytes;
RTT/Var smoothed round trip and its variation; Cwnd and Ssthresh in bytes ('-': slow start); Wnd what the peer takes;
Again segments sent again; Idle since anything came or went. Options: S SACK, T timestamps, E ECN.

Options:
  --connections       the connections only (also: -c)
  --listeners         the listeners only (-l)
  --statistics        the counters only (-s)
  --drops             dropped packets by reason only (-d)
  --relay             the figures of 'core relay' (over either transport)
  --limit N           at most N connections (default 1000)
  --watch             again every second, with what the counters gained, until Ctrl-C
  --interval SECONDS  of --watch (default 1)
  --json              for programs: one JSON document (with --watch one a line)
${SERVER_HELP}

Examples:
  wiredis netstat
  wiredis netstat --statistics --watch
  wiredis netstat --json | jq '.connections[] | select(.retransmissions > 0)'`;

interface Shown {
  readonly stack: StackFacts;
  readonly connections: readonly ConnectionFacts[];
}

type Part = 'connections' | 'listeners' | 'statistics' | 'drops';

export const netstat: Tool = {
  help,
  async run(args: string[]): Promise<number> {
    const { values } = parseOptions({
      args,
      options: {
        connections: { type: 'boolean', short: 'c', default: false },
        listeners: { type: 'boolean', short: 'l', default: false },
        statistics: { type: 'boolean', short: 's', default: false },
        drops: { type: 'boolean', short: 'd', default: false },
        relay: { type: 'boolean', default: false },
        limit: { type: 'string', default: '1000' },
        watch: { type: 'boolean', default: false },
        interval: { type: 'string', default: '1' },
        json: { type: 'boolean', default: false },
        ...SERVER_OPTION,
      },
    });
    const limit = wholeNumber(values.limit, 'limit', 0);
    const intervalMs = secondsIn(values.interval, 'interval', 0.1, 86_400);
    if (values.relay) return showRelay(values.server, values.json);
    const parts = (['listeners', 'connections', 'statistics', 'drops'] as const).filter((part) => values[part]);
    const wanted: readonly Part[] = parts.length > 0 ? parts : ['listeners', 'connections', 'drops'];
    let before: Shown | null = null;
    let isRead = true;
    // A reader that has seen enough (`| head`).
    process.stdout.once('error', () => {
      isRead = false;
    });
    while (isRead) {
      const shown = await look(values.server, wanted.includes('connections') ? limit : 0).catch((error: CliError) => {
        throw before !== null && error.code === 'NO_SERVER' ? new CliError('GONE', 'the server has ended') : error;
      });
      if (values.json)
        print([JSON.stringify({ ...shown.stack, connections: shown.connections }, null, values.watch ? 0 : 2)]);
      else print(describe(shown, wanted, before));
      if (!values.watch) return EXIT_OK;
      before = shown;
      await sleep(intervalMs);
      if (!values.json && process.stdout.isTTY) process.stdout.write('\x1b[H\x1b[2J');
    }
    return EXIT_OK;
  },
};

async function showRelay(server: string, asJson: boolean): Promise<number> {
  const facts = await askServer<RelayServerFacts>(server, 'relay').catch((error: CliError) => {
    throw error.code === 'UNKNOWN' ? new CliError('NO_RELAY', "this server is no relay ('core relay')") : error;
  });
  print(asJson ? [JSON.stringify(facts, null, 2)] : relayLines(facts));
  return EXIT_OK;
}

export function relayLines(facts: RelayServerFacts): string[] {
  const child = facts.childPid === null ? 'not running' : `pid ${facts.childPid}`;
  const isSpawned = facts.childPid !== null || facts.childRestarts > 0;
  return [
    `upstream ${facts.upstream}  ${facts.upstreamDown ? 'down' : 'up'}, ${facts.upstreamFailures} attempts failed`,
    ...(isSpawned ? [`redis-server ${child}, started again ${facts.childRestarts} times`] : []),
    `clients ${facts.clients} of ${facts.maxclients}, ${facts.waiting} wait for the upstream`,
    `accepted ${facts.accepted}, rejected ${facts.rejected}, told to try later ${facts.turnedAway}`,
    `to the upstream ${shortBytes(facts.bytesIn)}, back ${shortBytes(facts.bytesOut)}`,
    ...facts.forwards.map(
      (one) =>
        `port ${one.port} to ${one.upstream}  ${one.upstreamDown ? 'down' : 'up'}, ${one.clients} connections of ` +
        `${one.accepted} accepted, there ${shortBytes(one.bytesIn)}, back ${shortBytes(one.bytesOut)}`,
    ),
  ];
}

async function look(server: string, limit: number): Promise<Shown> {
  const stack = await askServer<StackFacts>(server, 'stack');
  const connections = limit === 0 ? [] : await askServer<ConnectionFacts[]>(server, 'connections', { limit });
  return { stack, connections };
}

function describe({ stack, connections }: Shown, parts: readonly Part[], before: Shown | null): string[] {
  const lines: string[] = [
    `${stack.interface}${LINK_TEXTS[stack.link]}  ${stack.engine}  ${stack.addresses.join(' ')}  mtu ${stack.mtu}  ` +
      `connections ${stack.connections} of ${stack.maxConnections}, half-open ${stack.handshakes}, ` +
      `TIME-WAIT ${stack.timeWaits}, buffers ${shortBytes(stack.bufferBytes)} of ${shortBytes(stack.bufferBytesMax)}`,
  ];
  for (const part of parts) {
    lines.push('', ...PARTS[part]({ stack, connections }, before));
  }
  return lines;
}

/** Behind the interface's name. */
const LINK_TEXTS: Readonly<Record<StackFacts['link'], string>> = {
  up: '',
  'no-carrier': ' (no carrier)',
  down: ' (down)',
  gone: ' (gone)',
};

const PARTS: Readonly<Record<Part, (shown: Shown, before: Shown | null) => string[]>> = {
  listeners: ({ stack }) =>
    tableLines(
      ['Listening', 'Backlog', 'Half-open', 'Waiting'],
      stack.listeners.map((one) => [place(one.address, one.port), one.backlog, one.handshakes, one.waiting]),
    ),
  connections: ({ stack, connections }) => {
    const lines = tableLines(CONNECTION_HEADING, connections.map(connectionRow));
    const left = stack.connections + stack.handshakes + stack.timeWaits - connections.length;
    return left > 0 ? [...lines, `... and ${left} more: --limit`] : lines;
  },
  statistics: ({ stack }, before) =>
    countLines(
      { ...stack.counters, ...engineNames(stack) },
      before && { ...before.stack.counters, ...engineNames(before.stack) },
      'Counter',
    ),
  drops: ({ stack }, before) =>
    Object.keys(stack.drops).length === 0
      ? ['No packet was dropped']
      : countLines(stack.drops, before?.stack.drops ?? null, 'Dropped, because'),
};

const CONNECTION_HEADING =
  'Id State Local Remote Recv-Q Send-Q Flight RTT/Var RTO Cwnd Ssthresh Wnd Again Opt Phase Idle'.split(' ');

function connectionRow(c: ConnectionFacts): (string | number)[] {
  return [
    c.id === 0 ? '-' : String(c.id),
    c.state,
    place(c.localAddress, c.localPort),
    place(c.remoteAddress, c.remotePort),
    c.receiveQueue,
    c.sendQueue,
    c.inFlight,
    `${shortMicroseconds(c.rttUs)}/${shortMicroseconds(c.rttvarUs)}`,
    shortMicroseconds(c.rtoMs * 1000),
    c.cwnd,
    c.ssthresh === null ? '-' : String(c.ssthresh),
    c.sendWindow,
    c.retransmissions,
    `${c.sack ? 'S' : ''}${c.timestamps ? 'T' : ''}${c.ecn ? 'E' : ''}` || '-',
    c.recovery,
    shortMicroseconds(Math.max(1, c.idleMs * 1000)),
  ];
}

function engineNames({ engineCounters }: StackFacts): Record<string, number> {
  return Object.fromEntries(Object.entries(engineCounters).map(([name, value]) => [`engine.${name}`, value]));
}

/** Counters that are not zero; beside a look before, what each gained since. */
function countLines(
  counts: Readonly<Record<string, number>>,
  before: Readonly<Record<string, number>> | null,
  heading: string,
): string[] {
  const rows = Object.entries(counts).filter(([, count]) => count !== 0);
  if (before === null) return tableLines([heading, 'Count'], rows);
  return tableLines(
    [heading, 'Count', 'Gained'],
    rows.map(([name, count]) => [name, count, count - (before[name] ?? 0)]),
  );
}

function place(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}
