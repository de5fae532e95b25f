// `wiredis doctor`: what stands in the way of a server here, and what a running one spends on system calls.

import { showSyscalls } from '../doctor/syscalls.ts';
import { printDocument } from '../doctor/syscalls-document.ts';
import { SERVER_HELP, SERVER_OPTION } from '../observe/server-option.ts';
import { parseOptions, type Tool, UsageError, wholeNumber } from '../tool.ts';

const help = `Usage: wiredis doctor --syscalls SECONDS [--json] [--server PID|PATH]
       wiredis doctor --syscalls-document

Options:
  --syscalls SECONDS   count the system calls of a running server, by name and by request (strace, or perf trace)
  --syscalls-document  run redis-server and wiredis-server under strace in a lab and print docs/syscalls.md (root)
  --json               for programs
${SERVER_HELP}`;

export const doctor: Tool = {
  help,
  async run(args: string[]): Promise<number> {
    const { values } = parseOptions({
      args,
      options: {
        syscalls: { type: 'string' },
        'syscalls-document': { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        ...SERVER_OPTION,
      },
    });
    if (values['syscalls-document']) return printDocument();
    if (values.syscalls !== undefined) {
      return showSyscalls(values.server, wholeNumber(values.syscalls, 'syscalls', 1), values.json);
    }
    throw new UsageError('doctor wants --syscalls SECONDS');
  },
};
