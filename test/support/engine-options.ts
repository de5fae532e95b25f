// What tests of io-engines have in common of their options: a test names what is its own, and overrides the rings.
export const PLAIN_OPTIONS = {
  mac: null,
  mtu: 0,
  rxRing: 64,
  txRing: 64,
  queues: 1,
  rxChecksum: 'auto',
  tso: 'auto',
  busyPollUs: 0,
  coalesceUs: 0,
  vlan: 0,
  ipv6: false,
} as const;
