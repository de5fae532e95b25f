// `wiredis upgrade`: has a running server replaced by a new process of the files on the disk, with every connection.

import type { Progress } from '../../handover/giver.ts';
import type { AnswerStream } from '../../observe/control-client.ts';
import { listenToServer, personsError, SERVER_HELP, SERVER_OPTION } from '../observe/server-option.ts';
import { EXIT_OK, parseOptions, type Tool } from '../tool.ts';

const help = `Usage: wiredis upgrade [--json] [--server PID|PATH]

Starts the program files that are on the disk now, with the command line of the running server, and hands everything
over: dataset, client sessions, and the TCP connections themselves. Clients notice a pause of some milliseconds. When
anything goes wrong before the new process serves, the old one goes on and says why. SIGUSR2 to the server does
the same. Needs the user-space transport on engine afxdp or afpacket.

Options:
  --json              one line of JSON a step, for programs
${SERVER_HELP}`;

export const upgrade: Tool = {
  help,
  async run(args: string[]): Promise<number> {
    const { values } = parseOptions({ args, options: { json: { type: 'boolean', default: false }, ...SERVER_OPTION } });
    return followHandover(await listenToServer(values.server, 'upgrade', {}), values.json);
  },
};

/** Prints each step. @throws CliError when the server goes on instead. */
export async function followHandover(stream: AnswerStream, asJson: boolean): Promise<number> {
  try {
    for (;;) {
      const progress = (await stream.line()) as Progress;
      process.stdout.write(`${asJson ? JSON.stringify(progress) : progress.text}\n`);
      if (progress.phase === 'done') return EXIT_OK;
    }
  } catch (error) {
    throw personsError(error);
  } finally {
    stream.close();
  }
}
