// The XDP program that hands a queue's frames to our AF_XDP socket: assembled here, loaded and attached with bpf(2),
// no clang, libbpf or libxdp. For io-engine on Linux only.
import { EngineError } from '../frame-engine.ts';
import {
  ADD,
  ADD_IMM,
  Assembler,
  attachProgramTo,
  attribute,
  createMap,
  JGT,
  LOAD_32,
  loadProgram,
  MOV,
  MOV_IMM,
} from './bpf.ts';
import { EBUSY, errnoText, isPrivilegeErrno, openingError } from './errno.ts';
import { addressOf, bpf, close, errno, pinned } from './libc.ts';
import { type FrameView, KernelSynGate } from './syn-gate.ts';

const BPF_MAP_UPDATE_ELEM = 2;
const BPF_MAP_TYPE_XSKMAP = 17;
const BPF_PROG_TYPE_XDP = 6;
const BPF_XDP = 37;
const XDP_FLAGS_SKB_MODE = 1 << 1;
const XDP_FLAGS_DRV_MODE = 1 << 2;
const XDP_DROP = 1;
const XDP_PASS = 2;
/** In struct xdp_md. */
const DATA = 0;
const DATA_END = 4;
const RX_QUEUE_INDEX = 16;
const REDIRECT_MAP = 51;
const CAPABILITIES = 'CAP_NET_ADMIN and CAP_BPF (or root; not in an unprivileged user namespace)';

/** How the program runs: in the driver, or on the kernel's socket buffers where the driver cannot. */
export type XdpMode = 'driver' | 'generic';

/** A program attached to an interface. It is detached when `link` is closed, be it by a crash. */
export interface AttachedProgram {
  readonly map: number;
  readonly link: number;
  readonly mode: XdpMode;
  /** Null: the kernel is too old to hold SYNs back (before 5.11). */
  readonly synGate: KernelSynGate | null;
}

/** Where the frame lies: nothing is copied. */
const viewInPlace: FrameView = (code, register, length) => {
  code.load(LOAD_32, register, 6, DATA);
  code.op(ADD, register, 2);
  code.op(MOV, 4, register);
  code.op(ADD_IMM, 4, 0, length);
  code.load(LOAD_32, 5, 6, DATA_END);
  code.jump(JGT, 4, 5, 'accept');
};

/**
 * `return bpf_redirect_map(&map, ctx->rx_queue_index, XDP_PASS)`: every frame of a queue that has a socket in the
 * map goes to it, whatever it is (the interface is dedicated); frames of other queues go to the kernel. In a flood the
 * gate holds SYNs back.
 */
export function redirectProgram(mapFd: number, synGate: KernelSynGate | null, typeOffset: number): Uint8Array {
  const code = new Assembler();
  if (synGate !== null) {
    code.op(MOV, 6, 1);
    synGate.emit(code, viewInPlace, typeOffset);
    code.label('drop');
    code.op(MOV_IMM, 0, 0, XDP_DROP);
    code.exit();
    code.label('accept');
    code.op(MOV, 1, 6);
  }
  code.load(LOAD_32, 2, 1, RX_QUEUE_INDEX);
  code.loadMap(1, mapFd);
  code.op(MOV_IMM, 3, 0, XDP_PASS);
  code.call(REDIRECT_MAP);
  code.exit();
  return code.assemble();
}

/** With a gate if the kernel takes it, or without. */
function loadRedirect(map: number, typeOffset: number): { program: number; synGate: KernelSynGate | null } {
  const load = (synGate: KernelSynGate | null): number =>
    loadProgram(BPF_PROG_TYPE_XDP, redirectProgram(map, synGate, typeOffset), BPF_XDP);
  let synGate: KernelSynGate | null = null;
  try {
    synGate = KernelSynGate.open();
    return { program: load(synGate), synGate };
  } catch {
    synGate?.close();
    return { program: load(null), synGate: null };
  }
}

/**
 * Attaches the program to the interface: in the driver, or else in generic mode.
 * @param typeOffset where frames say what they carry: 12, behind a VLAN tag 16.
 */
export function attachRedirect(
  interfaceName: string,
  interfaceIndex: number,
  queues: number,
  typeOffset: number,
): AttachedProgram {
  const map = createMap(BPF_MAP_TYPE_XSKMAP, 4, queues);
  let program = -1;
  let synGate: KernelSynGate | null = null;
  try {
    ({ program, synGate } = loadRedirect(map, typeOffset));
    let mode: XdpMode = 'driver';
    let link = attachProgramTo(program, interfaceIndex, BPF_XDP, XDP_FLAGS_DRV_MODE);
    let code = errno();
    if (link < 0 && code !== EBUSY && !isPrivilegeErrno(code)) {
      mode = 'generic';
      link = attachProgramTo(program, interfaceIndex, BPF_XDP, XDP_FLAGS_SKB_MODE);
      code = errno();
    }
    if (link < 0) throw attachError(interfaceName, code);
    return { map, link, mode, synGate };
  } catch (error) {
    close(map);
    synGate?.close();
    throw error;
  } finally {
    // The link holds the program, the program holds the map.
    if (program >= 0) close(program);
  }
}

function attachError(name: string, code: number): EngineError {
  if (code === EBUSY) {
    return new EngineError(
      'NOT_SUPPORTED',
      `${name} has another XDP program: stop its owner, or sudo ip link set ${name} xdp off`,
    );
  }
  if (isPrivilegeErrno(code)) return openingError(`attaching an XDP program to ${name}`, code, CAPABILITIES);
  return new EngineError(
    'NOT_SUPPORTED',
    `${name} takes no XDP program, ${errnoText(code)}: use engine = afpacket (an mtu over 3,500 also prevents XDP)`,
  );
}

/** From now on frames of `queue` go to the socket. */
export function steerQueue(program: AttachedProgram, queue: number, socketFd: number): void {
  const key = pinned(4);
  const value = pinned(4);
  new DataView(key.buffer).setUint32(0, queue, true);
  new DataView(value.buffer).setInt32(0, socketFd, true);
  const status = bpf(
    BPF_MAP_UPDATE_ELEM,
    attribute((view) => {
      view.setUint32(0, program.map, true);
      view.setBigUint64(8, addressOf(key), true);
      view.setBigUint64(16, addressOf(value), true);
    }),
  );
  if (status < 0) throw openingError('putting the socket into the XDP map', errno(), CAPABILITIES);
}

/** Detaches: frames go to the kernel again. */
export function detach(program: AttachedProgram): void {
  close(program.link);
  close(program.map);
  program.synGate?.close();
}
