// Asking another host whether it is there, with packets of several sizes.
import { describe, expect, it } from 'vitest';
import type { ProbeFacts } from '../../../stack/probe.ts';
import { IP_B, TwoStacks, type TwoStacksOptions } from './two-stacks.ts';

function probe(
  options: TwoStacksOptions = {},
  { to = IP_B, sizes = [84, 1400, 1500], timeoutMs = 1500, mtu = 1500 } = {},
): { facts: ProbeFacts; net: TwoStacks } {
  const net = new TwoStacks({ wire: { impairment: { delayUs: 1000 } }, ...options });
  net.wire.filter = (_from, _to, _bytes, _offset, length) => length - 14 <= mtu;
  const told: ProbeFacts[] = [];
  net.a.probe(to, sizes, timeoutMs, (facts) => told.push(facts));
  net.settle();
  net.run(timeoutMs + 10);
  expect(told).toHaveLength(1);
  return { facts: told[0], net };
}

describe('a probe', () => {
  it('tells who answers, how fast, and with what sizes', () => {
    const { facts, net } = probe();
    expect(facts).toEqual({
      address: '10.0.0.2',
      nextHop: '10.0.0.2',
      mac: '02:00:00:00:00:02',
      resolved: true,
      rttUs: 2000,
      sizes: [84, 1400, 1500],
      answered: [84, 1400, 1500],
    });
    expect(net.b.stats.icmpInEchos).toBe(3);
    expect(net.a.stats).toMatchObject({ icmpOutEchos: 3, icmpInEchoReps: 3 });
    expect(net.a.ip.probes.size).toBe(0);
  });

  it('resolves the address first', () => {
    const { facts } = probe({ a: { arp: [] } });
    expect(facts).toMatchObject({ mac: '02:00:00:00:00:02', answered: [84, 1400, 1500] });
  });

  it('finds what a narrow path takes', () => {
    expect(probe({}, { mtu: 1400 }).facts.answered).toEqual([84, 1400]);
  });

  it('asks again when a packet is lost', () => {
    const lossy = { wire: { impairment: { delayUs: 1000, loss: 0.4 } } };
    for (let seed = 1; seed <= 5; seed++) {
      const { facts } = probe({ ...lossy, seed }, { timeoutMs: 10_000 });
      expect(facts.answered).toEqual([84, 1400, 1500]);
    }
  });

  it('tells of nobody there, and of no way there', () => {
    const nobody = probe({ a: { arp: [] } }, { to: 0x0a000063 }).facts;
    expect(nobody).toMatchObject({ nextHop: '10.0.0.99', mac: null, resolved: false, rttUs: null, answered: [] });
    expect(probe({}, { to: 0x0b000001 }).facts).toMatchObject({ nextHop: null, mac: null, answered: [] });
  });

  it('waits once more as long for one that is there and silent at first', () => {
    const net = new TwoStacks();
    let isSilent = true;
    net.wire.filter = () => !isSilent;
    const told: ProbeFacts[] = [];
    net.a.probe(IP_B, [84, 1500], 1000, (facts) => told.push(facts));
    net.run(1010);
    expect(told).toEqual([]);
    isSilent = false;
    net.run(1000);
    expect(told).toMatchObject([{ answered: [84, 1500] }]);

    isSilent = true;
    net.a.probe(IP_B, [84, 1500], 1000, (facts) => told.push(facts));
    net.run(2010);
    expect(told[1]).toMatchObject({ resolved: true, answered: [] });
  });

  it('sends in one piece: "don\'t fragment"', () => {
    const net = new TwoStacks();
    const flags: number[] = [];
    net.wire.filter = (from, _to, bytes, offset) => {
      if (from === 0) flags.push(bytes[offset + 20] & 0x40);
      return true;
    };
    net.a.probe(IP_B, [1500], 1000, () => {});
    net.run(100);
    expect(flags).toEqual([0x40]);
  });
});
