// The line of CLIENT LIST and CLIENT INFO about a client. core/ and observe/ import it.
import type { Client } from './client.ts';

/** Redis's letters for what a client is doing. */
export function clientFlags(client: Client): string {
  let flags = '';
  if (client.monitor) flags += 'O';
  else if (client.link === 'replica') flags += 'S';
  if (client.link === 'master') flags += 'M';
  if (client.subscriptions !== null) flags += 'P';
  if (client.transaction?.active === true) flags += 'x';
  if (client.blocked !== null || client.isPaused) flags += 'b';
  if (client.tracking !== null) flags += 't';
  if (client.tracking?.brokenRedirect === true) flags += 'R';
  if (client.tracking?.options.bcast === true) flags += 'B';
  if (client.transaction?.touched === true) flags += 'd';
  if (client.closing) flags += 'c';
  if (client.noEvict) flags += 'e';
  if (client.address.startsWith('/')) flags += 'U';
  return flags === '' ? 'N' : flags;
}

export function clientInfoLine(client: Client): string {
  const { server, subscriptions, transaction } = client;
  const now = server.clock.unixMs;
  const seconds = (since: number): number => Math.max(0, Math.floor((now - since) / 1000));
  const queryBytes = client.queryBytes;
  const replyBuffer = client.bufferUse.replyBuffer(server.clock.nowMs, server.debug);
  const fields: [string, string | number][] = [
    ['id', client.id],
    ['addr', client.address],
    ['laddr', client.localAddress],
    ['fd', -1],
    ['name', client.name],
    ['age', seconds(client.createdAt)],
    ['idle', seconds(client.lastInteraction)],
    ['flags', clientFlags(client)],
    ['db', client.db.index],
    ['sub', subscriptions?.channels.size ?? 0],
    ['psub', subscriptions?.patterns.size ?? 0],
    ['ssub', subscriptions?.shardChannels.size ?? 0],
    ['multi', transaction?.active === true ? transaction.queue.length : -1],
    ['qbuf', queryBytes],
    ['qbuf-free', Math.max(client.queryCapacity, client.bufferUse.queryBuffer(server.clock.nowMs)) - queryBytes],
    ['argv-mem', client.argumentBytes],
    ['multi-mem', transaction?.memoryBytes ?? 0],
    ['rbs', replyBuffer],
    ['rbp', Math.min(replyBuffer, client.bufferUse.replyPeak)],
    ['obl', 0],
    ['oll', client.outputPieces],
    ['omem', client.outputBytes],
    ['tot-mem', client.memoryBytes],
    ['events', client.outputPieces > 0 ? 'rw' : 'r'],
    ['cmd', client.lastCommand === null ? 'NULL' : client.lastCommand.spec.name],
    ['user', client.link === 'master' ? '(superuser)' : client.user.name],
    ['redir', client.tracking?.options.redirect ?? -1],
    ['resp', client.protocol],
  ];
  return fields.map(([name, value]) => `${name}=${value}`).join(' ');
}
