// What the network says, asked over the very engine and stack that the server will use, or uses: does it open, has
// somebody our address, do gateway and peer answer, how large may packets be.
import { formatIpv4, parseIpv4Address } from '../../../stack/wire/ipv4.ts';
import type { ProbeFacts } from '../../transports/userspace.ts';
import {
  addKeyCommand,
  type Check,
  type Finding,
  fail,
  pass,
  setKeyCommand,
  swapValueCommand,
  together,
  warn,
} from './check.ts';
import { cidr, gateways } from './host-addresses.ts';
import type { Situation } from './situation.ts';

const engine: Check = {
  name: 'engine',
  async look(situation) {
    const { server, config } = situation;
    if (server?.stack)
      return pass(`${server.stack.engine} on ${server.stack.interface}, in use by server ${server.facts.pid}`);
    if (config === null) return null;
    const opened = await situation.open();
    const later = 'before what is named above is mended';
    if (opened === null) return warn(`not tried ${later}`);
    if ('error' in opened) {
      // Said by the check for that.
      if (opened.error.code === 'EADDRINUSE') return pass(`${config.engine.engine} opens`);
      const { message } = opened.error;
      return situation.hasFailed ? warn(`does not open ${later}: ${message}`) : fail(message, commandOf(message));
    }
    const { engine: name, interface: device } = opened.transport.stackFacts();
    const why = opened.said.find((line) => line.startsWith('engine '));
    const not = situation.options.workers > 1 && situation.mayUse('afxdp') ? "; afxdp is the workers' to open" : '';
    return why === undefined ? pass(`${name} opens on ${device}${not}`) : warn(why);
  },
};

/** The errors of engines name the command behind a colon. */
export function commandOf(message: string): string | undefined {
  const command = /: (?:sudo )?((?:ip|ethtool|modprobe|ulimit|nft|iptables) .*?)(?:, or .*)?$/.exec(message)?.[1];
  return command;
}

/** How many addresses behind the taken one are tried. */
const FREE_TRIES = 8;

const taken: Check = {
  name: 'taken',
  async look(situation) {
    const { config, options } = situation;
    if (config === null || config.addressCheckMs === 0 || config.dhcp || situation.engine === 'raw') return null;
    const opened = await situation.open();
    if (opened === null || ('error' in opened && opened.error.code !== 'EADDRINUSE')) return null;
    if (!('error' in opened)) return pass('nobody else answers for our addresses');
    const other = /: (\S+) is at (\S+);/.exec(opened.error.message);
    const text = other === null ? opened.error.message : `another host has ${other[1]}: ${other[2]}`;
    const free = await freeAddress(situation);
    const [own] = situation.own;
    if (free === null) return fail(text);
    return fail(`${text}; ${free} is free`, swapValueCommand(options.netdev, 'address', cidr(own), free));
  },
};

/** The next address of the network that nobody answers for, with its prefix length. */
async function freeAddress(situation: Situation): Promise<string | null> {
  const { config, options } = situation;
  const [own] = config?.addresses ?? [];
  if (config === null || own === undefined) return null;
  const mask = own.prefixLength === 0 ? 0 : -1 << (32 - own.prefixLength);
  const used = [config.gateway ?? 0, ...options.peers.map((one) => parseIpv4Address(one) ?? 0)];
  for (let i = 1; i <= FREE_TRIES; i++) {
    const ip = (own.ip & mask) | ((own.ip + i) & ~mask);
    const host = ip & ~mask;
    if (host === 0 || host === ~mask || used.includes(ip)) continue;
    const text = `${formatIpv4(ip)}/${own.prefixLength}`;
    if (await situation.isFree(text)) return text;
  }
  return null;
}

const gateway: Check = {
  name: 'gateway',
  async look(situation) {
    const { config } = situation;
    const found: Finding[] = [];
    for (const address of config === null ? [] : gateways(config)) found.push(await gatewayFinding(situation, address));
    return together(found);
  },
};

async function gatewayFinding(situation: Situation, address: string): Promise<Finding> {
  const { netdev } = situation.options;
  const facts = await situation.probe(address);
  if (facts === null) return warn(`${address}: not asked, as the engine is not open`);
  if (facts instanceof Error) return fail(facts.message);
  const found = describeAnswer(address, facts);
  if (facts.resolved) return found;
  const router = await findRouter(situation, address);
  if (router !== null) {
    return fail(`${found.text}; ${router} does`, swapValueCommand(netdev, 'gateway', address, router));
  }
  const remove = `sed -i '/^ *gateway *= *${address}/d' ${netdev}`;
  return fail(`${found.text}; without a gateway the own network can be served`, remove);
}

/** Where routers usually are: the first, second and last address of an IPv4 network. */
async function findRouter(situation: Situation, besides: string): Promise<string | null> {
  const { config } = situation;
  if (besides.includes(':')) return null;
  for (const { ip, prefixLength } of config?.addresses ?? []) {
    const mask = prefixLength === 0 ? 0 : -1 << (32 - prefixLength);
    const network = ip & mask;
    for (const host of [1, 2, ~mask - 1]) {
      const address = formatIpv4(network | host);
      if ((network | host) === ip || address === besides) continue;
      const facts = await situation.probe(address);
      if (facts !== null && !(facts instanceof Error) && facts.resolved) return address;
    }
  }
  return null;
}

function describeAnswer(address: string, { mac, resolved, rttUs, nextHop }: ProbeFacts): Finding {
  const via = nextHop === address || nextHop === null ? '' : ` by way of ${nextHop}`;
  if (!resolved) return fail(`nobody answers for ${nextHop ?? address}: is it up, in this network and VLAN?`);
  if (rttUs === null)
    return warn(`${address} (${mac ?? 'no hardware address'})${via} does not answer ping; its firewall may have it so`);
  return pass(`${address}${mac === null ? '' : ` (${mac})`}${via} answers in ${(rttUs / 1000).toFixed(1)} ms`);
}

/** A locally administered one, from our address: nobody else's. */
function madeUpMac(ip: number): string {
  const bytes = [0x02, 0x57, ip >>> 24, (ip >>> 16) & 255, (ip >>> 8) & 255, ip & 255];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function sameMac({ options, config }: Situation, { nextHop, mac }: ProbeFacts): Finding {
  const other = madeUpMac(config?.addresses[0]?.ip ?? 0);
  return fail(
    `${nextHop} has our own hardware address, ${mac}: a switch sends each of us what is the other's`,
    setKeyCommand(options.netdev, 'mac', other),
  );
}

const NETWORK_LENGTH = 24;
const NETWORK_LENGTH_MIN = 16;

function commonBits(a: number, b: number): number {
  return Math.clz32(a ^ b);
}

/** No network of ours holds the peer: does it answer on the link all the same? */
async function tooNarrow(situation: Situation, peer: string): Promise<Finding | null> {
  const { config, options } = situation;
  const ip = parseIpv4Address(peer);
  for (const own of ip === null ? [] : (config?.addresses ?? [])) {
    const length = Math.min(NETWORK_LENGTH, commonBits(own.ip, ip!));
    if (length < NETWORK_LENGTH_MIN || length >= own.prefixLength) continue;
    const wider = `${formatIpv4(own.ip)}/${length}`;
    const facts = await situation.probeWith([['address', wider]], peer);
    if (facts?.resolved !== true) continue;
    const narrow = `${formatIpv4(own.ip)}/${own.prefixLength}`;
    const text = `${peer} answers on the link itself, but ${narrow} leaves it out: the network is larger`;
    return fail(text, swapValueCommand(options.netdev, 'address', narrow, wider));
  }
  return null;
}

/** A network of ours holds the peer and nobody answers: is it behind a router? */
async function tooWide(situation: Situation, peer: string, text: string): Promise<Finding | null> {
  const { config, options } = situation;
  const ip = parseIpv4Address(peer);
  for (const own of ip === null ? [] : (config?.addresses ?? [])) {
    if (own.prefixLength >= NETWORK_LENGTH || commonBits(own.ip, ip!) >= NETWORK_LENGTH) continue;
    const network = own.ip & (-1 << (32 - NETWORK_LENGTH));
    const near = [1, 2, 254].map((host) => network | host).filter((one) => one !== own.ip);
    for (const router of [...gateways(config!).filter((one) => !one.includes(':')), ...near.map(formatIpv4)]) {
      const facts = await situation.probeWith([['route', `${peer}/32 via ${router}`]], peer);
      if (facts === null || facts.rttUs === null) continue;
      const wide = `${formatIpv4(own.ip)}/${own.prefixLength}`;
      const swap = swapValueCommand(options.netdev, 'address', wide, `${formatIpv4(own.ip)}/${NETWORK_LENGTH}`);
      const add = config?.gateway === null ? ` && ${addKeyCommand(options.netdev, 'gateway', router)}` : '';
      return fail(`${text} It is behind ${router}: the network is smaller than ${wide}`, `${swap}${add}`);
    }
  }
  return null;
}

/**
 * Neighbour solicitations for an IPv6 address stay without answer: when an IPv4 address answers on the same link, frames do
 * get there. What mends it is for the other host to do: no command of ours can.
 */
async function silentIpv6(situation: Situation, peer: string): Promise<Finding> {
  const { config, options, own } = situation;
  const prefixLength = own.find(({ address }) => address.includes(':'))?.prefixLength ?? 64;
  const remedy = `there 'sysctl -w net.ipv6.conf.all.disable_ipv6=0' and 'ip address add ${peer}/${prefixLength} dev INTERFACE'`;
  for (const other of [...options.peers, ...gateways(config!)].filter((one) => !one.includes(':'))) {
    const facts = await situation.probe(other);
    if (facts === null || facts instanceof Error || !facts.resolved) continue;
    const who = options.peers.includes(other) ? 'if both are one host, IPv6 is off there' : 'IPv6 may be off there';
    return fail(`nobody answers for ${peer}, though ${other} does: ${who} or the address is missing; ${remedy}`);
  }
  return fail(
    `nobody answers for ${peer}: is it up, in this network and VLAN, with IPv6 on? If that is off, ${remedy}`,
  );
}

const peer: Check = {
  name: 'peer',
  async look(situation) {
    const { options, config } = situation;
    const found: Finding[] = [];
    for (const one of config === null ? [] : options.peers) found.push(await peerFinding(situation, one));
    return together(found);
  },
};

async function peerFinding(situation: Situation, peer: string): Promise<Finding> {
  const facts = await situation.probe(peer);
  if (facts === null) return warn(`${peer}: not asked, as the engine is not open`);
  if (facts instanceof Error) return fail(facts.message);
  if (facts.mac !== null && facts.mac === situation.ownMac) return sameMac(situation, facts);
  if (facts.nextHop !== null) {
    const found = describeAnswer(peer, facts);
    if (facts.resolved) return found;
    if (peer.includes(':')) return facts.nextHop === facts.address ? await silentIpv6(situation, facts.address) : found;
    return (await tooWide(situation, peer, found.text)) ?? found;
  }
  if (peer.includes(':')) return fail(`there is no route to ${peer}: netdev.conf needs an IPv6 'gateway' or 'route'`);
  const narrow = await tooNarrow(situation, peer);
  if (narrow !== null) return narrow;
  const router = await findRouter(situation, '');
  const text = `there is no route to ${peer}: netdev.conf needs 'gateway' or 'route'`;
  return router === null
    ? fail(text)
    : fail(`${text}; ${router} may be one`, addKeyCommand(situation.options.netdev, 'gateway', router));
}

const path: Check = {
  name: 'path',
  async look(situation) {
    const { options, config } = situation;
    if (config === null) return null;
    const targets = options.peers.length > 0 ? options.peers : gateways(config).slice(0, 1);
    const found: Finding[] = [];
    for (const target of targets) {
      const one = await pathFinding(situation, target);
      if (one !== null) found.push(one);
    }
    return together(found);
  },
};

async function pathFinding(situation: Situation, target: string): Promise<Finding | null> {
  const facts = await situation.probe(target);
  if (facts === null || facts instanceof Error || facts.answered.length === 0) return null;
  const largest = Math.max(...facts.answered);
  const wanted = Math.max(...facts.sizes);
  if (largest === wanted) return pass(`packets of ${wanted} bytes reach ${target} and come back`);
  return fail(
    `packets of more than ${largest} bytes do not reach ${target} and come back, our mtu is ${wanted}`,
    setKeyCommand(situation.options.netdev, 'mtu', String(largest)),
  );
}

export const networkChecks: readonly Check[] = [engine, taken, gateway, peer, path];
