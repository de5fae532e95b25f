// GETs on a schedule over many connections: a program of its own, which the half-load scenario runs on the client's host.
// Between requests it gives its core to the client's own TCP, which would wait for it otherwise; Node's timers, whole
// milliseconds, would be late, so it sleeps on libuv's descriptor itself. Prints one line of JSON.
// usage: paced-load.js HOST PORT RATE SECONDS CONNECTIONS KEYSPACE
import { connect, type Socket } from 'node:net';
import { PollingSleep } from '../../../../io-engine/linux/libc.ts';
import { loopDescriptor } from '../../../../io-engine/linux/uv-poll.ts';
import { systemStopwatch } from '../../../platform/stopwatch.ts';

export interface PacedResult {
  readonly answered: number;
  /** From when a request should have left until its answer was there. */
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

/** Not counted: connections and code get warm. */
const WARM_UP_US = 500_000;
const REPLY_BYTES = '$3\r\nxxx\r\n'.length;
const MISSING_BYTES = '$-1\r\n'.length;

/** One connection: answers come in order, so the oldest request is the one that is answered. */
class Line {
  readonly socket: Socket;
  readonly due: number[] = [];
  answers = 0;
  #bytes = 0;

  constructor(socket: Socket, onAnswer: (dueUs: number) => void) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.#bytes += chunk.length;
      // Every key is there, so replies are of one length; a missing one would be five bytes and is refused below.
      if (chunk.length === MISSING_BYTES && chunk[1] === 45) throw new Error('a key is missing');
      for (; this.#bytes >= REPLY_BYTES; this.#bytes -= REPLY_BYTES) {
        this.answers++;
        onAnswer(this.due.shift() ?? 0);
      }
    });
  }
}

const SLEEP_MAX_US = 1000;
const sleep = new PollingSleep(loopDescriptor(), SLEEP_MAX_US, true);

/** Until something has come in, or until `untilUs`; then one turn of the loop, which deals with what came. */
function idle(untilUs: number): Promise<void> {
  const leftUs = Math.min(SLEEP_MAX_US, untilUs - systemStopwatch());
  if (leftUs > 0) {
    sleep.microseconds = Math.ceil(leftUs);
    sleep.sleep();
  }
  return new Promise((resolve) => setImmediate(resolve));
}

function open(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host, () => resolve(socket));
    socket.once('error', reject);
  });
}

/** Sends until `endUs` and waits for what is out. */
async function drive(lines: readonly Line[], rate: number, keyspace: number, endUs: number): Promise<void> {
  const gapUs = 1e6 / rate;
  let next = systemStopwatch();
  let turn = 0;
  let key = 1;
  while (next < endUs) {
    for (const now = systemStopwatch(); next <= now && next < endUs; next += gapUs) {
      const line = lines[turn++ % lines.length];
      key = (Math.imul(key, 1_664_525) + 1_013_904_223) >>> 0;
      line.due.push(next);
      line.socket.write(`*2\r\n$3\r\nGET\r\n$16\r\nkey:${String(key % keyspace).padStart(12, '0')}\r\n`);
    }
    await idle(next);
  }
  for (const deadline = endUs + 2e6; lines.some(({ due }) => due.length > 0) && systemStopwatch() < deadline; ) {
    await idle(deadline);
  }
}

const [host, ...numbers] = process.argv.slice(2);
const [port, rate, seconds, connections, keyspace] = numbers.map(Number);
let startUs = Number.POSITIVE_INFINITY;
const timesUs: number[] = [];
const onAnswer = (dueUs: number): void => {
  if (dueUs >= startUs) timesUs.push(systemStopwatch() - dueUs);
};
const lines: Line[] = [];
for (let i = 0; i < connections; i++) lines.push(new Line(await open(host, port), onAnswer));
startUs = systemStopwatch() + WARM_UP_US;
await drive(lines, rate, keyspace, startUs + seconds * 1e6);
for (const { socket } of lines) socket.destroy();
timesUs.sort((a, b) => a - b);
const at = (share: number): number => timesUs[Math.min(timesUs.length - 1, Math.floor(timesUs.length * share))] ?? 0;
const result: PacedResult = { answered: timesUs.length, p50Us: at(0.5), p99Us: at(0.99), maxUs: at(1) };
process.stdout.write(`${JSON.stringify(result)}\n`);
