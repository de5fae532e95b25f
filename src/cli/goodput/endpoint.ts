// One end of a bulk transfer, over our stack or the kernel's sockets; started by `wiredis goodput` in its lab, and good by
// hand too. The receiver measures: from the first byte on, for so many seconds, and prints one line of JSON.
//
//   node endpoint.js serve kernel|NETDEV.CONF ADDRESS PORT SECONDS   sends on PORT, receives on PORT + 1
//   node endpoint.js fetch|send kernel|NETDEV.CONF ADDRESS PORT SECONDS
import { SystemClock } from '../../platform/clock.ts';
import { Log, standardOutput } from '../../platform/log.ts';
import { SystemRandom } from '../../platform/random.ts';
import { systemStopwatch } from '../../platform/stopwatch.ts';
import { SystemScheduler } from '../../platform/timers.ts';
import { KernelTransport } from '../../transports/kernel.ts';
import type { Connection, ConnectionHandler, Transport } from '../../transports/transport.ts';
import { openUserspace } from '../../transports/userspace.ts';

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

/** Counts what comes, and says how much it was. */
class Sink implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #seconds: number;
  readonly #report: (measured: Measured) => void;
  #startUs = -1;
  #bytes = 0;
  #done = false;

  constructor(connection: Connection, seconds: number, report: (measured: Measured) => void) {
    this.#connection = connection;
    this.#seconds = seconds;
    this.#report = report;
  }

  onData(_bytes: Uint8Array, _offset: number, length: number): void {
    const nowUs = systemStopwatch();
    if (this.#startUs < 0) this.#startUs = nowUs;
    this.#bytes += length;
    const seconds = (nowUs - this.#startUs) / 1e6;
    if (seconds < this.#seconds || this.#done) return;
    this.#done = true;
    this.#report({ bytes: this.#bytes, seconds });
    this.#connection.destroy();
  }

  onDrain(): void {}

  onEnd(): void {}

  onClose(): void {
    if (this.#done) return;
    this.#done = true;
    this.#report({ bytes: 0, seconds: this.#seconds });
  }
}

const scheduler = new SystemScheduler();

async function open(netdev: string): Promise<Transport> {
  const clock = new SystemClock();
  const parts = { clock, scheduler, random: new SystemRandom(), keepAliveSeconds: () => 0 };
  if (netdev === 'kernel') return new KernelTransport(parts);
  return openUserspace({ ...parts, log: new Log(standardOutput, () => 0), netdevFile: netdev, engine: 'auto' });
}

async function main([role, netdev, address, port, duration]: string[]): Promise<void> {
  const transport = await open(netdev);
  const seconds = Number(duration);
  const print = (measured: Measured): void => {
    process.stdout.write(`${JSON.stringify(measured)}\n`);
  };
  const begin = (source: Source): Source => {
    // The first write of a connection belongs to a tick of its own.
    scheduler.soon(() => source.onDrain());
    return source;
  };
  if (role === 'serve') {
    await transport.listen(address, Number(port), 16, (connection) => begin(new Source(connection)));
    await transport.listen(address, Number(port) + 1, 16, (connection) => new Sink(connection, seconds, print));
    process.stdout.write('ready\n');
    return;
  }
  await transport.connect(address, Number(port) + (role === 'send' ? 1 : 0), (connection) =>
    role === 'send' ? begin(new Source(connection)) : new Sink(connection, seconds, print),
  );
}

await main(process.argv.slice(2));
