// Building a lab, step by step: namespaces, three links, offloads, addresses, steering, notes. A failure on the
// way, or a Ctrl-C, takes down what was made. Links that need something this machine lacks (a tap device, a bridge) are left out
// and named.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sleep } from '../../platform/sleep.ts';
import { CliError } from '../tool.ts';
import { Lab, type LabNotes, namespacesOf, readNotes, takeDown, upCommand } from './lab.ts';
import { type Host, type LabPlan, type LinkName, type LinkPlan, netdevConf, netdevFile, planLab } from './plan.ts';
import { enterWords, type Holder, holderLives, isPrivileged, startHolder } from './privilege.ts';
import { must, requirePrograms, run } from './process.ts';
import { packetSteeringScript, threadedNapiScript } from './steering.ts';

export interface BuildOptions {
  readonly name: string;
  readonly cores: Readonly<Record<Host, number>>;
  readonly progress: (line: string) => void;
}

const HOSTS: readonly Host[] = ['server', 'client'];

/** Sysctls of both hosts: no IPv6 neighbour noise, and a kernel that answers ARP only for the interface asked. */
const QUIET = [
  'net.ipv6.conf.all.disable_ipv6=1',
  'net.ipv6.conf.default.disable_ipv6=1',
  'net.ipv4.conf.all.arp_ignore=1',
  'net.ipv4.conf.all.arp_announce=2',
  'net.ipv4.conf.all.rp_filter=0',
  'net.ipv4.conf.default.rp_filter=0',
];

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
    progress(`lab '${name}' is up already`);
    return existing;
  }
  if (await takeDown(name, progress)) progress('removed what was left of an earlier lab');

  let interrupted = false;
  const interrupt = (): void => void (interrupted = true);
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  const builder = new Builder(plan, options, isPrivileged() ? null : await startHolder());
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
  readonly #cores: BuildOptions['cores'];
  readonly #progress: (line: string) => void;
  readonly #holder: Holder | null;
  readonly #warnings: string[] = [];

  constructor(plan: LabPlan, options: BuildOptions, holder: Holder | null) {
    this.#plan = plan;
    this.#cores = options.cores;
    this.#progress = options.progress;
    this.#holder = holder;
  }

  async build(): Promise<Lab> {
    const { direct, kernel, tap } = this.#plan.links;
    if (this.#holder !== null) {
      this.#warn('no root: using a user namespace; AF_XDP and receive steering need root, so speed is not comparable');
    }
    mkdirSync(this.#plan.directory, { recursive: true });
    this.#writeNotes([]); // so that `down` finds the holder of a half-made lab
    await this.#makeNamespaces();

    const links: LinkName[] = ['direct', 'kernel'];
    await this.#makeVeth(direct);
    await this.#makeVeth(kernel);
    if (await this.#makeTap(tap)) links.push('tap');
    await this.#steer();
    await this.#awaitCarrier([direct, kernel]);

    writeFileSync(netdevFile(this.#plan, 'direct'), netdevConf(this.#plan, 'direct'));
    if (links.includes('tap')) writeFileSync(netdevFile(this.#plan, 'tap'), netdevConf(this.#plan, 'tap'));
    this.#progress(`netdev.conf for a server here: ${netdevFile(this.#plan, 'direct')}`);
    return new Lab(this.#plan, this.#writeNotes(links));
  }

  async undo(): Promise<void> {
    await takeDown(this.#plan.name, this.#progress);
  }

  async #makeNamespaces(): Promise<void> {
    for (const host of HOSTS) {
      await this.#ip('netns', 'add', this.#plan.namespaces[host]);
      await this.#ip('-n', this.#plan.namespaces[host], 'link', 'set', 'lo', 'up');
      // Without IPv6 in the kernel those two names do not exist: nothing to silence then.
      await this.#inside(host, `sysctl -q -e -w ${QUIET.join(' ')} || true`);
    }
    this.#progress(`hosts: namespaces ${HOSTS.map((host) => this.#plan.namespaces[host]).join(' and ')}`);
  }

  /** A veth between the hosts, with real checksums and frames no longer than the MTU, in both directions. */
  async #makeVeth(link: LinkPlan): Promise<void> {
    const { server, client } = this.#plan.namespaces;
    const oneQueue = ['numrxqueues', '1', 'numtxqueues', '1'];
    await this.#ip(
      ...['link', 'add', link.veth, 'netns', server, ...oneQueue, 'type', 'veth'],
      ...['peer', 'name', link.veth, 'netns', client, ...oneQueue],
    );
    for (const host of HOSTS) {
      // The kernel path keeps what kernels use between themselves: nobody should win by crippling it.
      if (link.serverOwner === 'wiredis') {
        await this.#inside(host, `ethtool -K ${link.veth} tx off tso off gso off gro off sg off >/dev/null`);
      }
      const address = host === 'client' ? link.clientAddress : link.serverAddress;
      if (host === 'client' || link.serverOwner === 'kernel') {
        const namespace = this.#plan.namespaces[host];
        await this.#ip('-n', namespace, 'address', 'add', `${address}/${link.prefixLength}`, 'dev', link.veth);
      }
      await this.#ip('-n', this.#plan.namespaces[host], 'link', 'set', link.veth, 'up');
    }
    const owner = link.serverOwner === 'kernel' ? "the kernel's" : 'free for wiredis-server';
    this.#progress(`link ${link.veth}: server ${link.serverAddress} (${owner}), client ${link.clientAddress}`);
  }

  /** A tap on the server's side, bridged to a veth. @returns false, with a warning, where it cannot be had. */
  async #makeTap(link: LinkPlan): Promise<boolean> {
    const { tapDevice, bridge, namespaces } = this.#plan;
    const attempts = [
      ['tuntap', 'add', 'dev', tapDevice, 'mode', 'tap'],
      ['link', 'add', bridge, 'type', 'bridge', 'forward_delay', '0', 'mcast_snooping', '0'],
    ];
    for (const attempt of attempts) {
      const result = await run([...this.#enter(), 'ip', '-n', namespaces.server, ...attempt]);
      if (result.code !== 0) {
        await run([...this.#enter(), 'ip', '-n', namespaces.server, 'link', 'del', tapDevice]);
        this.#warn(`no tap link here: ${result.stderr.trim().split('\n', 1)[0]}`);
        return false;
      }
    }
    const { server, client } = namespaces;
    await this.#ip(
      'link',
      'add',
      link.veth,
      'netns',
      server,
      'type',
      'veth',
      'peer',
      'name',
      link.veth,
      'netns',
      client,
    );
    await this.#ip('-n', client, 'address', 'add', `${link.clientAddress}/${link.prefixLength}`, 'dev', link.veth);
    await this.#ip('-n', client, 'link', 'set', link.veth, 'up');
    for (const port of [link.veth, tapDevice]) await this.#ip('-n', server, 'link', 'set', port, 'master', bridge);
    for (const device of [link.veth, tapDevice, bridge]) await this.#ip('-n', server, 'link', 'set', device, 'up');
    this.#progress(
      `link ${tapDevice}: server ${link.serverAddress}, client ${link.clientAddress}, bridged to ${link.veth}`,
    );
    return true;
  }

  async #steer(): Promise<void> {
    if (this.#holder !== null) return;
    for (const host of HOSTS) {
      for (const link of Object.values(this.#plan.links)) {
        const script = packetSteeringScript(link.veth, this.#cores[host]);
        const result = await run(this.#insideWords(host, `[ ! -e /sys/class/net/${link.veth} ] || { ${script}; }`));
        if (result.code !== 0)
          this.#warn(`no receive steering on ${link.veth} of the ${host}: ${result.stderr.trim()}`);
      }
    }
    const device = this.#plan.links.direct.veth;
    const threaded = await run(this.#insideWords('server', threadedNapiScript(device)));
    if (threaded.code !== 0) this.#warn(`no threaded NAPI on ${device}: ${threaded.stderr.trim()}`);
    const { server, client } = this.#cores;
    this.#progress(
      server === client
        ? `steering: one core only, ${server}, for both hosts: speed is not comparable`
        : `steering: server on core ${server}, client on core ${client}`,
    );
  }

  /** The kernel may take a second to notice that both ends are up, and drops what is sent before. */
  async #awaitCarrier(links: readonly LinkPlan[]): Promise<void> {
    const files = links.map((link) => `/sys/class/net/${link.veth}/operstate`).join(' ');
    const script = `[ "$(cat ${files} | sort -u)" = up ]`;
    for (const host of HOSTS) {
      for (let attempt = 0; (await run(this.#insideWords(host, script))).code !== 0; attempt++) {
        if (attempt === 100) throw new CliError('NO_CARRIER', `the ${host}'s links do not come up: see 'dmesg'`);
        await sleep(30);
      }
    }
  }

  #writeNotes(links: readonly LinkName[]): LabNotes {
    const notes: LabNotes = { holder: this.#holder, cores: this.#cores, links, warnings: this.#warnings };
    writeFileSync(join(this.#plan.directory, 'lab.json'), `${JSON.stringify(notes, null, 2)}\n`);
    return notes;
  }

  #warn(line: string): void {
    this.#warnings.push(line);
    this.#progress(`note: ${line}`);
  }

  #enter(): string[] {
    return enterWords(this.#holder);
  }

  #ip(...words: string[]): Promise<string> {
    return must([...this.#enter(), 'ip', ...words]);
  }

  #insideWords(host: Host, script: string): string[] {
    return [...this.#enter(), 'ip', 'netns', 'exec', this.#plan.namespaces[host], 'sh', '-c', script];
  }

  #inside(host: Host, script: string): Promise<string> {
    return must(this.#insideWords(host, script));
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
  if (existing.length === 2 && notes !== null && notes.links.length > 0)
    return { up: true, line: `lab '${name}' is up` };
  if (existing.length === 0 && notes === null)
    return { up: false, line: `lab '${name}' is not up: ${upCommand(name)}` };
  return { up: false, line: `lab '${name}' is half-made: 'wiredis lab down' removes what is there` };
}
