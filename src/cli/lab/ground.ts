// What building any lab needs: commands in its namespaces, as root or by the holder, and the notes of what could not be had. For
// build.ts and build-bridge.ts.
import { sleep } from '../../platform/sleep.ts';
import { CliError } from '../tool.ts';
import { enterWords, type Holder } from './privilege.ts';
import { must, type Result, run } from './process.ts';

/**
 * Sysctls of every host: no IPv6 neighbour noise, a kernel that answers ARP only for the interface asked, and flows that stay in
 * their queue of a veth after a retransmission timeout, as a NIC's hash keeps them.
 */
const QUIET = [
  'net.ipv6.conf.all.disable_ipv6=1',
  'net.ipv6.conf.default.disable_ipv6=1',
  'net.ipv4.conf.all.arp_ignore=1',
  'net.ipv4.conf.all.arp_announce=2',
  'net.ipv4.conf.all.rp_filter=0',
  'net.ipv4.conf.default.rp_filter=0',
  'net.core.txrehash=0',
];

/** How often a link is looked at until it is up, and the pause between. */
const CARRIER_LOOKS = 300;
const CARRIER_LOOK_MS = 30;

/** One end of a veth. */
export interface VethEnd {
  readonly namespace: string;
  readonly device: string;
  /** The kernel's address on it, with its prefix length; absent: none. */
  readonly address?: string;
  /** Real checksums and frames no longer than the MTU leave here: the other end is read by a stack of ours, or by a bridge. */
  readonly plain: boolean;
}

export class Ground {
  readonly holder: Holder | null;
  readonly progress: (line: string) => void;
  readonly warnings: string[] = [];

  constructor(holder: Holder | null, progress: (line: string) => void) {
    this.holder = holder;
    this.progress = progress;
  }

  warn(line: string): void {
    this.warnings.push(line);
    this.progress(`note: ${line}`);
  }

  warnWithoutRoot(): void {
    if (this.holder === null) return;
    this.warn('no root: using a user namespace; AF_XDP and receive steering need root, so speed is not comparable');
  }

  ip(...words: string[]): Promise<string> {
    return must([...enterWords(this.holder), 'ip', ...words]);
  }

  tryIp(...words: string[]): Promise<Result> {
    return run([...enterWords(this.holder), 'ip', ...words]);
  }

  /** Shell lines in a namespace. */
  inside(namespace: string, script: string): Promise<string> {
    return must(this.#insideWords(namespace, script));
  }

  tryInside(namespace: string, script: string): Promise<Result> {
    return run(this.#insideWords(namespace, script));
  }

  async makeNamespace(namespace: string): Promise<void> {
    await this.ip('netns', 'add', namespace);
    await this.ip('-n', namespace, 'link', 'set', 'lo', 'up');
    // Without IPv6 in the kernel those two names do not exist: nothing to silence then.
    await this.inside(namespace, `sysctl -q -e -w ${QUIET.join(' ')} || true`);
  }

  async makeVeth(first: VethEnd, second: VethEnd, queueCount = 1): Promise<void> {
    const queues = ['numrxqueues', String(queueCount), 'numtxqueues', String(queueCount)];
    await this.ip(
      ...['link', 'add', first.device, 'netns', first.namespace, ...queues, 'type', 'veth'],
      ...['peer', 'name', second.device, 'netns', second.namespace, ...queues],
    );
    for (const { namespace, device, address, plain } of [first, second]) {
      if (plain) await this.inside(namespace, `ethtool -K ${device} tx off tso off gso off gro off sg off >/dev/null`);
      if (address !== undefined) await this.ip('-n', namespace, 'address', 'add', address, 'dev', device);
      await this.ip('-n', namespace, 'link', 'set', device, 'up');
      await this.likeOthers(namespace, device);
    }
  }

  /**
   * What is the same on every machine, as far as this kernel has it. A queue of packets, as every NIC has: without one a veth drops
   * what its peer's ring of 256 frames has no room for; Linux 6.16 and later wait then. CUBIC, most kernels' default, by the routes:
   * a namespace may not choose it for itself.
   */
  async likeOthers(namespace: string, device: string): Promise<void> {
    await this.tryInside(namespace, `tc qdisc replace dev ${device} root pfifo_fast`);
    const routes = `ip -4 route show dev ${device} proto kernel | sed 's/ linkdown//'`;
    const replace = `ip route replace $route dev ${device} proto kernel congctl cubic`;
    await this.tryInside(namespace, `${routes} | while read -r route; do ${replace}; done`);
  }

  /** The kernel may take a second to notice that both ends of a link are up, and drops what is sent before. */
  async awaitCarrier(namespace: string, devices: readonly string[]): Promise<void> {
    const files = devices.map((device) => `/sys/class/net/${device}/operstate`).join(' ');
    const script = `[ "$(cat ${files} | sort -u)" = up ]`;
    for (let look = 0; (await this.tryInside(namespace, script)).code !== 0; look++) {
      if (look === CARRIER_LOOKS) throw new CliError('NO_CARRIER', `links in ${namespace} do not come up: see 'dmesg'`);
      await sleep(CARRIER_LOOK_MS);
    }
  }

  #insideWords(namespace: string, script: string): string[] {
    return [...enterWords(this.holder), 'ip', 'netns', 'exec', namespace, 'sh', '-c', script];
  }
}
