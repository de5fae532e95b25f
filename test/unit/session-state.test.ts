// Each kind of session goes on in another server over the same dataset, through plain data: what it was in the middle of
// ends as if nothing had been.
import { describe, expect, it } from 'vitest';
import { commandTable } from '../../src/commands/table.ts';
import { createConfig } from '../../src/core/config.ts';
import { Server } from '../../src/core/server.ts';
import {
  exportCounters,
  exportSessions,
  importCounters,
  importSessions,
  resumeSessions,
} from '../../src/core/session-state.ts';
import { silentLog } from '../../src/platform/log.ts';
import type { Connection } from '../../src/transports/transport.ts';
import { encode, type Parts, type Peer, serverOf } from '../support/server-harness.ts';

function start(): Parts {
  return serverOf(commandTable);
}

/** Another server in place of the one of `parts`; the peers' connections go on. */
function handOver(parts: Parts, peers: readonly Peer[]): Server {
  const { server: old, clock, scheduler } = parts;
  const sessions = structuredClone(exportSessions(old, () => true));
  const counters = structuredClone(exportCounters(old));
  // Nothing of the old one happens any more.
  scheduler.alarms.length = 0;
  const config = createConfig();
  config.save = [];
  const server = new Server({
    config,
    keyspace: old.keyspace,
    commands: commandTable,
    clock,
    random: old.random,
    scheduler,
    stopwatch: old.stopwatch,
    log: silentLog,
  });
  const idOf = (peer: Peer): number => [...old.clients.values()].find(({ connection }) => connection === peer)?.id ?? 0;
  const connections = new Map<number, Connection>(peers.map((peer) => [idOf(peer), peer]));
  const clients = importSessions(server, sessions, connections);
  for (const peer of peers) peer.handler = clients.get(idOf(peer)) ?? null;
  importCounters(server, counters);
  resumeSessions(server, sessions, clients);
  return server;
}

describe('sessions that go on in another server', () => {
  it('keep who they are', () => {
    const parts = start();
    const a = parts.connect();
    a.ask('CLIENT', 'SETNAME', 'worker');
    a.ask('SELECT', '7');
    a.ask('HELLO', '3');
    a.ask('CLIENT', 'NO-EVICT', 'on');
    const before = a.ask('CLIENT', 'INFO');
    handOver(parts, [a]);
    // Of the buffers behind it the new server knows nothing.
    const told = (text: string): string =>
      text.replace(/ (qbuf|qbuf-free|argv-mem|multi-mem|rbs|rbp|tot-mem)=\S+/g, '');
    expect(told(a.ask('CLIENT', 'INFO'))).toBe(told(before));
    const b = parts.connect();
    expect(b.got()).toBe('');
  });

  it('number new clients on', () => {
    const parts = start();
    const a = parts.connect();
    parts.connect();
    const server = handOver(parts, [a]);
    const id = server.nextClientId;
    expect(id).toBe(3);
    expect(a.ask('CLIENT', 'ID')).toBe(':1\r\n');
  });

  it('go on in a transaction, and see what was done to watched keys before and after', () => {
    const parts = start();
    const [calm, before, after, other] = [parts.connect(), parts.connect(), parts.connect(), parts.connect()];
    for (const peer of [calm, before, after]) {
      peer.ask('WATCH', `k-${peer.remotePort}`, 'missing');
      peer.ask('MULTI');
      peer.ask('SET', 'done', 'yes');
      expect(peer.ask('CLIENT', 'GETNAME')).toBe('+QUEUED\r\n');
    }
    other.ask('SET', `k-${before.remotePort}`, 'x');
    handOver(parts, [calm, before, after, other]);
    other.ask('SET', `k-${after.remotePort}`, 'x');
    expect(calm.ask('EXEC')).toBe('*2\r\n+OK\r\n$-1\r\n');
    expect(before.ask('EXEC')).toBe('*-1\r\n');
    expect(after.ask('EXEC')).toBe('*-1\r\n');
  });

  it('remember a command that could not be queued', () => {
    const parts = start();
    const a = parts.connect();
    a.ask('MULTI');
    a.ask('NOSUCH');
    handOver(parts, [a]);
    expect(a.ask('EXEC')).toMatch(/^-EXECABORT/);
  });

  it('listen on', () => {
    const parts = start();
    const [a, b, monitor] = [parts.connect(), parts.connect(), parts.connect()];
    a.ask('SUBSCRIBE', 'news');
    a.ask('PSUBSCRIBE', 'n*');
    a.ask('SSUBSCRIBE', 'shard');
    monitor.ask('MONITOR');
    handOver(parts, [a, b, monitor]);
    monitor.got();
    expect(b.ask('PUBLISH', 'news', 'x')).toBe(':2\r\n');
    expect(a.got()).toBe(encode(['message', 'news', 'x']) + encode(['pmessage', 'n*', 'news', 'x']));
    expect(b.ask('SPUBLISH', 'shard', 'y')).toBe(':1\r\n');
    expect(a.got()).toBe(encode(['smessage', 'shard', 'y']));
    expect(monitor.got()).toContain('"PUBLISH" "news" "x"');
    expect(a.ask('GET', 'x')).toMatch(/^-ERR Can't execute 'get'/);
  });

  it('hear of keys that they have cached', () => {
    const parts = start();
    const [a, prefix, b] = [parts.connect(), parts.connect(), parts.connect()];
    a.ask('HELLO', '3');
    prefix.ask('HELLO', '3');
    a.ask('CLIENT', 'TRACKING', 'on');
    prefix.ask('CLIENT', 'TRACKING', 'on', 'BCAST', 'PREFIX', 'user:');
    b.ask('SET', 'cached', '1');
    // Which words of GET are keys, this server was not told.
    parts.server.tracking.readers = [['cached', [1]]];
    handOver(parts, [a, prefix, b]);
    b.ask('SET', 'cached', '2');
    b.ask('SET', 'user:1', '2');
    expect(a.got()).toBe('>2\r\n$10\r\ninvalidate\r\n*1\r\n$6\r\ncached\r\n');
    expect(prefix.got()).toBe('>2\r\n$10\r\ninvalidate\r\n*1\r\n$6\r\nuser:1\r\n');
  });

  it('wait on, in their order, for the rest of their time', () => {
    const parts = start();
    const { clock, scheduler } = parts;
    const [first, second, late, pusher] = [parts.connect(), parts.connect(), parts.connect(), parts.connect()];
    // Not in the order of their numbers.
    second.ask('BLPOP', 'other', '1');
    clock.advanceUs(1_100_000);
    scheduler.fire();
    expect(second.got()).toBe('*-1\r\n');
    expect(first.ask('BLPOP', 'queue', '10')).toBe('');
    expect(second.ask('BLMOVE', 'queue', 'done', 'LEFT', 'RIGHT', '0')).toBe('');
    expect(late.ask('BLPOP', 'queue', '2')).toBe('');
    clock.advanceUs(1_500_000);
    const server = handOver(parts, [second, late, first, pusher]);
    expect(server.blocking.count('list')).toBe(3);
    clock.advanceUs(600_000);
    scheduler.fire();
    // Two seconds since it began, not since the hand-over.
    expect(late.got()).toBe('*-1\r\n');
    pusher.ask('RPUSH', 'queue', 'a', 'b');
    expect(first.got()).toBe(encode(['queue', 'a']));
    expect(second.got()).toBe('$1\r\nb\r\n');
    expect(first.ask('PING')).toBe('+PONG\r\n');
  });

  it('read a stream on from where they were', () => {
    const parts = start();
    const [reader, writer] = [parts.connect(), parts.connect()];
    writer.ask('XADD', 's', '1-1', 'a', '1');
    writer.ask('XGROUP', 'CREATE', 's', 'g', '$');
    expect(reader.ask('XREAD', 'BLOCK', '0', 'STREAMS', 's', '$')).toBe('');
    handOver(parts, [reader, writer]);
    writer.ask('XADD', 's', '2-1', 'a', '2');
    expect(reader.got()).toContain('2-1');
  });

  it('finish half a request, and get the rest of a reply once', () => {
    const parts = start();
    const a = parts.connect();
    a.ask('SET', 'long', 'x'.repeat(100));
    a.room = 20;
    a.send(encode(['GET', 'long']));
    const request = encode(['ECHO', 'hello']);
    a.send(request.slice(0, 17));
    const got = a.got();
    expect(got).toHaveLength(20);
    a.room = Number.POSITIVE_INFINITY;
    handOver(parts, [a]);
    a.send(request.slice(17));
    expect(got + a.got()).toBe(`$100\r\n${'x'.repeat(100)}\r\n$5\r\nhello\r\n`);
  });

  it('keep requests that stand behind a wait or a pause', () => {
    const parts = start();
    const [waiting, paused, other] = [parts.connect(), parts.connect(), parts.connect()];
    waiting.send(encode(['BLPOP', 'q', '0']) + encode(['PING']));
    other.ask('CLIENT', 'PAUSE', '1000', 'WRITE');
    paused.send(encode(['SET', 'a', '1']) + encode(['PING']));
    const server = handOver(parts, [waiting, paused, other]);
    server.start();
    expect(waiting.got() + paused.got()).toBe('');
    other.ask('CLIENT', 'UNPAUSE');
    parts.scheduler.fire();
    expect(paused.got()).toBe('+OK\r\n+PONG\r\n');
    other.ask('RPUSH', 'q', 'x');
    expect(waiting.got()).toBe(`${encode(['q', 'x'])}+PONG\r\n`);
    server.stop();
  });

  it('keep CLIENT REPLY', () => {
    const parts = start();
    const a = parts.connect();
    a.ask('CLIENT', 'REPLY', 'OFF');
    handOver(parts, [a]);
    expect(a.ask('PING')).toBe('');
    expect(a.ask('CLIENT', 'REPLY', 'ON')).toBe('+OK\r\n');
  });

  it('what the server counts goes on', () => {
    const parts = start();
    const a = parts.connect();
    a.ask('SET', 'a', '1');
    a.ask('GET', 'a');
    a.ask('NOSUCH');
    const { runId } = parts.server;
    const server = handOver(parts, [a]);
    expect(server.stats.commandsProcessed).toBe(2);
    expect(server.commands.named('get')?.calls).toBe(1);
    expect(server.stats.errorsByCode.get('ERR')).toBe(1);
    expect([server.runId, server.dirty, server.keyspace.stats.hits]).toEqual([runId, 1, 1]);
  });
});
