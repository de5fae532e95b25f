import { expect, it } from 'vitest';
import { linkStateIn } from './link-watch.ts';

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const AF_BRIDGE = 7;
const UP = 0x1;
const RUNNING = 0x40;

interface Message {
  readonly type: number;
  readonly index: number;
  readonly flags?: number;
  readonly family?: number;
  /** Of attributes behind the structure, bytes. */
  readonly more?: number;
}

function netlink(...messages: readonly Message[]): Uint8Array {
  const parts = messages.map(({ type, index, flags = 0, family = 0, more = 0 }) => {
    const bytes = new Uint8Array((32 + more + 3) & ~3);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 32 + more, true);
    view.setUint16(4, type, true);
    view.setUint8(16, family);
    view.setInt32(20, index, true);
    view.setUint32(24, flags, true);
    return bytes;
  });
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const stateIn = (...messages: readonly Message[]) => {
  const bytes = netlink(...messages);
  return linkStateIn(bytes, bytes.length, 7);
};

it('tells up, down and no carrier apart', () => {
  expect(stateIn({ type: RTM_NEWLINK, index: 7, flags: UP | RUNNING })).toBe('up');
  expect(stateIn({ type: RTM_NEWLINK, index: 7, flags: UP })).toBe('no-carrier');
  expect(stateIn({ type: RTM_NEWLINK, index: 7, flags: RUNNING })).toBe('down');
});

it('the last message about the interface counts, whatever is told of others', () => {
  const down = { type: RTM_NEWLINK, index: 7, flags: 0, more: 5 };
  const up = { type: RTM_NEWLINK, index: 7, flags: UP | RUNNING };
  expect(stateIn(down, up, { type: RTM_NEWLINK, index: 8, flags: 0 })).toBe('up');
  expect(stateIn({ type: RTM_DELLINK, index: 8 })).toBe(null);
});

it('an interface that is removed is gone, one that leaves its bridge is not', () => {
  expect(stateIn({ type: RTM_NEWLINK, index: 7, flags: 0 }, { type: RTM_DELLINK, index: 7 })).toBe('gone');
  expect(stateIn({ type: RTM_DELLINK, index: 7, family: AF_BRIDGE })).toBe(null);
});

it('takes nothing from what is cut off', () => {
  const bytes = netlink({ type: RTM_NEWLINK, index: 7, flags: 0, more: 40 });
  for (let length = 0; length < bytes.length; length++) expect(linkStateIn(bytes, length, 7)).toBe(null);
  expect(linkStateIn(new Uint8Array(64), 64, 7)).toBe(null);
});
