// netdev.conf, and the interface that it names.
import { existsSync, readFileSync } from 'node:fs';
import { carriesParts } from '../../../io-engine/af-xdp.ts';
import { findInterface, listInterfaces, queuesCommand, receiveQueues } from '../../../io-engine/linux/interfaces.ts';
import { WHOLE_MTU_MAX } from '../../../io-engine/linux/xsk-memory.ts';
import { NetdevConfigError } from '../../../stack/config.ts';
import { KEY_NAMES } from '../../../stack/config-schema.ts';
import { formatMac } from '../../../stack/wire/ethernet.ts';
import { nearestName } from '../tool.ts';
import { asRoot, type Check, type Finding, fail, pass, setKeyCommand, warn, writeCommand } from './check.ts';
import { driverOf, features, linkMaster, namespacesOf, vethPeer } from './link.ts';
import { processName } from './running-server.ts';
import type { Situation } from './situation.ts';
import { xdpOwner } from './xdp-owner.ts';

// --- the file ---

const netdevConf: Check = {
  name: 'netdev.conf',
  look(situation) {
    const { options, problem, config } = situation;
    if (options.transport === 'kernel') return null;
    if (problem instanceof NetdevConfigError) return fail(problem.message, lineCommand(problem, situation));
    if (problem !== null)
      return fail(
        `cannot read ${options.netdev} (${(problem as NodeJS.ErrnoException).code}): name yours with --netdev FILE`,
      );
    return pass(`${options.netdev}: interface ${config!.engine.interface}, engine ${config!.engine.engine}`);
  },
};

function lineCommand({ code, file, line, message }: NetdevConfigError, situation: Situation): string | undefined {
  if (code === 'MISSING_KEY' && message.includes("'interface'")) {
    const [only, ...others] = spareInterfaces(situation);
    return only === undefined || others.length > 0 ? undefined : setKeyCommand(file, 'interface', only);
  }
  if (line === 0) return undefined;
  const key = /'([^']+)' is not a key/.exec(message)?.[1];
  const meant = key === undefined ? null : nearestName(key, KEY_NAMES);
  return meant === null ? `sed -i '${line}d' ${file}` : `sed -i '${line}s/${key}/${meant}/' ${file}`;
}

/** Interfaces that the kernel has no address on. */
function spareInterfaces({ kernelAddresses }: Situation): string[] {
  const used = kernelAddresses.filter(({ isLinkLocal }) => !isLinkLocal).map(({ name }) => name);
  return listInterfaces().filter(
    (name) => !used.includes(name) && findInterface(name)?.isEthernet === true && name !== 'lo',
  );
}

// --- the interface ---

const interfaceThere: Check = {
  name: 'interface',
  async look(situation) {
    const { config, info, engine } = situation;
    if (config === null) return null;
    const name = config.engine.interface;
    if (info !== null) {
      if (info.isEthernet || engine === 'raw')
        return pass(`${name}, ${info.isEthernet ? formatMac(info.mac, 0) : 'not Ethernet'}`);
      return fail(
        `${name} is not Ethernet: only engine raw can use it`,
        setKeyCommand(situation.options.netdev, 'engine', 'raw'),
      );
    }
    if (engine === 'tap') return pass(`${name} is not there yet: engine tap makes it`);
    const elsewhere = await namespacesOf(name);
    if (elsewhere.length > 0) return fail(inNamespaces(name, elsewhere));
    const there = listInterfaces().filter((one) => one !== 'lo');
    const spare = spareInterfaces(situation);
    const meant = nearestName(name, spare) ?? (spare.length === 1 ? spare[0] : null);
    const text = `there is no interface ${name}; there are: ${there.join(', ') || 'none'}`;
    return meant === null ? fail(text) : fail(text, setKeyCommand(situation.options.netdev, 'interface', meant));
  },
};

function inNamespaces(name: string, namespaces: readonly string[]): string {
  const [only, ...others] = namespaces;
  const enter = asRoot(`ip netns exec ${others.length === 0 ? only : 'NAME'}`);
  const which = others.length === 0 ? `namespace ${only}` : `namespaces ${namespaces.join(' and ')}`;
  return `${name} is in network ${which}: put '${enter}' before doctor's and the server's command`;
}

const link: Check = {
  name: 'link',
  async look(situation) {
    const { info, engine } = situation;
    if (info === null) return null;
    const { name } = info;
    // The tap engine brings its device up, and is its carrier.
    if (engine === 'tap') return null;
    if (!info.isUp) return fail(`${name} is down`, asRoot(`ip link set ${name} up`));
    if (info.isRunning) return pass(`${name} is up and has a carrier`);
    const peer = await vethPeer(name);
    if (peer === null) return unplugged(situation, name);
    if (peer === 'elsewhere')
      return fail(`${name} has no carrier: its other end, in another network namespace, is down`);
    return fail(
      `${name} has no carrier: its other end, ${peer.name}, is down`,
      asRoot(`${peer.enter}ip link set ${peer.name} up`),
    );
  },
};

/** Nobody but a person can put a cable in; another interface may have one. */
function unplugged(situation: Situation, name: string): Finding {
  const text = `${name} has no carrier: is the cable in, and the switch's port on?`;
  // Bridges, and what belongs to one or to a bond, are in use.
  const isUsed = (one: string): boolean =>
    ['master', 'bridge'].some((use) => existsSync(`/sys/class/net/${one}/${use}`));
  const plugged = spareInterfaces(situation).filter(
    (one) => one !== name && !isUsed(one) && findInterface(one)?.isRunning === true,
  );
  if (plugged.length === 1) {
    const [other] = plugged;
    return fail(`${text} ${other} has one`, setKeyCommand(situation.options.netdev, 'interface', other));
  }
  const others = plugged.length === 0 ? '' : ` ${plugged.join(', ')} have one;`;
  const wait = `timeout 120 sh -c 'until grep -q 1 /sys/class/net/${name}/carrier; do sleep 1; done'`;
  return fail(`${text}${others} the command waits until it is`, wait);
}

const port: Check = {
  name: 'bridge',
  async look({ info, engine }) {
    if (info === null || engine === 'tap' || engine === 'raw') return null;
    const master = await linkMaster(info.name);
    if (master === null) return pass(`${info.name} belongs to no bridge or bond`);
    const text = `${info.name} is a port of ${master}: the kernel uses its frames too, and sends its own`;
    return fail(text, asRoot(`ip link set ${info.name} nomaster`));
  },
};

const xdp: Check = {
  name: 'XDP program',
  async look(situation) {
    const { info, server, rival } = situation;
    if (info === null || server !== null || rival !== null || !situation.mayUse('afxdp')) return null;
    const owner = await xdpOwner(info.name, info.index);
    if (owner === null) return pass(`none on ${info.name} yet`);
    const { pid } = owner;
    const whose = pid === null ? 'has an XDP program' : `has an XDP program of ${processName(pid)} (${pid})`;
    const text = `${info.name} ${whose}: there can be one`;
    const mend = asRoot(pid === null ? `ip link set ${info.name} xdp off` : `kill ${pid}`);
    return situation.engine === 'afxdp' ? fail(text, mend) : warn(`${text}, afpacket is used`, mend);
  },
};

/** At most what XDP takes everywhere. */
const SAFE_MTU = 1500;

const driver: Check = {
  name: 'driver',
  async look(situation) {
    const { info } = situation;
    if (info === null) return null;
    const kind = (await driverOf(info.name)) || 'unknown';
    const stack = situation.server?.stack ?? (await openedFacts(situation));
    const used =
      stack === null ? '' : `; engine ${stack.engine}${stack.engineMode === '' ? '' : `, ${stack.engineMode}`}`;
    if (stack?.engineMode.includes('generic') !== true) return pass(`driver ${kind}${used}`);
    const text = `driver ${kind}${used}: the kernel still makes a buffer of every frame`;
    const peer = await vethPeer(info.name);
    if (peer === null || peer === 'elsewhere') return warn(text);
    const { name, enter } = peer;
    if (peer.txQueues > 1) {
      const mend = asRoot(`${enter}ethtool -L ${name} tx 1`);
      return warn(`${text}; ${name}, its other end, must not send by more queues than it receives by`, mend);
    }
    // Up to Linux 5.17.
    if (peer.mtu <= WHOLE_MTU_MAX) return warn(text);
    const mend = asRoot(`${enter}ip link set ${name} mtu ${Math.min(info.mtu, SAFE_MTU)}`);
    return warn(`${text}; the mtu of ${name}, its other end, is too large for more`, mend);
  },
};

async function openedFacts(situation: Situation) {
  const opened = await situation.open();
  return opened !== null && 'transport' in opened ? opened.transport.stackFacts() : null;
}

/** Whether AF_XDP carries such packets. Where it cannot be asked, others say why. */
function hasRoom(packetLength: number): boolean {
  if (packetLength <= WHOLE_MTU_MAX) return true;
  try {
    return carriesParts();
  } catch {
    return true;
  }
}

const mtu: Check = {
  name: 'mtu',
  look({ config, info, engine, options }) {
    if (config === null || info === null || engine === 'tap') return null;
    const wanted = config.engine.mtu || info.mtu;
    if (wanted > info.mtu) {
      return fail(
        `mtu ${wanted} is more than the interface's own ${info.mtu}`,
        asRoot(`ip link set ${info.name} mtu ${wanted}`),
      );
    }
    if ((engine === 'afxdp' || engine === 'auto') && !hasRoom(wanted)) {
      const text = `afxdp has no room for frames of ${wanted} bytes before Linux 6.6, 3500 are always fine`;
      const lower =
        config.engine.mtu > 0
          ? setKeyCommand(options.netdev, 'mtu', '1500')
          : asRoot(`ip link set ${info.name} mtu 1500`);
      return engine === 'afxdp' ? fail(text, lower) : warn(`${text}: afpacket is used`, lower);
    }
    return pass(`packets of up to ${wanted} bytes`);
  },
};

// --- who receives, and what is left to the hardware ---

const queues: Check = {
  name: 'queues',
  look(situation) {
    const { info, engine, workers } = situation;
    if (info === null || !situation.mayUse('afxdp')) return null;
    const count = receiveQueues(info.name);
    const counted = count === 1 ? 'one receive queue' : `${count} receive queues`;
    if (count === workers) return pass(`${info.name} has ${counted}${workers === 1 ? '' : ', one a worker'}`);
    const read = workers === 1 ? 'one' : `${workers}, one a worker`;
    const text = `${info.name} spreads frames over ${counted} and afxdp reads ${read}`;
    const mend = asRoot(queuesCommand(info.name, workers));
    return engine === 'afxdp' ? fail(text, mend) : warn(`${text}: afpacket is used`, mend);
  },
};

const steering: Check = {
  name: 'steering',
  look({ info, config }) {
    if (info === null || config === null) return null;
    const path = `/sys/class/net/${info.name}/queues/rx-0/rps_cpus`;
    let mask = '';
    try {
      mask = readFileSync(path, 'utf8').trim();
    } catch {
      return null;
    }
    const cores = coresOf(mask);
    if (cores.length === 0) return pass('frames are received on the core that their interrupt comes to');
    if (cores.length === 1) return pass(`frames are received on core ${cores[0]}`);
    return warn(
      `the kernel hands received frames around cores ${cores.join(', ')} (rps_cpus); one keeps caches warm`,
      writeCommand(path, (1n << BigInt(cores.at(-1)!)).toString(16)),
    );
  },
};

/** `3` -> 0, 1; groups of 32 bits are parted by commas. */
export function coresOf(mask: string): number[] {
  const bits = BigInt(`0x${mask.replaceAll(',', '') || '0'}`);
  return Array.from({ length: bits.toString(2).length }, (_, i) => i).filter((i) => ((bits >> BigInt(i)) & 1n) === 1n);
}

const OFFLOADS_OFF = 'tx off tso off gso off';

const offloads: Check = {
  name: 'offloads',
  async look(situation) {
    const { info, config } = situation;
    if (info === null || config === null || situation.engine === 'tap') return null;
    const peer = await vethPeer(info.name);
    if (peer === null) return ownTags(situation);
    if (peer === 'elsewhere') {
      const command = `ethtool -K IF ${OFFLOADS_OFF}`;
      return warn(
        `${info.name} is a veth whose other end cannot be seen; it must fill in checksums: '${command}' there`,
      );
    }
    const fault = peerFault(situation, await features(peer.enter, peer.name));
    const end = `${peer.name}, the other end of ${info.name},`;
    if (fault === null) return pass(`${end} sends whole frames`);
    return fail(`${end} ${fault.text}`, asRoot(`${peer.enter}ethtool -K ${peer.name} ${fault.off}`));
  },
};

/** What the other end of a veth leaves to hardware that is not there, and what `ethtool -K` has to switch off. */
function peerFault(situation: Situation, on: ReadonlyMap<string, boolean>): { text: string; off: string } | null {
  const { config } = situation;
  const isOn = (feature: string): boolean => on.get(feature) === true;
  if (isOn('tx-checksumming') && config?.rxChecksum !== 'trust' && situation.mayUse('afxdp', 'pcap', 'raw')) {
    return { text: 'leaves TCP checksums out', off: OFFLOADS_OFF };
  }
  const isSegmenting = isOn('tcp-segmentation-offload') || isOn('generic-segmentation-offload');
  if (isSegmenting && situation.engine !== 'raw') {
    return { text: 'sends segments longer than a frame', off: OFFLOADS_OFF };
  }
  if (isOn('tx-vlan-offload') && config?.vlan !== 0 && situation.mayUse('afxdp')) {
    return { text: 'keeps VLAN tags beside its frames', off: 'txvlan off' };
  }
  return null;
}

/** A NIC that takes VLAN tags off hides them from XDP. */
async function ownTags(situation: Situation): Promise<Finding | null> {
  const { config, info } = situation;
  if (config === null || info === null || config.vlan === 0 || !situation.mayUse('afxdp')) return null;
  const own = await features('', info.name);
  if (own.get('rx-vlan-offload') !== true) return null;
  return fail(`${info.name} takes VLAN tags off before XDP sees them`, asRoot(`ethtool -K ${info.name} rxvlan off`));
}

export const interfaceChecks: readonly Check[] = [
  netdevConf,
  interfaceThere,
  link,
  port,
  xdp,
  mtu,
  queues,
  steering,
  offloads,
  driver,
];
