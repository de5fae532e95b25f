// Commands about replication: those of clients (REPLICAOF, ROLE, WAIT, FAILOVER) and those that servers say to each
// other (SYNC, PSYNC, REPLCONF). table.ts lists it.
import type { Call } from '../core/call.ts';
import type { CommandFlag, CommandSpec } from '../core/command.ts';
import { writeRole } from '../replication/info.ts';
import type { Replica } from '../replication/replica.ts';
import { Replication } from '../replication/replication.ts';
import { splitArgs } from '../resp/split-args.ts';
import { rowsOf } from './rows.ts';

const ADDRESS_MAX = 256;
const PORT_MAX = 65535;
const INT64_MAX = 2 ** 63;

// --- clients ---

function replicaOf(call: Call): void {
  const { client, reply, server } = call;
  const { replication } = server;
  if (replication.failover.state !== 'none') {
    reply.error('ERR REPLICAOF not allowed while failing over.');
    return;
  }
  if (call.is(1, 'no') && call.is(2, 'one')) {
    if (replication.isReplica) {
      replication.becomeMaster();
      server.log.notice(`MASTER MODE enabled (user request from '${client.infoLine()}')`);
    }
    reply.ok();
    return;
  }
  if (client.link === 'replica') {
    reply.error('ERR Command is not valid when client is a replica.');
    return;
  }
  const port = call.integer(2, 'ERR Invalid master port');
  if (Number.isNaN(port)) return;
  if (port < 0 || port > PORT_MAX) {
    reply.error('ERR Invalid master port');
    return;
  }
  const host = call.text(1);
  const { link } = replication;
  if (link !== null && link.host.toLowerCase() === host.toLowerCase() && link.port === port) {
    server.log.notice(
      'REPLICAOF would result into synchronization with the master we are already connected with. No operation performed.',
    );
    reply.simple('OK Already connected to specified master');
    return;
  }
  replication.becomeReplica(host, port);
  server.log.notice(`REPLICAOF ${host}:${port} enabled (user request from '${client.infoLine()}')`);
  reply.ok();
}

function role(call: Call): void {
  writeRole(call.server.replication, call.reply);
}

function wait(call: Call): void {
  const { reply, server } = call;
  if (server.replication.isReplica) {
    reply.error(
      'ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is ' +
        'configured to be writable (which is not the default) writes to replicas are just local and are not propagated.',
    );
    return;
  }
  const replicas = call.integer(1);
  if (Number.isNaN(replicas)) return;
  const timeout = call.integer(2, 'ERR timeout is not an integer or out of range');
  if (Number.isNaN(timeout)) return;
  if (timeout < 0) reply.error('ERR timeout is negative');
  else if (timeout >= INT64_MAX) reply.error('ERR timeout is out of range');
  else server.replication.waiting.wait(call, replicas, timeout);
}

interface FailoverWords {
  host: string;
  port: number;
  timeoutMs: number;
  force: boolean;
}

function failover(call: Call): void {
  const { reply, server } = call;
  const { replication } = server;
  if (call.argc === 2 && call.is(1, 'abort')) {
    if (replication.failover.state === 'none') reply.error('ERR No failover in progress.');
    else {
      replication.failover.abort('Failover manually aborted');
      reply.ok();
    }
    return;
  }
  const words = failoverWords(call);
  if (words === null) return;
  const problem = failoverProblem(replication, words);
  if (problem !== null) {
    reply.error(problem);
    return;
  }
  replication.failover.start(words);
  reply.ok();
}

/** @returns null after an error was replied. */
function failoverWords(call: Call): FailoverWords | null {
  const { reply } = call;
  const words: FailoverWords = { host: '', port: 0, timeoutMs: 0, force: false };
  for (let i = 1; i < call.argc; i++) {
    const rest = call.argc - 1 - i;
    if (call.is(i, 'timeout') && rest >= 1 && words.timeoutMs === 0) {
      words.timeoutMs = call.integer(++i);
      if (Number.isNaN(words.timeoutMs)) return null;
      if (words.timeoutMs <= 0) {
        reply.error('ERR FAILOVER timeout must be greater than 0');
        return null;
      }
    } else if (call.is(i, 'to') && rest >= 2 && words.host === '') {
      words.host = call.text(++i);
      words.port = call.integer(++i);
      if (Number.isNaN(words.port)) return null;
    } else if (call.is(i, 'force') && !words.force) words.force = true;
    else {
      call.syntaxError();
      return null;
    }
  }
  return words;
}

function failoverProblem(replication: Replication, { force, host, port, timeoutMs }: FailoverWords): string | null {
  if (replication.failover.state !== 'none') return 'ERR FAILOVER already in progress.';
  if (replication.isReplica) return 'ERR FAILOVER is not valid when server is a replica.';
  if (replication.replicas.length === 0) return 'ERR FAILOVER requires connected replicas.';
  if (force && (timeoutMs === 0 || host === '')) {
    return 'ERR FAILOVER with force option requires both a timeout and target HOST and IP.';
  }
  if (host === '') return null;
  const replica = replication.findReplica(host, port);
  if (replica === null) return 'ERR FAILOVER target HOST and PORT is not a replica.';
  return replica.state === 'online' ? null : 'ERR FAILOVER target replica is not online.';
}

// --- servers ---

function sync(call: Call): void {
  synchronize(call, false);
}

function psync(call: Call): void {
  const { client, reply, server } = call;
  const { replication } = server;
  if (client.link === 'replica') return;
  if (call.argc > 3 && call.is(3, 'failover')) {
    server.log.warning(`Failover request received for replid ${call.latin1(1)}.`);
    if (!replication.isReplica) {
      reply.error("ERR PSYNC FAILOVER can't be sent to a master.");
      return;
    }
    if (call.latin1(1).toLowerCase() !== replication.id) {
      reply.error('ERR PSYNC FAILOVER replid must match my replid.');
      return;
    }
    replication.becomeMaster();
    server.log.notice(`MASTER MODE enabled (failover request from '${client.infoLine()}')`);
  }
  synchronize(call, true);
}

function synchronize(call: Call, partial: boolean): void {
  const { client, reply, server } = call;
  const { replication } = server;
  const { link } = replication;
  if (client.link === 'replica') return;
  const replica = Replication.of(client);
  if (replication.failover.state !== 'none') reply.error("NOMASTERLINK Can't SYNC while failing over");
  else if (link !== null && link.state !== 'connected') {
    reply.error("NOMASTERLINK Can't SYNC while not connected with my master");
  } else if (client.outputBytes > 0 || reply.length > 0) {
    reply.error('ERR SYNC and PSYNC are invalid with pending output');
  } else if (replica.filter !== 0 && !replica.capableOfEof) {
    reply.error('ERR Filtered replica requires EOF capability');
  } else replication.fullSync.request(call, replica, partial);
}

/** @returns whether to go on with the next pair; false: something was replied, or nothing shall be. */
type Option = (call: Call, i: number, replica: Replica) => boolean;

const OPTIONS: Readonly<Record<string, Option>> = {
  'listening-port': (call, i, replica) => {
    const port = call.integer(i);
    if (Number.isNaN(port)) return false;
    replica.listeningPort = port;
    return true;
  },
  'ip-address': (call, i, replica) => {
    const length = call.lengths[i];
    if (length >= ADDRESS_MAX) {
      call.reply.error(`ERR REPLCONF ip-address provided by replica instance is too long: ${length} bytes`);
      return false;
    }
    replica.announcedAddress = call.text(i);
    return true;
  },
  capa: (call, i, replica) => {
    if (call.is(i, 'eof')) replica.capableOfEof = true;
    else if (call.is(i, 'psync2')) replica.capableOfPsync2 = true;
    return true;
  },
  ack: (call, i, replica) => {
    const offset = Number(call.latin1(i));
    const isReplica = call.client.link === 'replica' && Number.isInteger(offset);
    if (isReplica) call.server.replication.acknowledged(replica, offset);
    return false;
  },
  getack: (call) => {
    call.server.replication.link?.sendAck();
    return false;
  },
  'rdb-only': (call, i, replica) => {
    const value = call.integer(i);
    if (Number.isNaN(value)) return false;
    if (value !== 0 && value !== 1) {
      call.reply.error('ERR value is out of range, must be between 0 and 1');
      return false;
    }
    replica.rdbOnly = value === 1;
    return true;
  },
  'rdb-filter-only': (call, i, replica) => {
    const filters = splitArgs(call.latin1(i));
    if (filters === null) {
      call.reply.error('ERR Missing rdb-filter-only values');
      return false;
    }
    replica.withoutData = true;
    replica.withoutFunctions = true;
    for (const filter of filters) {
      if (filter.toLowerCase() !== 'functions') {
        call.reply.error(`ERR Unsupported rdb-filter-only option: ${filter}`);
        return false;
      }
      replica.withoutFunctions = false;
    }
    return true;
  },
};

function replconf(call: Call): void {
  if (call.argc % 2 === 0) {
    call.syntaxError();
    return;
  }
  const replica = Replication.of(call.client);
  for (let i = 1; i < call.argc; i += 2) {
    const option = OPTIONS[call.latin1(i).toLowerCase()];
    if (option === undefined) {
      call.reply.error(`ERR Unrecognized REPLCONF option: ${call.latin1(i)}`);
      return;
    }
    if (!option(call, i + 1, replica)) return;
  }
  call.reply.ok();
}

const row = rowsOf('server');
const roleFlags: readonly CommandFlag[] = ['admin', 'noscript', 'stale', 'no_async_loading'];
const syncFlags: readonly CommandFlag[] = ['admin', 'noscript', 'no_async_loading', 'no_multi'];

export const replicationCommands: readonly CommandSpec[] = [
  row('failover', -1, ['admin', 'noscript', 'stale'], '6.2.0', 'Hands the role of the master to a replica.', failover),
  row('psync', -3, syncFlags, '2.8.0', 'Asks a master for its stream from an offset on.', psync),
  row(
    'replconf',
    -1,
    ['admin', 'noscript', 'loading', 'stale', 'allow_busy'],
    '3.0.0',
    'Tells a master about a replica, and a replica what its master wants to know.',
    replconf,
  ),
  row('replicaof', 3, roleFlags, '5.0.0', 'Makes the server a replica of another, or a master.', replicaOf),
  row(
    'role',
    1,
    ['noscript', 'loading', 'stale', 'fast'],
    '2.8.12',
    'Tells the part the server plays in replication.',
    role,
  ),
  row('slaveof', 3, roleFlags, '1.0.0', 'The old name of REPLICAOF.', replicaOf),
  row('sync', 1, syncFlags, '1.0.0', 'Asks a master for a snapshot and its stream.', sync),
  rowsOf('generic')(
    'wait',
    3,
    ['noscript'],
    '3.0.0',
    'Waits until replicas have acknowledged what the client has written.',
    wait,
  ),
];
