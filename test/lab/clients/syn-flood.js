// SYNs from random addresses and ports as fast as this core can make them, through AF_PACKET rings, for a bounded time:
//   syn-flood.js DIST INTERFACE DESTINATION-MAC ADDRESS PORT SECONDS RATE [SOURCE-PREFIX]
// INTERFACE may be several, with commas between: each has its turn for a second.
// Sources are 198.18.0.0/15 (RFC 2544, for tests) or 2001:2::/48 (RFC 5180) unless a prefix of whole bytes is given as hex. RATE is SYNs a second, 0: all it can. Prints
// JSON: how many went out, and when whose turn began.
import { isIPv6 } from 'node:net';
import { pathToFileURL } from 'node:url';

const [dist, device, macText, address, port, seconds, rate, prefix] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${dist}/${path}`).href);
const { openAfPacket } = await load('io-engine/af-packet.js');
const { finish, sum } = await load('stack/wire/checksum.js');
const { parseIpv4Address } = await load('stack/wire/ipv4.js');
const { parseIpv6Address } = await load('stack/wire/ipv6.js');

const open = (name) =>
  openAfPacket({
    engine: 'afpacket',
    interface: name,
    mac: null,
    mtu: 0,
    rxRing: 64,
    txRing: 1024,
    vlan: 0,
    ipv6: true,
    queues: 1,
    addresses: [],
    rxChecksum: 'auto',
    busyPollUs: 0,
    coalesceUs: 0,
  });
const engines = device.split(',').map(open);
let engine = engines[0];

const TURN_MS = 1000;
const six = isIPv6(address);
const length = six ? 16 : 4;
const source = 14 + (six ? 8 : 12);
const tcp = 14 + (six ? 40 : 20);
const frame = new Uint8Array(tcp + 40);
const view = new DataView(frame.buffer);
frame.set(macText.split(':').map((byte) => Number.parseInt(byte, 16)));
frame.set(engine.link.mac, 6);
view.setUint16(12, six ? 0x86dd : 0x0800);
if (six) {
  frame[14] = 0x60;
  view.setUint16(18, 40);
  frame.set([6, 64], 20);
} else {
  frame[14] = 0x45;
  view.setUint16(16, 60);
  frame.set([64, 6], 22);
}
const fixed = Buffer.from(prefix ?? (six ? '200100020000' : 'c6'), 'hex');
frame.set(fixed, source);
view.setUint16(tcp + 2, Number(port));
view.setUint16(tcp + 12, (10 << 12) | 2);
view.setUint16(tcp + 14, 64240);
// MSS 1460, SACK permitted, timestamps, no-operation, window scale 7: what Linux sends.
frame.set([2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7], tcp + 20);

if (six) frame.set(parseIpv6Address(address), source + 16);
else view.setInt32(30, parseIpv4Address(address));

let state = 0x9e3779b9;
function random() {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return state | 0;
}

function send() {
  const at = engine.reserve();
  if (at < 0) return false;
  for (let i = source + fixed.length; i < source + length; i++) frame[i] = random() >>> 24;
  // The tests' network is a /15: its second byte is 18 or 19.
  if (!six && prefix === undefined) frame[source + 1] = 18 + (random() >>> 31);
  view.setUint16(tcp, 1024 + ((random() >>> 0) % 64_000));
  view.setInt32(tcp + 4, random());
  view.setUint16(tcp + 16, 0);
  const pseudo = sum(frame, source, length * 2, 6 + 40);
  view.setUint16(tcp + 16, finish(sum(frame, tcp, 40, pseudo)));
  if (!six) {
    view.setUint16(24, 0);
    view.setUint16(24, finish(sum(frame, 14, 20, 0)));
  }
  engine.memory.set(frame, at);
  engine.commit(frame.length, 0);
  return true;
}

const start = performance.now();
const end = start + Number(seconds) * 1000;
const pause = new Int32Array(new SharedArrayBuffer(4));
let sent = 0;
let turn = -1;
const turns = [];
for (let now = start; now < end; now = performance.now()) {
  const dueTurn = Math.floor((now - start) / TURN_MS);
  if (dueTurn !== turn && engines.length > 1) {
    turn = dueTurn;
    engine = engines[turn % engines.length];
    turns.push({ turn: turn % engines.length, unixMs: Date.now() });
  }
  const due = rate === '0' ? 256 : Math.min(256, ((now - start) * Number(rate)) / 1000 - sent);
  let count = 0;
  while (count < due && send()) count++;
  sent += count;
  engine.flush();
  // A limited flood leaves the core to others.
  if (due < 64) Atomics.wait(pause, 0, 0, 1);
}
const took = (performance.now() - start) / 1000;
const frames = engines.map((each) => each.counters.txFrames);
console.log(JSON.stringify({ frames, seconds: took, turns }));
for (const each of engines) each.close();
process.exit(0);
