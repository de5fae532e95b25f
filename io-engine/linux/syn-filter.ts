// The two filters of an AF_PACKET socket: the classic one, and, while a flood lasts, the one with a SYN gate in it. For
// io-engine on Linux only.
import { loadProgram } from './bpf.ts';
import { close } from './libc.ts';
import { attachFilter, attachProgram } from './packet-socket.ts';
import { KernelSynGate } from './syn-gate.ts';

const BPF_PROG_TYPE_SOCKET_FILTER = 1;

export interface SynFilter {
  readonly gate: KernelSynGate;
  /** Descriptor of the program with the gate. */
  readonly program: number;
}

/** @param gated the program with a gate in it. @returns null where we may load no programs. */
export function openSynFilter(
  socketFd: number,
  classic: Uint8Array,
  gated: (gate: KernelSynGate) => Uint8Array,
): SynFilter | null {
  let gate: KernelSynGate | null = null;
  try {
    gate = KernelSynGate.open();
    return switched(socketFd, classic, loadProgram(BPF_PROG_TYPE_SOCKET_FILTER, gated(gate), 0), gate);
  } catch {
    gate?.close();
    return null;
  }
}

/** The one of another process, from its descriptors. */
export function adoptSynFilter(socketFd: number, classic: Uint8Array, program: number, gateFd: number): SynFilter {
  return switched(socketFd, classic, program, KernelSynGate.adopt(gateFd));
}

function switched(socketFd: number, classic: Uint8Array, program: number, gate: KernelSynGate): SynFilter {
  gate.onSwitch = (isOn) => {
    if (!isOn || !attachProgram(socketFd, program)) attachFilter(socketFd, classic);
  };
  return { gate, program };
}

export function closeSynFilter({ gate, program }: SynFilter): void {
  gate.close();
  close(program);
}
