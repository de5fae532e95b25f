import { describe, expect, it } from 'vitest';
import { dropBehindSockets, dropProgram } from './ingress-drop.ts';

const rows = (program: Uint8Array): string[] =>
  Array.from({ length: program.length / 8 }, (_, i) => Buffer.from(program.subarray(i * 8, i * 8 + 8)).toString('hex'));

describe('the program behind the packet sockets', () => {
  it('drops IPv4 packets to our addresses and leaves the rest to the kernel', () => {
    expect(rows(dropProgram([0x0a000001, 0xc0000201 | 0]))).toEqual([
      'bf16000000000000', // r6 = r1
      '6110100000000000', // r0 = protocol
      '5500030008000000', // not IPv4: next
      '200000001e000000', // r0 = destination
      '160003000100000a',
      '16000200010200c0',
      'b7000000ffffffff', // next: the following program, the kernel
      '9500000000000000',
      'b700000002000000', // drop
      '9500000000000000',
    ]);
  });

  it('is not there without an address', () => {
    expect(dropBehindSockets(1, [])).toBe(-1);
  });
});
