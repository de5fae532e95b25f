// Holds SYNs back inside the kernel, before they cost a frame of ours: a part of a BPF program, written once and used by
// the XDP program and by the filter of packet sockets. In a flood so many SYNs a slice of time come in as they are;
// the others are remembered, by a keyed hash of addresses, ports and sequence number, and come in when they come
// again after half a second to eight, as a client's do (RFC 6298) and the made-up ones of a flood do not. Switched
// by a word of memory that is shared with the program. For io-engine on Linux only.
import { randomBytes } from 'node:crypto';
import type { SynGate } from '../frame-engine.ts';
import {
  ADD,
  ADD_IMM,
  AND_IMM,
  type Assembler,
  createMappableMemory,
  createMemory,
  JEQ,
  JEQ_IMM,
  JGE,
  JGT_IMM,
  JLT_IMM,
  JNE_IMM,
  LOAD_8,
  LOAD_16,
  LOAD_32,
  LSH_IMM,
  MOV,
  MOV_IMM,
  MOV32,
  MUL,
  OR,
  RSH_IMM,
  SUB,
  XOR,
} from './bpf.ts';
import { close, type MappedMemory, mapDevice, unmap } from './libc.ts';

/** A slice is 2^27 ns, 134 ms. */
const SLICE_SHIFT = 27;
const SLICES_PER_SECOND = 1e9 / 2 ** SLICE_SHIFT;
/** Slices after which the same SYN is believed to be a client's, and after which it is forgotten. */
const AGAIN_MIN = 3;
const AGAIN_MAX = 60;
/**
 * What is remembered: half a word a SYN, its hash's bits 6 to 15 and its slice's 0 to 5, at its hash's bits 44 to 63. Kept
 * small: in a flood every look is at another place, and waits for memory where that is in no cache.
 */
const MEMORY_SHIFT = 20;
const PRINT_BITS = 0xffc0;
const SLICE_BITS = 0x3f;
const PAGE = 4096;

// Words of the shared memory, by their offset.
const LIMIT = 0;
const SLICE = 4;
const CAME_IN = 8;
const CAME_AGAIN = 12;
const HELD = 16;

/** The time as of the last tick: a look at the clock itself is most of what a SYN costs. */
const KTIME_GET_COARSE_NS = 160;
const PROTOCOL_TCP = 6;
const SYN_AMONG_OTHERS = 0x17; // FIN, SYN, RST, ACK
const SYN = 0x02;
const REMOTE_FRAGMENT = 0xff1f; // the offset's bits, as a little-endian machine reads them
/** 0x0800 and 0x86dd, the same way. */
const IPV4 = 0x0008;
const IPV6 = 0xdd86;

/** In a view that begins two bytes before the frame's type: with its IP header aligned. */
const AT_TYPE = 2;
const AT_IP = 4;
/** In the TCP header. */
const FLAGS = 13;

/**
 * How a program looks at its frame: writes the code that leaves in `register` the address of `length` bytes from offset
 * r2 on, and that goes to `accept` where the frame ends before. Registers 0 to 5 are lost.
 */
export type FrameView = (code: Assembler, register: number, length: number) => void;

export class KernelSynGate implements SynGate {
  /** What is shared with the program, as a descriptor: another process may go on with it. */
  readonly fd: number;
  /** Called before the first SYN is held back (true) and after the last (false). */
  onSwitch: (isOn: boolean) => void = () => {};
  readonly #mapping: MappedMemory;
  readonly #words: Uint32Array;
  /** What the program remembers, for loading it; -1: it is loaded. */
  readonly #memory: number;

  private constructor(fd: number, memory: number) {
    this.fd = fd;
    this.#memory = memory;
    this.#mapping = mapDevice(fd, PAGE, 0);
    this.#words = new Uint32Array(this.#mapping.buffer);
  }

  /** @throws EngineError where the kernel does not let us. */
  static open(): KernelSynGate {
    const fds = [createMappableMemory(PAGE)];
    try {
      fds.push(createMemory(2 << MEMORY_SHIFT));
      return new KernelSynGate(fds[0], fds[1]);
    } catch (error) {
      fds.forEach(close);
      throw error;
    }
  }

  /** The gate in a program that another process loaded. @param fd its gate's. */
  static adopt(fd: number): KernelSynGate {
    return new KernelSynGate(fd, -1);
  }

  limit(perSecond: number): void {
    const isOn = perSecond > 0;
    const wasOn = this.#words[LIMIT >> 2] > 0;
    Atomics.store(this.#words, LIMIT >> 2, isOn ? Math.max(1, Math.round(perSecond / SLICES_PER_SECOND)) : 0);
    if (isOn !== wasOn) this.onSwitch(isOn);
  }

  get held(): number {
    return Atomics.load(this.#words, HELD >> 2);
  }

  close(): void {
    unmap(this.#mapping);
    close(this.fd);
    if (this.#memory >= 0) close(this.#memory);
  }

  /**
   * The program's part: ends at label `accept` or `drop`, which the caller adds. The program's context is in register 6 and
   * stays there; 7 to 9 are used.
   * @param typeOffset where the frame says what it carries: 12, behind a VLAN tag 16.
   */
  emit(code: Assembler, view: FrameView, typeOffset: number): void {
    code.loadMemory(7, this.fd);
    code.load(LOAD_32, 8, 7, LIMIT);
    code.jump(JEQ_IMM, 8, 0, 'accept');
    emitFindSyn(code, view, typeOffset);
    emitHash(code);
    emitSlice(code);
    code.load(LOAD_32, 1, 7, CAME_IN);
    code.jump(JGE, 1, 8, 'over');
    code.op(ADD_IMM, 1, 0, 1);
    code.store(7, CAME_IN, 1);
    code.goto('accept');
    code.label('over');
    this.#emitRemember(code);
    code.label('held');
    code.load(LOAD_32, 1, 7, HELD);
    code.op(ADD_IMM, 1, 0, 1);
    code.store(7, HELD, 1);
    code.goto('drop');
  }

  /** Looks for the SYN with hash r9 in slice r0; goes to `accept`, or on to `held`. */
  #emitRemember(code: Assembler): void {
    code.op(MOV, 3, 9);
    code.op(RSH_IMM, 3, 0, 64 - MEMORY_SHIFT);
    code.op(LSH_IMM, 3, 0, 1);
    code.loadMemory(2, this.#memory);
    code.op(ADD, 2, 3);
    code.load(LOAD_16, 4, 2, 0);
    code.op(MOV, 5, 4);
    code.op(XOR, 5, 9);
    code.op(AND_IMM, 5, 0, PRINT_BITS);
    code.jump(JNE_IMM, 5, 0, 'new');
    code.op(MOV, 5, 0);
    code.op(SUB, 5, 4);
    code.op(AND_IMM, 5, 0, SLICE_BITS);
    code.jump(JLT_IMM, 5, AGAIN_MIN, 'held');
    code.jump(JGT_IMM, 5, AGAIN_MAX, 'new');
    code.load(LOAD_32, 1, 7, CAME_AGAIN);
    code.op(LSH_IMM, 8, 0, 1); // twice as many
    code.jump(JGE, 1, 8, 'held');
    code.op(ADD_IMM, 1, 0, 1);
    code.store(7, CAME_AGAIN, 1);
    code.goto('accept');
    code.label('new');
    code.op(AND_IMM, 9, 0, PRINT_BITS);
    code.op(AND_IMM, 0, 0, SLICE_BITS);
    code.op(OR, 9, 0);
    code.store16(2, 0, 9);
  }
}

/** Goes on with what is a SYN and nothing else, the last word of its source in r9 and its TCP header's address in r3. */
function emitFindSyn(code: Assembler, view: FrameView, typeOffset: number): void {
  const begin = typeOffset - AT_TYPE;
  code.op(MOV_IMM, 2, 0, begin);
  view(code, 3, AT_IP + 24);
  code.load(LOAD_16, 1, 3, AT_TYPE);
  code.jump(JEQ_IMM, 1, IPV4, 'ipv4');
  code.jump(JNE_IMM, 1, IPV6, 'accept');
  code.load(LOAD_8, 1, 3, AT_IP + 6);
  code.jump(JNE_IMM, 1, PROTOCOL_TCP, 'accept');
  code.load(LOAD_32, 9, 3, AT_IP + 20);
  code.op(MOV_IMM, 2, 0, begin + AT_IP + 40);
  code.goto('tcp');
  code.label('ipv4');
  code.load(LOAD_8, 1, 3, AT_IP + 9);
  code.jump(JNE_IMM, 1, PROTOCOL_TCP, 'accept');
  code.load(LOAD_16, 1, 3, AT_IP + 6);
  code.op(AND_IMM, 1, 0, REMOTE_FRAGMENT);
  code.jump(JNE_IMM, 1, 0, 'accept');
  code.load(LOAD_32, 9, 3, AT_IP + 12);
  code.load(LOAD_8, 2, 3, AT_IP);
  code.op(AND_IMM, 2, 0, 15);
  code.op(LSH_IMM, 2, 0, 2);
  code.op(ADD_IMM, 2, 0, begin + AT_IP);
  code.label('tcp');
  view(code, 3, FLAGS + 1);
  code.load(LOAD_8, 1, 3, FLAGS);
  code.op(AND_IMM, 1, 0, SYN_AMONG_OTHERS);
  code.jump(JNE_IMM, 1, SYN, 'accept');
}

/** The slice in r0; counts of an earlier one are set to zero. */
function emitSlice(code: Assembler): void {
  code.call(KTIME_GET_COARSE_NS);
  code.op(RSH_IMM, 0, 0, SLICE_SHIFT);
  code.op(MOV32, 0, 0);
  code.load(LOAD_32, 1, 7, SLICE);
  code.jump(JEQ, 1, 0, 'counting');
  code.store(7, SLICE, 0);
  code.storeImmediate(7, CAME_IN, 0);
  code.storeImmediate(7, CAME_AGAIN, 0);
  code.label('counting');
}

/** Source (r9), ports and sequence number of the TCP header at r3, multiplied by secrets, into r9. */
function emitHash(code: Assembler): void {
  const secrets = new Int32Array(new Uint8Array(randomBytes(24)).buffer);
  code.load(LOAD_32, 2, 3, 0);
  code.load(LOAD_32, 3, 3, 4);
  code.op(LSH_IMM, 9, 0, 32);
  code.op(OR, 9, 2);
  code.load64(1, secrets[0], secrets[1]);
  code.op(XOR, 9, 1);
  for (const i of [2, 4]) {
    code.load64(2, secrets[i] | 1, secrets[i + 1]);
    code.op(MUL, 9, 2);
    code.op(MOV, 2, 9);
    code.op(RSH_IMM, 2, 0, 32);
    code.op(XOR, 9, 2);
    if (i === 2) code.op(ADD, 9, 3);
  }
  code.load64(2, secrets[0] | 1, secrets[5]);
  code.op(MUL, 9, 2);
}
