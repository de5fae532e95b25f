// One process of this machine at a time serves an address of an interface. The network cannot be asked about that: a
// packet socket does not see what another one of its host sends, so two servers would both answer, and each would reset the
// other's connections. Whoever serves holds a name among the abstract unix sockets, which are of a network namespace and go
// with the process. Only userspace-open.ts imports it.
import { createServer, type Server } from 'node:net';
import type { StackConfig } from '../../stack/config.ts';
import { formatIpv4 } from '../../stack/wire/ipv4.ts';
import { formatIpv6 } from '../../stack/wire/ipv6.ts';
import { TransportError } from './transport.ts';

export class AddressSeat {
  readonly #names: readonly Server[];

  private constructor(names: readonly Server[]) {
    this.#names = names;
  }

  /** Takes the fixed addresses of netdev.conf. @throws TransportError EADDRINUSE: another process has one of them. */
  static async take({ engine, vlan, addresses, ipv6 }: StackConfig): Promise<AddressSeat> {
    const wanted = [
      ...addresses.map(({ ip }) => formatIpv4(ip)),
      ...(ipv6?.addresses ?? []).map(({ bytes }) => formatIpv6(bytes, 0)),
    ];
    const names: Server[] = [];
    const seat = new AddressSeat(names);
    for (const address of wanted) {
      const name = await hold(`\0wiredis ${engine.interface} ${vlan} ${address}`);
      if (name !== null) {
        names.push(name);
        continue;
      }
      seat.close();
      throw new TransportError(
        'EADDRINUSE',
        `another process of this machine serves ${address} on ${engine.interface}: stop it, or choose another 'address' in netdev.conf`,
      );
    }
    return seat;
  }

  close(): void {
    for (const name of this.#names) name.close();
  }
}

/** Null: somebody else has the name. */
function hold(name: string): Promise<Server | null> {
  const server = createServer((caller) => caller.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(null) : reject(new TransportError(error.code ?? 'EIO', error.message)),
    );
    server.listen(name, () => resolve(server.unref()));
  });
}
