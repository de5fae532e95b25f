// Clients that wait, on a clock that stands still: deadlines, how waiting ends, and what is left of it.
import { describe, expect, test } from 'vitest';
import { encode, type Parts, type Peer, serverOf } from '../../test/support/server-harness.ts';
import { commandTable } from '../commands/table.ts';
import { TYPE_LIST } from '../data/value-type.ts';
import type { BlockRequest } from './blocking.ts';
import type { Call } from './call.ts';
import type { CommandSpec } from './command.ts';

const setUp = (): Parts => serverOf(commandTable);
const element = (key: string, value: string): string =>
  `*2\r\n$${key.length}\r\n${key}\r\n$${value.length}\r\n${value}\r\n`;
const idOf = (peer: Peer): string => peer.ask('CLIENT', 'ID').slice(1, -2);

/** Moves on and lets the alarms ring. */
function wait({ clock, scheduler }: Parts, ms: number): void {
  clock.advanceUs(ms * 1000);
  scheduler.fire();
}

describe('deadlines', () => {
  test('each client is told when its own time is up, not before, and goes on with what it sent meanwhile', () => {
    const parts = setUp();
    const peers = [0.3, 0.1, 0.2, 0.1].map((timeout) => {
      const peer = parts.connect();
      peer.send(encode(['BLPOP', 'k', String(timeout)]) + encode(['PING']));
      return peer;
    });
    const forever = parts.connect();
    forever.send(encode(['BLPOP', 'k', '0']));
    const heard = (): string[] => peers.map((peer) => peer.got());
    expect(parts.server.blocking.clientsInTimeoutTable).toBe(4);
    wait(parts, 99);
    expect(heard()).toEqual(['', '', '', '']);
    wait(parts, 1);
    const done = '*-1\r\n+PONG\r\n';
    expect(heard()).toEqual(['', done, '', done]);
    wait(parts, 150);
    expect(heard()).toEqual(['', '', done, '']);
    wait(parts, 50);
    expect(heard()).toEqual([done, '', '', '']);
    expect(parts.server.blocking.count()).toBe(1);
    expect(forever.got()).toBe('');
  });

  test('a client that is served in time is not told of its deadline', () => {
    const parts = setUp();
    const peer = parts.connect();
    peer.send(encode(['BLPOP', 'k', '1']));
    parts.connect().ask('RPUSH', 'k', 'v');
    expect(peer.got()).toBe(element('k', 'v'));
    wait(parts, 5000);
    expect(peer.got()).toBe('');
    expect(parts.server.blocking.size).toBe(0);
  });
});

describe('ends of waiting', () => {
  test('CLIENT UNBLOCK, as if time were up or with an error', () => {
    const { connect, server } = setUp();
    const peer = connect();
    const other = connect();
    const id = idOf(peer);
    peer.send(encode(['BLMOVE', 'k', 'l', 'LEFT', 'LEFT', '0']));
    expect(other.ask('CLIENT', 'UNBLOCK', id)).toBe(':1\r\n');
    expect(peer.got()).toBe('*-1\r\n');
    peer.send(encode(['BLPOP', 'k', '0']));
    expect(other.ask('CLIENT', 'UNBLOCK', id, 'ERROR')).toBe(':1\r\n');
    expect(peer.got()).toBe('-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n');
    expect(other.ask('CLIENT', 'UNBLOCK', id)).toBe(':0\r\n');
    expect(server.commands.named('blpop')?.failedCalls).toBe(1);
    expect(server.commands.named('blpop')?.calls).toBe(1);
  });

  test('nothing is left of a client that vanishes, ends its side or is killed', () => {
    const { connect, server } = setUp();
    const vanished = connect();
    const ended = connect();
    const killed = connect();
    const other = connect();
    const id = idOf(killed);
    for (const peer of [vanished, ended, killed]) peer.send(encode(['BLPOP', 'a', 'b', '10']));
    vanished.handler?.onClose('ECONNRESET');
    ended.handler?.onEnd();
    expect(other.ask('CLIENT', 'KILL', 'ID', id)).toBe(':1\r\n');
    expect(server.blocking.count()).toBe(0);
    expect(server.blocking.size).toBe(0);
    expect(server.blocking.clientsInTimeoutTable).toBe(0);
    expect(other.ask('RPUSH', 'b', 'v')).toBe(':1\r\n');
    expect(other.ask('LLEN', 'b')).toBe(':1\r\n');
    expect(ended.got() + killed.got()).toBe('');
  });

  test('a server that becomes a replica lets nobody wait on', () => {
    const { connect, server } = setUp();
    const peer = connect();
    peer.send(encode(['BLPOP', 'k', '0']));
    server.blocking.disconnectAll();
    server.settle();
    expect(peer.got()).toMatch(/^-UNBLOCKED force unblock from blocking operation/);
    expect(peer.ended).toBe(true);
  });
});

/** A command that waits as the request says: `BLOCKED key`. */
function custom(change: Partial<BlockRequest>): CommandSpec {
  const keys = { keys: { first: 1, last: 1, type: TYPE_LIST } };
  const request: BlockRequest = { kind: 'list', timeoutMs: 0, ...(change.kind === 'wait' ? {} : keys), ...change };
  return {
    name: 'waitfor',
    arity: 2,
    flags: [],
    keys: [1, 1, 1],
    group: 'list',
    since: '1.0.0',
    summary: 'Waits.',
    run: (call: Call) => call.block(request),
  };
}

describe('the contract', () => {
  test('a step that has nothing for its client keeps it waiting, in its place', () => {
    let calls = 0;
    const serve = (call: Call, word: number): boolean => {
      calls++;
      if (calls === 1) return false;
      call.reply.bulk(call.bytes, call.offsets[word], call.lengths[word]);
      return true;
    };
    const { connect } = serverOf([...commandTable, custom({ serve })]);
    const peer = connect();
    const other = connect();
    peer.send(encode(['WAITFOR', 'k']));
    other.ask('RPUSH', 'k', '1');
    expect(peer.got()).toBe('');
    other.ask('DEL', 'k');
    other.ask('RPUSH', 'k', '2');
    expect(peer.got()).toBe('$1\r\nk\r\n');
    expect(calls).toBe(2);
  });

  test('an error when the key goes or becomes something else, for who asked for it', () => {
    for (const change of [['DEL', 'k'], ['SET', 'k', 'v'], ['RENAME', 'k', 'j'], ['FLUSHALL'], ['UNLINK', 'k']]) {
      const { connect, server } = serverOf([...commandTable, custom({ goneError: 'GONE with the key' })]);
      const peer = connect();
      const other = connect();
      other.ask('RPUSH', 'k', '1');
      peer.send(encode(['WAITFOR', 'k']));
      other.ask('RPUSH', 'k', '2');
      expect(peer.got()).toBe('');
      other.ask(...change);
      expect(peer.got()).toBe('-GONE with the key\r\n');
      expect(server.keyspace.deletionsWanted).toBe(false);
    }
  });

  test('kinds without keys end by whoever started them', () => {
    let ended = 0;
    const wait = custom({
      kind: 'wait',
      onEnd: () => ended++,
      onTimeout: (reply) => reply.integer(7),
    });
    const { connect, server } = serverOf([...commandTable, wait]);
    const peer = connect();
    peer.send(encode(['WAITFOR', 'k']));
    expect(server.blocking.count('wait')).toBe(1);
    const [client] = server.clients.values();
    server.blocking.timeOut(client, 'uncounted');
    expect(peer.got()).toBe(':7\r\n');
    expect(ended).toBe(1);
    expect(peer.ask('MULTI') + peer.ask('WAITFOR', 'k') + peer.ask('EXEC')).toBe('+OK\r\n+QUEUED\r\n*1\r\n:7\r\n');
  });
});
