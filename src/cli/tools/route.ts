// `wiredis route`: addresses and routes of a running server's stack.
import type { StackFacts } from '../../transports/userspace.ts';
import { askServer, SERVER_HELP, SERVER_OPTION } from '../observe/server-option.ts';
import { tableLines } from '../observe/table.ts';
import { EXIT_OK, parseOptions, type Tool } from '../tool.ts';

const help = `Usage: wiredis route [--json] [--server PID|PATH]

The routes of a running server's own stack, IPv4 and IPv6, in the order they are tried, as 'ip route' does for the
kernel's: netdev.conf, DHCP and router advertisements make them.

Options:
  --json              for programs
${SERVER_HELP}`;

export const route: Tool = {
  help,
  async run(args: string[]): Promise<number> {
    const { values } = parseOptions({ args, options: { json: { type: 'boolean', default: false }, ...SERVER_OPTION } });
    const stack = await askServer<StackFacts>(values.server, 'stack');
    const rows = stack.routes.map((one) => [
      isDefault(one.destination) ? 'default' : one.destination,
      one.gateway ?? 'on-link',
      one.family,
      stack.interface,
    ]);
    const lines = values.json
      ? [JSON.stringify({ addresses: stack.addresses, routes: stack.routes }, null, 2)]
      : [
          `Addresses: ${stack.addresses.join(' ')}`,
          '',
          ...tableLines(['Destination', 'Via', 'Family', 'Interface'], rows),
        ];
    process.stdout.write(`${lines.join('\n')}\n`);
    return EXIT_OK;
  },
};

function isDefault(destination: string): boolean {
  return destination === '0.0.0.0/0' || destination === '::/0';
}
