// Which addresses are ours, and through whom every other one is reached: longest prefix wins, our own networks
// are on-link, the gateway takes the rest (RFC 1122, 3.3.1). Asked once per connection, not per packet. For stack/.
import { isLoopbackIp, isMulticastIp, LIMITED_BROADCAST_IP, maskOf } from './wire/ipv4.ts';

/** An address of this host and the prefix of its network. */
export interface LocalAddress {
  readonly ip: number;
  readonly prefixLength: number;
}

export interface Route {
  readonly network: number;
  readonly prefixLength: number;
  /** Next hop; null: the network is on-link. */
  readonly gateway: number | null;
}

export class Routes {
  addresses: readonly LocalAddress[] = [];
  /** Longest prefix first; of equal ones the explicit route before our own network. */
  table: readonly Route[] = [];
  readonly #configured: readonly Route[];
  #primaryIp = 0;
  /** The peer that was found to be one last: most packets come from the same. 0: none. */
  #knownPeerIp = 0;

  constructor(addresses: readonly LocalAddress[], gateway: number | null, routes: readonly Route[]) {
    this.#configured = routes;
    this.setAddresses(addresses, gateway, []);
  }

  /** Others from now on (DHCP). @param learned routes beside the configured ones, which go first. */
  setAddresses(addresses: readonly LocalAddress[], gateway: number | null, learned: readonly Route[]): void {
    this.addresses = addresses;
    this.#knownPeerIp = 0;
    this.#primaryIp = addresses.length > 0 ? addresses[0].ip : 0;
    const onLink = addresses.map(({ ip, prefixLength }) => ({
      network: ip & maskOf(prefixLength),
      prefixLength,
      gateway: null,
    }));
    const defaults: Route[] = gateway === null ? [] : [{ network: 0, prefixLength: 0, gateway }];
    this.table = [...this.#configured, ...learned, ...onLink, ...defaults].sort(
      (a, b) => b.prefixLength - a.prefixLength,
    );
  }

  /** True for an address that we answer for. */
  isLocal(ip: number): boolean {
    if (ip === this.#primaryIp) return ip !== 0;
    for (let i = 1; i < this.addresses.length; i++) if (this.addresses[i].ip === ip) return true;
    return false;
  }

  /** 255.255.255.255, or the all-ones or all-zeros host of one of our networks (not on /31 and /32: RFC 3021). */
  isBroadcast(ip: number): boolean {
    if (ip === LIMITED_BROADCAST_IP) return true;
    for (let i = 0; i < this.addresses.length; i++) {
      const { ip: own, prefixLength } = this.addresses[i];
      if (prefixLength >= 31) continue;
      const mask = maskOf(prefixLength);
      if ((ip & mask) !== (own & mask)) continue;
      const host = ip & ~mask;
      if (host === 0 || host === ~mask) return true;
    }
    return false;
  }

  /** True for an address that one other host can have. */
  isUnicastPeer(ip: number): boolean {
    if (ip === this.#knownPeerIp) return ip !== 0;
    if (ip >>> 24 === 0 || isMulticastIp(ip) || isLoopbackIp(ip) || this.isBroadcast(ip) || this.isLocal(ip))
      return false;
    this.#knownPeerIp = ip;
    return true;
  }

  /** Neighbours of ours: an address inside one of our networks or of an on-link route. */
  isOnLink(ip: number): boolean {
    const route = this.lookup(ip);
    return route !== null && route.gateway === null;
  }

  lookup(destinationIp: number): Route | null {
    for (const route of this.table) {
      if ((destinationIp & maskOf(route.prefixLength)) === (route.network & maskOf(route.prefixLength))) return route;
    }
    return null;
  }

  /** Address of the neighbour that takes packets for a destination; null: there is no route to it. */
  nextHopIp(destinationIp: number): number | null {
    if (!this.isUnicastPeer(destinationIp)) return null;
    const route = this.lookup(destinationIp);
    if (route === null) return null;
    return route.gateway ?? destinationIp;
  }

  /** Our address in the network of a neighbour, else our first one (RFC 1122, 3.3.4.3). */
  sourceFor(nextHopIp: number): number {
    for (const { ip, prefixLength } of this.addresses) {
      const mask = maskOf(prefixLength);
      if ((ip & mask) === (nextHopIp & mask)) return ip;
    }
    return this.#primaryIp;
  }
}
