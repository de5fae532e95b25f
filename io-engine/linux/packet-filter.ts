// The programs that an AF_PACKET socket runs before it copies a frame into our ring: what is not for us costs no slot.
// Classic BPF, which needs no privilege; and the same in BPF with a SYN gate in it, for a flood. Pure assembly of
// bytes. For io-engine only.
import {
  ADD_IMM,
  AND_IMM,
  Assembler,
  FP,
  JEQ_IMM,
  JNE_IMM,
  JNE32_IMM,
  LOAD_8,
  LOAD_16,
  LOAD_32,
  MOV,
  MOV_IMM,
} from './bpf.ts';
import type { FrameView, KernelSynGate } from './syn-gate.ts';

const LD_W_ABS = 0x20;
const LD_H_ABS = 0x28;
const LD_B_ABS = 0x30;
const AND = 0x54;
const JEQ = 0x15;
const JSET = 0x45;
const RET = 0x06;
const LD_MEM = 0x60;
const LD_W_IND = 0x40;
const LDX_IP_HEADER_LENGTH = 0xb1;
const TAX = 0x07;
const ST = 0x02;
const XOR_X = 0xac;
const MUL = 0x24;
const RSH = 0x74;
const MOD = 0x94;
/** Ancillary loads: negative offsets name what the kernel knows of the frame (linux/filter.h, SKF_AD_*). */
const ANCILLARY = 0xfffff000;
const VLAN_TAG = 44;
const VLAN_TAG_PRESENT = 48;
const WHOLE_FRAME = 0x40000;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV6 = 0x86dd;

interface Instruction {
  readonly code: number;
  readonly k: number;
  /** Where to go: a label, or the next instruction. */
  readonly yes?: string;
  readonly no?: string;
  readonly label?: string;
}

/** Which of several sockets takes a flow: that whose index is its hash modulo their count. */
export interface FlowShare {
  readonly index: number;
  readonly count: number;
}

const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;
/** A ^= A >>> bits: with the multiplications between, MurmurHash3's finalizer. A kernel's own ports are all even. */
function folded(bits: number): Instruction[] {
  return [
    { code: ST, k: 0 },
    { code: RSH, k: bits },
    { code: TAX, k: 0 },
    { code: LD_MEM, k: 0 },
    { code: XOR_X, k: 0 },
  ];
}

/**
 * Behind `frameFilter`: of IPv4 TCP and UDP, one flow in `count`, by ports and the sender's address; all else, which every
 * socket has to hear. Fragments have no ports and are dropped.
 */
function shareInstructions({ index, count }: FlowShare): Instruction[] {
  return [
    { code: LD_H_ABS, k: 12, label: 'share' },
    { code: JEQ, k: ETHERTYPE_IPV4, no: 'whole' },
    { code: LD_B_ABS, k: 23 },
    { code: JEQ, k: PROTOCOL_TCP, yes: 'flow' },
    { code: JEQ, k: PROTOCOL_UDP, no: 'whole' },
    { code: LD_H_ABS, k: 20, label: 'flow' },
    { code: JSET, k: 0x3fff, yes: 'drop' },
    { code: LD_W_ABS, k: 26 },
    { code: ST, k: 0 },
    { code: LDX_IP_HEADER_LENGTH, k: 14 },
    { code: LD_W_IND, k: 14 },
    { code: ST, k: 1 },
    { code: LD_MEM, k: 0 },
    { code: TAX, k: 0 },
    { code: LD_MEM, k: 1 },
    { code: XOR_X, k: 0 },
    ...folded(16),
    { code: MUL, k: 0x85ebca6b },
    ...folded(13),
    { code: MUL, k: 0xc2b2ae35 },
    ...folded(16),
    { code: MOD, k: count },
    { code: JEQ, k: index, yes: 'whole', no: 'drop' },
    { code: RET, k: WHOLE_FRAME, label: 'whole' },
  ];
}

/**
 * Accepts ARP, IPv4 and perhaps IPv6 frames of our VLAN (0: untagged, or with a tag that says the priority only) that
 * were sent to `mac` or to a group (broadcast, multicast). The kernel takes a tag off and keeps it beside the
 * frame, so a frame of another VLAN would look like ours.
 * @param share of several sockets, which one this is. @returns struct sock_filter[], 8 bytes each
 */
export function frameFilter(mac: Uint8Array, vlan: number, ipv6: boolean, share?: FlowShare): Uint8Array {
  const accept = share === undefined ? 'accept' : 'share';
  const macHigh = ((mac[0] << 24) | (mac[1] << 16) | (mac[2] << 8) | mac[3]) >>> 0;
  const macLow = (mac[4] << 8) | mac[5];
  return assemble([
    { code: LD_H_ABS, k: 12 },
    { code: JEQ, k: ETHERTYPE_IPV4, yes: 'destination' },
    { code: JEQ, k: ipv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4, yes: 'destination' },
    { code: JEQ, k: ETHERTYPE_ARP, no: 'drop' },
    { code: LD_B_ABS, k: 0, label: 'destination' },
    { code: JSET, k: 1, yes: 'vlan' },
    { code: LD_W_ABS, k: 0 },
    { code: JEQ, k: macHigh, no: 'drop' },
    { code: LD_H_ABS, k: 4 },
    { code: JEQ, k: macLow, no: 'drop' },
    { code: LD_W_ABS, k: ANCILLARY + VLAN_TAG_PRESENT, label: 'vlan' },
    { code: JEQ, k: 0, yes: vlan === 0 ? accept : 'drop' },
    { code: LD_W_ABS, k: ANCILLARY + VLAN_TAG },
    { code: AND, k: 0x0fff },
    { code: JEQ, k: vlan, yes: accept, no: 'drop' },
    ...(share === undefined ? [] : shareInstructions(share)),
    { code: RET, k: WHOLE_FRAME, label: 'accept' },
    { code: RET, k: 0, label: 'drop' },
  ]);
}

const SKB_LOAD_BYTES = 26;
/** In struct __sk_buff. */
const SKB_VLAN_PRESENT = 20;
const SKB_VLAN_TAG = 24;
const ETHERNET_TYPE = 12;
const ETHERNET_HEADER_LENGTH = 14;
const AT_FRAME = -16;
/** Where bytes of the frame are copied to for a look: on the stack, below AT_FRAME. */
const AT_VIEW = -48;

const swapped = (half: number): number => ((half & 0xff) << 8) | (half >> 8);

/** In a copy, aligned as the stack is: the program of a packet socket may not look at the frame itself. */
const viewCopied: FrameView = (code, register, length) => {
  code.op(MOV, 1, 6);
  code.op(MOV, 3, FP);
  code.op(ADD_IMM, 3, 0, AT_VIEW);
  code.op(MOV_IMM, 4, 0, length);
  code.call(SKB_LOAD_BYTES);
  code.jump(JNE_IMM, 0, 0, 'accept');
  code.op(MOV, register, FP);
  code.op(ADD_IMM, register, 0, AT_VIEW);
};

/** Accepts what `frameFilter` accepts, but for the SYNs that the gate holds back. */
export function gatedFrameFilter(mac: Uint8Array, vlan: number, ipv6: boolean, synGate: KernelSynGate): Uint8Array {
  const code = new Assembler();
  code.op(MOV, 6, 1);
  code.op(MOV_IMM, 2, 0, 0);
  code.op(MOV, 3, FP);
  code.op(ADD_IMM, 3, 0, AT_FRAME);
  code.op(MOV_IMM, 4, 0, ETHERNET_HEADER_LENGTH);
  code.call(SKB_LOAD_BYTES);
  code.jump(JNE_IMM, 0, 0, 'drop');
  code.load(LOAD_16, 1, FP, AT_FRAME + ETHERNET_TYPE);
  code.jump(JEQ_IMM, 1, swapped(ETHERTYPE_IPV4), 'destination');
  if (ipv6) code.jump(JEQ_IMM, 1, swapped(ETHERTYPE_IPV6), 'destination');
  code.jump(JNE_IMM, 1, swapped(ETHERTYPE_ARP), 'drop');
  code.label('destination');
  code.load(LOAD_8, 1, FP, AT_FRAME);
  code.op(AND_IMM, 1, 0, 1);
  code.jump(JNE_IMM, 1, 0, 'vlan');
  code.load(LOAD_32, 1, FP, AT_FRAME);
  code.jump(JNE32_IMM, 1, mac[0] | (mac[1] << 8) | (mac[2] << 16) | (mac[3] << 24), 'drop');
  code.load(LOAD_16, 1, FP, AT_FRAME + 4);
  code.jump(JNE_IMM, 1, mac[4] | (mac[5] << 8), 'drop');
  code.label('vlan');
  code.load(LOAD_32, 1, 6, SKB_VLAN_PRESENT);
  code.jump(JEQ_IMM, 1, 0, vlan === 0 ? 'gate' : 'drop');
  code.load(LOAD_32, 1, 6, SKB_VLAN_TAG);
  code.op(AND_IMM, 1, 0, 0x0fff);
  code.jump(JNE_IMM, 1, vlan, 'drop');
  code.label('gate');
  synGate.emit(code, viewCopied, ETHERNET_TYPE);
  code.label('accept');
  code.op(MOV_IMM, 0, 0, WHOLE_FRAME);
  code.exit();
  code.label('drop');
  code.op(MOV_IMM, 0, 0, 0);
  code.exit();
  return code.assemble();
}

function assemble(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(program.length * 8));
  const view = new DataView(bytes.buffer);
  const jump = (from: number, label: string | undefined): number =>
    label === undefined ? 0 : program.findIndex((instruction) => instruction.label === label) - from - 1;
  program.forEach(({ code, k, yes, no }, i) => {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, jump(i, yes));
    view.setUint8(i * 8 + 3, jump(i, no));
    view.setUint32(i * 8 + 4, k, true);
  });
  return bytes;
}
