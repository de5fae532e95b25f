// The other end of a veth, and what an interface leaves to its hardware: asked of ip(8) and ethtool(8), which people have.
import { readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { hasProgram, run } from '../lab/process.ts';

export interface VethPeer {
  readonly name: string;
  /** Words before a command that is to run where it is, with a blank behind; empty: here. */
  readonly enter: string;
  readonly mtu: number;
  readonly txQueues: number;
}

interface LinkRow {
  readonly ifindex: number;
  readonly ifname: string;
  readonly mtu: number;
  readonly num_tx_queues?: number;
  /** Of the other end, where that is in this namespace. */
  readonly link?: string;
  readonly link_index?: number;
  readonly link_netnsid?: number;
  readonly linkinfo?: { readonly info_kind?: string };
  /** The bridge or bond that it is a port of. */
  readonly master?: string;
}

interface AddressRow {
  readonly addr_info?: readonly { readonly scope: string }[];
}

/** What a program says as JSON; null: it is not there, or says nothing of the kind. */
async function ask<T>(words: readonly string[]): Promise<T | null> {
  if (!hasProgram(words[0])) return null;
  const { code, stdout } = await run(words);
  return code === 0 && /^[[{]/.test(stdout.trim()) ? (JSON.parse(stdout) as T) : null;
}

async function linkRow(name: string): Promise<LinkRow | undefined> {
  return (await ask<LinkRow[]>(['ip', '-j', '-d', 'link', 'show', 'dev', name]))?.[0];
}

/** The bridge or bond that an interface is a port of; null: none. */
export async function linkMaster(name: string): Promise<string | null> {
  return (await linkRow(name))?.master ?? null;
}

/**
 * The network namespaces, of those with a name, that have such an interface. Both ends of a veth may go by one
 * name: where the kernel has an address on some but not on others, it is the others.
 */
export async function namespacesOf(name: string): Promise<string[]> {
  const named = (await ask<{ name: string }[]>(['ip', '-j', 'netns', 'list'])) ?? [];
  const spare: string[] = [];
  const used: string[] = [];
  for (const { name: namespace } of named) {
    const rows = await ask<AddressRow[]>(['ip', '-n', namespace, '-j', 'address', 'show', 'dev', name]);
    if (rows === null) continue;
    const isUsed = rows.some(({ addr_info: addresses }) => addresses?.some(({ scope }) => scope !== 'link'));
    (isUsed ? used : spare).push(namespace);
  }
  return spare.length > 0 ? spare : used;
}

/** How a network namespace is entered that we know by number: by its name, or a process in it. Null: by neither. */
async function enterNamespace(id: number): Promise<string | null> {
  const named = await ask<{ nsid: number; name?: string }[]>(['ip', '-j', 'netns', 'list-id']);
  const name = named?.find(({ nsid }) => nsid === id)?.name;
  if (name !== undefined) return `ip netns exec ${name} `;
  const listed = await ask<{ namespaces: { netnsid: string | number; pid: number }[] }>([
    ...['lsns', '-J', '-t', 'net', '-o', 'NETNSID,PID'],
  ]);
  const pid = listed?.namespaces.find(({ netnsid }) => String(netnsid) === String(id))?.pid;
  return pid === undefined ? null : `nsenter --net --target ${pid} `;
}

/** Name of the driver, or the kind of a virtual interface; empty: unknown. */
export async function driverOf(name: string): Promise<string> {
  try {
    return basename(readlinkSync(`/sys/class/net/${name}/device/driver`));
  } catch {
    const row = await linkRow(name);
    return row?.linkinfo?.info_kind ?? '';
  }
}

/**
 * The other end of a veth: null when the interface is none, 'elsewhere' when it is in a network namespace that we may
 * not look into.
 */
export async function vethPeer(name: string): Promise<VethPeer | 'elsewhere' | null> {
  const row = await linkRow(name);
  if (row?.linkinfo?.info_kind !== 'veth') return null;
  if (row.link !== undefined) {
    const peer = await linkRow(row.link);
    return peer === undefined ? 'elsewhere' : peerOf(peer, '');
  }
  const enter = row.link_netnsid === undefined ? null : await enterNamespace(row.link_netnsid);
  if (enter === null) return 'elsewhere';
  const there = await ask<LinkRow[]>([...enter.trim().split(' '), 'ip', '-j', '-d', 'link', 'show']);
  const peer = there?.find(({ ifindex }) => ifindex === row.link_index);
  return peer === undefined ? 'elsewhere' : peerOf(peer, enter);
}

function peerOf({ ifname, mtu, num_tx_queues: txQueues = 1 }: LinkRow, enter: string): VethPeer {
  return { name: ifname, enter, mtu, txQueues };
}

/** `tx-checksumming` -> true, as `ethtool -k` tells; empty: it cannot be asked. @param before words that go there. */
export async function features(before: string, name: string): Promise<ReadonlyMap<string, boolean>> {
  const enter = before.split(' ').filter(Boolean);
  if (!hasProgram('ethtool')) return new Map();
  const { stdout } = await run([...enter, 'ethtool', '-k', name]);
  return new Map(
    [...stdout.matchAll(/^\s*([a-z0-9-]+): (on|off)/gm)].map(([, feature, state]) => [feature, state === 'on']),
  );
}
