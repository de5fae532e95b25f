// Segments made by hand, put on the wire as if a peer had sent them. For tests.

import { writeUint16 } from '../../../stack/wire/bytes.ts';
import { finish, pseudoHeaderSum, sum } from '../../../stack/wire/checksum.ts';
import { ETHERTYPE_IPV4, writeEthernetHeader } from '../../../stack/wire/ethernet.ts';
import { PROTOCOL_TCP, writeIpv4Header } from '../../../stack/wire/ipv4.ts';
import { TCP_CHECKSUM, writeTcpHeader } from '../../../stack/wire/tcp.ts';
import { writeMssOption, writeSackOption, writeTimestampsOption } from '../../../stack/wire/tcp-options.ts';
import { IP_A, IP_B, type TwoStacks } from './two-stacks.ts';

export interface Handmade {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly seq: number;
  readonly ack?: number;
  readonly flags: number;
  readonly window?: number;
  readonly payload?: string;
  readonly mss?: number;
  readonly timestamps?: readonly [tsVal: number, tsEcr: number];
  readonly sack?: readonly number[];
  /** Index of the sending end; default 0, the client's. */
  readonly from?: number;
}

export function inject(net: TwoStacks, segment: Handmade): void {
  const from = segment.from ?? 0;
  const [sourceIp, destinationIp] = from === 0 ? [IP_A, IP_B] : [IP_B, IP_A];
  const frame = new Uint8Array(1600);
  const { sourcePort, destinationPort, seq, ack = 0, flags, window = 65535, payload = '' } = segment;
  const start = 34;
  let at = start + 20;
  if (segment.mss !== undefined) at += writeMssOption(frame, at, segment.mss);
  if (segment.timestamps !== undefined) at += writeTimestampsOption(frame, at, ...segment.timestamps);
  if (segment.sack !== undefined)
    at += writeSackOption(frame, at, Int32Array.from(segment.sack), segment.sack.length / 2);
  writeTcpHeader(frame, start, sourcePort, destinationPort, seq | 0, ack | 0, flags, window, at - start - 20);
  for (const character of payload) frame[at++] = character.charCodeAt(0);
  const length = at - start;
  const partial = sum(frame, start, length, pseudoHeaderSum(sourceIp, destinationIp, PROTOCOL_TCP, length));
  writeUint16(frame, start + TCP_CHECKSUM, finish(partial));
  writeIpv4Header(frame, 14, 20 + length, 1, true, 64, PROTOCOL_TCP, sourceIp, destinationIp);
  const mac = (last: number) => Uint8Array.of(2, 0, 0, 0, 0, last);
  writeEthernetHeader(frame, 0, mac(2 - from), mac(from + 1), ETHERTYPE_IPV4);
  net.wire.send(from, frame, new DataView(frame.buffer), 0, at, 0);
}
