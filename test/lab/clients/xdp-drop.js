// Drops whatever an interface receives before anything else is done with it: the least that receiving can cost.
//   xdp-drop.js DIST INTERFACE     until standard input ends; prints "dropping"
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [dist, device] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${dist}/io-engine/linux/${path}`).href);
const { Assembler, attribute, loadProgram, MOV_IMM } = await load('bpf.js');
const { bpf, errno } = await load('libc.js');

const BPF_LINK_CREATE = 28;
const BPF_PROG_TYPE_XDP = 6;
const BPF_XDP = 37;
const XDP_FLAGS_DRV_MODE = 1 << 2;
const XDP_DROP = 1;

const code = new Assembler();
code.op(MOV_IMM, 0, 0, XDP_DROP);
code.exit();
const program = loadProgram(BPF_PROG_TYPE_XDP, code.assemble(), BPF_XDP);
const link = bpf(
  BPF_LINK_CREATE,
  attribute((view) => {
    view.setUint32(0, program, true);
    view.setInt32(4, Number(readFileSync(`/sys/class/net/${device}/ifindex`, 'utf8')), true);
    view.setUint32(8, BPF_XDP, true);
    view.setUint32(12, XDP_FLAGS_DRV_MODE, true);
  }),
);
if (link < 0) throw new Error(`attaching to ${device}: errno ${errno()}`);
console.log('dropping');
process.stdin.resume().on('end', () => process.exit(0));
