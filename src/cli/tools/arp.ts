// `wiredis arp`: the neighbours of a running server's stack, IPv4 (ARP) and IPv6 (neighbour discovery).
import type { StackFacts } from '../../transports/userspace.ts';
import { askServer, SERVER_HELP, SERVER_OPTION } from '../observe/server-option.ts';
import { tableLines } from '../observe/table.ts';
import { EXIT_OK, parseOptions, type Tool } from '../tool.ts';

const help = `Usage: wiredis arp [--json] [--server PID|PATH]

The hardware addresses that a running server's own stack knows, as 'ip neigh' does for the kernel: by ARP for IPv4, by
neighbour discovery for IPv6. States: reachable, probing (asked again), resolving (asked, no answer yet), failed,
static (from netdev.conf).

Options:
  --json              for programs
${SERVER_HELP}`;

export const arp: Tool = {
  help,
  async run(args: string[]): Promise<number> {
    const { values } = parseOptions({ args, options: { json: { type: 'boolean', default: false }, ...SERVER_OPTION } });
    const stack = await askServer<StackFacts>(values.server, 'stack');
    const rows = stack.neighbors.map((one) => [one.address, one.mac ?? '-', one.state, stack.interface]);
    const lines = values.json
      ? [JSON.stringify(stack.neighbors, null, 2)]
      : tableLines(['Address', 'Hardware address', 'State', 'Interface'], rows);
    process.stdout.write(`${lines.join('\n')}\n`);
    return EXIT_OK;
  },
};
