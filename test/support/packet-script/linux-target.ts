// Linux's TCP under a script: a namespace whose kernel is the host under test, a small process in it that is told what to call,
// and our AF_PACKET engine at the other end of a veth as the peer's wire. Scripts run side by side, each as a peer with
// an address and a port of its own. For the lab.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { FrameEngine } from '../../../io-engine/frame-engine.ts';
import { ARP_LENGTH, ARP_REPLY, writeArp } from '../../../stack/wire/arp.ts';
import { readInt32 } from '../../../stack/wire/bytes.ts';
import { writeEthernetHeader } from '../../../stack/wire/ethernet.ts';
import { addressBytes, buildFrames, type Hosts } from './build.ts';
import { Flow } from './flow.ts';
import type { Script } from './syntax.ts';
import type { Frame, Target, Tolerance } from './target.ts';

const LINUX_IP = 0x0a630001;
const LINUX = { 4: '10.99.0.1', 6: 'fd99::1' } as const;
/** Where an ARP packet names the address that is asked for, and IP packets their destination. */
const ARP_TARGET = 38;
const DESTINATION = { 4: 30, 6: 38 } as const;
const NDP_TYPE = 54;
const NDP_TARGET = 62;
const NEIGHBOR_SOLICITATION = 135;

/** The wire and the process that all scripts share. */
export class LinuxHost {
  readonly engine: FrameEngine;
  readonly #child: ChildProcess;
  /** By address, in hexadecimal digits. */
  readonly #targets = new Map<string, LinuxTarget>();
  readonly #waiting = new Map<number, (answer: string | null) => void>();
  readonly #stackMac: Uint8Array;
  #calls = 0;
  #scripts = 0;

  /** @param command starts packet-peer.py in the kernel's namespace. */
  constructor(engine: FrameEngine, stackMac: Uint8Array, command: readonly string[]) {
    this.engine = engine;
    this.#stackMac = stackMac;
    this.#child = spawn(command[0], command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      const [number, answer] = JSON.parse(line) as [number, string | null];
      this.#waiting.get(number)?.(answer);
      this.#waiting.delete(number);
    });
    engine.wait(() => this.#receive());
  }

  target({ settings }: Script): LinuxTarget {
    const index = ++this.#scripts;
    const family = settings.get('family') === '6' ? 6 : 4;
    const peer = family === 4 ? `10.99.${1 + (index >> 8)}.${index & 255}` : `fd99::1:${index.toString(16)}`;
    const [stackIp, peerIp] = [LINUX[family], peer].map((text) => addressBytes(text) as Uint8Array);
    const macs = { stackMac: this.#stackMac, peerMac: this.engine.link.mac };
    const target = new LinuxTarget(this, { family, stackIp, peerIp, ...macs, vlan: 0 }, index, peer);
    this.#targets.set(hexOf(peerIp), target);
    return target;
  }

  ask(key: string, port: number, words: readonly string[]): Promise<string | null> {
    const number = this.#calls++;
    this.#child.stdin!.write(`${JSON.stringify([number, key, port, ...words])}\n`);
    return new Promise((resolve) => this.#waiting.set(number, resolve));
  }

  send(frame: Uint8Array): void {
    const at = this.engine.reserve();
    if (at < 0) throw new Error('no outgoing slot');
    this.engine.memory.set(frame, at);
    this.engine.commit(frame.length, 0);
    this.engine.flush();
  }

  #receive(): void {
    for (let count = this.engine.receive(); count > 0; count = this.engine.receive()) {
      const { offset, length } = this.engine.batch;
      for (let i = 0; i < count; i++) this.#take(this.engine.memory, offset[i], length[i]);
    }
  }

  /** To the script whose address it is for; questions for such an address are answered here. */
  #take(memory: Uint8Array, at: number, length: number): void {
    const type = (memory[at + 12] << 8) | memory[at + 13];
    const found = (offset: number, size: number) =>
      this.#targets.get(hexOf(memory.subarray(at + offset, at + offset + size)));
    if (type === 0x0806 && memory[at + 21] === 1) {
      if (found(ARP_TARGET, 4) !== undefined) this.#answerArp(memory, at);
    } else if (type === 0x86dd && memory[at + 20] === 58 && memory[at + NDP_TYPE] === NEIGHBOR_SOLICITATION) {
      const asked = found(NDP_TARGET, 16);
      if (asked !== undefined) this.#answerSolicitation(asked.hosts);
    } else if (type === 0x0806) found(ARP_TARGET, 4)?.arrived(memory.slice(at, at + length));
    else if (type === 0x0800) found(DESTINATION[4], 4)?.arrived(memory.slice(at, at + length));
    else if (type === 0x86dd) found(DESTINATION[6], 16)?.arrived(memory.slice(at, at + length));
  }

  #answerSolicitation(hosts: Hosts): void {
    const packet = { kind: 'ndp', type: 136, target: 'peer', solicited: true, override: true } as const;
    for (const frame of buildFrames(packet, new Flow(1, 0, 0), hosts, 0)) this.send(frame);
  }

  #answerArp(memory: Uint8Array, at: number): void {
    const wanted = readInt32(memory, at + 38);
    const { mac } = this.engine.link;
    const frame = new Uint8Array(14 + ARP_LENGTH);
    writeEthernetHeader(frame, 0, this.#stackMac, mac, 0x0806);
    writeArp(frame, 14, ARP_REPLY, mac, wanted, this.#stackMac, LINUX_IP);
    this.send(frame);
  }

  close(): void {
    this.#child.stdin!.end();
    this.engine.close();
  }
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

class LinuxTarget implements Target {
  readonly isLinux = true;
  readonly hosts: Hosts;
  readonly port: number;
  readonly #host: LinuxHost;
  readonly #frames: Frame[] = [];
  #wake: () => void = () => {};

  readonly #peer: string;

  constructor(host: LinuxHost, hosts: Hosts, index: number, peer: string) {
    this.#host = host;
    this.hosts = hosts;
    this.port = 7000 + index;
    this.#peer = peer;
  }

  nowUs(): number {
    return performance.now() * 1000;
  }

  /** The machine may be busy: late is forgiven more than early. */
  tolerance(afterUs: number): Tolerance {
    return { earlyUs: 20_000 + afterUs * 0.15, lateUs: 500_000 + afterUs * 0.25 };
  }

  inject(frame: Uint8Array): void {
    this.#host.send(frame);
  }

  arrived(bytes: Uint8Array): void {
    this.#frames.push({ bytes, atUs: this.nowUs() });
    this.#wake();
  }

  async next(untilUs: number): Promise<Frame | null> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      const leftMs = (untilUs - this.nowUs()) / 1000;
      if (leftMs <= 0) return null;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(1, leftMs));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  call(flow: Flow, words: readonly string[]): Promise<string | null> {
    const extra =
      words[0] === 'listen'
        ? [words[1] ?? '', String(this.port), LINUX[this.hosts.family]]
        : words[0] === 'connect'
          ? [this.#peer]
          : words.slice(1);
    return this.#host.ask(this.#peer, flow.peerPort, [words[0], ...extra]);
  }

  async leftovers(): Promise<string | null> {
    return null;
  }

  async close(): Promise<void> {}
}
