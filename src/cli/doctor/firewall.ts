// Rules of iptables and nftables that keep packets from this host's input, found well enough to name the first one that
// stands in the way of a TCP port; rules with conditions that are none of ours are left out of account.
import { hasProgram, run } from '../lab/process.ts';

export interface Obstacle {
  readonly tool: 'iptables' | 'nft';
  /** As the tool prints it. */
  readonly rule: string;
  /** Lets the port's packets in. */
  readonly mend: string;
}

/** @param name interface; empty: any. @param fromPort whether the port is the sender's. */
export async function firstObstacle(name: string, port: number, fromPort: boolean): Promise<Obstacle | null> {
  const listing = async (words: readonly string[]): Promise<string> => {
    if (!hasProgram(words[0])) return '';
    const { code, stdout } = await run(words);
    return code === 0 ? stdout : '';
  };
  const rule = iptablesObstacle(await listing(['iptables', '-S', 'INPUT']), name, port, fromPort);
  if (rule !== null) return rule;
  return nftObstacle(await listing(['nft', '-a', 'list', 'ruleset']), name, port, fromPort);
}

/** Whether a rule that names interface, protocol or port means ours. */
function fits(rule: string, patterns: readonly (readonly [RegExp, string])[]): boolean {
  return patterns.every(([pattern, wanted]) => {
    const named = pattern.exec(rule);
    return named === null || wanted === '' || named[1] === wanted;
  });
}

/** Parts of a rule that say which packets it is for, other than those that `fits` looks at: sources, states, marks. */
const IPTABLES_CONDITION = /(?:^| )(?:!|-s|-d|--state|--ctstate|--mark|--icmp-type|--tcp-flags|-m (?!tcp\b|comment\b))/;

export function iptablesObstacle(listing: string, name: string, port: number, fromPort: boolean): Obstacle | null {
  const side = fromPort ? 'sport' : 'dport';
  const lines = listing.split('\n');
  const where = name === '' ? '' : `-i ${name} `;
  const mend = `iptables -I INPUT ${where}-p tcp --${side} ${port} -j ACCEPT`;
  const ours: readonly (readonly [RegExp, string])[] = [
    [/ -i (\S+)/, name],
    [/ -p (\S+)/, 'tcp'],
    [/ --dport (\S+)/, fromPort ? '-' : String(port)],
    [/ --sport (\S+)/, fromPort ? String(port) : '-'],
  ];
  for (const rule of lines.filter((line) => line.startsWith('-A INPUT'))) {
    if (IPTABLES_CONDITION.test(rule) || !fits(rule, ours)) continue;
    if (/-j ACCEPT\b/.test(rule)) return null;
    if (/-j (DROP|REJECT)\b/.test(rule)) return { tool: 'iptables', rule, mend };
  }
  const policy = lines.find((line) => line === '-P INPUT DROP');
  return policy === undefined ? null : { tool: 'iptables', rule: policy, mend };
}

const NFT_CONDITION = /\b(?:saddr|daddr|ct|mark|icmp|udp|meta (?!l4proto)|@)/;

/** Base chains at the input hook, one after another: what one accepts the next may still drop. */
export function nftObstacle(listing: string, name: string, port: number, fromPort: boolean): Obstacle | null {
  const side = fromPort ? 'sport' : 'dport';
  let table = '';
  let chain = '';
  let policy = '';
  let isInput = false;
  const obstacle = (rule: string): Obstacle => {
    const where = name === '' ? '' : `iifname "${name}" `;
    return { tool: 'nft', rule, mend: `nft 'insert rule ${table} ${chain} ${where}tcp ${side} ${port} accept'` };
  };
  const ours: readonly (readonly [RegExp, string])[] = [
    [/iif(?:name)? "([^"]+)"/, name],
    [/tcp dport (\S+)/, fromPort ? '-' : String(port)],
    [/tcp sport (\S+)/, fromPort ? String(port) : '-'],
  ];
  for (const text of listing.split('\n')) {
    const line = text.replace(/ # handle \d+$/, '').trim();
    if (line.startsWith('table ')) table = line.split(' ').slice(1, 3).join(' ');
    else if (line.startsWith('chain ')) {
      chain = line.split(' ')[1];
      isInput = false;
      policy = '';
    } else if (/^type filter hook input\b/.test(line)) {
      isInput = /^(ip|inet) /.test(`${table} `);
      policy = /policy drop/.test(line) ? line : '';
    } else if (isInput && line === '}') {
      isInput = false;
      if (policy !== '') return obstacle(policy);
    } else if (isInput && !NFT_CONDITION.test(line) && fits(line, ours)) {
      if (/\baccept$/.test(line)) isInput = false;
      else if (/\b(drop|reject)\b/.test(line)) return obstacle(line);
    }
  }
  return null;
}
