// A lab of several server hosts: each in a namespace of its own, with a veth that the kernel has no address on, for
// wiredis-server, and one that is the kernel's, both on the same bridge, as is the client. The bridge stands in a
// namespace of its own, so that pulling a cable is one command there. For build.ts.
import { writeFileSync } from 'node:fs';
import type { Ground } from './ground.ts';
import { type BridgedHost, type BridgePlan, bridgedNetdevConf, type LabPlan } from './plan.ts';

export async function buildBridge(plan: LabPlan, bridge: BridgePlan, ground: Ground): Promise<void> {
  const client = plan.namespaces.client;
  await ground.makeNamespace(bridge.switch);
  await ground.makeNamespace(client);
  const settings = ['type', 'bridge', 'forward_delay', '0', 'mcast_snooping', '0'];
  await ground.ip('-n', bridge.switch, 'link', 'add', bridge.bridge, ...settings);
  await ground.ip('-n', bridge.switch, 'link', 'set', bridge.bridge, 'up');
  await plugIn(bridge, ground, client, bridge.clientDevice, `${bridge.clientAddress}/${bridge.prefixLength}`);
  for (const host of bridge.hosts) await addHost(plan, bridge, host, ground);
  const devices = bridge.hosts.flatMap(({ device, kernelDevice }) => [device, kernelDevice]);
  await ground.awaitCarrier(bridge.switch, [bridge.clientDevice, ...devices]);
  ground.progress(`client: ${client}, ${bridge.clientAddress}; bridge: ${bridge.switch}`);
}

async function addHost(plan: LabPlan, bridge: BridgePlan, host: BridgedHost, ground: Ground): Promise<void> {
  await ground.makeNamespace(host.namespace);
  await plugIn(bridge, ground, host.namespace, host.device);
  await plugIn(bridge, ground, host.namespace, host.kernelDevice, `${host.kernelAddress}/${bridge.prefixLength}`);
  writeFileSync(host.netdevFile, bridgedNetdevConf(plan, host, bridge.prefixLength));
  ground.progress(
    `${host.name}: ${host.address} for wiredis-server by ${host.netdevFile}, ${host.kernelAddress} the kernel's`,
  );
}

/** A veth from a host to the bridge; both ends have the device's name. */
async function plugIn(
  bridge: BridgePlan,
  ground: Ground,
  namespace: string,
  device: string,
  address?: string,
): Promise<void> {
  const hostEnd = { namespace, device, plain: true, ...(address === undefined ? {} : { address }) };
  await ground.makeVeth(hostEnd, { namespace: bridge.switch, device, plain: true });
  await ground.ip('-n', bridge.switch, 'link', 'set', device, 'master', bridge.bridge);
}
