// netdev.conf in typed form: what the engine has to open and how the stack behaves. Anyone may import the types.
import type { EngineOptions, InterfaceAddress } from '../io-engine/options.ts';
import type { Route } from './routes.ts';

/** A neighbour's hardware address that is given rather than asked for. */
export interface StaticNeighbor {
  readonly ip: number;
  readonly mac: Uint8Array;
}

export interface StackConfig {
  readonly engine: EngineOptions;
  /** At least one; the first is the one that packets to the gateway come from. */
  readonly addresses: readonly InterfaceAddress[];
  readonly gateway: number | null;
  readonly routes: readonly Route[];
  readonly arp: readonly StaticNeighbor[];
  /** `auto`: verify unless the device vouches for a frame. */
  readonly rxChecksum: 'auto' | 'verify' | 'trust';
  readonly maxConnections: number;
  /** Most bytes a connection keeps for its reader: the window it offers. */
  readonly receiveBuffer: number;
  /** Most bytes a connection keeps until they are acknowledged. */
  readonly sendBuffer: number;
  readonly congestion: 'newreno' | 'cubic';
  readonly rtoMinMs: number;
  readonly delayedAckMs: number;
  /** Idle time before the first probe; 0: no probes. */
  readonly keepaliveMs: number;
  readonly timeWaitMs: number;
}
