// The stack's counters under the names node_exporter's netstat collector gives the kernel's, so that boards about TCP
// work on a network that the kernel does not see. What has no name there is wiredis_stack_*. metrics.ts imports it.
import type { Sample } from './snapshot-metric.ts';

/** Counter of stack/stats.ts -> node_netstat_* of /proc/net/snmp and netstat. */
const NETSTAT: Readonly<Record<string, string>> = {
  ipInReceives: 'Ip_InReceives',
  ipInHdrErrors: 'Ip_InHdrErrors',
  ipInAddrErrors: 'Ip_InAddrErrors',
  ipInUnknownProtos: 'Ip_InUnknownProtos',
  ipInDelivers: 'Ip_InDelivers',
  ipOutRequests: 'Ip_OutRequests',
  ipOutDiscards: 'Ip_OutDiscards',
  ipOutNoRoutes: 'Ip_OutNoRoutes',
  ipReasmReqds: 'Ip_ReasmReqds',
  ipReasmOKs: 'Ip_ReasmOKs',
  ipReasmFails: 'Ip_ReasmFails',
  icmpInMsgs: 'Icmp_InMsgs',
  icmpInErrors: 'Icmp_InErrors',
  icmpInDestUnreachs: 'Icmp_InDestUnreachs',
  icmpInTimeExcds: 'Icmp_InTimeExcds',
  icmpInEchos: 'Icmp_InEchos',
  icmpOutMsgs: 'Icmp_OutMsgs',
  icmpOutDestUnreachs: 'Icmp_OutDestUnreachs',
  icmpOutEchoReps: 'Icmp_OutEchoReps',
  tcpActiveOpens: 'Tcp_ActiveOpens',
  tcpPassiveOpens: 'Tcp_PassiveOpens',
  tcpAttemptFails: 'Tcp_AttemptFails',
  tcpEstabResets: 'Tcp_EstabResets',
  tcpCurrEstab: 'Tcp_CurrEstab',
  tcpInSegs: 'Tcp_InSegs',
  tcpOutSegs: 'Tcp_OutSegs',
  tcpRetransSegs: 'Tcp_RetransSegs',
  tcpInErrs: 'Tcp_InErrs',
  tcpOutRsts: 'Tcp_OutRsts',
  tcpTimeouts: 'TcpExt_TCPTimeouts',
  tcpFastRetransmits: 'TcpExt_TCPFastRetrans',
  tcpSynCookiesSent: 'TcpExt_SyncookiesSent',
  tcpSynCookiesReceived: 'TcpExt_SyncookiesRecv',
  tcpSynCookiesFailed: 'TcpExt_SyncookiesFailed',
  tcpListenOverflows: 'TcpExt_ListenOverflows',
  tcpLossProbes: 'TcpExt_TCPLossProbes',
  tcpLostRetransmits: 'TcpExt_TCPLostRetransmit',
  tcpInDsacks: 'TcpExt_TCPDSACKRecv',
  tcpOutDsacks: 'TcpExt_TCPDSACKOldSent',
  tcpDelayedAcks: 'TcpExt_DelayedACKs',
  tcpInOutOfOrder: 'TcpExt_TCPOFOQueue',
  tcpChallengeAcks: 'TcpExt_TCPChallengeACK',
  tcpKeepalives: 'TcpExt_TCPKeepAlive',
};

/** @param facts names and values as the transport tells them. */
export function stackSamples(facts: readonly (readonly [name: string, value: string | number])[]): Sample[] {
  const samples: Sample[] = [];
  for (const [name, value] of facts) {
    if (typeof value !== 'number') continue;
    samples.push(sampleOf(name, value));
  }
  return samples;
}

function sampleOf(name: string, value: number): Sample {
  if (name.startsWith('drop-')) {
    const help = 'Packets that the stack dropped, by reason';
    return { name: 'wiredis_stack_drops_total', help, type: 'counter', labels: { reason: name.slice(5) }, value };
  }
  if (name === 'mtu' || name === 'connections') {
    return { name: `wiredis_stack_${name}`, help: `The stack's ${name}`, type: 'gauge', value };
  }
  const known = NETSTAT[name];
  if (known !== undefined) {
    // As node_exporter does: /proc does not tell gauges from counters.
    return {
      name: `node_netstat_${known}`,
      help: `Statistic ${known.replace('_', ' ')} of wiredis.`,
      type: 'gauge',
      value,
    };
  }
  const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).replaceAll('-', '_');
  return { name: `wiredis_stack_${snake}_total`, help: `The stack's counter ${name}`, type: 'counter', value };
}
