// Who else on this host has to do with our address and port: the kernel, its routes and firewall, another process.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { listFirewall, missingResetRule } from '../../../io-engine/reset-rule.ts';
import { formatIpv4 } from '../../../stack/wire/ipv4.ts';
import { hasProgram, run } from '../lab/process.ts';
import { asRoot, type Check, fail, pass, swapValueCommand, warn } from './check.ts';
import { firstObstacle } from './firewall.ts';
import { cidr } from './host-addresses.ts';
import { processName } from './running-server.ts';

// --- addresses ---

const kernelAddress: Check = {
  name: 'address',
  look({ config, own, kernelAddresses, ownedByKernel, engine }) {
    if (config === null || own.length === 0) return null;
    const { interface: name } = config.engine;
    const texts = own.map(cidr).join(', ');
    if (engine === 'raw') {
      const lacking = own.find(
        ({ address }) => !kernelAddresses.some((one) => one.address === address && one.name === name),
      );
      if (lacking === undefined) return pass(`the kernel has ${texts}, as engine raw needs it`);
      const add = asRoot(`ip address add ${cidr(lacking)} dev ${name}`);
      return fail(`engine raw needs ${cidr(lacking)} to be the kernel's on ${name}`, add);
    }
    if (ownedByKernel === null) return pass(`${texts}: not the kernel's`);
    return fail(
      `the kernel has ${ownedByKernel.address} on ${ownedByKernel.name} and would answer with RST`,
      asRoot(`ip address del ${cidr(ownedByKernel)} dev ${ownedByKernel.name}`),
    );
  },
};

const kernelUse: Check = {
  name: 'kernel use',
  async look({ info, addressesBesides, engine }) {
    if (info === null || engine === 'tap' || engine === 'raw') return null;
    const { name } = info;
    if (addressesBesides.length === 0) return pass(`the kernel has no address on ${name}`);
    const texts = addressesBesides.map(cidr).join(', ');
    if ((await routeDevice('default')) === name) {
      return fail(
        `the kernel's default route goes over ${name} (${texts}): choose an interface that nothing else needs`,
      );
    }
    return fail(
      `the kernel uses ${name} with ${texts}, and would lose what goes over it`,
      asRoot(`ip address flush dev ${name} scope global`),
    );
  },
};

const bind: Check = {
  name: 'bind',
  look({ config, own, options, kernelAddresses, server }) {
    const { bind: wanted } = options;
    if (wanted === '' || server !== null) return null;
    const there = options.transport === 'kernel' ? kernelAddresses : own;
    const whose = options.transport === 'kernel' ? 'this host' : 'netdev.conf';
    if (there.some(({ address }) => address === wanted)) return pass(`${wanted} is an address of ${whose}`);
    if (there.length === 0) return null;
    const text = `--bind ${wanted} is no address of ${whose}, which has ${there.map(({ address }) => address).join(', ')}`;
    const alike = own.find(({ address }) => address.includes(':') === wanted.includes(':'));
    if (config === null || alike === undefined) return fail(text);
    return fail(text, swapValueCommand(options.netdev, 'address', alike.address, wanted));
  },
};

// --- the kernel beside us ---

function sysctl(name: string): number {
  try {
    return Number(readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8'));
  } catch {
    return 0;
  }
}

const forwarding: Check = {
  name: 'forwarding',
  look(situation) {
    const { info } = situation;
    // Only these let the kernel see our packets as well.
    if (info === null || situation.mayUse('afxdp') || !situation.mayUse('afpacket', 'pcap')) return null;
    const key = `net.ipv4.conf.${info.name}.forwarding`;
    if (sysctl(key) === 0) return pass('the kernel forwards nothing that comes for us');
    return warn(
      `the kernel forwards what comes in on ${info.name}: packets for us too, a second time`,
      asRoot(`sysctl -w ${key}=0`),
    );
  },
};

const STRICT = 1;

/** Over which device the kernel sends to an address, or its default; empty: it does not know. */
async function routeDevice(address: string): Promise<string> {
  if (!hasProgram('ip')) return '';
  const words = address === 'default' ? ['route', 'show', 'default'] : ['route', 'get', address];
  const { code, stdout } = await run(['ip', '-j', ...words]);
  if (code !== 0) return '';
  return (JSON.parse(stdout) as { dev?: string }[])[0]?.dev ?? '';
}

const rpFilter: Check = {
  name: 'rp_filter',
  async look({ info, engine, options }) {
    // The others take frames before the kernel routes them.
    if (info === null || (engine !== 'raw' && engine !== 'tap')) return null;
    const { name } = info;
    const key = (one: string): string => `net.ipv4.conf.${one}.rp_filter`;
    const filter = Math.max(sysctl(key('all')), sysctl(key(name)));
    if (filter !== STRICT) return pass(`the kernel takes packets on ${name} whichever way it would answer`);
    if (options.peers.length === 0)
      return pass(`strict, which is fine where answers leave by ${name} too (--peer ADDRESS looks)`);
    for (const peer of options.peers) {
      const device = await routeDevice(peer);
      if (device === name) continue;
      return fail(
        `the kernel drops what ${peer} sends to ${name}, as it would answer by ${device || 'no interface'} (rp_filter)`,
        asRoot(`sysctl -w ${key('all')}=2 ${key(name)}=2`),
      );
    }
    return pass(`strict, and ${options.peers.join(', ')} is answered by ${name}`);
  },
};

const firewall: Check = {
  name: 'firewall',
  async look({ config, engine, options }) {
    if (options.transport === 'kernel') return inputRules('', options.port, false);
    if (config === null) return null;
    const { interface: name } = config.engine;
    if (engine === 'raw') {
      const addresses = config.addresses.map(({ ip }) => formatIpv4(ip));
      const rule = missingResetRule(name, addresses, listFirewall());
      if (rule !== null)
        return fail(`a rule must drop the RSTs that the kernel sends from ${rule.address}`, asRoot(rule.command));
      return inputRules(name, options.port, false);
    }
    if (engine === 'tap') return inputRules(name, options.port, true);
    return pass('its rules are for what the kernel receives: not for us');
  },
};

/** @param fromPort whether packets come from our port (at the kernel's end of a tap) or go to it. */
async function inputRules(name: string, port: number, fromPort: boolean) {
  const found = await firstObstacle(name, port, fromPort);
  if (found === null)
    return pass(`no rule keeps ${fromPort ? 'our packets from this host' : `port ${port} from clients`}`);
  return fail(`${found.tool} drops what comes in: ${found.rule}`, asRoot(found.mend));
}

// --- other processes ---

/** The process that listens on a TCP port of the kernel's, as far as we may see. */
function listeningProcess(port: number): { readonly pid: number | null; readonly address: string } | null {
  for (const table of ['/proc/self/net/tcp', '/proc/self/net/tcp6']) {
    for (const line of readFileSync(table, 'utf8').split('\n').slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state !== '0A' || Number.parseInt(local.split(':')[1], 16) !== port) continue;
      return { pid: socketOwner(inode), address: local.split(':')[0] };
    }
  }
  return null;
}

function socketOwner(inode: string): number | null {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const descriptors = readdirSync(`/proc/${pid}/fd`);
      if (descriptors.some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`)) return Number(pid);
    } catch {
      // gone, or not ours to see
    }
  }
  return null;
}

const port: Check = {
  name: 'port',
  look({ options, engine, server }) {
    // Elsewhere the ports are our own stack's.
    if (server !== null || (options.transport !== 'kernel' && engine !== 'raw')) return null;
    const owner = listeningProcess(options.port);
    if (owner === null) return pass(`${options.port} is free`);
    if (owner.pid === null) return fail(`port ${options.port} is another process's: 'ss -ltnp' as root tells whose`);
    return fail(`port ${options.port} is ${processName(owner.pid)}'s (${owner.pid})`, asRoot(`kill ${owner.pid}`));
  },
};

const rivalServer: Check = {
  name: 'other server',
  look({ rival, info }) {
    if (rival === null || info === null) return null;
    const { pid } = rival.facts;
    return fail(
      `server ${pid} has ${info.name} already: 'wiredis doctor --server ${pid}' looks at it`,
      asRoot(`kill ${pid}`),
    );
  },
};

export const addressChecks: readonly Check[] = [
  kernelAddress,
  kernelUse,
  bind,
  forwarding,
  rpFilter,
  firewall,
  port,
  rivalServer,
];
