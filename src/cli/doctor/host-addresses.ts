// Addresses of both families as text: those that the kernel answers for, and those that netdev.conf gives us.
import { readFileSync } from 'node:fs';
import { kernelAddresses } from '../../../io-engine/linux/interfaces.ts';
import type { StackConfig } from '../../../stack/config.ts';
import { formatIpv4 } from '../../../stack/wire/ipv4.ts';
import { formatIpv6, IPV6_ADDRESS_LENGTH } from '../../../stack/wire/ipv6.ts';

export interface Address {
  readonly address: string;
  readonly prefixLength: number;
}

/** One that the kernel has. */
export interface HostAddress extends Address {
  /** Of the interface. */
  readonly name: string;
  /** Of the link only: fe80::/10. Every interface has one, and nobody would miss it. */
  readonly isLinkLocal: boolean;
}

export function hostAddresses(): HostAddress[] {
  const version4 = kernelAddresses().map(({ name, ip, prefixLength }) => ({
    name: name.split(':')[0],
    address: formatIpv4(ip),
    prefixLength,
    isLinkLocal: false,
  }));
  return [...version4, ...parseIfInet6(readIfInet6())];
}

function readIfInet6(): string {
  try {
    return readFileSync('/proc/self/net/if_inet6', 'utf8');
  } catch {
    return '';
  }
}

/** Lines are `address index prefix-length scope flags name`, numbers in hexadecimal. */
export function parseIfInet6(text: string): HostAddress[] {
  return [...text.matchAll(/^([0-9a-f]{32}) \S+ ([0-9a-f]+) ([0-9a-f]+) \S+ +(\S+)$/gm)].map(
    ([, digits, length, scope, name]) => {
      const bytes = Uint8Array.from({ length: IPV6_ADDRESS_LENGTH }, (_, i) =>
        Number.parseInt(digits.slice(i * 2, i * 2 + 2), 16),
      );
      return {
        name,
        address: formatIpv6(bytes, 0),
        prefixLength: Number.parseInt(length, 16),
        isLinkLocal: Number.parseInt(scope, 16) === 0x20,
      };
    },
  );
}

/** The fixed ones. */
export function ownAddresses(config: StackConfig): Address[] {
  return [
    ...config.addresses.map(({ ip, prefixLength }) => ({ address: formatIpv4(ip), prefixLength })),
    ...(config.ipv6?.addresses ?? []).map(({ bytes, prefixLength }) => ({
      address: formatIpv6(bytes, 0),
      prefixLength,
    })),
  ];
}

/** Gateways of both families. */
export function gateways(config: StackConfig): string[] {
  const version4 = config.gateway === null ? [] : [formatIpv4(config.gateway)];
  return config.ipv6?.gateway == null ? version4 : [...version4, formatIpv6(config.ipv6.gateway, 0)];
}

export function cidr({ address, prefixLength }: Address): string {
  return `${address}/${prefixLength}`;
}
