// Busy clients that miss nothing: each connection pipelines ECHO of numbers that never come twice and INCR of a key of its
// own, checks every reply byte for byte, and never connects again: a connection that ends, a reply that is lost, doubled
// or wrong ends the run. Usage: node clients.js HOST PORT CLIENTS PIPELINE [VALUE_BYTES]. Ends at the end of standard
// input, when all replies are there, with one line of JSON. A line on standard input resets the longest wait and prints
// what there is so far.
import { connect } from 'node:net';

const [host, port, clients, pipeline, valueBytes = '16'] = process.argv.slice(2);
const CLIENTS = Number(clients);
const PIPELINE = Number(pipeline);
const PADDING = 'x'.repeat(Number(valueBytes));
/** Nobody is without a reply for longer. */
const SILENCE_MS_MAX = 30_000;

let commands = 0;
let longestMs = 0;
let isEnding = false;
let open = 0;
let done = 0;

function fail(text) {
  process.stdout.write(`${JSON.stringify({ error: text, commands })}\n`);
  process.exit(1);
}

class BusyClient {
  constructor(number) {
    this.number = number;
    this.count = 0;
    this.sequence = 0;
    this.expected = '';
    this.got = '';
    this.sentAt = 0;
    this.socket = connect({ host, port: Number(port), noDelay: true });
    this.socket.setEncoding('latin1');
    this.socket.on('connect', () => {
      open++;
      if (open === CLIENTS) process.stdout.write(`${JSON.stringify({ open })}\n`);
      this.send();
    });
    this.socket.on('data', (text) => this.take(text));
    this.socket.on('error', (error) => fail(`client ${number}: ${error.message}`));
    this.socket.on('close', () => {
      if (!isEnding) fail(`client ${number}: the connection was closed`);
    });
  }

  /** A pipeline, cut anywhere now and then. */
  send() {
    if (isEnding) {
      done++;
      this.socket.end();
      if (done === CLIENTS) finish();
      return;
    }
    let request = '';
    this.expected = '';
    this.got = '';
    for (let i = 0; i < PIPELINE; i++) {
      this.sequence++;
      if (this.sequence % 3 === 0) {
        this.count++;
        const key = `busy:${this.number}`;
        request += `*2\r\n$4\r\nINCR\r\n$${key.length}\r\n${key}\r\n`;
        this.expected += `:${this.count}\r\n`;
      } else {
        const word = `${this.number}-${this.sequence}-${PADDING}`;
        request += `*2\r\n$4\r\nECHO\r\n$${word.length}\r\n${word}\r\n`;
        this.expected += `$${word.length}\r\n${word}\r\n`;
      }
    }
    this.sentAt = performance.now();
    if (this.sequence % 7 === 0) {
      const cut = 1 + (this.sequence % (request.length - 1));
      this.socket.write(request.slice(0, cut), 'latin1');
      setImmediate(() => this.socket.write(request.slice(cut), 'latin1'));
    } else this.socket.write(request, 'latin1');
  }

  take(text) {
    this.got += text;
    if (!this.expected.startsWith(this.got)) {
      fail(
        `client ${this.number}: expected ${JSON.stringify(this.expected.slice(0, 200))}, got ${JSON.stringify(this.got.slice(0, 200))}`,
      );
    }
    if (this.got.length < this.expected.length) return;
    commands += PIPELINE;
    longestMs = Math.max(longestMs, performance.now() - this.sentAt);
    this.send();
  }
}

const all = Array.from({ length: CLIENTS }, (_, i) => new BusyClient(i));

function report() {
  process.stdout.write(`${JSON.stringify({ commands, longestMs: Math.round(longestMs * 10) / 10 })}\n`);
}

function finish() {
  report();
  process.exit(0);
}

setInterval(() => {
  const now = performance.now();
  for (const client of all) {
    if (client.sentAt > 0 && now - client.sentAt > SILENCE_MS_MAX) fail(`client ${client.number}: no reply for 30 s`);
  }
}, 1000).unref();

process.stdin.setEncoding('utf8');
process.stdin.on('data', () => {
  report();
  longestMs = 0;
});
process.stdin.on('end', () => {
  isEnding = true;
});
