// bpf(2): maps, programs, and the few instructions that ours are made of, assembled here with labels for jumps; no
// clang, libbpf or libxdp. For io-engine on Linux only.
import { EAGAIN, openingError } from './errno.ts';
import { addressOf, bpf, errno, pinned } from './libc.ts';

const BPF_MAP_CREATE = 0;
const BPF_PROG_LOAD = 5;
const BPF_LINK_CREATE = 28;
const BPF_MAP_TYPE_ARRAY = 2;
const BPF_F_MMAPABLE = 1 << 10;
const BPF_PSEUDO_MAP_FD = 1;
const BPF_PSEUDO_MAP_VALUE = 2;
const CAPABILITIES = 'CAP_NET_ADMIN and CAP_BPF (or root; not in an unprivileged user namespace)';
/** With a profiler's signals every try may be interrupted. */
const LOAD_TRIES = 20;

// Operation codes (linux/bpf.h, linux/bpf_common.h). IMM: the operand is the immediate, else the source register.
export const MOV_IMM = 0xb7;
export const MOV = 0xbf;
export const MOV32 = 0xbc;
export const ADD_IMM = 0x07;
export const ADD = 0x0f;
export const SUB = 0x1f;
export const MUL = 0x2f;
export const OR = 0x4f;
export const AND_IMM = 0x57;
export const LSH_IMM = 0x67;
export const RSH_IMM = 0x77;
export const XOR = 0xaf;
export const LOAD_8 = 0x71;
export const LOAD_16 = 0x69;
export const LOAD_32 = 0x61;
/** Of the packet, at the immediate, into register 0; register 6 must hold the program's argument. */
export const LOAD_PACKET_32 = 0x20;
const STORE_16 = 0x6b;
const STORE_32 = 0x63;
const STORE_32_IMM = 0x62;
export const JUMP = 0x05;
export const JEQ = 0x1d;
export const JEQ_IMM = 0x15;
export const JNE_IMM = 0x55;
/** The low 32 bits only. */
export const JEQ32_IMM = 0x16;
export const JNE32_IMM = 0x56;
export const JGE = 0x3d;
export const JGT = 0x2d;
export const JGT_IMM = 0x25;
export const JLT_IMM = 0xa5;
const LOAD_64_IMM = 0x18;
const CALL = 0x85;
const EXIT = 0x95;

/** Register of the frame pointer: 512 bytes of stack lie below it. */
export const FP = 10;

/** The attribute of a bpf(2) command. */
export function attribute(fill: (view: DataView) => void): Uint8Array {
  const bytes = pinned(128);
  fill(new DataView(bytes.buffer));
  return bytes;
}

/** @throws EngineError */
export function createMap(type: number, valueBytes: number, entries: number, flags = 0): number {
  const fd = bpf(
    BPF_MAP_CREATE,
    attribute((view) => {
      view.setUint32(0, type, true);
      view.setUint32(4, 4, true);
      view.setUint32(8, valueBytes, true);
      view.setUint32(12, entries, true);
      view.setUint32(16, flags, true);
    }),
  );
  if (fd < 0) throw openingError('making a BPF map', errno(), CAPABILITIES);
  return fd;
}

/** One value of plain memory, zeroed, that programs reach by `Assembler.loadMemory`. @throws EngineError */
export function createMemory(bytes: number): number {
  return createMap(BPF_MAP_TYPE_ARRAY, bytes, 1);
}

/** The same, for mapping too (mmap): neither side needs a system call to see what the other wrote. @throws EngineError */
export function createMappableMemory(bytes: number): number {
  return createMap(BPF_MAP_TYPE_ARRAY, bytes, 1, BPF_F_MMAPABLE);
}

/** @throws EngineError */
export function loadProgram(type: number, program: Uint8Array, attachType: number, flags = 0): number {
  const license = pinned(8);
  license.set([0x47, 0x50, 0x4c]); // "GPL"
  const load = attribute((view) => {
    view.setUint32(0, type, true);
    view.setUint32(4, program.length / 8, true);
    view.setBigUint64(8, addressOf(program), true);
    view.setBigUint64(16, addressOf(license), true);
    view.setUint32(44, flags, true);
    view.setUint32(68, attachType, true);
  });
  let fd = bpf(BPF_PROG_LOAD, load);
  // The verifier gives up when a signal is pending, as under a profiler.
  for (let tries = 1; fd < 0 && errno() === EAGAIN && tries < LOAD_TRIES; tries++) fd = bpf(BPF_PROG_LOAD, load);
  if (fd < 0) throw openingError('loading a BPF program', errno(), CAPABILITIES);
  return fd;
}

/** Attaches a program to an interface, until what this returns is closed, be it by a crash. @returns negative: errno is set. */
export function attachProgramTo(program: number, interfaceIndex: number, attachType: number, flags: number): number {
  return bpf(
    BPF_LINK_CREATE,
    attribute((view) => {
      view.setUint32(0, program, true);
      view.setInt32(4, interfaceIndex, true);
      view.setUint32(8, attachType, true);
      view.setUint32(12, flags, true);
    }),
  );
}

/** Writes instructions one after the other. Registers: 0 result, 1 to 5 arguments (lost in calls), 6 to 9 kept. */
export class Assembler {
  readonly #code: [opcode: number, registers: number, offset: number, immediate: number][] = [];
  readonly #labels = new Map<string, number>();
  readonly #jumps: [at: number, label: string][] = [];

  label(name: string): void {
    this.#labels.set(name, this.#code.length);
  }

  /** An operation on `to`, with register `from` or the immediate, as the code says. */
  op(opcode: number, to: number, from: number, immediate = 0): void {
    this.#code.push([opcode, to | (from << 4), 0, immediate]);
  }

  load(opcode: number, to: number, base: number, offset: number): void {
    this.#code.push([opcode, to | (base << 4), offset, 0]);
  }

  store(base: number, offset: number, from: number): void {
    this.#code.push([STORE_32, base | (from << 4), offset, 0]);
  }

  store16(base: number, offset: number, from: number): void {
    this.#code.push([STORE_16, base | (from << 4), offset, 0]);
  }

  storeImmediate(base: number, offset: number, immediate: number): void {
    this.#code.push([STORE_32_IMM, base, offset, immediate]);
  }

  /** Compares `left` with a register or an immediate and perhaps jumps, forwards only. */
  jump(opcode: number, left: number, right: number, label: string): void {
    this.#jumps.push([this.#code.length, label]);
    const isImmediate = (opcode & 0x08) === 0;
    this.#code.push([opcode, isImmediate ? left : left | (right << 4), 0, isImmediate ? right : 0]);
  }

  goto(label: string): void {
    this.jump(JUMP, 0, 0, label);
  }

  load64(to: number, low: number, high: number): void {
    this.#pair(to, low, high);
  }

  loadMap(to: number, mapFd: number): void {
    this.#pair(to | (BPF_PSEUDO_MAP_FD << 4), mapFd, 0);
  }

  /** The address of a memory's first byte. */
  loadMemory(to: number, mapFd: number): void {
    this.#pair(to | (BPF_PSEUDO_MAP_VALUE << 4), mapFd, 0);
  }

  #pair(registers: number, low: number, high: number): void {
    this.#code.push([LOAD_64_IMM, registers, 0, low], [0, 0, 0, high]);
  }

  /** @param helper its number (enum bpf_func_id). */
  call(helper: number): void {
    this.#code.push([CALL, 0, 0, helper]);
  }

  exit(): void {
    this.#code.push([EXIT, 0, 0, 0]);
  }

  /** struct bpf_insn[], 8 bytes each. */
  assemble(): Uint8Array {
    for (const [at, label] of this.#jumps) {
      const target = this.#labels.get(label);
      if (target === undefined) throw new Error(`no label ${label}`);
      this.#code[at][2] = target - at - 1;
    }
    const bytes = pinned(this.#code.length * 8);
    const view = new DataView(bytes.buffer);
    this.#code.forEach(([opcode, registers, offset, immediate], i) => {
      view.setUint8(i * 8, opcode);
      view.setUint8(i * 8 + 1, registers);
      view.setInt16(i * 8 + 2, offset, true);
      view.setInt32(i * 8 + 4, immediate, true);
    });
    return bytes;
  }
}
