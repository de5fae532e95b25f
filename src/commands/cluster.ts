// Cluster mode is not there: its commands exist and answer as redis-server does with `cluster-enabled no`. Only table.ts
// imports this file.
import type { Call } from '../core/call.ts';
import type { CommandFlag, CommandSpec } from '../core/command.ts';
import { rowsOf } from './rows.ts';

function disabled(call: Call): void {
  call.reply.error('ERR This instance has cluster support disabled');
}

const none = [0, 0, 0] as const;
const CHANGE: readonly CommandFlag[] = ['admin', 'stale', 'no_async_loading'];
const ADMIN: readonly CommandFlag[] = ['admin', 'stale'];
const LOOK: readonly CommandFlag[] = ['stale'];

const row = rowsOf('cluster', 'cluster|');
const sub = (
  name: string,
  arity: number,
  flags: readonly CommandFlag[],
  summary: string,
  since = '3.0.0',
): CommandSpec => row(name, arity, flags, since, summary, disabled);

const subcommands: readonly CommandSpec[] = [
  sub('addslots', -3, CHANGE, 'Gives hash slots to this node.'),
  sub('addslotsrange', -4, CHANGE, 'Gives ranges of hash slots to this node.', '7.0.0'),
  sub('bumpepoch', 2, CHANGE, 'Raises the configuration epoch.'),
  sub('count-failure-reports', 3, ADMIN, 'Counts how many nodes report another one as failed.'),
  sub('countkeysinslot', 3, LOOK, 'Counts the keys of a hash slot.'),
  sub('delslots', -3, CHANGE, 'Takes hash slots from this node.'),
  sub('delslotsrange', -4, CHANGE, 'Takes ranges of hash slots from this node.', '7.0.0'),
  sub('failover', -2, CHANGE, 'Makes a replica take over from its master.'),
  sub('flushslots', 2, CHANGE, 'Takes all hash slots from this node.'),
  sub('forget', 3, CHANGE, 'Removes a node from the table of nodes.'),
  sub('getkeysinslot', 4, LOOK, 'Lists keys of a hash slot.'),
  sub('help', 2, ['loading', 'stale'], 'Lists the subcommands.', '5.0.0'),
  sub('info', 2, LOOK, 'Tells the state of the cluster.'),
  sub('keyslot', 3, LOOK, 'Tells the hash slot of a key.'),
  sub('links', 2, LOOK, 'Lists the links between nodes.', '7.0.0'),
  sub('meet', -4, CHANGE, 'Joins another node.'),
  sub('myid', 2, LOOK, 'Tells the name of this node.'),
  sub('nodes', 2, LOOK, 'Lists the nodes.'),
  sub('replicas', 3, ADMIN, 'Lists the replicas of a node.', '5.0.0'),
  sub('replicate', 3, CHANGE, 'Makes this node a replica of another.'),
  sub('reset', -2, ['admin', 'noscript', 'stale'], 'Resets this node.'),
  sub('saveconfig', 2, CHANGE, 'Writes the table of nodes to disk.'),
  sub('set-config-epoch', 3, CHANGE, 'Sets the configuration epoch.'),
  sub('setslot', -4, CHANGE, 'Sets the state of a hash slot.'),
  sub('shards', 2, LOOK, 'Lists slots and nodes by shard.', '7.0.0'),
  sub('slaves', 3, ADMIN, 'Lists the replicas of a node; the old name of REPLICAS.'),
  sub('slots', 2, LOOK, 'Lists slots and nodes.'),
];

const switchFlags: readonly CommandFlag[] = ['loading', 'stale', 'fast'];

export const clusterCommands: readonly CommandSpec[] = [
  {
    name: 'asking',
    arity: 1,
    flags: ['fast'],
    keys: none,
    group: 'cluster',
    since: '3.0.0',
    summary: 'Lets the next command use a slot that is being imported.',
    run: disabled,
  },
  {
    name: 'cluster',
    arity: -2,
    flags: [],
    keys: none,
    group: 'cluster',
    since: '3.0.0',
    summary: 'Holds the commands about the cluster.',
    subcommands,
  },
  {
    name: 'readonly',
    arity: 1,
    flags: switchFlags,
    keys: none,
    group: 'cluster',
    since: '3.0.0',
    summary: 'Lets the connection read from a replica in a cluster.',
    run: disabled,
  },
  {
    name: 'readwrite',
    arity: 1,
    flags: switchFlags,
    keys: none,
    group: 'cluster',
    since: '3.0.0',
    summary: 'Ends READONLY.',
    run: disabled,
  },
];
