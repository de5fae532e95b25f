import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ACK, FIN, type Made, made, START_US, SYN } from '../../../test/support/captured.ts';
import { CommandDecoder, type DecodedCommand } from './decode.ts';
import { RespReader, type Value } from './resp-reader.ts';
import { replyText, requestText } from './resp-text.ts';

const words = (...all: string[]): string =>
  `*${all.length}\r\n${all.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;

function read(bytes: string, isRequest = false, cuts: readonly number[] = []): { values: Value[]; ok: boolean } {
  const values: Value[] = [];
  const reader = new RespReader(isRequest, (value) => values.push(value));
  const all = Uint8Array.from(Buffer.from(bytes, 'latin1'));
  const ends = [...cuts.map((cut) => cut % (all.length + 1)), all.length].sort((a, b) => a - b);
  let ok = true;
  ends.forEach((end, i) => {
    ok &&= reader.push(all.subarray(ends[i - 1] ?? 0, end));
  });
  return { values, ok };
}

describe('RESP, piece by piece', () => {
  it('shows each kind of reply', () => {
    const replies = [
      ['+OK\r\n', 'OK'],
      ['-ERR no\r\n', 'error: ERR no'],
      [':12\r\n', '12'],
      ['$5\r\nhello\r\n', 'hello'],
      ['$0\r\n\r\n', '""'],
      ['$-1\r\n', '(nil)'],
      ['*-1\r\n', '(nil)'],
      ['*0\r\n', '(0 values)'],
      ['*2\r\n*1\r\n:1\r\n$1\r\na\r\n', '(2 values)'],
      ['_\r\n', '(nil)'],
      ['%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n', '(2 pairs)'],
      ['=7\r\ntxt:abc\r\n', 'txt:abc'],
      ['#t\r\n', 't'],
      [`$50\r\n${'x'.repeat(50)}\r\n`, '(50 bytes)'],
      ['$3\r\na"\0\r\n', '"a\\"\\x00"'],
    ];
    const { values, ok } = read(replies.map(([bytes]) => bytes).join(''));
    expect(ok).toBe(true);
    expect(values.map(replyText)).toEqual(replies.map(([, text]) => text));
  });

  it('reads an attribute as a part of the value behind it', () => {
    expect(read('|1\r\n+ttl\r\n:3\r\n*1\r\n:5\r\n:9\r\n').values).toHaveLength(2);
  });

  it('hides passwords', () => {
    const hidden = [
      [['AUTH', 'secret'], 'AUTH (redacted)'],
      [['auth', 'me', 'secret'], 'auth (redacted) (redacted)'],
      [['HELLO', '3', 'AUTH', 'me', 'secret', 'SETNAME', 'x'], 'HELLO 3 AUTH (redacted) (redacted) SETNAME x'],
      [['CONFIG', 'SET', 'requirepass', 'secret'], 'CONFIG SET requirepass (redacted)'],
      [['ACL', 'SETUSER', 'me', '>secret'], 'ACL SETUSER me (redacted)'],
    ] as const;
    for (const [request, text] of hidden) expect(requestText(read(words(...request), true).values[0])).toBe(text);
  });

  it('shortens what is long, and keeps nothing of the rest', () => {
    const { values } = read(words('SET', 'key', 'x'.repeat(100_000)), true);
    expect(values[0].texts[2].start).toHaveLength(128);
    expect(requestText(values[0])).toMatch(/^SET key x+\.\.\. \(3 words\)$/);
  });

  it('takes words in a line as requests', () => {
    const { values, ok } = read('PING\r\n\r\nset  a b\r\n', true);
    expect(ok).toBe(true);
    expect(values.map(requestText)).toEqual(['PING', 'set a b']);
  });

  it.each(['hello\r\n', '$x\r\n', '*1\r\n!\r\n', `+${'x'.repeat(70_000)}`])(
    'refuses what is no RESP: %.9s',
    (bytes) => {
      expect(read(bytes).ok).toBe(false);
    },
  );

  it('reads the same however it is cut', () => {
    const stream = `${words('SET', 'a', 'b\r\nc')}${words()}${words('MGET', ...Array.from({ length: 80 }, String))}PING\r\n`;
    const whole = read(stream, true).values;
    expect(whole).toHaveLength(4);
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 30 }), (cuts) => {
        expect(read(stream, true, cuts).values).toEqual(whole);
      }),
      { seed: 7, numRuns: 200 },
    );
  });
});

function decode(packets: readonly Made[], port = 0): DecodedCommand[] {
  const commands: DecodedCommand[] = [];
  const decoder = new CommandDecoder(port, (command) => commands.push(command));
  for (const packet of packets) decoder.packet(made(packet));
  return commands;
}

const brief = (commands: readonly DecodedCommand[]): [string, string, number][] =>
  commands.map(({ request, reply, latencyUs }) => [request, reply, latencyUs / 1000]);

/** Segments of one side after the other, each where the one before ended. */
class Talk {
  readonly packets: Made[] = [
    { flags: SYN, seq: -5, ms: 0 },
    { side: 1, flags: SYN | ACK, seq: 1000, ack: -4, ms: 0 },
  ];
  readonly #next = [-4, 1001];

  say(side: 0 | 1, ms: number, payload: string): this {
    this.packets.push({ side, ms, seq: this.#next[side], ack: this.#next[1 - side], payload });
    this.#next[side] += payload.length;
    return this;
  }
}

describe('commands in captured segments', () => {
  it('pairs requests with replies, with the time from frame to frame', () => {
    const get = words('GET', 'a');
    const { packets } = new Talk()
      .say(0, 1, words('SET', 'a', 'b'))
      .say(1, 3, '+OK\r\n')
      .say(0, 10, get.slice(0, 7))
      // The request is complete only now.
      .say(0, 20, get.slice(7) + words('PING'))
      .say(1, 25, '$1\r\nb')
      .say(1, 29, '\r\n+PONG\r\n');
    const commands = decode(packets);
    expect(brief(commands)).toEqual([
      ['SET a b', 'OK', 2],
      ['GET a', 'b', 5],
      ['PING', 'PONG', 9],
    ]);
    expect(commands[0]).toMatchObject({
      client: '10.0.0.2:40000',
      server: '10.0.0.1:6379',
      unixUs: START_US + 1000,
    });
  });

  it('puts segments in order, and takes each once', () => {
    const { packets } = new Talk()
      .say(0, 1, words('ECHO', 'one'))
      .say(0, 2, words('ECHO', 'two'))
      .say(1, 4, '$3\r\none\r\n')
      .say(1, 5, '$3\r\ntwo\r\n');
    const [syn, synAck, first, second, third, fourth] = packets;
    const shuffled = [syn, synAck, second, first, second, fourth, third, third];
    expect(brief(decode(shuffled)).map(([request, reply]) => [request, reply])).toEqual([
      ['ECHO one', 'one'],
      ['ECHO two', 'two'],
    ]);
  });

  it('begins in the middle of a connection, at a request', () => {
    const { packets } = new Talk().say(1, 1, 'ne of a reply\r\n').say(0, 2, words('PING')).say(1, 3, '+PONG\r\n');
    expect(brief(decode(packets.slice(2)))).toEqual([['PING', 'PONG', 1]]);
  });

  it('goes on behind what was not captured whole', () => {
    const { packets } = new Talk()
      .say(0, 1, words('GET', 'a'))
      .say(1, 2, `$500\r\n${'x'.repeat(500)}\r\n`)
      .say(0, 3, words('PING'))
      .say(1, 4, '+PONG\r\n');
    const short = packets.map((packet, i) => (i === 3 ? { ...packet, snap: 100 } : packet));
    expect(brief(decode(short))).toEqual([['PING', 'PONG', 1]]);
  });

  it('knows a new connection between the same ports', () => {
    const first = new Talk().say(0, 1, words('GET', 'a')).packets;
    const second: Made[] = [
      { flags: SYN, seq: 77_000, ms: 50 },
      { side: 1, flags: SYN | ACK, seq: 500, ack: 77_001, ms: 50 },
      { seq: 77_001, payload: words('PING'), ms: 51 },
      { side: 1, seq: 501, payload: '+PONG\r\n', ms: 52 },
    ];
    expect(brief(decode([...first, { flags: FIN | ACK, seq: 30, ms: 2 }, ...second]))).toEqual([['PING', 'PONG', 1]]);
  });

  it('counts no message of a subscription as a reply', () => {
    const { packets } = new Talk()
      .say(0, 1, words('SUBSCRIBE', 'a', 'b'))
      .say(1, 2, `*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n`)
      .say(1, 50, words('message', 'a', 'news'))
      .say(0, 60, words('PING'))
      .say(1, 61, words('pong', ''));
    expect(brief(decode(packets))).toEqual([
      ['SUBSCRIBE a b', '(3 values)', 1],
      ['SUBSCRIBE a b', '(3 values)', 1],
      ['', '(3 values)', 0],
      ['PING', '(2 values)', 1],
    ]);
  });

  it('waits for no reply that CLIENT REPLY has switched off', () => {
    const { packets } = new Talk()
      .say(0, 1, words('CLIENT', 'REPLY', 'SKIP') + words('SET', 'a', '1') + words('GET', 'a'))
      .say(1, 2, '$1\r\n1\r\n')
      .say(0, 3, words('CLIENT', 'REPLY', 'OFF') + words('GET', 'a') + words('CLIENT', 'REPLY', 'ON'))
      .say(1, 4, '+OK\r\n');
    expect(brief(decode(packets))).toEqual([
      ['GET a', '1', 1],
      ['CLIENT REPLY ON', 'OK', 1],
    ]);
  });

  it('leaves a stream of MONITOR or replication alone', () => {
    const { packets } = new Talk()
      .say(0, 1, words('MONITOR'))
      .say(1, 2, '+OK\r\n')
      .say(1, 3, '+1 [0 x] "GET" "a"\r\n')
      .say(1, 4, 'anything');
    expect(brief(decode(packets))).toEqual([['MONITOR', 'OK', 1]]);
  });

  it('reads IPv6 and VLANs', () => {
    const { packets } = new Talk().say(0, 1, words('PING')).say(1, 2, '+PONG\r\n');
    const six = packets.map((packet) => ({ ...packet, version: 6, vlan: 42 }) as const);
    expect(decode(six)[0]).toMatchObject({ client: '[fd00::a00:2]:40000', request: 'PING', reply: 'PONG' });
  });

  it('looks at each byte of a large value once', () => {
    const talk = new Talk().say(0, 1, words('GET', 'big'));
    const size = 8_000_000;
    talk.say(1, 2, `$${size}\r\n`);
    for (let sent = 0; sent < size; sent += 8000) talk.say(1, 3, 'x'.repeat(8000));
    const commands = decode(talk.say(1, 4, '\r\n').packets);
    expect(brief(commands)).toEqual([['GET big', `(${size} bytes)`, 1]]);
  });
});
