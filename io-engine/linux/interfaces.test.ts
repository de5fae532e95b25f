import { describe, expect, it } from 'vitest';
import { PLAIN_OPTIONS } from '../../test/support/engine-options.ts';
import type { EngineOptions } from '../options.ts';
import {
  findInterface,
  interfaceInfo,
  kernelAddresses,
  kernelOwnsAddress,
  listInterfaces,
  receiveQueues,
  requireEthernet,
  requireForeignAddresses,
} from './interfaces.ts';

const LOOPBACK_IP = 0x7f000001;

function options(name: string, ip: number): EngineOptions {
  return { ...PLAIN_OPTIONS, engine: 'afpacket', interface: name, addresses: [{ ip, prefixLength: 8 }] };
}

describe.skipIf(process.platform !== 'linux')('interfaces', () => {
  const hasLoopbackAddress = kernelAddresses().some(({ ip }) => ip === LOOPBACK_IP);

  it('describes the loopback', () => {
    const loopback = interfaceInfo('lo');
    expect(loopback).toMatchObject({ name: 'lo', isEthernet: true, mac: new Uint8Array(6) });
    expect(loopback.index).toBeGreaterThan(0);
    expect(loopback.mtu).toBeGreaterThan(1500);
    expect(receiveQueues('lo')).toBe(1);
  });

  it('lists what there is when asked for what is not', () => {
    expect(listInterfaces()).toContain('lo');
    expect(findInterface('no-such-device')).toBeNull();
    expect(() => interfaceInfo('no-such-device')).toThrow(/no interface "no-such-device" here; there are: .*\blo\b/);
  });

  it.skipIf(!hasLoopbackAddress)('knows the addresses the kernel answers for', () => {
    expect(kernelOwnsAddress('lo', LOOPBACK_IP)).toBe(true);
    expect(kernelOwnsAddress('lo', 0x0a4d0001)).toBe(false);
    expect(() => requireForeignAddresses(options('lo', LOOPBACK_IP))).toThrow(/kernel has 127\.0\.0\.1 on lo/);
    expect(() => requireForeignAddresses(options('lo', 0x0a4d0001))).not.toThrow();
  });

  it.skipIf(!interfaceInfo('lo').isUp)('refuses an mtu larger than the interface has', () => {
    expect(() => requireEthernet({ ...options('lo', 1), mtu: 70000 })).toThrow(/ip link set lo mtu 70000/);
  });
});
