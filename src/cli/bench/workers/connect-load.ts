// New connections as fast as a server takes them: connect, one GET, close, on so many lanes at a time. A program of its own,
// which the connections scenario runs on the client's host. It writes its frames itself, on a packet socket beside the kernel,
// with an address and a hardware address of its own, and knows of TCP what an undisturbed path needs: a client on
// kernel sockets takes longer for a connection than the servers that are measured. What gets no answer is sent again,
// and counted. Prints one line of JSON.
// usage: connect-load.js INTERFACE ADDRESS SERVER PORT LANES CONNECTIONS
import type { FrameEngine } from '../../../../io-engine/frame-engine.ts';
import { openEngine } from '../../../../io-engine/open.ts';
import { ARP_REPLY, ARP_REQUEST, ArpPacket, parseArp, writeArp } from '../../../../stack/wire/arp.ts';
import { writeUint16 } from '../../../../stack/wire/bytes.ts';
import { finish, pseudoHeaderSum, sum } from '../../../../stack/wire/checksum.ts';
import {
  BROADCAST_MAC,
  ETHERNET_HEADER_LENGTH,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  MAC_LENGTH,
  readEtherType,
  writeEthernetHeader,
} from '../../../../stack/wire/ethernet.ts';
import {
  IPV4_HEADER_LENGTH,
  Ipv4Header,
  PROTOCOL_TCP,
  parseIpv4,
  parseIpv4Address,
  writeIpv4Header,
} from '../../../../stack/wire/ipv4.ts';
import { OK } from '../../../../stack/wire/status.ts';
import {
  ACK,
  FIN,
  PSH,
  parseTcp,
  RST,
  SYN,
  TCP_CHECKSUM,
  TCP_HEADER_LENGTH,
  TcpSegment,
  writeTcpHeader,
} from '../../../../stack/wire/tcp.ts';
import { writeMssOption } from '../../../../stack/wire/tcp-options.ts';
import { systemStopwatch } from '../../../platform/stopwatch.ts';
import { SystemScheduler } from '../../../platform/timers.ts';

export interface ConnectResult {
  readonly seconds: number;
  /** From a SYN to the server's FIN. */
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
  /** Segments that were sent again, and connections that were reset. */
  readonly again: number;
  readonly resets: number;
}

/** Locally administered: frames to it are nobody's but ours. */
const MAC = Uint8Array.of(0x02, 0x77, 0x64, 0x6c, 0x6f, 0x61);
const PORT_MIN = 4096;
const WINDOW = 0xffff;
const MSS = 1460;
const MSS_OPTION_LENGTH = 4;
const TTL = 64;
const AGAIN_AFTER_US = 250_000;
const LOOK_EVERY_MS = 50;
const SILENCE_MAX_US = 10e6;
const NOTHING = new Uint8Array(0);
const request = new TextEncoder().encode('*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000000\r\n');
/** What a reply to GET begins with. */
const DOLLAR = 36;

/** What a lane waits for. */
const OPENING = 0;
const ASKED = 1;
const CLOSING = 2;

const engine: FrameEngine = await openEngine(readOptions());
const { memory, batch } = engine;
const [, ownAddress, serverAddress, ...numbers] = process.argv.slice(2);
const [port, laneCount, connections] = numbers.map(Number);
const ownIp = parseIpv4Address(ownAddress) as number;
const serverIp = parseIpv4Address(serverAddress) as number;
const timesUs = new Float64Array(connections);
let serverMac: Uint8Array | null = null;
let nowUs = systemStopwatch();
let startUs = nowUs;
let begun = 0;
let done = 0;
let again = 0;
let resets = 0;

function readOptions(): Parameters<typeof openEngine>[0] {
  const [device, address] = process.argv.slice(2);
  return {
    ...{ engine: 'afpacket', interface: device, mac: MAC, mtu: 0, rxRing: 4096, txRing: 2048, vlan: 0, ipv6: false },
    ...{ queues: 1, addresses: [{ ip: parseIpv4Address(address) as number, prefixLength: 24 }] },
    ...{ rxChecksum: 'trust', tso: 'off', busyPollUs: 0, coalesceUs: 0 },
  };
}

/** One connection after the other; each state has one segment that may have to be sent again. */
class Lane {
  localPort: number;
  isIdle = true;
  state = OPENING;
  #isn = 0;
  /** Behind the reply. */
  #rcvNxt = 0;
  #beganUs = 0;
  #sentUs = 0;

  constructor(index: number) {
    this.localPort = PORT_MIN + index;
  }

  begin(): void {
    this.isIdle = begun === connections;
    if (this.isIdle) return;
    begun++;
    this.localPort += laneCount;
    if (this.localPort > 0xffff) this.localPort = PORT_MIN + ((this.localPort - PORT_MIN) % laneCount);
    this.#isn = Math.imul(begun, 0x10_003) | 0;
    this.#beganUs = nowUs;
    this.state = OPENING;
    this.send();
  }

  /** What the state asks for. */
  send(): void {
    this.#sentUs = nowUs;
    const { localPort, state } = this;
    const seq = (this.#isn + 1) | 0;
    if (state === OPENING) sendSegment(localPort, this.#isn, 0, SYN, NOTHING);
    else if (state === ASKED) sendSegment(localPort, seq, this.#rcvNxt, PSH | ACK, request);
    else sendSegment(localPort, (seq + request.length) | 0, this.#rcvNxt, FIN | ACK, NOTHING);
  }

  sendAgainIfLate(): void {
    if (this.isIdle || nowUs - this.#sentUs < AGAIN_AFTER_US) return;
    again++;
    this.send();
  }

  arrives(segment: TcpSegment): void {
    const { flags, payloadLength } = segment;
    if ((flags & RST) !== 0) {
      resets++;
      this.#end();
    } else if (this.state === OPENING) {
      if ((flags & SYN) === 0) return;
      this.#rcvNxt = (segment.seq + 1) | 0;
      this.state = ASKED;
      this.send();
    } else if (segment.seq !== this.#rcvNxt) return;
    else if (this.state === ASKED && payloadLength > 0) {
      if (memory[segment.payloadOffset] !== DOLLAR) throw new Error('a reply that is none to GET');
      this.#rcvNxt = (this.#rcvNxt + payloadLength) | 0;
      this.state = CLOSING;
      this.send();
    } else if (this.state === CLOSING && (flags & FIN) !== 0) {
      const seq = (this.#isn + request.length + 2) | 0;
      sendSegment(this.localPort, seq, (this.#rcvNxt + 1) | 0, ACK, NOTHING);
      this.#end();
    }
  }

  #end(): void {
    timesUs[done++] = nowUs - this.#beganUs;
    this.begin();
  }
}

/** An outgoing slot; frames leave when all are taken. */
function reserve(): number {
  let offset = engine.reserve();
  for (let tries = 0; offset < 0 && tries < 1000; tries++) {
    engine.flush();
    offset = engine.reserve();
  }
  if (offset < 0) throw new Error('the interface sends nothing');
  return offset;
}

function sendSegment(from: number, seq: number, ack: number, flags: number, payload: Uint8Array): void {
  const optionsLength = (flags & SYN) === 0 ? 0 : MSS_OPTION_LENGTH;
  const length = TCP_HEADER_LENGTH + optionsLength + payload.length;
  const frame = reserve();
  writeEthernetHeader(memory, frame, serverMac as Uint8Array, MAC, ETHERTYPE_IPV4);
  const ip = frame + ETHERNET_HEADER_LENGTH;
  writeIpv4Header(memory, ip, IPV4_HEADER_LENGTH + length, 0, true, TTL, PROTOCOL_TCP, ownIp, serverIp);
  const tcp = ip + IPV4_HEADER_LENGTH;
  const headerLength = writeTcpHeader(memory, tcp, from, port, seq, ack, flags, WINDOW, optionsLength);
  if (optionsLength > 0) writeMssOption(memory, tcp + TCP_HEADER_LENGTH, MSS);
  for (let i = 0; i < payload.length; i++) memory[tcp + headerLength + i] = payload[i];
  const pseudo = pseudoHeaderSum(ownIp, serverIp, PROTOCOL_TCP, length);
  writeUint16(memory, tcp + TCP_CHECKSUM, finish(sum(memory, tcp, length, pseudo)));
  engine.commit(ETHERNET_HEADER_LENGTH + IPV4_HEADER_LENGTH + length, 0);
}

function sendArp(operation: number, mac: Uint8Array, targetMac: Uint8Array): void {
  const frame = reserve();
  writeEthernetHeader(memory, frame, mac, MAC, ETHERTYPE_ARP);
  const length = writeArp(memory, frame + ETHERNET_HEADER_LENGTH, operation, MAC, ownIp, targetMac, serverIp);
  engine.commit(ETHERNET_HEADER_LENGTH + length, 0);
}

const lanes = Array.from({ length: laneCount }, (_, i) => new Lane(i));
const arp = new ArpPacket();
const header = new Ipv4Header();
const segment = new TcpSegment();

function input(offset: number, length: number): void {
  const etherType = readEtherType(memory, offset);
  const at = offset + ETHERNET_HEADER_LENGTH;
  const rest = length - ETHERNET_HEADER_LENGTH;
  if (etherType === ETHERTYPE_ARP && parseArp(memory, at, rest, arp) === OK) inputArp();
  else if (etherType === ETHERTYPE_IPV4 && parseIpv4(memory, at, rest, header) === OK) inputIp();
}

function inputArp(): void {
  if (arp.targetIp !== ownIp || arp.senderIp !== serverIp) return;
  const mac = memory.slice(arp.senderMacOffset, arp.senderMacOffset + MAC_LENGTH);
  if (arp.operation === ARP_REQUEST) sendArp(ARP_REPLY, mac, mac);
  if (serverMac !== null) return;
  serverMac = mac;
  startUs = nowUs;
  for (const lane of lanes) lane.begin();
}

function inputIp(): void {
  const { destinationIp, payloadLength, payloadOffset, protocol } = header;
  if (destinationIp !== ownIp || protocol !== PROTOCOL_TCP) return;
  if (parseTcp(memory, payloadOffset, payloadLength, segment) !== OK) return;
  const lane = lanes[(segment.destinationPort - PORT_MIN) % laneCount];
  if (lane !== undefined && lane.localPort === segment.destinationPort && !lane.isIdle) lane.arrives(segment);
  // The last ACK was lost: nobody is there any more.
  else if ((segment.flags & FIN) !== 0) sendSegment(segment.destinationPort, segment.ack, 0, RST, NOTHING);
}

function tick(): void {
  nowUs = systemStopwatch();
  for (let count = batch.capacity; count === batch.capacity; ) {
    count = engine.receive();
    for (let i = 0; i < count; i++) input(batch.offset[i], batch.length[i]);
  }
  engine.flush();
  if (done === connections) finishRun();
}

function finishRun(): void {
  alarm.disarm();
  engine.close();
  const sorted = timesUs.sort();
  const at = (share: number): number => sorted[Math.min(connections - 1, Math.floor(connections * share))];
  const seconds = (nowUs - startUs) / 1e6;
  const result: ConnectResult = { seconds, p50Us: at(0.5), p99Us: at(0.99), maxUs: at(1), again, resets };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

/** Nothing wakes us for what is lost. */
function look(): void {
  nowUs = systemStopwatch();
  if (serverMac === null) sendArp(ARP_REQUEST, BROADCAST_MAC, new Uint8Array(MAC_LENGTH));
  else for (const lane of lanes) lane.sendAgainIfLate();
  engine.flush();
  if (nowUs - startUs > SILENCE_MAX_US && done === 0) throw new Error('the server does not answer');
  alarm.arm(LOOK_EVERY_MS);
}

const alarm = new SystemScheduler().createAlarm(look);
engine.wait(tick);
look();
