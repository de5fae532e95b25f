// Spares the kernel the frames that a packet socket has taken: its own stack would look for a route to our addresses,
// which it does not have, and make and free an error for each packet. A program behind the packet sockets (tcx, Linux 6.6)
// drops IPv4 packets to those addresses, and nothing else: the interface may be the kernel's as well. Like the XDP
// program's its link dies with its descriptor. For io-engine on Linux only.
import {
  Assembler,
  attachProgramTo,
  JEQ32_IMM,
  JNE_IMM,
  LOAD_32,
  LOAD_PACKET_32,
  loadProgram,
  MOV,
  MOV_IMM,
} from './bpf.ts';
import { close } from './libc.ts';

const BPF_PROG_TYPE_SCHED_CLS = 3;
const BPF_TCX_INGRESS = 46;
const TCX_NEXT = -1;
const TCX_DROP = 2;
const PROTOCOL = 16; // in struct __sk_buff
const ETH_P_IP_NETWORK_ORDER = 0x0008;
/** Of the destination address, behind an Ethernet header without a tag: the kernel has taken that off. */
const DESTINATION = 14 + 16;

/** @param addresses int32 each. */
export function dropProgram(addresses: readonly number[]): Uint8Array {
  const code = new Assembler();
  code.op(MOV, 6, 1);
  code.load(LOAD_32, 0, 1, PROTOCOL);
  code.jump(JNE_IMM, 0, ETH_P_IP_NETWORK_ORDER, 'next');
  code.op(LOAD_PACKET_32, 0, 0, DESTINATION);
  for (const address of addresses) code.jump(JEQ32_IMM, 0, address, 'drop');
  code.label('next');
  code.op(MOV_IMM, 0, 0, TCX_NEXT);
  code.exit();
  code.label('drop');
  code.op(MOV_IMM, 0, 0, TCX_DROP);
  code.exit();
  return code.assemble();
}

/** @returns a descriptor to close; -1 where that cannot be had, and the kernel goes on as it does. */
export function dropBehindSockets(interfaceIndex: number, addresses: readonly number[]): number {
  if (addresses.length === 0) return -1;
  try {
    const program = loadProgram(BPF_PROG_TYPE_SCHED_CLS, dropProgram(addresses), BPF_TCX_INGRESS);
    const link = attachProgramTo(program, interfaceIndex, BPF_TCX_INGRESS, 0);
    close(program);
    return link < 0 ? -1 : link;
  } catch {
    return -1;
  }
}
