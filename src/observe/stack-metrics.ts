// The stack's counters under the names node_exporter's netstat collector gives the kernel's, so that boards about TCP
// work on a network that the kernel does not see. What has no name there is wiredis_stack_*. metrics.ts imports it.
import { counter, gauge, type Samples, type Series, SeriesBook } from './series.ts';

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

const book = new SeriesBook(seriesOf);

/** @param facts names and values as the transport tells them. */
export function addStackSamples(
  samples: Samples,
  facts: readonly (readonly [name: string, value: string | number])[],
): void {
  for (const [name, value] of facts) if (typeof value === 'number') samples.add(book.get(name), value);
}

function seriesOf(name: string): Series {
  if (name.startsWith('drop-')) {
    const help = 'Packets that the stack dropped, by reason';
    return counter('wiredis_stack_drops_total', help, { reason: name.slice(5) });
  }
  if (name === 'mtu' || name === 'connections') return gauge(`wiredis_stack_${name}`, `The stack's ${name}`);
  const known = NETSTAT[name];
  // As node_exporter does: /proc does not tell gauges from counters.
  if (known !== undefined) return gauge(`node_netstat_${known}`, `Statistic ${known.replace('_', ' ')} of wiredis.`);
  const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).replaceAll('-', '_');
  return counter(`wiredis_stack_${snake}_total`, `The stack's counter ${name}`);
}
