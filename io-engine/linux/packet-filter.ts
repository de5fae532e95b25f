// The classic BPF program that an AF_PACKET socket runs before it copies a frame into our ring: what is not for us
// costs no slot. Pure assembly of bytes. For io-engine only.

const LD_W_ABS = 0x20;
const LD_H_ABS = 0x28;
const LD_B_ABS = 0x30;
const AND = 0x54;
const JEQ = 0x15;
const JSET = 0x45;
const RET = 0x06;
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

/**
 * Accepts ARP, IPv4 and perhaps IPv6 frames of our VLAN (0: untagged, or with a tag that says the priority only) that
 * were sent to `mac` or to a group (broadcast, multicast). The kernel takes a tag off and keeps it beside the
 * frame, so a frame of another VLAN would look like ours.
 * @returns struct sock_filter[], 8 bytes each
 */
export function frameFilter(mac: Uint8Array, vlan: number, ipv6: boolean): Uint8Array {
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
    { code: JEQ, k: 0, yes: vlan === 0 ? 'accept' : 'drop' },
    { code: LD_W_ABS, k: ANCILLARY + VLAN_TAG },
    { code: AND, k: 0x0fff },
    { code: JEQ, k: vlan, no: 'drop' },
    { code: RET, k: WHOLE_FRAME, label: 'accept' },
    { code: RET, k: 0, label: 'drop' },
  ]);
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
