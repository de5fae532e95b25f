// PING, answer, a millisecond's rest, PING: how long a quiet client waits while others keep the server busy. A program of
// its own, which the dataset scenario runs on the client's host until its standard input ends; prints one line of JSON.
// usage: pause-probe.js HOST PORT
import { connect } from 'node:net';
import { sleep } from '../../../platform/sleep.ts';
import { systemStopwatch } from '../../../platform/stopwatch.ts';

export interface ProbeResult {
  readonly seconds: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
  /** Of a core's time, what the probe itself took: 0 to 1. */
  readonly coreShare: number;
}

const REST_MS = 1;
const WARM_UP = 100;

const [host, port] = process.argv.slice(2);
const socket = connect(Number(port), host);
socket.setNoDelay(true);
let stopped = false;
process.stdin.resume().on('end', () => (stopped = true));

function ping(): Promise<number> {
  const begin = systemStopwatch();
  return new Promise((resolve) => {
    socket.once('data', () => resolve(systemStopwatch() - begin));
    socket.write('PING\r\n');
  });
}

for (let i = 0; i < WARM_UP; i++) await ping();
const began = systemStopwatch();
const cpuBefore = process.cpuUsage();
const timesUs: number[] = [];
while (!stopped) {
  timesUs.push(await ping());
  await sleep(REST_MS);
}
socket.destroy();
const seconds = (systemStopwatch() - began) / 1e6;
const cpu = process.cpuUsage(cpuBefore);
timesUs.sort((a, b) => a - b);
const at = (share: number): number => timesUs[Math.min(timesUs.length - 1, Math.floor(timesUs.length * share))] ?? 0;
const result: ProbeResult = {
  seconds,
  p50Us: at(0.5),
  p99Us: at(0.99),
  maxUs: at(1),
  coreShare: (cpu.user + cpu.system) / 1e6 / seconds,
};
process.stdout.write(`${JSON.stringify(result)}\n`);
