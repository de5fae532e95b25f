// GETs on a schedule over many connections: a program of its own, which the half-load scenario runs on the client's host.
// Sockets and waiting are the C library's: Node's own streams would collect garbage in the middle of what is measured,
// its timers know whole milliseconds, and a loop that spins would starve the client's TCP. Prints one line of JSON.
// usage: paced-load.js ADDRESS PORT RATE SECONDS CONNECTIONS KEYSPACE
import {
  connect,
  DescriptorPoll,
  errno,
  POLLIN,
  receiveNow,
  sendNow,
  setsockopt,
  socket,
} from '../../../../io-engine/linux/libc.ts';
import { systemStopwatch } from '../../../platform/stopwatch.ts';

export interface PacedResult {
  /** All of them, those of the warm-up too. */
  readonly asked: number;
  readonly answered: number;
  /** From when a request should have left until its answer was there. */
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

/** Not counted: connections and code get warm. */
const WARM_UP_US = 500_000;
const WAIT_MAX_US = 1000;
/** Requests of one connection that may be out at a time. */
const DUE_MAX = 8192;
const REPLY_BYTES = '$3\r\nxxx\r\n'.length;
const DIGITS = 12;

const AF_INET = 2;
const SOCK_STREAM = 1;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;

const request = Buffer.from(`*2\r\n$3\r\nGET\r\n$16\r\nkey:${'0'.repeat(DIGITS)}\r\n`);
const lastDigit = request.length - 3;
const received = new Uint8Array(64 * 1024);

/** One connection: answers come in order, so the oldest request is the one that is answered. */
class Line {
  readonly fd = socket(AF_INET, SOCK_STREAM, 0);
  readonly #due = new Float64Array(DUE_MAX);
  #asked = 0;
  #answered = 0;
  #bytes = 0;

  constructor(address: string, port: number) {
    const to = Buffer.alloc(16);
    to.writeUInt16LE(AF_INET, 0);
    to.writeUInt16BE(port, 2);
    to.set(address.split('.').map(Number), 4);
    if (connect(this.fd, to, to.length) < 0) throw new Error(`connect: errno ${errno()}`);
    setsockopt(this.fd, IPPROTO_TCP, TCP_NODELAY, new Int32Array([1]), 4);
  }

  get isWaiting(): boolean {
    return this.#answered < this.#asked;
  }

  ask(key: number, dueUs: number): void {
    if (this.#asked - this.#answered === DUE_MAX) throw new Error(`a connection is ${DUE_MAX} answers behind`);
    for (let i = 0, rest = key; i < DIGITS; i++, rest = Math.floor(rest / 10))
      request[lastDigit - i] = 48 + (rest % 10);
    if (sendNow(this.fd, request, request.length) !== request.length) throw new Error(`send: errno ${errno()}`);
    this.#due[this.#asked++ % DUE_MAX] = dueUs;
  }

  read(): void {
    const count = receiveNow(this.fd, received);
    if (count <= 0) throw new Error('the server has closed a connection');
    // Every key is there, so replies are of one length; `$-1` is the answer for a missing one.
    if (this.#bytes === 0 && received[1] === 45) throw new Error('a key is missing');
    const nowUs = systemStopwatch();
    for (this.#bytes += count; this.#bytes >= REPLY_BYTES; this.#bytes -= REPLY_BYTES) {
      note(nowUs, this.#due[this.#answered++ % DUE_MAX]);
    }
  }
}

const [address, ...numbers] = process.argv.slice(2);
const [port, rate, seconds, connections, keyspace] = numbers.map(Number);
const timesUs = new Float64Array(Math.ceil(rate * (seconds + 1)));
let startUs = Number.POSITIVE_INFINITY;
let asked = 0;
let answered = 0;

function note(nowUs: number, dueUs: number): void {
  if (dueUs >= startUs) timesUs[answered++] = nowUs - dueUs;
}

/** Waits until something comes in, or `untilUs`, and reads what came. */
function read(poll: DescriptorPoll, lines: readonly Line[], untilUs: number): void {
  const leftUs = Math.min(WAIT_MAX_US, Math.ceil(untilUs - systemStopwatch()));
  if (poll.wait(Math.max(0, leftUs)) <= 0) return;
  for (let i = 0; i < lines.length; i++) if (poll.isReadable(i)) lines[i].read();
}

/** Asks until `endUs`, and waits for what is out. */
function drive(lines: readonly Line[], endUs: number): void {
  const poll = new DescriptorPoll(
    lines.map(({ fd }) => fd),
    POLLIN,
  );
  const gapUs = 1e6 / rate;
  let next = systemStopwatch();
  let key = 1;
  while (next < endUs) {
    for (const now = systemStopwatch(); next <= now && next < endUs; next += gapUs) {
      key = (Math.imul(key, 1_664_525) + 1_013_904_223) >>> 0;
      lines[asked++ % lines.length].ask(key % keyspace, next);
    }
    read(poll, lines, next);
  }
  for (const deadline = endUs + 2e6; lines.some(({ isWaiting }) => isWaiting) && systemStopwatch() < deadline; ) {
    read(poll, lines, deadline);
  }
}

const lines = Array.from({ length: connections }, () => new Line(address, port));
startUs = systemStopwatch() + WARM_UP_US;
drive(lines, startUs + seconds * 1e6);
const sorted = timesUs.subarray(0, answered).sort();
const at = (share: number): number => sorted[Math.min(answered - 1, Math.floor(answered * share))] ?? 0;
const result: PacedResult = { asked, answered, p50Us: at(0.5), p99Us: at(0.99), maxUs: at(1) };
process.stdout.write(`${JSON.stringify(result)}\n`);
