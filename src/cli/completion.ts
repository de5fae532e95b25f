// What a shell can complete, read from the tools' own help texts and the directives there are, so that it is never behind
// them; and help texts as manual pages. src/cli/tools/completion.ts and man.ts print it.
import { allDirectives } from '../core/config.ts';
import { HIDDEN } from '../core/directive.ts';

/** A command's words: `wiredis lab` has up, exec..., --name... */
export interface Words {
  readonly subcommands: readonly string[];
  readonly options: readonly string[];
}

/** @param help a tool's, usage lines first. @param command the words before its own: `wiredis lab`. */
export function wordsOf(help: string, command: string): Words {
  const subcommands = new Set<string>();
  for (const line of help.split('\n\n', 1)[0].split('\n')) {
    const usage = line.replace(/^(Usage:|\s{2,})\s*/, '');
    if (!usage.startsWith(`${command} `)) continue;
    const word = usage.slice(command.length + 1).split(' ')[0];
    if (/^[a-z][a-z|-]*$/.test(word)) for (const one of word.split('|')) subcommands.add(one);
  }
  const options = new Set([...help.matchAll(/(?<![\w-])--[a-z][a-z0-9-]*/g)].map(([word]) => word));
  return {
    subcommands: [...subcommands],
    options: [...options, '--help'].filter((one, i, all) => all.indexOf(one) === i),
  };
}

/** `--maxmemory` and the like; ours, which CONFIG GET * does not list, too. */
export function serverOptions(): string[] {
  const forTests = new Set(['key-load-delay', 'rdb-key-save-delay', 'use-exit-on-panic', 'watchdog-period']);
  return allDirectives
    .filter(({ name, directive }) => (directive.flags & HIDDEN) === 0 || !forTests.has(name))
    .map(({ name }) => `--${name}`)
    .concat('--help', '--version');
}

export function bashCompletion(tools: ReadonlyMap<string, Words>): string {
  const cases = [...tools].map(
    ([name, { subcommands, options }]) => `    ${name}) words="${[...subcommands, ...options].join(' ')}" ;;`,
  );
  return `# bash completion for wiredis and wiredis-server: source <(wiredis completion bash)
_wiredis() {
  local words="" current="\${COMP_WORDS[COMP_CWORD]}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${[...tools.keys(), 'help'].join(' ')}"
  else
    case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
    help | man) words="${[...tools.keys()].join(' ')}" ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ "\${#COMPREPLY[@]}" -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}
_wiredis_server() {
  local current="\${COMP_WORDS[COMP_CWORD]}"
  case "$current" in
    -*) COMPREPLY=($(compgen -W "${serverOptions().join(' ')}" -- "$current")) ;;
    *) COMPREPLY=($(compgen -f -- "$current")) ;;
  esac
}
complete -F _wiredis wiredis
complete -F _wiredis_server wiredis-server`;
}

export function zshCompletion(tools: ReadonlyMap<string, Words>): string {
  const cases = [...tools].map(
    ([name, { subcommands, options }]) => `    ${name}) compadd -- ${[...subcommands, ...options].join(' ')} ;;`,
  );
  return `#compdef wiredis wiredis-server
# zsh completion: source <(wiredis completion zsh), or as _wiredis in a folder of $fpath
_wiredis() {
  if [[ $service == wiredis-server ]]; then
    [[ $PREFIX == -* ]] && compadd -- ${serverOptions().join(' ')} || _files
    return
  fi
  if (( CURRENT == 2 )); then
    compadd -- ${[...tools.keys(), 'help'].join(' ')}
    return
  fi
  case $words[2] in
${cases.join('\n')}
    help|man) compadd -- ${[...tools.keys()].join(' ')} ;;
  esac
  _files
}
if (( $+functions[compdef] )); then compdef _wiredis wiredis wiredis-server; fi`;
}

export function fishCompletion(tools: ReadonlyMap<string, Words>): string {
  const first = '__fish_use_subcommand';
  const behind = (name: string): string => `'__fish_seen_subcommand_from ${name}'`;
  const lines = [...tools].flatMap(([name, { subcommands, options }]) => [
    `complete -c wiredis -n ${first} -f -a ${name}`,
    ...(subcommands.length === 0 ? [] : [`complete -c wiredis -n ${behind(name)} -f -a '${subcommands.join(' ')}'`]),
    ...options.map((option) => `complete -c wiredis -n ${behind(name)} -l ${option.slice(2)}`),
  ]);
  return [
    '# fish completion for wiredis and wiredis-server: wiredis completion fish | source',
    `complete -c wiredis -n ${first} -f -a help`,
    ...lines,
    `complete -c wiredis -n '__fish_seen_subcommand_from help man' -f -a '${[...tools.keys()].join(' ')}'`,
    ...serverOptions().map((option) => `complete -c wiredis-server -l ${option.slice(2)}`),
  ].join('\n');
}

/** A manual page in roff. @param name `wiredis-lab`. @param summary half a sentence. */
export function manualPage(name: string, summary: string, help: string, version: string): string {
  const roff = (text: string): string =>
    text
      .replaceAll('\\', '\\e')
      .replace(/-/g, '\\-')
      .replace(/^([.'])/, '\\&$1');
  const lines = [
    `.TH ${name.toUpperCase()} 1 "" "wiredis ${version}" "wiredis"`,
    '.SH NAME',
    `${roff(name)} \\- ${roff(summary)}`,
    '.SH SYNOPSIS',
    '.nf',
  ];
  let inSynopsis = true;
  for (const line of help.split('\n')) {
    const heading = /^([A-Z][a-z]+):$/.exec(line);
    if (inSynopsis && line.startsWith('Usage:')) lines.push(roff(line.slice('Usage:'.length).trim()));
    else if (inSynopsis && line.startsWith('  ')) lines.push(roff(line.trim()));
    else {
      if (inSynopsis) lines.push('.fi', '.SH DESCRIPTION', '.nf');
      inSynopsis = false;
      if (heading !== null) lines.push('.fi', `.SH ${heading[1].toUpperCase()}`, '.nf');
      else lines.push(roff(line));
    }
  }
  return [...lines, '.fi', '.SH SEE ALSO', 'wiredis(1), wiredis\\-server(1), redis.conf(5)'].join('\n');
}
