// CLIENT PAUSE on a clock that stands still: who is held back, until when, and what does not happen meanwhile.
import { expect, test } from 'vitest';
import { encode, type Parts, serverOf } from '../../test/support/server-harness.ts';
import { commandTable } from '../commands/table.ts';

const setUp = (): Parts => serverOf(commandTable);

test('keys do not expire while writers are held back', () => {
  const { clock, connect, scheduler, server } = setUp();
  server.start();
  const peer = connect();
  peer.ask('SET', 'k', 'v', 'PX', '10');
  peer.ask('CLIENT', 'PAUSE', '1000', 'WRITE');
  clock.advanceUs(500_000);
  scheduler.fire();
  expect(peer.ask('GET', 'k')).toBe('$-1\r\n');
  expect(server.databases[0].size).toBe(1);
  expect(server.keyspace.stats.expiredKeys).toBe(0);
  peer.ask('CLIENT', 'UNPAUSE');
  expect(peer.ask('GET', 'k')).toBe('$-1\r\n');
  expect(server.databases[0].size).toBe(0);
});

test('a longer or wider pause stays, pauses of different purposes add up', () => {
  const { clock, connect, scheduler, server } = setUp();
  server.start();
  const peer = connect();
  const other = connect();
  server.pauseClients(true, 1000);
  server.pauseClients(false, 500);
  server.pauseClients(false, 3000, 'failover');
  peer.send(encode(['GET', 'k']));
  other.send(encode(['SET', 'k', 'v']));
  expect(server.pauses.heldClients.size).toBe(2);
  clock.advanceUs(1_100_000);
  scheduler.fire();
  expect(peer.got()).toBe('$-1\r\n');
  expect(other.got()).toBe('');
  server.unpauseClients('failover');
  server.settle();
  expect(other.got()).toBe('+OK\r\n');
  expect(server.pauses.active).toBe(false);
});

test('what cannot run is refused at once, and a transaction waits whole', () => {
  const { connect } = setUp();
  const peer = connect();
  const other = connect();
  other.ask('MULTI');
  other.ask('SET', 'k', 'v');
  peer.ask('CLIENT', 'PAUSE', '1000', 'WRITE');
  expect(peer.ask('SET', 'k')).toBe("-ERR wrong number of arguments for 'set' command\r\n");
  other.send(encode(['EXEC']));
  expect(other.got()).toBe('');
  const listed = peer.ask('CLIENT', 'LIST');
  expect(listed).toContain('flags=xb');
  peer.ask('CLIENT', 'UNPAUSE');
  expect(other.got()).toBe('*1\r\n+OK\r\n');
});
