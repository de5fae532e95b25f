// Sessions in the middle of something: a subscriber, clients that wait, a transaction with a watched key, a tracking
// client, one with half a request sent and one that does not read. Prints "ready", lets a line on standard input come
// (the server is replaced meanwhile), ends everything and prints what each of them got, as JSON.
// Usage: node sessions.js HOST PORT
import { connect } from 'node:net';

const [host, port] = process.argv.slice(2);
const REPLY_MS_MAX = 20_000;
const encode = (...words) =>
  `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;

class Session {
  text = '';
  closed = false;

  static async open() {
    const session = new Session();
    session.socket = connect({ host, port: Number(port), noDelay: true });
    session.socket.setEncoding('latin1');
    session.socket.on('data', (text) => {
      session.text += text;
    });
    session.socket.on('error', () => {});
    session.socket.on('close', () => {
      session.closed = true;
    });
    await new Promise((resolve) => session.socket.once('connect', resolve));
    return session;
  }

  send(...words) {
    this.socket.write(encode(...words), 'latin1');
  }

  /** What came since the last call, when it matches. */
  async until(pattern) {
    const end = performance.now() + REPLY_MS_MAX;
    while (!pattern.test(this.text)) {
      if (this.closed || performance.now() > end)
        throw new Error(`${pattern} did not come, but ${JSON.stringify(this.text.slice(0, 200))}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const { text } = this;
    this.text = '';
    return text;
  }

  async ask(pattern, ...words) {
    this.send(...words);
    return this.until(pattern);
  }
}

const line = () => new Promise((resolve) => process.stdin.once('data', resolve));
const LINE = /\r\n$/;

const admin = await Session.open();
const subscriber = await Session.open();
await subscriber.ask(LINE, 'SUBSCRIBE', 'news');
const waiting = await Session.open();
waiting.send('BLPOP', 'queue', '0');
const hurried = await Session.open();
hurried.send('BLPOP', 'nothing', '30');
const careful = await Session.open();
await careful.ask(LINE, 'SELECT', '3');
await careful.ask(LINE, 'SET', 'watched', '1');
await careful.ask(LINE, 'WATCH', 'watched');
await careful.ask(LINE, 'MULTI');
await careful.ask(LINE, 'INCR', 'watched');
const tracking = await Session.open();
await tracking.ask(/proto/, 'HELLO', '3');
await tracking.ask(LINE, 'CLIENT', 'TRACKING', 'on');
await admin.ask(LINE, 'SET', 'cached', '1');
await tracking.ask(LINE, 'GET', 'cached');
await tracking.ask(LINE, 'CLIENT', 'SETNAME', 'tracker');
const half = await Session.open();
const request = encode('SET', 'half', 'x'.repeat(200_000));
half.socket.write(request.slice(0, 100_000), 'latin1');
const slow = await Session.open();
await admin.ask(LINE, 'SET', 'large', 'y'.repeat(4_000_000));
slow.socket.pause();
slow.send('GET', 'large');
slow.send('PING');
const userBefore = await tracking.ask(LINE, 'CLIENT', 'ID');
await admin.ask(LINE, 'ACL', 'SETUSER', 'guest', 'on', '>secret', '~guest:*', '+get', '+set');
await admin.ask(LINE, 'CONFIG', 'SET', 'maxmemory-samples', '7');
await admin.ask(LINE, 'SCRIPT', 'LOAD', 'return 42');
await admin.ask(
  LINE,
  'FUNCTION',
  'LOAD',
  '#!lua name=lib\nredis.register_function("answer", function() return 42 end)',
);
await new Promise((resolve) => setTimeout(resolve, 300));
process.stdout.write('ready\n');
await line();

const result = {};
result.published = await admin.ask(LINE, 'PUBLISH', 'news', 'hello');
result.subscriber = await subscriber.until(/hello\r\n$/);
result.pushed = await admin.ask(LINE, 'RPUSH', 'queue', 'a');
result.waiting = await waiting.until(/a\r\n$/);
result.transaction = await careful.ask(LINE, 'EXEC');
await admin.ask(LINE, 'SET', 'cached', '2');
result.invalidated = await tracking.until(/cached\r\n$/);
result.name = await tracking.ask(/tracker\r\n$/, 'CLIENT', 'GETNAME');
result.sameId = (await tracking.ask(LINE, 'CLIENT', 'ID')) === userBefore;
half.socket.write(request.slice(100_000), 'latin1');
result.half = await half.until(LINE);
result.length = await half.ask(LINE, 'STRLEN', 'half');
slow.socket.resume();
const large = await slow.until(/\+PONG\r\n$/);
result.large = large === `$4000000\r\n${'y'.repeat(4_000_000)}\r\n+PONG\r\n`;
result.user = await half.ask(LINE, 'AUTH', 'guest', 'secret');
result.refused = await half.ask(LINE, 'DEL', 'x');
result.setting = await admin.ask(/7\r\n$/, 'CONFIG', 'GET', 'maxmemory-samples');
result.script = await admin.ask(LINE, 'EVALSHA', '1fa00e76656cc152ad327c13fe365858fd7be306', '0');
result.function = await admin.ask(LINE, 'FCALL', 'answer', '0');
result.blocked = await admin.ask(LINE, 'CLIENT', 'UNBLOCK', (await hurriedId()).trim());
result.hurried = await hurried.until(LINE);
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);

async function hurriedId() {
  const list = await admin.ask(/\n\r\n$/, 'CLIENT', 'LIST');
  return /id=(\d+) [^\n]*flags=b /.exec(list)?.[1] ?? '0';
}
