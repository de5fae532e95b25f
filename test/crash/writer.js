// Writes to a server until the connection dies, and prints as JSON what was acknowledged: for each of its connections
// the number of the last list element, and of the last transaction. Usage: writer.js HOST PORT SEED
// Connection i appends the numbers 1, 2, 3... to the list `l:i`, and raises `a:i` and `b:i` in one transaction.
import { connect } from 'node:net';

const [host, port, seedWord] = process.argv.slice(2);
const CONNECTIONS = 4;
let state = Number(seedWord) || 1;

function below(limit) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
}

const request = (...words) => `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;

class Writer {
  constructor(name) {
    this.name = name;
    this.acknowledged = { list: 0, pairs: 0 };
    this.sent = { list: 0, pairs: 0 };
    this.pending = [];
    this.received = '';
    this.socket = connect({ host, port: Number(port), noDelay: true });
    this.socket.on('data', (data) => this.onData(data.toString('latin1')));
    // A host whose stack has died with its server says nothing.
    this.socket.setTimeout(2000, () => this.socket.destroy());
    this.socket.on('error', () => {});
    this.socket.on('connect', async () => {
      await this.resume('list', 'LLEN', `l:${name}`);
      await this.resume('pairs', 'INCRBY', `a:${name}`, '0');
      this.send();
    });
    this.closed = new Promise((resolve) => this.socket.on('close', resolve));
  }

  /** Goes on where the server is. */
  async resume(kind, ...words) {
    const line = await new Promise((resolve) => {
      this.onReply = resolve;
      this.socket.write(request(...words));
    });
    this.onReply = null;
    this.sent[kind] = Number(line.slice(1));
    this.acknowledged[kind] = this.sent[kind];
  }

  send() {
    let text = '';
    for (let rest = 1 + below(20); rest > 0; rest--) {
      if (below(4) === 0) {
        this.sent.pairs++;
        text +=
          request('MULTI') + request('INCR', `a:${this.name}`) + request('INCR', `b:${this.name}`) + request('EXEC');
        this.pending.push(null, null, null, ['pairs', this.sent.pairs]);
      } else {
        this.sent.list++;
        text += request('RPUSH', `l:${this.name}`, `${this.sent.list}`);
        this.pending.push(['list', this.sent.list]);
      }
    }
    this.socket.write(text);
  }

  onData(text) {
    this.received += text;
    for (let end = this.received.indexOf('\r\n'); end >= 0; end = this.received.indexOf('\r\n')) {
      const line = this.received.slice(0, end);
      this.received = this.received.slice(end + 2);
      if (this.onReply) this.onReply(line);
      else this.onLine(line);
    }
    if (!this.onReply && this.pending.length === 0) this.send();
  }

  /** A transaction's reply has two lines behind its own. */
  onLine(line) {
    if (line.startsWith('*')) {
      this.inner = Number(line.slice(1));
      return;
    }
    if (this.inner > 0 && --this.inner > 0) return;
    const entry = this.pending.shift();
    // A server that cannot write says so: nothing is acknowledged then.
    if (line.startsWith('-')) this.socket.destroy();
    else if (entry) this.acknowledged[entry[0]] = entry[1];
  }
}

const writers = Array.from({ length: CONNECTIONS }, (_, i) => new Writer(String(i)));
await Promise.all(writers.map((writer) => writer.closed));
process.stdout.write(JSON.stringify(writers.map(({ acknowledged }) => acknowledged)));
