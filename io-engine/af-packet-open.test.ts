// What is left of a socket whose opening fails behind its rings: nothing. Where there is no privilege for one it is skipped.
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';
import { openAfPacket } from './af-packet.ts';
import { EngineError } from './frame-engine.ts';
import { close } from './linux/libc.ts';
import { openPacketSocket } from './linux/packet-socket.ts';
import type { EngineOptions } from './options.ts';

vi.mock('./linux/packet-socket.ts', async (original) => ({
  ...(await original<typeof import('./linux/packet-socket.ts')>()),
  bindPacketSocket: () => {
    throw new EngineError('SYSTEM', 'the interface has just gone');
  },
}));

function isAllowed(): boolean {
  try {
    close(openPacketSocket());
    return true;
  } catch {
    return false;
  }
}

const options: EngineOptions = {
  ...{ engine: 'afpacket', interface: 'lo', mac: null, mtu: 1500, rxRing: 64, txRing: 64, vlan: 0, queues: 1 },
  ...{ addresses: [], ipv6: false, rxChecksum: 'auto', busyPollUs: 0, coalesceUs: 0, tso: 'auto' },
};

const rings = (): number =>
  readFileSync('/proc/self/maps', 'latin1')
    .split('\n')
    .filter((line) => line.includes('socket:[')).length;
const descriptors = (): number => readdirSync('/proc/self/fd').length;

it.skipIf(!isAllowed())('an open that fails behind the rings leaves neither them nor a descriptor', () => {
  const before = [rings(), descriptors()];
  for (let i = 0; i < 3; i++) expect(() => openAfPacket(options)).toThrow('has just gone');
  expect([rings(), descriptors()]).toEqual(before);
});
