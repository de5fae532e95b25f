// Routes for IPv6: which addresses are ours, and through whom others are reached. As routes.ts, for numbers of the book;
// our link-local address is always there, and routers that advertise themselves come and go. For stack/.
import type { Ipv6Book } from './ipv6-book.ts';
import { commonPrefix, IPV6_ADDRESS_LENGTH, isLinkLocal, isMulticastIpv6, isNoHost, samePrefix } from './wire/ipv6.ts';

/** A prefix as netdev.conf or a router gives it. */
export interface Ipv6Prefix {
  readonly bytes: Uint8Array;
  readonly prefixLength: number;
}

export interface Ipv6Route extends Ipv6Prefix {
  /** Next hop, 16 bytes; null: the network is on-link. */
  readonly gateway: Uint8Array | null;
}

export interface LocalAddress6 extends Ipv6Prefix {
  readonly ip: number;
}

interface TableRoute extends Ipv6Prefix {
  readonly gateway: number | null;
}

const LINK_LOCAL_PREFIX: Ipv6Prefix = {
  bytes: Uint8Array.of(0xfe, 0x80, ...new Array<number>(14).fill(0)),
  prefixLength: 64,
};

export class Routes6 {
  /** The address that is looked at: one of every packet. */
  readonly #peer = new Uint8Array(IPV6_ADDRESS_LENGTH);
  readonly #book: Ipv6Book;
  readonly #configured: readonly TableRoute[];
  #addresses: LocalAddress6[] = [];
  #table: readonly TableRoute[] = [];
  /** By a router advertisement; 0: none. */
  #router = 0;
  readonly #gateway: number;

  constructor(book: Ipv6Book, gateway: Uint8Array | null, routes: readonly Ipv6Route[]) {
    this.#book = book;
    this.#gateway = gateway === null ? 0 : book.pin(gateway);
    this.#configured = routes.map((route) => ({
      bytes: route.bytes,
      prefixLength: route.prefixLength,
      gateway: route.gateway === null ? null : book.pin(route.gateway),
    }));
    this.#build();
  }

  get addresses(): readonly LocalAddress6[] {
    return this.#addresses;
  }

  /** Longest prefix first. */
  get table(): readonly TableRoute[] {
    return this.#table;
  }

  addAddress({ bytes, prefixLength }: Ipv6Prefix): LocalAddress6 {
    const address = { bytes, prefixLength, ip: this.#book.intern(bytes, 0) };
    if (!this.isLocal(address.ip)) this.#addresses = [...this.#addresses, address];
    this.#build();
    return address;
  }

  removeAddress(ip: number): void {
    this.#addresses = this.#addresses.filter((address) => address.ip !== ip);
    this.#build();
  }

  /** The router that takes what no route names, unless netdev.conf gives one; 0: none any more. */
  setRouter(ip: number): void {
    this.#router = ip;
    this.#build();
  }

  /** The router that an advertisement gave; 0: none. */
  get router(): number {
    return this.#router;
  }

  isLocal(ip: number): boolean {
    const addresses = this.#addresses;
    for (let i = 0; i < addresses.length; i++) if (addresses[i].ip === ip) return true;
    return false;
  }

  /** True for an address that one other host can have. */
  isUnicastPeer(ip: number): boolean {
    const bytes = this.#peer;
    this.#book.write(ip, bytes, 0);
    return !isMulticastIpv6(bytes, 0) && !isNoHost(bytes, 0) && !this.isLocal(ip);
  }

  isOnLink(ip: number): boolean {
    const route = this.#lookup(this.#book.bytesOf(ip));
    return route !== null && route.gateway === null;
  }

  /** Number of the neighbour that takes packets for a destination; null: there is no route to it. */
  nextHopIp(ip: number): number | null {
    if (!this.isUnicastPeer(ip)) return null;
    const route = this.#lookup(this.#book.bytesOf(ip));
    if (route === null) return null;
    return route.gateway ?? ip;
  }

  /** Our address towards a destination: same scope first, then the longest common prefix (RFC 6724 5, rules 2 and 8). */
  sourceFor(ip: number): number {
    const destination = this.#book.bytesOf(ip);
    const wantsLinkLocal = isLinkLocal(destination, 0) || isMulticastIpv6(destination, 0);
    let best = 0;
    let bestScore = -1;
    for (const address of this.#addresses) {
      const sameScope = isLinkLocal(address.bytes, 0) === wantsLinkLocal;
      const score = (sameScope ? 256 : 0) + commonPrefix(address.bytes, 0, destination, 0);
      if (score > bestScore) {
        bestScore = score;
        best = address.ip;
      }
    }
    return best;
  }

  /** Every number that is kept here. */
  mark(mark: (ip: number) => void): void {
    for (const { ip } of this.#addresses) mark(ip);
    mark(this.#router);
  }

  #lookup(destination: Uint8Array): TableRoute | null {
    for (const route of this.#table) {
      if (samePrefix(route.bytes, 0, destination, 0, route.prefixLength)) return route;
    }
    return null;
  }

  #build(): void {
    const others = this.#addresses.filter(({ bytes }) => !isLinkLocal(bytes, 0));
    const onLink = others.map(({ bytes, prefixLength }) => ({ bytes, prefixLength, gateway: null }));
    const router = this.#gateway !== 0 ? this.#gateway : this.#router;
    const defaults = router === 0 ? [] : [{ bytes: new Uint8Array(16), prefixLength: 0, gateway: router }];
    const all: TableRoute[] = [...this.#configured, { ...LINK_LOCAL_PREFIX, gateway: null }, ...onLink, ...defaults];
    this.#table = all.sort((a, b) => b.prefixLength - a.prefixLength);
  }
}
