// Every scenario, in the order in which `--scenario all` runs them.
import type { Scenario } from '../scenario.ts';
import { connections } from './connections.ts';
import { dataset } from './dataset.ts';
import { halfLoad } from './half-load.ts';
import { heap } from './heap.ts';
import { systemCalls } from './system-calls.ts';
import {
  bulk,
  commands,
  type LoadSettings,
  largeSets,
  largeValues,
  manyConnections,
  throughput,
} from './throughput.ts';

export function scenariosWith(settings: LoadSettings): readonly Scenario[] {
  return [
    ...[throughput(settings), commands, halfLoad, bulk, connections, manyConnections, largeValues, largeSets],
    ...[systemCalls, heap, dataset],
  ];
}
