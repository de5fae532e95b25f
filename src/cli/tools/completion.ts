// `wiredis completion bash|zsh|fish`: the script that completes words of both commands.
import { bashCompletion, fishCompletion, type Words, wordsOf, zshCompletion } from '../completion.ts';
import { EXIT_OK, type Tool, UsageError } from '../tool.ts';

const help = `Usage: wiredis completion bash|zsh|fish

Prints what makes the shell complete the words of wiredis and wiredis-server.

Examples:
  source <(wiredis completion bash)
  wiredis completion fish | source`;

const SHELLS: Readonly<Record<string, (tools: ReadonlyMap<string, Words>) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

/** Of every tool that there is. */
async function toolWords(): Promise<Map<string, Words>> {
  const { tools } = await import('./table.ts');
  const words = new Map<string, Words>();
  for (const { name, load } of tools) words.set(name, wordsOf((await load()).help, `wiredis ${name}`));
  return words;
}

export const completion: Tool = {
  help,
  async run(args) {
    const script = args.length === 1 && Object.hasOwn(SHELLS, args[0]) ? SHELLS[args[0]] : null;
    if (script === null) throw new UsageError("say which shell: 'wiredis completion bash', zsh or fish");
    process.stdout.write(`${script(await toolWords())}\n`);
    return EXIT_OK;
  },
};
