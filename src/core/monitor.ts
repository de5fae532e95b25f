// The line MONITOR prints for a command: time, database, client, words quoted.
import { quoted } from '../resp/split-args.ts';
import type { Call } from './call.ts';

export function monitorLine(call: Call): string {
  const { unixMs } = call.server.clock;
  const seconds = Math.floor(unixMs / 1000);
  const microseconds = String((unixMs % 1000) * 1000).padStart(6, '0');
  let line = `${seconds}.${microseconds} [${call.client.db.index} ${call.client.address}]`;
  for (let i = 0; i < call.argc; i++) line += ` ${quoted(call.shown(i))}`;
  return line;
}
