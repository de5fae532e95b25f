// `wiredis completion bash|zsh`: the script that completes words of both commands.
import { bashCompletion, type Words, wordsOf, zshCompletion } from '../completion.ts';
import { EXIT_OK, type Tool, UsageError } from '../tool.ts';

const help = `Usage: wiredis completion bash|zsh

Prints what makes the shell complete the words of wiredis and wiredis-server.

Example:
  source <(wiredis completion bash)`;

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
    if (args.length !== 1 || (args[0] !== 'bash' && args[0] !== 'zsh')) {
      throw new UsageError("say which shell: 'wiredis completion bash' or 'wiredis completion zsh'");
    }
    const words = await toolWords();
    process.stdout.write(`${args[0] === 'bash' ? bashCompletion(words) : zshCompletion(words)}\n`);
    return EXIT_OK;
  },
};
