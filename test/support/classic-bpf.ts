// Runs a classic BPF program over a frame as the kernel does, as far as our filters use it. For tests of the filters.

/** @param vlanTag what the kernel has taken off the frame; null: there was none. @returns bytes accepted. */
export function runClassicBpf(program: Uint8Array, frame: Uint8Array, vlanTag: number | null = null): number {
  const code = new DataView(program.buffer);
  const view = new DataView(frame.buffer);
  const memory = new Uint32Array(16);
  let a = 0;
  let x = 0;
  for (let at = 0; ; at += 8) {
    const k = code.getUint32(at + 4, true);
    const jump = (condition: boolean): void => {
      at += 8 * code.getUint8(at + (condition ? 2 : 3));
    };
    switch (code.getUint16(at, true)) {
      case 0x20:
        // Ancillary data: whether there was a tag, and which.
        a = k === 0xfffff030 ? Number(vlanTag !== null) : k === 0xfffff02c ? (vlanTag ?? 0) : view.getUint32(k);
        break;
      case 0x28:
        a = view.getUint16(k);
        break;
      case 0x30:
        a = view.getUint8(k);
        break;
      case 0x40:
        a = view.getUint32(x + k);
        break;
      case 0xb1:
        x = 4 * (view.getUint8(k) & 15);
        break;
      case 0x54:
        a = (a & k) >>> 0;
        break;
      case 0x60:
        a = memory[k];
        break;
      case 0x02:
        memory[k] = a;
        break;
      case 0x07:
        x = a;
        break;
      case 0xac:
        a = (a ^ x) >>> 0;
        break;
      case 0x24:
        a = Math.imul(a, k) >>> 0;
        break;
      case 0x74:
        a >>>= k;
        break;
      case 0x94:
        a %= k;
        break;
      case 0x15:
        jump(a === k);
        break;
      case 0x45:
        jump((a & k) !== 0);
        break;
      case 0x06:
        return k;
      default:
        throw new Error(`instruction ${code.getUint16(at, true).toString(16)}`);
    }
  }
}
