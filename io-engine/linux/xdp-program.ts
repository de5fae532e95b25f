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
import { EBUSY, EINVAL, errnoText, isPrivilegeErrno, openingError } from './errno.ts';
import { addressOf, bpf, close, errno, pinned } from './libc.ts';
import { type FrameView, KernelSynGate } from './syn-gate.ts';

const BPF_MAP_UPDATE_ELEM = 2;
const BPF_MAP_TYPE_XSKMAP = 17;
const BPF_PROG_TYPE_XDP = 6;
const BPF_XDP = 37;
/** Of a program: frames may have several parts (Linux 5.18). */
const BPF_F_XDP_HAS_FRAGS = 1 << 5;
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

/** XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE. */
const XDP_FLAGS: Readonly<Record<XdpMode, number>> = { driver: 1 << 2, generic: 1 << 1 };

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

interface Loaded {
  readonly program: number;
  readonly synGate: KernelSynGate | null;
}

/** With a gate if the kernel takes it, or without. @returns null: it does not know the flags. */
function loadRedirect(map: number, typeOffset: number, flags: number): Loaded | null {
  const load = (synGate: KernelSynGate | null): Loaded => {
    const code = redirectProgram(map, synGate, typeOffset);
    return { program: loadProgram(BPF_PROG_TYPE_XDP, code, BPF_XDP, flags), synGate };
  };
  let synGate: KernelSynGate | null = null;
  try {
    synGate = KernelSynGate.open();
    return load(synGate);
  } catch {
    synGate?.close();
  }
  try {
    return load(null);
  } catch (error) {
    if (flags !== 0 && error instanceof EngineError && error.code === 'SYSTEM') return null;
    throw error;
  }
}

/** What is tried, in this order. */
const WHOLE_FRAMES: readonly Attempt[] = [
  { mode: 'driver', flags: 0 },
  // Some drivers want this where an MTU is long, be it the other end's (veth).
  { mode: 'driver', flags: BPF_F_XDP_HAS_FRAGS },
  { mode: 'generic', flags: 0 },
];
const FRAMES_IN_PARTS: readonly Attempt[] = [
  { mode: 'driver', flags: BPF_F_XDP_HAS_FRAGS },
  { mode: 'generic', flags: BPF_F_XDP_HAS_FRAGS },
];

interface Attempt {
  readonly mode: XdpMode;
  readonly flags: number;
}

/** How frames lie that the program is to read. */
export interface FrameShape {
  /** Where they say what they carry: at 12, behind a VLAN tag at 16. */
  readonly typeOffset: number;
  /** They may have several parts; the headers are in the first. */
  readonly inParts: boolean;
}

/** Attaches the program to the interface: in the driver, or else in generic mode. */
export function attachRedirect(
  interfaceName: string,
  interfaceIndex: number,
  queues: number,
  shape: FrameShape,
): AttachedProgram {
  const map = createMap(BPF_MAP_TYPE_XSKMAP, 4, queues);
  let code = EINVAL;
  try {
    for (const { mode, flags } of shape.inParts ? FRAMES_IN_PARTS : WHOLE_FRAMES) {
      const loaded = loadRedirect(map, shape.typeOffset, flags);
      if (loaded === null) continue;
      const { program, synGate } = loaded;
      const link = attachProgramTo(program, interfaceIndex, BPF_XDP, XDP_FLAGS[mode]);
      code = errno();
      // The link holds the program, the program holds the map.
      close(program);
      if (link >= 0) return { map, link, mode, synGate };
      synGate?.close();
      if (code === EBUSY || isPrivilegeErrno(code)) break;
    }
    throw attachError(interfaceName, code);
  } catch (error) {
    close(map);
    throw error;
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
  return new EngineError('NOT_SUPPORTED', `${name} takes no XDP program, ${errnoText(code)}: use engine = afpacket`);
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
