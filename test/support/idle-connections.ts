// Very many established, idle connections between two stacks in one process: what a stack keeps for each, and what the
// others cost one that works. For the test beside the stack's and for scripts/bench/connections.sh.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Socket, SocketEvents } from '../../stack/socket.ts';
import { IP_B, PORT, TwoStacks } from '../unit/stack/two-stacks.ts';

/** Connections a listener's port gets: fewer than there are ephemeral ports. */
const PER_PORT = 10_000;
const AT_ONCE = 100;

/** Bytes in use after a full collection: V8's heap, and array buffers outside of it. */
function memoryInUse(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

class Idle implements SocketEvents {
  opened = 0;
  echoed = 0;
  onOpen(): void {
    this.opened++;
  }
  onReadable(_socket: Socket, _bytes: Uint8Array, _offset: number, length: number): number {
    this.echoed += length;
    return length;
  }
  onWritable(): void {}
  onEnd(): void {}
  onClose(): void {}
}

export interface IdleReport {
  readonly connections: number;
  /** Memory of both ends, by connection and end. */
  readonly bytesPerConnection: number;
  /** Entries of the timer wheel of the accepting side. */
  readonly armed: number;
  /** Of the accepting side: an idle tick, a look-up in the flow table, a request and its answer over both stacks. */
  readonly tickNs: number;
  readonly lookupNs: number;
  readonly echoNs: number;
}

/** Makes `count` connections, leaves them idle and measures; all ends of both stacks have the same kind of connection. */
export function measureIdle(count: number): IdleReport {
  const limits = { maxConnections: count + 1000 };
  const net = new TwoStacks({ a: limits, b: limits });
  const [client, server] = [new Idle(), new Idle()];
  const echo: SocketEvents = Object.assign(new Idle(), {
    onReadable(socket: Socket, bytes: Uint8Array, offset: number, length: number) {
      return socket.write(bytes, offset, length);
    },
  });
  const ports = Math.ceil(count / PER_PORT);
  for (let i = 0; i < ports; i++) net.b.listen(PORT + i, 511, () => server);
  net.b.listen(PORT - 1, 511, () => echo);
  const before = memoryInUse();
  for (let made = 0; made < count; made += AT_ONCE) {
    const wanted = Math.min(AT_ONCE, count - made);
    for (let i = 0; i < wanted; i++) net.a.connect(IP_B, PORT + Math.floor((made + i) / PER_PORT), client);
    if (!net.run(10_000, () => client.opened === made + wanted && server.opened === made + wanted)) {
      throw new Error(`${server.opened} of ${made + wanted} connections are open`);
    }
  }
  // Quick acknowledgements and the like are over.
  net.run(5000);
  const bytesPerConnection = (memoryInUse() - before) / count / 2;
  const armed = timersOf(net);
  const working = new Idle();
  const socket = net.a.connect(IP_B, PORT - 1, working);
  net.run(100, () => working.opened === 1);
  const report = {
    connections: net.b.connections,
    bytesPerConnection,
    armed,
    tickNs: timeOf(20_000, () => {
      net.b.poll();
      net.b.flush();
    }),
    lookupNs: lookupTime(net),
    echoNs: timeOf(5000, () => {
      socket.write(request, 0, request.length);
      net.settle();
    }),
  };
  if (working.echoed < request.length * 5000) throw new Error('not every request was answered');
  return report;
}

const request = new Uint8Array(40);

/** Entries of the accepting stack's wheel: the connections themselves, where they wait for anything. */
function timersOf(net: TwoStacks): number {
  return net.b.tcp.wheel.size;
}

/** Nanoseconds of this process's own time a call, the median of ten batches: what else runs on the machine does not count. */
function timeOf(calls: number, body: () => void): number {
  const batch = calls / 10;
  const times = Array.from({ length: 11 }, () => {
    const start = process.cpuUsage();
    for (let i = 0; i < batch; i++) body();
    const { user, system } = process.cpuUsage(start);
    return ((user + system) * 1000) / batch;
  });
  // The first is for the compiler.
  return times.slice(1).sort((a, b) => a - b)[5];
}

/**
 * Looks connections up in an order that no cache expects; what is asked for lies in order, so that the table alone is
 * measured.
 */
function lookupTime(net: TwoStacks): number {
  const { flows } = net.b.tcp;
  const list: number[][] = [];
  flows.forEach(({ remoteIp, remotePort, localPort, localIp }) => {
    list.push([remoteIp, remotePort, localPort, localIp]);
  });
  const count = list.length;
  const keys = Int32Array.from({ length: count * 4 }, (_, i) => list[((i >> 2) * 7919) % count][i & 3]);
  let at = 0;
  let found = 0;
  const ns = timeOf(200_000, () => {
    if (flows.find(keys[at], keys[at + 1], keys[at + 2], keys[at + 3])?.kind === 0) found++;
    at = at + 4 === keys.length ? 0 : at + 4;
  });
  if (found !== 220_000) throw new Error('a connection was not found');
  return ns;
}
