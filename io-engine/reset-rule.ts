// A raw IP socket gets a copy: the kernel handles the same segment, knows no socket for it and answers with RST. Only a
// firewall rule can stop that; this looks for one and says which is missing. Only raw-ip.ts and
// doctor's address-checks.ts import this.
import { spawnSync } from 'node:child_process';
import { EngineError } from './frame-engine.ts';

/** SO_MARK of what the engine sends, so that the rule spares the stack's own RSTs. */
export const SENT_MARK = 0x57;

/** Both tools' listings of the rules for outgoing packets; null: the tool is not there or failed. */
export interface FirewallListing {
  readonly nft: string | null;
  readonly iptables: string | null;
}

export function listFirewall(): FirewallListing {
  return { nft: output('nft', ['list', 'ruleset']), iptables: output('iptables', ['-S', 'OUTPUT']) };
}

/** @throws EngineError NOT_SUPPORTED with the command that adds what is missing. */
export function requireResetRule(interfaceName: string, addresses: readonly string[], listing: FirewallListing): void {
  const missing = missingResetRule(interfaceName, addresses, listing);
  if (missing === null) return;
  const tool = listing.nft === null && listing.iptables === null ? 'install nftables, then run' : 'run';
  throw new EngineError(
    'NOT_SUPPORTED',
    `engine raw needs a rule that drops the RSTs the kernel sends from ${missing.address}; ${tool}: ${missing.command}`,
  );
}

/**
 * The first address without a rule, and the command that adds one; null: all are covered.
 * @param addresses dotted quads.
 */
export function missingResetRule(
  interfaceName: string,
  addresses: readonly string[],
  listing: FirewallListing,
): { readonly address: string; readonly command: string } | null {
  const address = addresses.find((one) => !coversAddress(listing, interfaceName, one));
  if (address === undefined) return null;
  const isIptables = listing.nft === null && listing.iptables !== null;
  const command = (isIptables ? iptablesCommand : nftCommand)(interfaceName, address);
  return { address, command };
}

/** A rule counts when it drops RSTs and names no other interface or address than ours. */
function coversAddress(listing: FirewallListing, interfaceName: string, address: string): boolean {
  const nftRules = rulesOf(listing.nft).filter((rule) => /tcp flags\b.*\brst\b/.test(rule) && /\bdrop$/.test(rule));
  const iptablesRules = rulesOf(listing.iptables).filter((rule) => /--tcp-flags \S*RST\S* RST .*-j DROP/.test(rule));
  return (
    nftRules.some(
      (rule) => allows(rule, /oifname "([^"]+)"/, interfaceName) && allows(rule, /ip saddr ([\d.]+)/, address),
    ) ||
    iptablesRules.some(
      (rule) => allows(rule, /(?<!! )-o (\S+)/, interfaceName) && allows(rule, /(?<!! )-s ([\d.]+)\/32/, address),
    )
  );
}

/** True when the rule does not match on this at all, or on exactly what we want. */
function allows(rule: string, pattern: RegExp, wanted: string): boolean {
  const match = pattern.exec(rule);
  return match === null || match[1] === wanted;
}

function rulesOf(listing: string | null): string[] {
  return (listing ?? '').split('\n').map((line) => line.trim());
}

function nftCommand(interfaceName: string, address: string): string {
  const chain = 'add chain ip wiredis output { type filter hook output priority 0; }';
  const match = `oifname "${interfaceName}" ip saddr ${address} tcp flags & rst == rst meta mark != ${SENT_MARK}`;
  return `nft 'add table ip wiredis; ${chain}; add rule ip wiredis output ${match} drop'`;
}

function iptablesCommand(interfaceName: string, address: string): string {
  const match = `-o ${interfaceName} -s ${address} -p tcp --tcp-flags RST RST -m mark ! --mark ${SENT_MARK}`;
  return `iptables -A OUTPUT ${match} -j DROP`;
}

function output(command: string, args: readonly string[]): string | null {
  const result = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return result.status === 0 ? result.stdout : null;
}
