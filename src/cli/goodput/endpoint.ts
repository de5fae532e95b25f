// One end of a bulk transfer, over our stack or the kernel's sockets; started by `wiredis goodput` in its lab, and good by
// hand too. The receiver measures: from the first byte on, for so many seconds, and prints one line of JSON.
//
//   node endpoint.js serve kernel|NETDEV.CONF ADDRESS PORT SECONDS   sends on PORT, receives on PORT + 1
//   node endpoint.js fetch|send kernel|NETDEV.CONF ADDRESS PORT SECONDS [CONNECTIONS]
import { SystemClock } from '../../platform/clock.ts';
import { Log, standardOutput } from '../../platform/log.ts';
import { SystemRandom } from '../../platform/random.ts';
import { systemStopwatch } from '../../platform/stopwatch.ts';
import { SystemScheduler } from '../../platform/timers.ts';
import { KernelTransport } from '../../transports/kernel.ts';
import type { Connection, ConnectionHandler, Transport } from '../../transports/transport.ts';
import { openUserspace } from '../../transports/userspace-open.ts';

/** What the receiver prints. */
export interface Measured {
  readonly bytes: number;
  readonly seconds: number;
}

const zeros = new Uint8Array(64 * 1024);

/** Writes for as long as there is somebody to write to. */
class Source implements ConnectionHandler {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  onDrain(): void {
    while (this.#connection.write(zeros, 0, zeros.length) === zeros.length);
  }

  onData(): void {}

  onEnd(): void {
    this.#connection.destroy();
  }

  onClose(): void {}
}

/** Counts what comes over all connections, and says how much it was. */
class Meter {
  readonly #seconds: number;
  #startUs = -1;
  #bytes = 0;
  #done = false;

  constructor(seconds: number) {
    this.#seconds = seconds;
  }

  /** @returns whether that is enough. */
  count(length: number): boolean {
    const nowUs = systemStopwatch();
    if (this.#startUs < 0) this.#startUs = nowUs;
    this.#bytes += length;
    const seconds = (nowUs - this.#startUs) / 1e6;
    if (seconds >= this.#seconds) this.#report({ bytes: this.#bytes, seconds });
    return this.#done;
  }

  fail(): void {
    this.#report({ bytes: 0, seconds: this.#seconds });
  }

  #report(measured: Measured): void {
    if (this.#done) return;
    this.#done = true;
    process.stdout.write(`${JSON.stringify(measured)}\n`);
  }
}

class Sink implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #meter: Meter;

  constructor(connection: Connection, meter: Meter) {
    this.#connection = connection;
    this.#meter = meter;
  }

  onData(_bytes: Uint8Array, _offset: number, length: number): void {
    if (this.#meter.count(length)) this.#connection.destroy();
  }

  onDrain(): void {}

  onEnd(): void {}

  onClose(): void {
    this.#meter.fail();
  }
}

const scheduler = new SystemScheduler();

async function open(netdev: string): Promise<Transport> {
  const clock = new SystemClock();
  const parts = { clock, scheduler, random: new SystemRandom(), keepAliveSeconds: () => 0 };
  if (netdev === 'kernel') return new KernelTransport(parts);
  return openUserspace({ ...parts, log: new Log(standardOutput, () => 0), netdevFile: netdev, engine: 'auto' });
}

async function main([role, netdev, address, port, duration, connections = '1']: string[]): Promise<void> {
  const transport = await open(netdev);
  const meter = new Meter(Number(duration));
  const begin = (source: Source): Source => {
    // The first write of a connection belongs to a tick of its own.
    scheduler.soon(() => source.onDrain());
    return source;
  };
  if (role === 'serve') {
    await transport.listen(address, Number(port), 511, (connection) => begin(new Source(connection)));
    await transport.listen(address, Number(port) + 1, 511, (connection) => new Sink(connection, meter));
    process.stdout.write('ready\n');
    return;
  }
  const connect = (): Promise<unknown> =>
    transport.connect(address, Number(port) + (role === 'send' ? 1 : 0), (connection) =>
      role === 'send' ? begin(new Source(connection)) : new Sink(connection, meter),
    );
  await Promise.all(Array.from({ length: Number(connections) }, connect));
}

await main(process.argv.slice(2));
