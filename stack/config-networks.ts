// Addresses, routes and neighbours of a netdev.conf that cannot be true together, as errors with the line that is to be
// changed. Used by config.ts.
import type { NetdevConfigError, StackConfig } from './config.ts';
import type { KeyName } from './config-schema.ts';
import { Routes } from './routes.ts';
import { formatIpv4 } from './wire/ipv4.ts';
import { formatIpv6, isLinkLocal, isMulticastIpv6, isNoHost, samePrefix } from './wire/ipv6.ts';

/** Where each value was given. */
interface Values {
  all(name: 'gateway'): readonly unknown[];
  conflict(name: KeyName, value: unknown, message: string): NetdevConfigError;
}

/** @throws NetdevConfigError */
export function checkNetworks(config: StackConfig, values: Values): void {
  const { addresses, gateway, routes, arp } = config;
  if (config.dhcp && addresses.length > 0) {
    throw values.conflict('address', addresses[0], "'address' is dhcp and a fixed one: give one of them");
  }
  if (config.dhcp && gateway !== null) {
    throw values.conflict('gateway', gateway, "'gateway' comes from the server with 'address = dhcp': leave it out");
  }
  // Whether routes and neighbours fit an address that is not known yet cannot be said.
  if (config.dhcp) return;
  const seen = new Set<number>();
  for (const address of addresses) {
    const { ip } = address;
    if (seen.has(ip)) throw values.conflict('address', address, `'address' names ${formatIpv4(ip)} twice`);
    seen.add(ip);
  }
  const direct = new Routes(addresses, null, []);
  const onLinkRoutes = routes.filter((route) => route.gateway === null);
  const onLink = new Routes(addresses, null, onLinkRoutes);
  const isNeighbor = (ip: number) => onLink.isOnLink(ip) && onLink.isUnicastPeer(ip);
  if (gateway !== null && !isNeighbor(gateway)) {
    const what = `'gateway' ${formatIpv4(gateway)} is not a neighbour: ${networks(direct)}`;
    throw values.conflict('gateway', gateway, what);
  }
  for (const route of routes) {
    if (route.gateway !== null && !isNeighbor(route.gateway)) {
      const via = formatIpv4(route.gateway);
      throw values.conflict('route', route, `'route' goes via ${via}, which is not a neighbour: ${networks(direct)}`);
    }
  }
  const neighbors = new Set<number>();
  for (const entry of arp) {
    const text = formatIpv4(entry.ip);
    if (!isNeighbor(entry.ip)) {
      throw values.conflict('arp', entry, `'arp' names ${text}, not a neighbour: ${networks(direct)}`);
    }
    if (neighbors.has(entry.ip)) throw values.conflict('arp', entry, `'arp' names ${text} twice`);
    neighbors.add(entry.ip);
  }
}

function networks(routes: Routes): string {
  const texts = routes.table.map(({ network, prefixLength }) => `${formatIpv4(network)}/${prefixLength}`);
  return `our networks are ${texts.join(', ')}`;
}

/** @throws NetdevConfigError */
export function checkNetworks6({ ipv6 }: StackConfig, values: Values): void {
  checkGateways(ipv6 !== null, values);
  if (ipv6 === null) return;
  const { addresses, gateway, routes, neighbors } = ipv6;
  checkTwice('address', addresses, values);
  checkTwice('arp', neighbors, values);
  const networks = [...addresses, ...routes.filter((route) => route.gateway === null)];
  const isNeighbor = (bytes: Uint8Array): boolean => {
    if (isMulticastIpv6(bytes, 0) || isNoHost(bytes, 0)) return false;
    return isLinkLocal(bytes, 0) || networks.some((own) => samePrefix(own.bytes, 0, bytes, 0, own.prefixLength));
  };
  const known = ['fe80::/64', ...addresses.map((own) => `${formatIpv6(own.bytes, 0)}/${own.prefixLength}`)].join(', ');
  const stranger = (bytes: Uint8Array): string =>
    `${formatIpv6(bytes, 0)}, which is not a neighbour: our networks are ${known}`;
  if (gateway !== null && !isNeighbor(gateway)) {
    throw values.conflict('gateway', gateway, `'gateway' is ${stranger(gateway)}`);
  }
  for (const route of routes) {
    if (route.gateway !== null && !isNeighbor(route.gateway)) {
      throw values.conflict('route', route, `'route' goes via ${stranger(route.gateway)}`);
    }
  }
  for (const entry of neighbors) {
    if (!isNeighbor(entry.bytes)) throw values.conflict('arp', entry, `'arp' names ${stranger(entry.bytes)}`);
  }
}

/** One of each family, and none of IPv6 without an address of it. */
function checkGateways(hasIpv6: boolean, values: Values): void {
  const gateways = values.all('gateway');
  for (const version of [4, 6]) {
    const same = gateways.filter((gateway) => (typeof gateway === 'number') === (version === 4));
    if (same.length > 1)
      throw values.conflict('gateway', same[1], `'gateway' can be given only once for IPv${version}`);
    if (version === 6 && same.length > 0 && !hasIpv6) {
      throw values.conflict(
        'gateway',
        same[0],
        "'gateway' is an IPv6 address and no 'address' is: give one, or 'slaac = on'",
      );
    }
  }
}

function checkTwice(key: KeyName, entries: readonly { readonly bytes: Uint8Array }[], values: Values): void {
  const seen = new Set<string>();
  for (const entry of entries) {
    const text = formatIpv6(entry.bytes, 0);
    if (seen.has(text)) throw values.conflict(key, entry, `'${key}' names ${text} twice`);
    seen.add(text);
  }
}
