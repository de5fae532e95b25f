// What a lab consists of, as plain data: names, addresses, cores. Three links, all up at once, so that
// every path can be measured against every other in one run:
//   direct   veth; the server's end has no kernel address: AF_XDP, AF_PACKET and libpcap engines
//   kernel   veth with a kernel address at both ends: redis-server and `--transport kernel`
//   tap      veth bridged to a tap device in the server's namespace: the tap engine
import { createHash } from 'node:crypto';
import { cpus, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../tool.ts';

export const DEFAULT_NAME = 'wiredis';

/** The two hosts of a lab made to compare paths; a lab of several has `hostN` in place of the server. */
export type Host = 'server' | 'client';
export type LinkName = 'direct' | 'kernel' | 'tap';

export interface LinkPlan {
  readonly name: LinkName;
  /** Name of the veth's end, the same in both namespaces. */
  readonly veth: string;
  readonly serverAddress: string;
  readonly clientAddress: string;
  readonly prefixLength: number;
  /** Who answers for `serverAddress`. */
  readonly serverOwner: 'wiredis' | 'kernel';
}

export interface LabPlan {
  readonly name: string;
  readonly namespaces: Readonly<Record<Host, string>>;
  readonly links: Readonly<Record<LinkName, LinkPlan>>;
  readonly tapDevice: string;
  readonly bridge: string;
  /** Where the lab keeps its notes and the netdev.conf files made for it. */
  readonly directory: string;
}

/**
 * @param name starts the names of namespaces: letters, digits and `-`.
 * @throws UsageError when the name cannot be used.
 */
export function planLab(name: string, uid: number = userInfo().uid): LabPlan {
  if (!/^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/.test(name)) {
    throw new UsageError(`--name wants letters, digits and '-', at most 64, not '${name}'`);
  }
  // Kernel threads (napi/IF-N) are listed machine-wide, so interface names differ from lab to lab. IFNAMSIZ
  // leaves 15 characters.
  const tag = name === DEFAULT_NAME ? '' : `x${createHash('sha256').update(name).digest('hex').slice(0, 5)}`;
  const link = (linkName: LinkName, index: number, serverOwner: LinkPlan['serverOwner']): LinkPlan => ({
    name: linkName,
    veth: `wd${index}${tag}`,
    serverAddress: `10.77.${index}.1`,
    clientAddress: `10.77.${index}.2`,
    prefixLength: 24,
    serverOwner,
  });
  return {
    name,
    namespaces: { server: `${name}-server`, client: `${name}-client` },
    links: {
      direct: link('direct', 0, 'wiredis'),
      kernel: link('kernel', 1, 'kernel'),
      tap: link('tap', 2, 'wiredis'),
    },
    tapDevice: `wdtap${tag}`,
    bridge: `wdbr${tag}`,
    directory: uid === 0 ? `/run/wiredis-lab/${name}` : join(tmpdir(), `wiredis-lab-${uid}`, name),
  };
}

/** One of several server hosts on a bridge. */
export interface BridgedHost {
  /** host1, host2, ... */
  readonly name: string;
  readonly namespace: string;
  /** Free for wiredis-server: the kernel has no address on it. */
  readonly device: string;
  readonly address: string;
  /** The kernel's own way into the same network. */
  readonly kernelDevice: string;
  readonly kernelAddress: string;
  readonly netdevFile: string;
}

/** Several server hosts and the client on one bridge, which stands in a namespace of its own. */
export interface BridgePlan {
  readonly hosts: readonly BridgedHost[];
  readonly switch: string;
  readonly bridge: string;
  readonly clientDevice: string;
  readonly clientAddress: string;
  readonly prefixLength: number;
}

export const HOSTS_MAX = 100;

/** @param count server hosts, 1 to HOSTS_MAX. */
export function planBridge({ name, directory, bridge, links }: LabPlan, count: number): BridgePlan {
  const tag = links.direct.veth.slice('wd0'.length);
  const hosts = Array.from({ length: count }, (_, i): BridgedHost => {
    const number = i + 1;
    return {
      name: `host${number}`,
      namespace: `${name}-host${number}`,
      device: `wdh${number}${tag}`,
      address: `10.77.3.${number}`,
      kernelDevice: `wdk${number}${tag}`,
      kernelAddress: `10.77.3.${100 + number}`,
      netdevFile: join(directory, `netdev-host${number}.conf`),
    };
  });
  return {
    hosts,
    switch: `${name}-switch`,
    bridge,
    clientDevice: `wdc${tag}`,
    clientAddress: '10.77.3.254',
    prefixLength: 24,
  };
}

/** The netdev.conf for a server on that host. */
export function bridgedNetdevConf(plan: LabPlan, host: BridgedHost, prefixLength: number): string {
  return [
    `# For a server on ${host.name} of the lab '${plan.name}'; written by 'wiredis lab up', removed by 'wiredis lab down'.`,
    `interface = ${host.device}`,
    `address = ${host.address}/${prefixLength}`,
    '',
  ].join('\n');
}

/** The default core of each host: two different ones where the machine has them. */
export function defaultCores(cores: number = cpus().length): Record<Host, number> {
  return { server: 0, client: cores > 1 ? 1 : 0 };
}

/** The netdev.conf for a server in this lab: over the veth or over the tap. */
export function netdevConf(plan: LabPlan, linkName: 'direct' | 'tap'): string {
  const link = plan.links[linkName];
  return [
    `# For a server in the lab '${plan.name}'; written by 'wiredis lab up', removed by 'wiredis lab down'.`,
    `interface = ${linkName === 'tap' ? plan.tapDevice : link.veth}`,
    ...(linkName === 'tap' ? ['engine = tap'] : []),
    `address = ${link.serverAddress}/${link.prefixLength}`,
    '',
  ].join('\n');
}

/** File name of that netdev.conf in the lab's directory. */
export function netdevFile(plan: LabPlan, linkName: 'direct' | 'tap'): string {
  return join(plan.directory, linkName === 'tap' ? 'netdev-tap.conf' : 'netdev.conf');
}
