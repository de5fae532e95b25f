// The XDP program that hands a queue's frames to our AF_XDP socket: assembled here, loaded and attached with bpf(2),
// no clang, libbpf or libxdp. For io-engine on Linux only.
import { EngineError } from '../frame-engine.ts';
import { EAGAIN, EBUSY, errnoText, isPrivilegeErrno, openingError } from './errno.ts';
import { addressOf, bpf, close, errno, pinned } from './libc.ts';

const BPF_MAP_CREATE = 0;
const BPF_MAP_UPDATE_ELEM = 2;
const BPF_PROG_LOAD = 5;
const BPF_LINK_CREATE = 28;
const BPF_MAP_TYPE_XSKMAP = 17;
const BPF_PROG_TYPE_XDP = 6;
const BPF_XDP = 37;
const XDP_FLAGS_SKB_MODE = 1 << 1;
const XDP_FLAGS_DRV_MODE = 1 << 2;
const CAPABILITIES = 'CAP_NET_ADMIN and CAP_BPF (or root; not in an unprivileged user namespace)';

/** How the program runs: in the driver, or on the kernel's socket buffers where the driver cannot. */
export type XdpMode = 'driver' | 'generic';

/** A program attached to an interface. It is detached when `link` is closed, be it by a crash. */
export interface AttachedProgram {
  readonly map: number;
  readonly link: number;
  readonly mode: XdpMode;
}

/**
 * `return bpf_redirect_map(&map, ctx->rx_queue_index, XDP_PASS)`: every frame of a queue that has a socket in the
 * map goes to it, whatever it is (the interface is dedicated); frames of other queues go to the kernel.
 */
export function redirectProgram(mapFd: number): Uint8Array {
  const program = pinned(6 * 8);
  const view = new DataView(program.buffer);
  const emit = (slot: number, opcode: number, registers: number, offset: number, immediate: number): void => {
    view.setUint8(slot * 8, opcode);
    view.setUint8(slot * 8 + 1, registers);
    view.setInt16(slot * 8 + 2, offset, true);
    view.setInt32(slot * 8 + 4, immediate, true);
  };
  emit(0, 0x61, 0x12, 16, 0); // r2 = *(u32 *)(r1 + offsetof(xdp_md, rx_queue_index))
  emit(1, 0x18, 0x11, 0, mapFd); // r1 = map (BPF_PSEUDO_MAP_FD), two slots
  emit(2, 0x00, 0x00, 0, 0);
  emit(3, 0xb7, 0x03, 0, 2); // r3 = XDP_PASS
  emit(4, 0x85, 0x00, 0, 51); // call bpf_redirect_map
  emit(5, 0x95, 0x00, 0, 0); // exit
  return program;
}

function attribute(fill: (view: DataView) => void): Uint8Array {
  const bytes = pinned(128);
  fill(new DataView(bytes.buffer));
  return bytes;
}

function createSocketMap(queues: number): number {
  const fd = bpf(
    BPF_MAP_CREATE,
    attribute((view) => {
      view.setUint32(0, BPF_MAP_TYPE_XSKMAP, true);
      view.setUint32(4, 4, true);
      view.setUint32(8, 4, true);
      view.setUint32(12, queues, true);
    }),
  );
  if (fd < 0) throw openingError('making an XDP socket map', errno(), CAPABILITIES);
  return fd;
}

/** With a profiler's signals every try may be interrupted. */
const LOAD_TRIES = 20;

function loadProgram(program: Uint8Array): number {
  const license = pinned(8);
  license.set([0x47, 0x50, 0x4c]); // "GPL"
  const load = attribute((view) => {
    view.setUint32(0, BPF_PROG_TYPE_XDP, true);
    view.setUint32(4, program.length / 8, true);
    view.setBigUint64(8, addressOf(program), true);
    view.setBigUint64(16, addressOf(license), true);
    view.setUint32(68, BPF_XDP, true); // expected_attach_type
  });
  let fd = bpf(BPF_PROG_LOAD, load);
  // The verifier gives up when a signal is pending, as under a profiler.
  for (let tries = 1; fd < 0 && errno() === EAGAIN && tries < LOAD_TRIES; tries++) fd = bpf(BPF_PROG_LOAD, load);
  if (fd < 0) throw openingError('loading an XDP program', errno(), CAPABILITIES);
  return fd;
}

function createLink(program: number, interfaceIndex: number, flags: number): number {
  return bpf(
    BPF_LINK_CREATE,
    attribute((view) => {
      view.setUint32(0, program, true);
      view.setInt32(4, interfaceIndex, true);
      view.setUint32(8, BPF_XDP, true);
      view.setUint32(12, flags, true);
    }),
  );
}

/** Attaches the program to the interface: in the driver, or else in generic mode. */
export function attachRedirect(interfaceName: string, interfaceIndex: number, queues: number): AttachedProgram {
  const map = createSocketMap(queues);
  let program = -1;
  try {
    program = loadProgram(redirectProgram(map));
    let mode: XdpMode = 'driver';
    let link = createLink(program, interfaceIndex, XDP_FLAGS_DRV_MODE);
    let code = errno();
    if (link < 0 && code !== EBUSY && !isPrivilegeErrno(code)) {
      mode = 'generic';
      link = createLink(program, interfaceIndex, XDP_FLAGS_SKB_MODE);
      code = errno();
    }
    if (link < 0) throw attachError(interfaceName, code);
    return { map, link, mode };
  } catch (error) {
    close(map);
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
}
