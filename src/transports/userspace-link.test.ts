import { beforeEach, expect, it } from 'vitest';
import type { LinkState } from '../../io-engine/frame-engine.ts';
import { Log } from '../platform/log.ts';
import type { Scheduler } from '../platform/timers.ts';
import { LinkTeller } from './userspace-link.ts';

let told: string[];
let settle: () => void;
let teller: LinkTeller;

const scheduler: Scheduler = {
  createAlarm: (onAlarm) => {
    settle = onAlarm;
    return { arm() {}, disarm() {} };
  },
  soon() {},
};

const note = (...states: LinkState[]): void => {
  for (const state of states) teller.note(state);
  settle();
};

beforeEach(() => {
  told = [];
  teller = new LinkTeller(
    'eth1',
    new Log({ write: (line) => told.push(line.replace(/^\S+ .*? ([.\-*#]) /, '$1 ')) }),
    scheduler,
  );
});

it('a change is told once: a warning that says what to do, a notice when it is over', () => {
  note('down');
  note('down', 'no-carrier', 'up');
  expect(told).toHaveLength(2);
  expect(told[0]).toMatch(/# eth1 is down: .*'sudo ip link set eth1 up'; connections are kept/);
  expect(told[1]).toMatch(/\* eth1 is up again/);
});

it('steps to one end are one change', () => {
  note('no-carrier', 'down', 'gone');
  expect(told).toHaveLength(1);
  expect(told[0]).toMatch(/# eth1 is gone, .*restart the server/);
});

it('what is down for another reason is told anew', () => {
  note('no-carrier');
  note('down');
  expect(told).toHaveLength(2);
  expect(told[0]).toContain('has no carrier');
  expect(told[1]).toContain('is down');
});

it('a moment without a link is told as one', () => {
  note('no-carrier', 'up');
  expect(told).toHaveLength(1);
  expect(told[0]).toMatch(/\* eth1 was down for a moment/);
});

it('at the start only what is wrong is told', () => {
  teller.begin('up', false);
  expect(told).toHaveLength(0);
  teller.begin('no-carrier', false);
  expect(told).toHaveLength(1);
});

it('what was set up a moment ago has its carrier a moment later', () => {
  teller.begin('no-carrier', true);
  note('up');
  expect(told).toHaveLength(0);
  teller.begin('no-carrier', true);
  settle();
  expect(told).toHaveLength(1);
});
