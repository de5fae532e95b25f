// `wiredis move`: has another host of the same network go on in place of a running server, with every connection.
import { listenToServer, SERVER_HELP, SERVER_OPTION } from '../observe/server-option.ts';
import { parseOptions, type Tool, UsageError } from '../tool.ts';
import { followHandover } from './upgrade.ts';

const help = `Usage: wiredis move HOST:PORT [--json] [--server PID|PATH]

Hands a running server over to another host of the same network: dataset, client sessions, its addresses and the TCP
connections themselves. There a wiredis-server waits, on an interface of its own, with the same addresses in
netdev.conf, 'move-listen HOST:PORT' (an address of that host's kernel) and the same 'move-secret' as here. Neighbours are
told the new hardware address; clients notice a pause. When anything goes wrong before the other host serves, this
server goes on and says why. What is sent is not encrypted.

Options:
  --json              one line of JSON a step, for programs
${SERVER_HELP}

Example, on the host that is to take over, then on the one that serves:
  wiredis-server --netdev netdev.conf --bind 10.77.0.1 --move-listen 192.0.2.7:7000 --move-secret "$SECRET"
  wiredis move 192.0.2.7:7000`;

export const move: Tool = {
  help,
  async run(args: string[]): Promise<number> {
    const options = { json: { type: 'boolean', default: false }, ...SERVER_OPTION } as const;
    const { values, positionals } = parseOptions({ args, allowPositionals: true, options });
    if (positionals.length !== 1) throw new UsageError('move wants one HOST:PORT: where the other server waits');
    return followHandover(await listenToServer(values.server, 'move', { to: positionals[0] }), values.json);
  },
};
