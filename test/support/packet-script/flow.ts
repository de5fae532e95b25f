// One connection as a script sees it: sequence numbers count from each side's SYN, the stack's timestamps from the first
// one it sent, and every byte of both streams is known from its place. For runner.ts and what it uses.

export const PEER_PORT_BASE = 50000;

export class Flow {
  readonly id: number;
  readonly peerPort: number;
  localPort: number;
  readonly peerIsn: number;
  /** 0 until the stack has sent a SYN: numbers are then shown as they are. */
  stackIsn = 0;
  /** Both sides sent timestamps in their SYN. */
  peerHasTs = false;
  stackHasTs = false;
  /** The peer's timestamp in its SYN; those that are not given count on from it. */
  peerTsBase = 1000;
  tsBase = 0;
  hasTsBase = false;
  /** The stack's last timestamp, as it was on the wire. */
  lastTsVal = 0;
  /** Next byte of the peer's stream that `feed` sends. */
  fed = 1;
  /** What the peer has acknowledged last. */
  acked = 0;

  constructor(id: number, localPort: number, peerIsn: number) {
    this.id = id;
    this.peerPort = PEER_PORT_BASE + id;
    this.localPort = localPort;
    this.peerIsn = peerIsn;
  }

  get usesTs(): boolean {
    return this.peerHasTs && this.stackHasTs;
  }

  /** The stack's number as scripts write it: from its SYN; what lies before that is negative. */
  fromStack(seq: number): number {
    return (seq - this.stackIsn) | 0;
  }

  fromPeer(seq: number): number {
    return (seq - this.peerIsn) | 0;
  }

  toStack(relative: number): number {
    return (this.stackIsn + relative) | 0;
  }

  toPeer(relative: number): number {
    return (this.peerIsn + relative) | 0;
  }
}

/** Byte of the stack's stream that has this relative sequence number; the first is 1. */
export const stackByte = (seq: number): number => (seq * 7 + (seq >> 8)) & 0xff;

/** Byte of the peer's stream. */
export const peerByte = (seq: number): number => stackByte(seq) ^ 0x55;

export const POISON = 0xee;
