// Linux's TCP under a script: a namespace whose kernel is the host under test, a small process in it that is told what to call,
// and our AF_PACKET engine at the other end of a veth as the peer's wire. Scripts run side by side, each as a peer with
// an address and a port of its own. For the lab.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { FrameEngine } from '../../../io-engine/frame-engine.ts';
import { ARP_LENGTH, ARP_REPLY, writeArp } from '../../../stack/wire/arp.ts';
import { readInt32 } from '../../../stack/wire/bytes.ts';
import { writeEthernetHeader } from '../../../stack/wire/ethernet.ts';
import { formatIpv4 } from '../../../stack/wire/ipv4.ts';
import type { Hosts } from './build.ts';
import type { Flow } from './flow.ts';
import type { Frame, Target, Tolerance } from './target.ts';

export const LINUX_IP = 0x0a630001;
const PEER_NET = 0x0a630100;

/** The wire and the process that all scripts share. */
export class LinuxHost {
  readonly engine: FrameEngine;
  readonly #child: ChildProcess;
  readonly #targets = new Map<number, LinuxTarget>();
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

  target(): LinuxTarget {
    const index = ++this.#scripts;
    const peerIp = PEER_NET + index;
    const hosts = { stackIp: LINUX_IP, peerIp, stackMac: this.#stackMac, peerMac: this.engine.link.mac };
    const target = new LinuxTarget(this, hosts, 7000 + index);
    this.#targets.set(peerIp, target);
    return target;
  }

  ask(key: number, port: number, words: readonly string[]): Promise<string | null> {
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
    if (memory[at + 12] !== 8) return;
    if (memory[at + 13] === 6) {
      if (memory[at + 21] === 1) this.#answerArp(memory, at);
      else this.#targets.get(readInt32(memory, at + 38))?.arrived(memory.slice(at, at + length));
      return;
    }
    this.#targets.get(readInt32(memory, at + 30))?.arrived(memory.slice(at, at + length));
  }

  #answerArp(memory: Uint8Array, at: number): void {
    const wanted = readInt32(memory, at + 38);
    if (!this.#targets.has(wanted)) return;
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

export class LinuxTarget implements Target {
  readonly isLinux = true;
  readonly hosts: Hosts;
  readonly port: number;
  readonly #host: LinuxHost;
  readonly #frames: Frame[] = [];
  #wake: () => void = () => {};

  constructor(host: LinuxHost, hosts: Hosts, port: number) {
    this.#host = host;
    this.hosts = hosts;
    this.port = port;
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
        ? [words[1] ?? '', String(this.port)]
        : words[0] === 'connect'
          ? [formatIpv4(this.hosts.peerIp)]
          : words.slice(1);
    return this.#host.ask(this.hosts.peerIp, flow.peerPort, [words[0], ...extra]);
  }

  async leftovers(): Promise<string | null> {
    return null;
  }

  async close(): Promise<void> {}
}
