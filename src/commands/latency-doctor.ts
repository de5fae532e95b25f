// What LATENCY DOCTOR says: each kind of event with its figures, and what to do about it. For latency.ts.
import type { LatencySeries } from '../core/latency-events.ts';
import type { Server } from '../core/server.ts';

const BIG_KEYS =
  'Deleting, expiring or evicting a very large key takes its time at once: spread such data over several keys.';
const DISK = 'Give the append-only file a local disk with nothing else on it, an SSD if there are many writes.';

/** What helps against events of a kind. */
function adviceFor(event: string, server: Server): string[] {
  const { config } = server;
  switch (event) {
    case 'command': {
      const slower = config.slowlogLogSlowerThan;
      const tuned = slower >= 0 && slower / 1000 <= config.latencyMonitorThreshold;
      const enable = `Let the slow log show these commands: CONFIG SET slowlog-log-slower-than ${config.latencyMonitorThreshold * 1000}.`;
      return [...(tuned ? [] : [enable]), 'See in SLOWLOG GET which commands take long.', BIG_KEYS];
    }
    case 'fast-command':
      return ['Even quick commands were held up, so the process did not run: look for other load on this machine.'];
    case 'expire-cycle':
      return [...(config.hz < 100 ? ['Spread expiry over more runs: CONFIG SET hz 100.'] : []), BIG_KEYS];
    case 'eviction-del':
      return [BIG_KEYS];
    case 'eviction-cycle':
      return ['A lower maxmemory, or a command that needs much memory at once, makes many keys go at one time.'];
    case 'aof-fsync-always':
      return config.appendfsync === 'always' ? ['appendfsync always waits for the disk: consider everysec.'] : [];
    default:
      return event.startsWith('aof-') || event.startsWith('rdb-') ? [DISK] : [];
  }
}

function figures(series: LatencySeries, now: number): string {
  const latencies = series.samples.map(({ latency }) => latency);
  const count = latencies.length;
  const mean = Math.floor(latencies.reduce((sum, latency) => sum + latency, 0) / count);
  const deviation = Math.floor(latencies.reduce((sum, latency) => sum + Math.abs(latency - mean), 0) / count);
  const period = Math.max(1, now - series.samples[0].time) / count;
  return `${count} latency spikes (average ${mean}ms, mean deviation ${deviation}ms, period ${period.toFixed(2)} sec). Worst all time event ${series.max}ms.`;
}

export function latencyReport(server: Server): string {
  const { events } = server.latency;
  if (events.size === 0 && server.config.latencyMonitorThreshold === 0) {
    return 'The latency monitor is off. CONFIG SET latency-monitor-threshold <milliseconds> turns it on.\n';
  }
  if (events.size === 0) return 'Nothing took longer than the threshold since the server started.\n';
  const now = Math.floor(server.clock.unixMs / 1000);
  const advice = new Set<string>();
  let text = 'Some things took longer than the threshold:\n\n';
  let number = 1;
  for (const [event, series] of events) {
    text += `${number++}. ${event}: ${figures(series, now)}\n`;
    for (const one of adviceFor(event, server)) advice.add(one);
  }
  if (advice.size === 0) return text;
  return `${text}\nWhat may help:\n\n${[...advice].map((one) => `- ${one}\n`).join('')}`;
}
