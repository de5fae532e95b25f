// `wiredis man [TOOL]`: a tool's help as a manual page, for `man -l -` or a folder of them.
import { packageVersion } from '../../package-version.ts';
import { manualPage } from '../completion.ts';
import { EXIT_OK, nearestName, type Tool, UsageError } from '../tool.ts';

const help = `Usage: wiredis man TOOL

Prints the manual page of a tool, made from its help.

Example:
  wiredis man lab | man -l -`;

export const man: Tool = {
  help,
  async run(args) {
    const { tools } = await import('./table.ts');
    const [name] = args;
    const row = tools.find((tool) => tool.name === name);
    if (row === undefined || args.length !== 1) {
      const names = tools.map((tool) => tool.name);
      const nearest = nearestName(name ?? '', names) ?? names[0];
      throw new UsageError(`say which tool, for example 'wiredis man ${nearest}'`);
    }
    const page = manualPage(`wiredis-${row.name}`, row.summary, (await row.load()).help, packageVersion());
    process.stdout.write(`${page}\n`);
    return EXIT_OK;
  },
};
