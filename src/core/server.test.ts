// The server over a connection made of two arrays: what a client sends, what it gets, and when it is closed.
import { describe, expect, test } from 'vitest';
import { encode, type Parts, serverOf } from '../../test/support/server-harness.ts';
import { connectionCommands } from '../commands/connection.ts';
import { serverCommands } from '../commands/server.ts';
import { stringCommands } from '../commands/string.ts';
import { transactionCommands } from '../commands/transactions.ts';
import type { Config } from './config.ts';
import type { PersistenceControl } from './persistence.ts';

const setUp = (change?: (config: Config) => void): Parts =>
  serverOf([...connectionCommands, ...serverCommands, ...stringCommands, ...transactionCommands], change);

describe('requests and replies', () => {
  test('pipelined requests are answered in order, however they are cut', () => {
    const { connect } = setUp();
    const text = `${encode(['SET', 'k', 'v1'])}PING\r\n${encode(['GET', 'k'])}${encode(['ECHO', 'x'.repeat(300)])}`;
    const whole = connect();
    whole.send(text);
    const wanted = `+OK\r\n+PONG\r\n$2\r\nv1\r\n$300\r\n${'x'.repeat(300)}\r\n`;
    expect(whole.got()).toBe(wanted);
    for (let cut = 1; cut < text.length; cut++) {
      const peer = connect();
      peer.send(text.slice(0, cut));
      peer.send(text.slice(cut));
      expect(peer.got()).toBe(wanted);
      peer.handler?.onClose(null);
    }
    const dripping = connect();
    for (const char of text) dripping.send(char);
    expect(dripping.got()).toBe(wanted);
  });

  test('a bulk larger than any buffer is gathered', () => {
    const { connect } = setUp();
    const peer = connect();
    const value = 'v'.repeat(300_000);
    const text = encode(['SET', 'big', value]);
    for (let at = 0; at < text.length; at += 1448) peer.send(text.slice(at, at + 1448));
    expect(peer.got()).toBe('+OK\r\n');
    expect(peer.ask('GET', 'big')).toBe(`$300000\r\n${value}\r\n`);
  });

  test('errors in the words of Redis', () => {
    const { connect, server } = setUp();
    const peer = connect();
    expect(peer.ask('nope', 'a', 'b')).toBe("-ERR unknown command 'nope', with args beginning with: 'a' 'b' \r\n");
    expect(peer.ask('GET')).toBe("-ERR wrong number of arguments for 'get' command\r\n");
    expect(peer.ask('CLIENT', 'nope')).toBe("-ERR unknown subcommand 'nope'. Try CLIENT HELP.\r\n");
    expect(peer.ask('CONFIG', 'GET')).toBe("-ERR wrong number of arguments for 'config|get' command\r\n");
    expect(peer.ask('lolwut')).toContain("unknown command 'lolwut'");
    expect(peer.ask('PICTURE')).toContain('Redis ver. 7.0.15');
    expect(server.commands.named('get')?.rejectedCalls).toBe(1);
    expect(server.stats.errorsByCode.get('ERR')).toBe(5);
  });

  test('a protocol error is answered and the connection ended', () => {
    const { connect } = setUp();
    const peer = connect();
    peer.send('PING\r\n*1\r\nfoo\r\nPING\r\n');
    expect(peer.got()).toBe("+PONG\r\n-ERR Protocol error: expected '$', got 'f'\r\n");
    expect(peer.ended).toBe(true);
    expect(peer.ask('PING')).toBe('');
  });

  test('what browsers send ends the connection; the rest is not run', () => {
    const { connect, server } = setUp();
    for (const first of ['POST / HTTP/1.1\r\n', 'Host: example.org\r\n', encode(['post'])]) {
      const peer = connect();
      peer.send(`${first}${encode(['SET', 'k', 'v'])}`);
      expect(peer.got()).toBe('');
      expect(peer.ended).toBe(true);
    }
    expect(server.databases[0].size).toBe(0);
  });

  test('a refused EXEC ends its transaction', () => {
    const { connect } = setUp();
    const peer = connect();
    peer.ask('MULTI');
    expect(peer.ask('EXEC', 'x')).toBe(
      "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n",
    );
    expect(peer.ask('EXEC')).toBe('-ERR EXEC without MULTI\r\n');
  });

  test('QUIT ends behind its reply; the rest is not run', () => {
    const { connect } = setUp();
    const peer = connect();
    peer.send(encode(['QUIT']) + encode(['PING']));
    expect(peer.got()).toBe('+OK\r\n');
    expect(peer.ended).toBe(true);
  });

  test('CLIENT REPLY OFF, SKIP and ON', () => {
    const { connect } = setUp();
    const peer = connect();
    peer.send(encode(['CLIENT', 'REPLY', 'SKIP']) + encode(['PING']) + encode(['ECHO', 'a']));
    expect(peer.got()).toBe('$1\r\na\r\n');
    peer.send(encode(['CLIENT', 'REPLY', 'OFF']) + encode(['PING']) + encode(['PING']));
    expect(peer.got()).toBe('');
    expect(peer.ask('CLIENT', 'REPLY', 'ON')).toBe('+OK\r\n');
    expect(peer.ask('PING')).toBe('+PONG\r\n');
  });

  test('HELLO switches the protocol for the replies behind it', () => {
    const { connect } = setUp();
    const peer = connect();
    peer.send(encode(['GET', 'x']) + encode(['HELLO', '3']) + encode(['GET', 'x']));
    const got = peer.got();
    expect(got.startsWith('$-1\r\n%7\r\n$6\r\nserver\r\n')).toBe(true);
    expect(got.endsWith('_\r\n')).toBe(true);
  });
});

describe('limits', () => {
  test('a password is asked for', () => {
    const { connect } = setUp((config) => {
      config.requirepass = 'secret';
    });
    const peer = connect();
    expect(peer.ask('PING')).toBe('-NOAUTH Authentication required.\r\n');
    expect(peer.ask('AUTH', 'wrong')).toContain('-WRONGPASS');
    expect(peer.ask('AUTH', 'secret')).toBe('+OK\r\n');
    expect(peer.ask('PING')).toBe('+PONG\r\n');
    const other = connect();
    other.send('*1000\r\n');
    expect(other.got()).toBe('-ERR Protocol error: unauthenticated multibulk length\r\n');
    expect(other.ended).toBe(true);
  });

  test('maxclients and protected mode turn connections away', () => {
    const { connect, server } = setUp((config) => {
      config.maxclients = 1;
    });
    const far = connect('10.0.0.9');
    expect(far.got()).toMatch(/^-DENIED .*\r\n$/);
    expect(far.ended).toBe(true);
    connect();
    const second = connect();
    expect(second.got()).toBe('-ERR max number of clients reached\r\n');
    expect(server.stats.connectionsRejected).toBe(2);
    expect(server.clients.size).toBe(1);
  });

  test('output that is not taken is kept, in order, and sent on drain', () => {
    const { connect } = setUp();
    const peer = connect();
    peer.room = 10;
    for (let i = 0; i < 50; i++) peer.send(encode(['ECHO', `value${i}`]));
    let got = peer.got();
    for (;;) {
      peer.room = 7;
      peer.handler?.onDrain();
      const more = peer.got();
      if (more === '') break;
      got += more;
    }
    expect(got).toBe(Array.from({ length: 50 }, (_, i) => `$${`value${i}`.length}\r\nvalue${i}\r\n`).join(''));
  });

  test('a client far behind is not read any more, and goes on when it has caught up', () => {
    const { connect } = setUp();
    const peer = connect();
    expect(peer.ask('SET', 'k', 'x'.repeat(1 << 20))).toBe('+OK\r\n');
    peer.room = 0;
    for (let i = 0; i < 70; i++) peer.send(encode(['GET', 'k']));
    expect(peer.paused).toBe(true);
    peer.room = Number.POSITIVE_INFINITY;
    peer.handler?.onDrain();
    expect(peer.paused).toBe(false);
    expect(peer.got().length).toBe(70 * ((1 << 20) + 12));
  });

  test('client-output-buffer-limit and client-query-buffer-limit close', () => {
    const { connect, server } = setUp((config) => {
      config.clientOutputBufferLimit = [
        { hard: 1000, soft: 0, softSeconds: 0 },
        ...config.clientOutputBufferLimit.slice(1),
      ] as never;
      config.clientQueryBufferLimit = 1024 * 1024;
    });
    const slow = connect();
    slow.room = 0;
    slow.send(encode(['ECHO', 'x'.repeat(2000)]));
    // Whoever does not read would leave what is sent in its ring: a reset.
    expect(slow.destroyed).toBe(true);
    const greedy = connect();
    greedy.send('*2\r\n$3\r\nGET\r\n$2000000\r\n');
    for (let i = 0; i < 20 && !greedy.ended; i++) greedy.send('x'.repeat(100_000));
    expect(greedy.ended).toBe(true);
    expect(server.stats.clientQueryBufferLimitDisconnections).toBe(1);
    expect(server.stats.clientOutputBufferLimitDisconnections).toBe(1);
  });

  test('idle clients are closed after `timeout`', () => {
    const { clock, connect, scheduler, server } = setUp((config) => {
      config.timeout = 10;
    });
    server.start();
    const peer = connect();
    clock.advanceUs(9_000_000);
    scheduler.fire();
    expect(peer.ended).toBe(false);
    clock.advanceUs(2_000_000);
    scheduler.fire();
    expect(peer.ended).toBe(true);
    peer.handler?.onClose(null);
    expect(server.clients.size).toBe(0);
  });

  test('CLIENT PAUSE holds commands back and runs them afterwards, in order', () => {
    const { clock, connect, scheduler, server } = setUp();
    server.start();
    const peer = connect();
    const other = connect();
    expect(peer.ask('CLIENT', 'PAUSE', '1000', 'WRITE')).toBe('+OK\r\n');
    other.send(encode(['PING']) + encode(['SET', 'a', '1']) + encode(['GET', 'a']));
    expect(other.got()).toBe('+PONG\r\n');
    other.send(encode(['ECHO', 'x']));
    expect(other.got()).toBe('');
    clock.advanceUs(1_500_000);
    scheduler.fire();
    expect(other.got()).toBe('+OK\r\n$1\r\n1\r\n$1\r\nx\r\n');
    expect(peer.ask('SET', 'b', '1')).toBe('+OK\r\n');
  });

  test('nothing is left of clients that vanish half way through a request', () => {
    const { connect, server } = setUp();
    for (let i = 0; i < 50; i++) {
      const peer = connect();
      peer.send('*2\r\n$3\r\nGET\r\n$100\r\nabc');
      peer.handler?.onClose('ECONNRESET');
    }
    expect(server.clients.size).toBe(0);
    expect(connect().ask('PING')).toBe('+PONG\r\n');
  });

  test('CLIENT KILL closes others at once and oneself behind the reply', () => {
    const { connect } = setUp();
    const peer = connect();
    const other = connect();
    expect(peer.ask('CLIENT', 'KILL', 'ID', '2')).toBe(':1\r\n');
    expect(other.ended).toBe(true);
    expect(peer.ask('CLIENT', 'KILL', '127.0.0.1:1000')).toBe('+OK\r\n');
    expect(peer.ended).toBe(true);
  });
});

describe('transactions', () => {
  test('MULTI queues, EXEC runs, errors abort', () => {
    const { connect } = setUp();
    const peer = connect();
    expect(peer.ask('MULTI')).toBe('+OK\r\n');
    expect(peer.ask('SET', 'a', '1')).toBe('+QUEUED\r\n');
    expect(peer.ask('INCR', 'a')).toBe('+QUEUED\r\n');
    expect(peer.ask('EXEC')).toBe('*2\r\n+OK\r\n:2\r\n');
    peer.ask('MULTI');
    expect(peer.ask('GET')).toContain('wrong number');
    expect(peer.ask('EXEC')).toBe('-EXECABORT Transaction discarded because of previous errors.\r\n');
  });

  test('WATCH fails EXEC when another client wrote, not otherwise', () => {
    const { connect, server } = setUp();
    const peer = connect();
    const other = connect();
    peer.ask('WATCH', 'k');
    other.ask('SET', 'k', '1');
    peer.ask('MULTI');
    peer.ask('GET', 'k');
    expect(peer.ask('EXEC')).toBe('*-1\r\n');
    peer.ask('WATCH', 'k');
    other.ask('SET', 'j', '1');
    peer.ask('MULTI');
    peer.ask('GET', 'k');
    expect(peer.ask('EXEC')).toBe('*1\r\n$1\r\n1\r\n');
    expect(server.watches.size).toBe(0);
  });
});

describe('what is counted', () => {
  test('commandstats, slow log, MONITOR', () => {
    const { connect, server } = setUp();
    const watcher = connect();
    expect(watcher.ask('MONITOR')).toBe('+OK\r\n');
    const peer = connect();
    peer.ask('CONFIG', 'SET', 'slowlog-log-slower-than', '0');
    peer.ask('SET', 'a', 'b c');
    expect(watcher.got()).toMatch(/\+\d+\.\d{6} \[0 127\.0\.0\.1:1001\] "SET" "a" "b c"\r\n$/);
    expect(server.commands.named('set')?.calls).toBe(1);
    expect(peer.ask('SLOWLOG', 'GET', '1')).toContain('$3\r\nSET\r\n$1\r\na\r\n$3\r\nb c\r\n');
    const info = peer.ask('INFO', 'commandstats');
    expect(info).toMatch(/cmdstat_set:calls=1,usec=\d+,usec_per_call=[\d.]+,rejected_calls=0,failed_calls=0/);
    expect(info).toContain('cmdstat_config|set:calls=1');
    peer.ask('CONFIG', 'RESETSTAT');
    expect(peer.ask('INFO', 'commandstats')).not.toContain('cmdstat_set');
    peer.ask('SELECT', '3');
    expect(watcher.got(), 'the database that it leaves the client in').toMatch(/ \[3 [^\]]*\] "SELECT" "3"\r\n$/);
  });

  test('INFO has the sections of Redis', () => {
    const { connect } = setUp();
    const peer = connect();
    const titles = (text: string): string[] => [...text.matchAll(/^# (\w+)/gm)].map((match) => match[1]);
    const usual = [
      'Server',
      'Clients',
      'Memory',
      'Persistence',
      'Stats',
      'Replication',
      'CPU',
      'Modules',
      'Errorstats',
      'Cluster',
      'Keyspace',
    ];
    expect(titles(peer.ask('INFO'))).toEqual(usual);
    const all = [...usual.slice(0, 8), 'Commandstats', 'Errorstats', 'Latencystats', 'Cluster', 'Keyspace'];
    expect(titles(peer.ask('INFO', 'all'))).toEqual(all);
    expect(titles(peer.ask('INFO', 'everything'))).toEqual([...all, 'Wiredis']);
    expect(titles(peer.ask('INFO', 'cpu', 'nonsense'))).toEqual(['CPU']);
  });

  test('INFO counts the memory that keys, clients and buffers take, and tells of the transport', () => {
    const { server, connect } = setUp();
    const peer = connect();
    const memory = (name: string): number => Number(new RegExp(`${name}:(\\d+)`).exec(peer.ask('INFO', 'memory'))?.[1]);
    const before = memory('used_memory');
    expect(memory('used_memory_overhead')).toBeGreaterThan(1024);
    peer.ask('SETRANGE', 'k', '99999', 'x');
    expect(memory('used_memory') - before).toBeGreaterThan(100_000);
    const tables = server.databases.reduce((sum, db) => sum + db.tableBytes, 0);
    expect(memory('used_memory_dataset')).toBe(server.arena.used - tables);
    const overhead = memory('used_memory_overhead');
    peer.ask('SET', 'volatile', 'v', 'EX', '100');
    expect(memory('used_memory_overhead')).toBeGreaterThan(overhead);
    expect(memory('used_memory')).toBe(memory('used_memory_dataset') + memory('used_memory_overhead'));
    server.hooks = { transportFacts: () => [['interface', 'veth0']] };
    expect(peer.ask('INFO', 'wiredis')).toContain('# Wiredis\r\ntransport:kernel\r\ninterface:veth0\r\n');
  });
});

const NO_PERSISTENCE: PersistenceControl = {
  save: () => null,
  startSave: () => false,
  startJob() {},
  loadFromMaster: () => Promise.resolve(null),
  startRewrite: () => false,
  stopSave() {},
  setAppendOnly: () => false,
  cron() {},
};

describe('save points', () => {
  test('a failing disk stops writes until a save works, and is tried every five seconds', () => {
    const { server, clock, scheduler, connect } = setUp();
    let attempts = 0;
    let problem: string | null = 'no space left';
    server.hooks = {
      persistence: {
        ...NO_PERSISTENCE,
        startSave() {
          attempts++;
          server.persistence.lastSaveTry = Math.floor(clock.unixMs / 1000);
          server.lastSaveOk = problem === null;
          if (problem === null) server.dirty = 0;
          return true;
        },
      },
    };
    const seconds = (count: number): void => {
      for (let i = 0; i < count; i++) {
        clock.advanceUs(1_000_000);
        scheduler.fire();
      }
    };
    const peer = connect();
    peer.ask('CONFIG', 'SET', 'save', '1 1');
    server.start();
    peer.ask('SET', 'k', 'v');
    seconds(3);
    expect(attempts).toBe(1);
    expect(peer.ask('INFO', 'persistence')).toContain('rdb_last_bgsave_status:err');
    for (const words of [['SET', 'k', 'w'], ['PING']])
      expect(peer.ask(...words)).toMatch(/^-MISCONF Redis is configured/);
    expect(peer.ask('GET', 'k')).toBe('$1\r\nv\r\n');
    peer.ask('CONFIG', 'SET', 'stop-writes-on-bgsave-error', 'no');
    expect(peer.ask('SET', 'k', 'w')).toBe('+OK\r\n');
    peer.ask('CONFIG', 'SET', 'stop-writes-on-bgsave-error', 'yes');
    expect(peer.ask('SET', 'k', 'x')).toMatch(/^-MISCONF/);
    seconds(6);
    expect(attempts).toBe(2);
    problem = null;
    seconds(6);
    expect(attempts).toBe(3);
    expect(peer.ask('SET', 'k', 'x')).toBe('+OK\r\n');
  });
});
