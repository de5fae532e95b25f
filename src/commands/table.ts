// All commands of the server. A file of commands is added here and nowhere else.
import type { CommandSpec } from '../core/command.ts';
import { aclCommands } from './acl-commands.ts';
import { bitmapCommands } from './bitmap.ts';
import { clusterCommands } from './cluster.ts';
import { connectionCommands } from './connection.ts';
import { functionCommands } from './functions.ts';
import { genericCommands } from './generic.ts';
import { geoCommands } from './geo.ts';
import { hashCommands } from './hash.ts';
import { hyperloglogCommands } from './hyperloglog.ts';
import { listCommands } from './list.ts';
import { blockingListCommands } from './list-blocking.ts';
import { memoryCommands } from './memory.ts';
import { moduleCommands } from './module.ts';
import { pubsubCommands } from './pubsub.ts';
import { replicationCommands } from './replication.ts';
import { scriptingCommands } from './scripting.ts';
import { serverCommands } from './server.ts';
import { setCommands } from './set.ts';
import { sortCommands } from './sort.ts';
import { sortedSetCommands } from './sorted-set.ts';
import { blockingSortedSetCommands } from './sorted-set-blocking.ts';
import { streamCommands } from './stream.ts';
import { stringCommands } from './string.ts';
import { transactionCommands } from './transactions.ts';

export const commandTable: readonly CommandSpec[] = [
  ...aclCommands,
  ...bitmapCommands,
  ...blockingListCommands,
  ...blockingSortedSetCommands,
  ...clusterCommands,
  ...connectionCommands,
  ...functionCommands,
  ...genericCommands,
  ...geoCommands,
  ...hashCommands,
  ...hyperloglogCommands,
  ...listCommands,
  ...pubsubCommands,
  ...memoryCommands,
  ...moduleCommands,
  ...replicationCommands,
  ...scriptingCommands,
  ...serverCommands,
  ...setCommands,
  ...sortCommands,
  ...sortedSetCommands,
  ...streamCommands,
  ...stringCommands,
  ...transactionCommands,
];
