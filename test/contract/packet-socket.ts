// A plain packet socket, one system call per frame and no rings: the other side of the device engines under test,
// sharing no code with any of them.
import koffi from 'koffi';

const AF_PACKET = 17;
const SOCK_RAW = 3;
const ETH_P_ALL = 0x0003;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SOL_PACKET = 263;
const PACKET_IGNORE_OUTGOING = 23;
const MSG_DONTWAIT = 0x40;
const RECEIVE_BUFFER_BYTES = 16 << 20;

const libc = koffi.load(null);
const socket = libc.func('int socket(int domain, int type, int protocol)');
const bind = libc.func('int bind(int fd, const void *address, uint32_t length)');
const setsockopt = libc.func('int setsockopt(int fd, int level, int option, const void *value, uint32_t length)');
const sendFrame = libc.func('long send(int fd, const void *bytes, size_t length, int flags)');
const recvFrame = libc.func('long recv(int fd, void *bytes, size_t length, int flags)');
const close = libc.func('int close(int fd)');
const indexOf = libc.func('uint32_t if_nametoindex(const char *name)');

const networkOrder = (value: number): number => ((value & 0xff) << 8) | (value >> 8);

export class PacketSocket {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(65536);

  constructor(interfaceName: string) {
    this.#fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (this.#fd < 0) throw new Error(`packet socket: errno ${koffi.errno()}`);
    setsockopt(this.#fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, Int32Array.of(1), 4);
    setsockopt(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, Int32Array.of(RECEIVE_BUFFER_BYTES), 4);
    const address = new DataView(new ArrayBuffer(20));
    address.setUint16(0, AF_PACKET, true);
    address.setUint16(2, networkOrder(ETH_P_ALL), true);
    address.setInt32(4, indexOf(interfaceName), true);
    if (bind(this.#fd, new Uint8Array(address.buffer), 20) !== 0) {
      throw new Error(`packet socket on ${interfaceName}: errno ${koffi.errno()}`);
    }
  }

  send(frame: Uint8Array): void {
    const sent = Number(sendFrame(this.#fd, frame, frame.length, 0));
    if (sent !== frame.length) throw new Error(`sending ${frame.length} bytes: errno ${koffi.errno()}`);
  }

  /** Copies of everything that has arrived. */
  receive(): Uint8Array[] {
    const frames: Uint8Array[] = [];
    for (;;) {
      const length = Number(recvFrame(this.#fd, this.#buffer, this.#buffer.length, MSG_DONTWAIT));
      if (length < 0) return frames;
      frames.push(this.#buffer.slice(0, length));
    }
  }

  close(): void {
    close(this.#fd);
  }
}
