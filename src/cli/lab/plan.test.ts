import { describe, expect, it } from 'vitest';
import { defaultCores, HOSTS_MAX, netdevConf, planBridge, planLab } from './plan.ts';
import { cpuMask } from './steering.ts';

describe('planLab', () => {
  it('keeps every interface name within IFNAMSIZ and apart from other labs', () => {
    const names = (lab: string) => {
      const plan = planLab(lab, 0);
      return [...Object.values(plan.links).map((link) => link.veth), plan.tapDevice, plan.bridge];
    };
    const all = [...names('wiredis'), ...names('another-lab-with-quite-a-long-name'), ...names('x')];
    expect(new Set(all).size).toBe(all.length);
    for (const name of all) expect(name.length).toBeLessThanOrEqual(15);
  });

  it('gives every host of a bridge names and addresses of its own', () => {
    const plan = planLab('another-lab', 0);
    const { hosts, clientAddress, clientDevice } = planBridge(plan, HOSTS_MAX);
    const addresses = [clientAddress, ...hosts.flatMap(({ address, kernelAddress }) => [address, kernelAddress])];
    const devices = [clientDevice, plan.bridge, ...hosts.flatMap(({ device, kernelDevice }) => [device, kernelDevice])];
    expect(new Set(addresses).size).toBe(2 * HOSTS_MAX + 1);
    expect(new Set(devices).size).toBe(2 * HOSTS_MAX + 2);
    for (const device of devices) expect(device.length).toBeLessThanOrEqual(15);
    for (const address of addresses) expect(Number(address.split('.')[3])).toBeLessThan(255);
  });

  it('names the namespaces after the lab', () => {
    expect(planLab('wiredis', 0).namespaces).toEqual({ server: 'wiredis-server', client: 'wiredis-client' });
    expect(planLab('wiredis', 0).links.direct.veth).toBe('wd0');
  });

  it('keeps notes of root and others apart', () => {
    expect(planLab('x', 0).directory).toBe('/run/wiredis-lab/x');
    expect(planLab('x', 1000).directory).toMatch(/wiredis-lab-1000\/x$/);
  });

  it('uses two cores where there are two', () => {
    expect(defaultCores(1)).toEqual({ server: 0, client: 0 });
    expect(defaultCores(8)).toEqual({ server: 0, client: 1 });
  });

  it('writes a netdev.conf for either user-space link', () => {
    const plan = planLab('wiredis', 0);
    expect(netdevConf(plan, 'direct')).toContain('interface = wd0\naddress = 10.77.0.1/24\n');
    expect(netdevConf(plan, 'tap')).toContain('interface = wdtap\nengine = tap\naddress = 10.77.2.1/24\n');
  });
});

describe('cpuMask', () => {
  it('is in groups of 32, highest first', () => {
    expect([0, 1, 5, 31, 32, 70].map(cpuMask)).toEqual([
      '1',
      '2',
      '20',
      '80000000',
      '1,00000000',
      '40,00000000,00000000',
    ]);
  });
});
