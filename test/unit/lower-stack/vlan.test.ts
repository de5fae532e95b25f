// 802.1Q: frames of our VLAN only, and a tag on each of ours.
import { describe, expect, it } from 'vitest';
import { ARP_REQUEST } from '../../../stack/wire/arp.ts';
import { arpFrame, HOST_IP, icmpMessage, ipv4Frame, LowerHost, PEER_IP } from './host.ts';

const VLAN = 0x8100;

/** The frame with a tag behind its addresses. */
function tagged(frame: Uint8Array, tag: number): Uint8Array {
  return Uint8Array.from([...frame.subarray(0, 12), VLAN >> 8, VLAN & 255, tag >> 8, tag & 255, ...frame.subarray(12)]);
}

const question = arpFrame({ operation: ARP_REQUEST, senderIp: PEER_IP, targetIp: HOST_IP });
const ping = ipv4Frame({ protocol: 1, payload: icmpMessage(8, 0, 1, new Uint8Array(32)) });

describe('a host in VLAN 42', () => {
  it('answers ARP and echo with tagged frames', () => {
    const host = new LowerHost('vlan = 42');
    // The priority bits of a tag mean nothing to us.
    expect(host.receive(tagged(question, 42), tagged(ping, 0xe000 | 42))).toEqual(['ok', 'ok']);
    const frames = host.sent();
    expect(frames).toHaveLength(2);
    for (const frame of frames) expect([...frame.subarray(12, 16)]).toEqual([0x81, 0x00, 0, 42]);
    expect([...frames[0].subarray(16, 18)]).toEqual([0x08, 0x06]);
    expect([...frames[1].subarray(16, 18)]).toEqual([0x08, 0x00]);
    // 4 bytes of tag, then an echo reply.
    expect(frames[1][18 + 20]).toBe(0);
  });

  it('drops untagged frames, other VLANs and half a tag', () => {
    const host = new LowerHost('vlan = 42');
    expect(
      host.receive(question, tagged(question, 43), tagged(question, 0), tagged(question, 42).slice(0, 16)),
    ).toEqual(['ethernet-other-vlan', 'ethernet-other-vlan', 'ethernet-other-vlan', 'ethernet-truncated']);
    expect(host.sent()).toEqual([]);
  });

  it('a full packet still fits: the tag is not part of the mtu', () => {
    const host = new LowerHost('vlan = 42');
    host.receive(tagged(question, 42));
    host.sent();
    host.receive(tagged(ipv4Frame({ protocol: 1, payload: icmpMessage(8, 0, 1, new Uint8Array(1472)) }), 42));
    expect(host.sent().map((frame) => frame.length)).toEqual([1518]);
  });
});

describe('a host in no VLAN', () => {
  it('takes untagged frames and those whose tag says the priority only', () => {
    const host = new LowerHost();
    expect(host.receive(question, tagged(question, 0xa000), tagged(question, 42))).toEqual([
      'ok',
      'ok',
      'ethernet-other-vlan',
    ]);
    expect(host.sent().map((frame) => frame.length)).toEqual([42, 42]);
  });
});
