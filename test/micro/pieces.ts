// The pieces that are measured: wire formats, checksums, request parser, table, TCP over two stacks, and whole ticks of a
// server that answers GET and SET.
import { MemoryWire } from '../../io-engine/memory-wire.ts';
import { commandTable } from '../../src/commands/table.ts';
import { createConfig } from '../../src/core/config.ts';
import { Keyspace } from '../../src/core/keyspace.ts';
import { Server } from '../../src/core/server.ts';
import { Arena } from '../../src/data/arena.ts';
import { Dict } from '../../src/data/dict.ts';
import { ManualClock } from '../../src/platform/clock.ts';
import { silentLog } from '../../src/platform/log.ts';
import { SeededRandom } from '../../src/platform/random.ts';
import { systemStopwatch } from '../../src/platform/stopwatch.ts';
import type { Scheduler } from '../../src/platform/timers.ts';
import { RequestParser } from '../../src/resp/parser.ts';
import { UserspaceTransport } from '../../src/transports/userspace.ts';
import type { Socket, SocketEvents } from '../../stack/socket.ts';
import { Stack } from '../../stack/stack.ts';
import { copyAndSum, sum } from '../../stack/wire/checksum.ts';
import { writeEthernetHeader } from '../../stack/wire/ethernet.ts';
import { Ipv4Header, PROTOCOL_TCP, parseIpv4, writeIpv4Header } from '../../stack/wire/ipv4.ts';
import { ACK, PSH, parseTcp, TcpSegment, writeTcpHeader } from '../../stack/wire/tcp.ts';
import { writeTimestampsOption } from '../../stack/wire/tcp-options.ts';
import { IP_A, IP_B, PORT, TwoStacks, testConfig } from '../unit/stack/two-stacks.ts';
import type { Piece } from './measure.ts';

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const key = (i: number): string => `key:${String(i).padStart(12, '0')}`;
const getOf = (i: number): string => `*2\r\n$3\r\nGET\r\n$16\r\n${key(i)}\r\n`;
const setOf = (i: number): string => `*3\r\n$3\r\nSET\r\n$16\r\n${key(i)}\r\n$3\r\nxyz\r\n`;
/** Keeps results alive. */
export let sink = 0;

function wire(): Piece {
  const frame = new Uint8Array(2048);
  const macs = [new Uint8Array(6).fill(2), new Uint8Array(6).fill(4)];
  const header = new Ipv4Header();
  const segment = new TcpSegment();
  return {
    name: 'wire',
    operation: 'the headers of a segment written, and read again',
    run(count) {
      for (let i = 0; i < count; i++) {
        writeEthernetHeader(frame, 0, macs[0], macs[1], 0x0800);
        writeIpv4Header(frame, 14, 88, i & 0xffff, true, 64, PROTOCOL_TCP, IP_A, IP_B, 0);
        const options = writeTimestampsOption(frame, 54, i, i);
        writeTcpHeader(frame, 34, 40_000, PORT, i, i, ACK | PSH, 500, options);
        sink += parseIpv4(frame, 14, 88, header);
        sink += parseTcp(frame, header.payloadOffset, header.payloadLength, segment) + segment.payloadLength;
      }
    },
  };
}

function checksum(): Piece {
  const from = new Uint8Array(2048).map((_, i) => i * 7);
  const to = new Uint8Array(2048);
  return {
    name: 'checksum',
    operation: '576 bytes summed, and 576 copied and summed',
    run(count) {
      for (let i = 0; i < count; i++) sink ^= sum(from, 54, 576, 0) ^ copyAndSum(to, 66, from, i & 31, 576, 0);
    },
  };
}

function resp(): Piece {
  const requests = ascii(getOf(1) + setOf(2) + getOf(3) + setOf(4));
  const parser = new RequestParser();
  const limits = { unauthenticated: false, bulkLengthMax: 512 * 1024 * 1024 };
  return {
    name: 'resp',
    operation: 'four requests parsed',
    run(count) {
      for (let i = 0; i < count; i++) {
        parser.begin(0, limits);
        for (let request = 0; request < 4; request++) sink += parser.parse(requests, requests.length) + parser.argc;
      }
    },
  };
}

function dict(): Piece {
  const KEYS = 1000;
  const table = new Dict(new Arena(), 2);
  const keys = ascii(Array.from({ length: KEYS }, (_, i) => key(i)).join(''));
  for (let i = 0; i < KEYS; i++) table.insert(keys, i * 16, 16, 3);
  return {
    name: 'dict',
    operation: 'a key found among a thousand',
    run(count) {
      for (let i = 0; i < count; i++) sink ^= table.find(keys, ((i * 7) % KEYS) * 16, 16);
    },
  };
}

/** An application that counts what comes. */
class Counting implements SocketEvents {
  bytes = 0;
  isOpen = false;
  onOpen(): void {
    this.isOpen = true;
  }
  onReadable(_socket: Socket, _bytes: Uint8Array, _offset: number, length: number): number {
    this.bytes += length;
    return length;
  }
  onWritable(): void {}
  onEnd(): void {}
  onClose(): void {}
}

class Echo extends Counting {
  override onReadable(socket: Socket, bytes: Uint8Array, offset: number, length: number): number {
    return socket.write(bytes, offset, length);
  }
}

function tcpLoop(): Piece {
  const net = new TwoStacks();
  net.b.listen(PORT, 16, () => new Echo());
  const client = new Counting();
  const socket = net.a.connect(IP_B, PORT, client);
  if (!net.run(1000, () => client.isOpen)) throw new Error('no connection');
  const request = new Uint8Array(64);
  return {
    name: 'tcp-loop',
    operation: '64 bytes echoed, through two stacks',
    run(count) {
      for (let i = 0; i < count; i++) {
        socket.write(request, 0, request.length);
        net.a.flush();
        net.b.poll();
        net.b.flush();
        net.a.poll();
      }
    },
  };
}

const stillScheduler: Scheduler = {
  createAlarm: () => ({ arm() {}, disarm() {} }),
  soon() {},
};

/** A server with a thousand keys on the user-space transport, and a client's stack. */
function serverBeside(): { readonly client: Stack; readonly transport: UserspaceTransport } {
  const mac = (last: number) => Uint8Array.of(2, 0, 0, 0, 0, last);
  const memory = new MemoryWire({ wake: 'advance', ends: [{ mac: mac(1) }, { mac: mac(2) }] });
  const clock = new ManualClock();
  const random = new SeededRandom(1);
  const config = createConfig();
  config.protectedMode = false;
  const server = new Server({
    ...{ config, clock, random, commands: commandTable, scheduler: stillScheduler, log: silentLog },
    keyspace: new Keyspace(new Arena(), clock, random),
    stopwatch: systemStopwatch,
    transport: 'userspace',
  });
  const transport = new UserspaceTransport({
    ...{ engine: memory.ends[1], clock, scheduler: stillScheduler, random },
    config: testConfig(IP_B, { arp: [{ ip: IP_A, mac: mac(1) }] }),
  });
  transport.beforeOutput = () => server.beforeOutput();
  void transport.listen('10.0.0.2', PORT, 16, server.accept);
  const { dict: table } = server.databases[0];
  for (let i = 0; i < 1000; i++) server.databases[0].setString(ascii(key(i)), 0, 16, ascii('xyz'), 0, 3);
  if (table.size !== 1000) throw new Error('keys are missing');
  const client = new Stack(memory.ends[0], testConfig(IP_A, { arp: [{ ip: IP_B, mac: mac(2) }] }), clock, random);
  return { client, transport };
}

function tick(name: string, operation: string, requests: string): Piece {
  const { client, transport } = serverBeside();
  const application = new Counting();
  const socket = client.connect(IP_B, PORT, application);
  const request = ascii(requests);
  const once = (): void => {
    client.flush();
    transport.tick();
    client.poll();
  };
  for (let i = 0; i < 10 && !application.isOpen; i++) once();
  if (!application.isOpen) throw new Error('no connection');
  socket.write(request, 0, request.length);
  once();
  const expected = application.bytes;
  if (expected === 0) throw new Error('no answer');
  return {
    name,
    operation,
    run(count) {
      const before = application.bytes;
      for (let i = 0; i < count; i++) {
        socket.write(request, 0, request.length);
        once();
      }
      if (application.bytes !== before + expected * count) throw new Error('an answer is missing');
    },
  };
}

const many = (request: (i: number) => string): string => Array.from({ length: 16 }, (_, i) => request(i * 7)).join('');

/** Each makes its own world, when it is called. */
export const PIECES: readonly (() => Piece)[] = [
  wire,
  checksum,
  resp,
  dict,
  tcpLoop,
  () => tick('tick-get', 'one GET through client, wire, server and back', getOf(1)),
  () => tick('tick-set', 'one SET, the same way', setOf(1)),
  () => tick('tick-get-16', 'sixteen GETs in one segment', many(getOf)),
  () => tick('tick-set-16', 'sixteen SETs in one segment', many(setOf)),
];
