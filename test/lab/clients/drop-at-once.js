// In place of io-engine/linux/syn-gate.js in a build of its own (test/lab/syn-flood-control.test.ts): a gate that drops every
// frame from 198.18.0.0/15, the flood's sources, before anything else is looked at. The least that a flood can cost who
// receives; the clients' own frames pass. The real gate is beside it, under another name.
import { AND_IMM, JNE_IMM, LOAD_16, MOV_IMM } from './bpf.js';
import { KernelSynGate as RealGate } from './syn-gate-original.js';

/** Behind where the frame says what it carries: the source address of its IPv4 header. */
const SOURCE = 2 + 12;
/** 198.18 as a little-endian machine reads it; 198.19 without its lowest bit. */
const FLOOD = 0x12c6;
const FLOOD_BITS = 0xfeff;

function emit(code, view, typeOffset) {
  code.op(MOV_IMM, 2, 0, typeOffset + SOURCE);
  view(code, 3, 4);
  code.load(LOAD_16, 1, 3, 0);
  code.op(AND_IMM, 1, 0, FLOOD_BITS);
  code.jump(JNE_IMM, 1, FLOOD, 'accept');
  code.goto('drop');
}

export const KernelSynGate = {
  open: () => Object.assign(RealGate.open(), { emit }),
  adopt: RealGate.adopt,
};
