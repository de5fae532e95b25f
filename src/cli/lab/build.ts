// Building a lab, step by step: namespaces, three links (or a bridge, build-bridge.ts), offloads, addresses, steering,
// notes. A failure on the way, or a Ctrl-C, takes down what was made. Links that need something this machine lacks (a
// tap device, a bridge) are left out and named.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CliError } from '../tool.ts';
import { buildBridge } from './build-bridge.ts';
import { Ground } from './ground.ts';
import { isComplete, Lab, type LabNotes, namespacesOf, readNotes, takeDown, upCommand } from './lab.ts';
import {
  type BridgePlan,
  type Host,
  type LabPlan,
  type LinkName,
  type LinkPlan,
  netdevConf,
  netdevFile,
  planBridge,
  planLab,
} from './plan.ts';
import { holderLives, isPrivileged, startHolder } from './privilege.ts';
import { requirePrograms } from './process.ts';
import { packetSteeringScript, threadedNapiScript } from './steering.ts';

export interface BuildOptions {
  readonly name: string;
  readonly cores: Readonly<Record<Host, number>>;
  /** 0, the default: the server's and the client's host, with a link for each path; else so many server hosts on one bridge. */
  readonly hosts?: number;
  /** Receive and transmit queues of the direct link. */
  readonly queues?: number;
  readonly progress: (line: string) => void;
}

const HOSTS: readonly Host[] = ['server', 'client'];

/**
 * Makes the lab, or returns the one that is up already under this name.
 * @throws CliError with one line that says what is missing.
 */
export async function buildLab(options: BuildOptions): Promise<Lab> {
  requirePrograms(['ip', 'ethtool', 'taskset', ...(isPrivileged() ? [] : ['unshare', 'nsenter'])]);
  const { name, progress } = options;
  const plan = planLab(name);
  const existing = await Lab.attach(name).catch((error) => {
    if (error instanceof CliError) return null;
    throw error;
  });
  if (existing !== null) {
    const hosts = existing.notes.bridge?.hosts.length ?? 0;
    if (hosts !== (options.hosts ?? 0)) {
      throw new CliError(
        'LAB_EXISTS',
        `lab '${name}' is up already, another kind: 'wiredis lab down' first, or --name`,
      );
    }
    progress(`lab '${name}' is up already`);
    return existing;
  }
  if (await takeDown(name, progress)) progress('removed what was left of an earlier lab');

  let interrupted = false;
  const interrupt = (): void => void (interrupted = true);
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  const ground = new Ground(isPrivileged() ? null : await startHolder(), progress);
  const builder = new Builder(plan, options, ground);
  try {
    const lab = await builder.build();
    if (interrupted) throw new CliError('INTERRUPTED', 'interrupted');
    return lab;
  } catch (error) {
    await builder.undo();
    throw error;
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}

class Builder {
  readonly #plan: LabPlan;
  readonly #options: BuildOptions;
  readonly #ground: Ground;

  constructor(plan: LabPlan, options: BuildOptions, ground: Ground) {
    this.#plan = plan;
    this.#options = options;
    this.#ground = ground;
  }

  async build(): Promise<Lab> {
    this.#ground.warnWithoutRoot();
    mkdirSync(this.#plan.directory, { recursive: true });
    this.#writeNotes({}); // so that `down` finds the holder of a half-made lab
    const { hosts = 0 } = this.#options;
    if (hosts === 0) return new Lab(this.#plan, this.#writeNotes({ links: await this.#buildPair() }));
    const bridge = planBridge(this.#plan, hosts);
    await buildBridge(this.#plan, bridge, this.#ground);
    return new Lab(this.#plan, this.#writeNotes({ bridge }));
  }

  async undo(): Promise<void> {
    await takeDown(this.#plan.name, this.#ground.progress);
  }

  /** Two hosts and three links. */
  async #buildPair(): Promise<LinkName[]> {
    const { namespaces } = this.#plan;
    const { direct, kernel, tap } = this.#plan.links;
    for (const host of HOSTS) await this.#ground.makeNamespace(namespaces[host]);
    this.#ground.progress(`hosts: namespaces ${HOSTS.map((host) => namespaces[host]).join(' and ')}`);

    const links: LinkName[] = ['direct', 'kernel'];
    await this.#makeVeth(direct);
    await this.#makeVeth(kernel);
    if (await this.#makeTap(tap)) links.push('tap');
    await this.#steer();
    for (const host of HOSTS) await this.#ground.awaitCarrier(namespaces[host], [direct.veth, kernel.veth]);

    writeFileSync(netdevFile(this.#plan, 'direct'), netdevConf(this.#plan, 'direct'));
    if (links.includes('tap')) writeFileSync(netdevFile(this.#plan, 'tap'), netdevConf(this.#plan, 'tap'));
    this.#ground.progress(`netdev.conf for a server here: ${netdevFile(this.#plan, 'direct')}`);
    return links;
  }

  /**
   * A veth between the hosts. The kernel path keeps what kernels use between themselves: nobody should win by crippling it. On
   * ours the client's end has to send plain segments, which is all that XDP and rings are shown; the server's is as it comes.
   */
  async #makeVeth(link: LinkPlan): Promise<void> {
    const { namespaces } = this.#plan;
    const isKernels = link.serverOwner === 'kernel';
    const [server, client] = HOSTS.map((host) => {
      const address = `${host === 'client' ? link.clientAddress : link.serverAddress}/${link.prefixLength}`;
      const end = { namespace: namespaces[host], device: link.veth, plain: !isKernels && host === 'client' };
      return host === 'client' || isKernels ? { ...end, address } : end;
    });
    await this.#ground.makeVeth(server, client, link.name === 'direct' ? this.#options.queues : 1);
    const owner = isKernels ? "the kernel's" : 'free for wiredis-server';
    this.#ground.progress(`link ${link.veth}: server ${link.serverAddress} (${owner}), client ${link.clientAddress}`);
  }

  /** A tap on the server's side, bridged to a veth. @returns false, with a warning, where it cannot be had. */
  async #makeTap(link: LinkPlan): Promise<boolean> {
    const { tapDevice, bridge, namespaces } = this.#plan;
    const { server, client } = namespaces;
    const ground = this.#ground;
    const attempts = [
      ['tuntap', 'add', 'dev', tapDevice, 'mode', 'tap'],
      ['link', 'add', bridge, 'type', 'bridge', 'forward_delay', '0', 'mcast_snooping', '0'],
    ];
    for (const attempt of attempts) {
      const result = await ground.tryIp('-n', server, ...attempt);
      if (result.code !== 0) {
        await ground.tryIp('-n', server, 'link', 'del', tapDevice);
        ground.warn(`no tap link here: ${result.stderr.trim().split('\n', 1)[0]}`);
        return false;
      }
    }
    const peer = ['peer', 'name', link.veth, 'netns', client];
    await ground.ip('link', 'add', link.veth, 'netns', server, 'type', 'veth', ...peer);
    await ground.ip('-n', client, 'address', 'add', `${link.clientAddress}/${link.prefixLength}`, 'dev', link.veth);
    await ground.ip('-n', client, 'link', 'set', link.veth, 'up');
    await ground.likeOthers(client, link.veth);
    for (const port of [link.veth, tapDevice]) await ground.ip('-n', server, 'link', 'set', port, 'master', bridge);
    for (const device of [link.veth, tapDevice, bridge]) await ground.ip('-n', server, 'link', 'set', device, 'up');
    ground.progress(
      `link ${tapDevice}: server ${link.serverAddress}, client ${link.clientAddress}, bridged to ${link.veth}`,
    );
    return true;
  }

  async #steer(): Promise<void> {
    const ground = this.#ground;
    if (ground.holder !== null) return;
    const { namespaces, links } = this.#plan;
    const { cores } = this.#options;
    for (const host of HOSTS) {
      for (const { veth } of Object.values(links)) {
        const script = packetSteeringScript(veth, cores[host]);
        const result = await ground.tryInside(namespaces[host], `[ ! -e /sys/class/net/${veth} ] || { ${script}; }`);
        if (result.code !== 0) ground.warn(`no receive steering on ${veth} of the ${host}: ${result.stderr.trim()}`);
      }
    }
    const device = links.direct.veth;
    const threaded = await ground.tryInside(namespaces.server, threadedNapiScript(device));
    if (threaded.code !== 0) ground.warn(`no threaded NAPI on ${device}: ${threaded.stderr.trim()}`);
    const { server, client } = cores;
    ground.progress(
      server === client
        ? `steering: one core only, ${server}, for both hosts: speed is not comparable`
        : `steering: server on core ${server}, client on core ${client}`,
    );
  }

  #writeNotes(made: { readonly links?: readonly LinkName[]; readonly bridge?: BridgePlan }): LabNotes {
    const { holder, warnings } = this.#ground;
    const notes: LabNotes = {
      holder,
      cores: this.#options.cores,
      links: made.links ?? [],
      bridge: made.bridge ?? null,
      warnings,
    };
    writeFileSync(join(this.#plan.directory, 'lab.json'), `${JSON.stringify(notes, null, 2)}\n`);
    return notes;
  }
}

/** One line on whether the lab is up, for `status`. */
export async function describeState(name: string): Promise<{ readonly up: boolean; readonly line: string }> {
  const plan = planLab(name);
  const notes = readNotes(plan);
  if (notes?.holder && !holderLives(notes.holder)) {
    return { up: false, line: `lab '${name}' is gone, its notes are left: 'wiredis lab down' removes them` };
  }
  const existing = await namespacesOf(plan, notes?.holder ?? null);
  if (notes !== null && isComplete(plan, notes, existing)) return { up: true, line: `lab '${name}' is up` };
  if (existing.length === 0 && notes === null)
    return { up: false, line: `lab '${name}' is not up: ${upCommand(name)}` };
  return { up: false, line: `lab '${name}' is half-made: 'wiredis lab down' removes what is there` };
}
