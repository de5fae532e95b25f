// One suite over every Transport: a fixture gives two transports that reach each other, one listening, one connecting.
import { Buffer } from 'node:buffer';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as calls from '../../io-engine/linux/libc.ts';
import { SystemClock } from '../../src/platform/clock.ts';
import { SeededRandom } from '../../src/platform/random.ts';
import { SystemScheduler } from '../../src/platform/timers.ts';
import { KernelTransport } from '../../src/transports/kernel.ts';
import type {
  CloseReason,
  Connection,
  ConnectionHandler,
  Listener,
  Transport,
} from '../../src/transports/transport.ts';
import { openUserspacePair, PAIR_HOST } from '../support/userspace-pair.ts';

export interface TransportPair {
  readonly server: Transport;
  readonly client: Transport;
  /** Where the server listens, as the client reaches it. */
  readonly address: string;
  /** A port that is free on the server; 0 lets the transport choose. */
  readonly port: number;
  close(): Promise<void>;
}

export interface TransportFixture {
  readonly name: string;
  /** Others hear of what is done to them before it is answered; otherwise with the same batch of frames. */
  readonly endsFirst: boolean;
  /** `connect` sends its SYN in a `serveNow`; otherwise only the event loop does it. */
  readonly connectsNow: boolean;
  open(): Promise<TransportPair>;
}

const kernelFixture: TransportFixture = {
  name: 'kernel',
  endsFirst: true,
  connectsNow: false,
  async open() {
    const make = (): KernelTransport =>
      new KernelTransport({
        clock: new SystemClock(),
        scheduler: new SystemScheduler(),
        keepAliveSeconds: () => 0,
        calls,
      });
    const server = make();
    const client = make();
    return {
      server,
      client,
      address: '127.0.0.1',
      port: 0,
      async close() {
        await client.close(0);
        await server.close(0);
      },
    };
  },
};

const userspaceFixture: TransportFixture = {
  name: 'userspace',
  endsFirst: false,
  connectsNow: true,
  async open() {
    const [server, client] = openUserspacePair();
    return {
      server,
      client,
      address: PAIR_HOST,
      port: 6379,
      async close() {
        await client.close(0);
        await server.close(0);
      },
    };
  },
};

/** Keeps what a connection tells, and waits for it. */
class Recorder implements ConnectionHandler {
  connection!: Connection;
  received: Buffer[] = [];
  length = 0;
  drains = 0;
  ended = false;
  closes: CloseReason[] = [];
  onBytes: (bytes: Buffer) => void = () => {};
  #pending: Buffer = Buffer.alloc(0);
  #check: () => void = () => {};

  onData(bytes: Uint8Array, offset: number, length: number): void {
    const copy = Buffer.from(bytes.slice(offset, offset + length));
    this.received.push(copy);
    this.length += length;
    this.onBytes(copy);
    this.#check();
  }

  onDrain(): void {
    this.drains++;
    this.#pump();
    this.#check();
  }

  onEnd(): void {
    this.ended = true;
    this.#check();
  }

  onClose(reason: CloseReason): void {
    this.closes.push(reason);
    this.#check();
  }

  /** Writes all of it, as fast as the connection takes it. */
  send(bytes: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, bytes]);
    this.#pump();
  }

  #pump(): void {
    while (this.#pending.length > 0) {
      const taken = this.connection.write(this.#pending, 0, this.#pending.length);
      this.#pending = this.#pending.subarray(taken);
      if (taken === 0) return;
    }
  }

  get unsent(): number {
    return this.#pending.length;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }

  until(done: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#check = () => {
        if (done()) resolve();
      };
      this.#check();
    });
  }
}

function randomBytes(random: SeededRandom, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = random.below(256);
  return bytes;
}

export function transportContract(fixture: TransportFixture): void {
  describe(`transport contract: ${fixture.name}`, () => {
    let pair: TransportPair;
    let listener: Listener;
    let accepted: Recorder[];
    let refuse: boolean;
    let turnAway: boolean;

    beforeEach(async () => {
      pair = await fixture.open();
      accepted = [];
      refuse = false;
      turnAway = false;
      listener = await pair.server.listen(pair.address, pair.port, 16, (connection) => {
        if (refuse) return null;
        const recorder = new Recorder();
        recorder.connection = connection;
        accepted.push(recorder);
        for (const waiting of waiters.splice(0)) waiting();
        if (turnAway) {
          recorder.send(Buffer.from('no room'));
          connection.close();
        }
        return recorder;
      });
    });

    afterEach(() => pair.close());

    const waiters: (() => void)[] = [];

    async function connected(): Promise<[client: Recorder, server: Recorder]> {
      const client = new Recorder();
      const known = accepted.length;
      await pair.client.connect(pair.address, listener.port, (connection) => {
        client.connection = connection;
        return client;
      });
      if (accepted.length === known) await new Promise<void>((resolve) => waiters.push(resolve));
      return [client, accepted[known]];
    }

    test('both sides know each other', async () => {
      const [client, server] = await connected();
      expect(client.connection.remotePort).toBe(listener.port);
      expect(server.connection.localPort).toBe(listener.port);
      expect(server.connection.remotePort).toBe(client.connection.localPort);
      expect(server.connection.remoteAddress).toBe(client.connection.localAddress);
    });

    test('data of random sizes arrives whole and in order, both ways at once', async () => {
      const [client, server] = await connected();
      const random = new SeededRandom(11);
      const up: Buffer[] = [];
      const down: Buffer[] = [];
      for (let i = 0; i < 60; i++) {
        up.push(randomBytes(random, 1 + random.below(6000)));
        down.push(randomBytes(random, 1 + random.below(6000)));
        client.send(up[i]);
        server.send(down[i]);
      }
      const wanted = Buffer.concat(up);
      const wantedDown = Buffer.concat(down);
      await server.until(() => server.length >= wanted.length);
      await client.until(() => client.length >= wantedDown.length);
      expect(server.bytes.equals(wanted)).toBe(true);
      expect(client.bytes.equals(wantedDown)).toBe(true);
    });

    test('who is turned away hears why, and holds nothing open by staying', async () => {
      turnAway = true;
      const [client, server] = await connected();
      await client.until(() => client.ended);
      expect(client.bytes.toString()).toBe('no room');
      // The kernel tells of the first one's reset when there is a second one.
      while (client.closes.length === 0) {
        client.send(Buffer.from('and yet'));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      expect(client.closes).toEqual(['ECONNRESET']);
      expect([server.length, server.ended, server.closes]).toEqual([0, false, []]);
    });

    test('after one side has ended the other still writes; then both close once, in order', async () => {
      const [client, server] = await connected();
      client.send(Buffer.from('question'));
      client.connection.end();
      await server.until(() => server.ended);
      expect(server.bytes.toString()).toBe('question');
      expect(server.closes).toEqual([]);
      server.send(Buffer.from('answer'));
      server.connection.end();
      await client.until(() => client.closes.length > 0);
      await server.until(() => server.closes.length > 0);
      expect(client.bytes.toString()).toBe('answer');
      expect(client.ended).toBe(true);
      expect([client.closes, server.closes]).toEqual([[null], [null]]);
    });

    test('the listening side may end first', async () => {
      const [client, server] = await connected();
      server.send(Buffer.from('bye'));
      server.connection.end();
      await client.until(() => client.ended);
      client.send(Buffer.from('late'));
      client.connection.end();
      await server.until(() => server.closes.length > 0);
      expect(server.bytes.toString()).toBe('late');
      expect(client.bytes.toString()).toBe('bye');
    });

    test.runIf(fixture.endsFirst)('an end arrives before what is written to others after it', async () => {
      const [closed, server] = await connected();
      const [asking, answering] = await connected();
      let endedBefore: boolean | null = null;
      asking.onBytes = () => (endedBefore = closed.ended);
      answering.onBytes = () => {
        server.connection.end();
        answering.send(Buffer.from('it is closed'));
      };
      asking.send(Buffer.from('close the other'));
      await asking.until(() => asking.length > 0);
      expect(endedBefore).toBe(true);
    });

    test('a paused reader stops the writer; nothing is lost when it goes on', async () => {
      const [client, server] = await connected();
      client.connection.pause();
      const bytes = randomBytes(new SeededRandom(5), 12 * 1024 * 1024);
      server.send(bytes);
      await new Promise((resolve) => setTimeout(resolve, 150));
      expect(server.unsent).toBeGreaterThan(0);
      expect(server.connection.queuedBytes).toBeGreaterThan(0);
      const before = client.length;
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(client.length).toBe(before);
      client.connection.resume();
      await client.until(() => client.length >= bytes.length);
      expect(client.bytes.equals(bytes)).toBe(true);
      expect(server.drains).toBeGreaterThan(0);
    });

    test('a queue that one write has filled to the last byte tells the next one when there is room', async () => {
      const [client, server] = await connected();
      client.connection.pause();
      const chunk = Buffer.alloc(64 * 1024); // what one read brings, and a part of every queue
      let sent = 0;
      for (let taken = chunk.length; taken === chunk.length; sent += taken) {
        taken = server.connection.write(chunk, 0, chunk.length);
        await new Promise(setImmediate);
      }
      const { drains } = server;
      client.connection.resume();
      await server.until(() => server.drains > drains);
      await client.until(() => client.length >= sent);
      expect(client.length).toBe(sent);
    });

    test('destroy resets the peer, and each side closes once', async () => {
      const [client, server] = await connected();
      server.connection.destroy();
      await client.until(() => client.closes.length > 0);
      await server.until(() => server.closes.length > 0);
      expect(client.closes).toEqual(['ECONNRESET']);
      expect(server.closes.length).toBe(1);
      server.connection.destroy();
      expect(server.connection.write(Buffer.from('x'), 0, 1)).toBeTypeOf('number');
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(server.closes.length).toBe(1);
    });

    test('an acceptor that says no resets the caller', async () => {
      refuse = true;
      const client = new Recorder();
      const outcome = await pair.client
        .connect(pair.address, listener.port, (connection) => {
          client.connection = connection;
          return client;
        })
        .then(() => client.until(() => client.closes.length > 0).then(() => client.closes[0]))
        .catch((error: { code: string }) => error.code);
      expect(['ECONNRESET', 'ECONNREFUSED']).toContain(outcome);
    });

    test('nobody listening: refused, with a message', async () => {
      listener.close();
      await new Promise((resolve) => setTimeout(resolve, 20));
      await expect(pair.client.connect(pair.address, listener.port, () => new Recorder())).rejects.toMatchObject({
        code: 'ECONNREFUSED',
      });
    });

    test('beforeOutput runs before anything written in a tick leaves', async () => {
      const [client, server] = await connected();
      let runs = 0;
      let runsWhenReplied = -1;
      server.onBytes = () => {
        runs = 0;
        server.send(Buffer.from('+PONG\r\n'));
      };
      pair.server.beforeOutput = () => {
        runs++;
      };
      client.onBytes = () => {
        runsWhenReplied = runs;
      };
      client.send(Buffer.from('PING\r\n'));
      await client.until(() => client.length >= 7);
      expect(runsWhenReplied).toBeGreaterThan(0);
    });

    describe('serveNow, from within a handler', () => {
      /** Runs `body` in the handler of a connection that was sent one byte, and waits for its end. */
      async function within(client: Recorder, server: Recorder, body: () => void): Promise<void> {
        const done = new Promise<void>((resolve, reject) => {
          server.onBytes = () => {
            server.onBytes = () => {};
            server.connection.pause();
            try {
              body();
              resolve();
            } catch (error) {
              reject(error);
            }
            server.connection.resume();
          };
        });
        client.send(Buffer.from('!'));
        await done;
      }

      /** A turn for both sides. */
      function turn(): void {
        pair.client.serveNow?.();
        pair.server.serveNow?.();
        pair.client.serveNow?.();
      }

      function turnsUntil(done: () => boolean): void {
        for (let i = 0; i < 1000 && !done(); i++) turn();
        expect(done()).toBe(true);
      }

      test('others are heard, and answered', async () => {
        const [first, firstServer] = await connected();
        const [second, secondServer] = await connected();
        secondServer.onBytes = (bytes) => secondServer.send(Buffer.from(`${bytes}!`));
        await within(first, firstServer, () => {
          second.send(Buffer.from('one'));
          turnsUntil(() => second.bytes.toString() === 'one!');
          second.send(Buffer.from('two'));
          turnsUntil(() => second.bytes.toString() === 'one!two!');
        });
      });

      test('what others had sent at the same time reaches them whole', async () => {
        const pairs = [];
        for (let i = 0; i < 6; i++) pairs.push(await connected());
        const texts = pairs.map((_, i) => randomBytes(new SeededRandom(i), 1000));
        const [[first, firstServer], ...others] = pairs;
        const more = randomBytes(new SeededRandom(99), 50_000);
        const done = within(first, firstServer, () => {
          for (const [client] of others) client.send(more);
          turnsUntil(() => others.every(([, server]) => server.length === 51_000));
        });
        others.forEach(([client], i) => {
          client.send(texts[i]);
        });
        await done;
        others.forEach(([, server], i) => {
          expect(server.bytes.equals(Buffer.concat([texts[i], more]))).toBe(true);
        });
      });

      test.runIf(fixture.connectsNow)('new connections come in', async () => {
        const [first, firstServer] = await connected();
        const known = accepted.length;
        let late: Promise<unknown> | null = null;
        const client = new Recorder();
        await within(first, firstServer, () => {
          late = pair.client.connect(pair.address, listener.port, (connection) => {
            client.connection = connection;
            return client;
          });
          turnsUntil(() => accepted.length > known);
        });
        await late;
        client.send(Buffer.from('hello'));
        await accepted[known].until(() => accepted[known].bytes.toString() === 'hello');
      });

      test('its own connection hears nothing before it has returned, and all of it then', async () => {
        const [first, firstServer] = await connected();
        const bytes = randomBytes(new SeededRandom(7), 60_000);
        await within(first, firstServer, () => {
          first.send(bytes);
          for (let i = 0; i < 20; i++) turn();
          expect(firstServer.length).toBe(1);
        });
        await firstServer.until(() => firstServer.length === 60_001);
        expect(firstServer.bytes.subarray(1).equals(bytes)).toBe(true);
      });

      test('a peer that resets meanwhile is heard of afterwards, once', async () => {
        const [first, firstServer] = await connected();
        await within(first, firstServer, () => {
          first.connection.destroy();
          for (let i = 0; i < 20; i++) turn();
          expect(firstServer.closes).toEqual([]);
          expect(firstServer.connection.write(Buffer.from('x'), 0, 1)).toBeTypeOf('number');
        });
        await firstServer.until(() => firstServer.closes.length > 0);
        await new Promise((resolve) => setTimeout(resolve, 20));
        expect(firstServer.closes.length).toBe(1);
      });
    });

    test('what a range held when it was written is what arrives', async () => {
      const [client, server] = await connected();
      const reused = Buffer.from('first');
      server.connection.write(reused, 0, 5);
      reused.write('XXXXX');
      await client.until(() => client.length >= 5);
      expect(client.bytes.toString()).toBe('first');
    });

    test('close delivers what was written and ends with FIN', async () => {
      const [client, server] = await connected();
      const bytes = randomBytes(new SeededRandom(9), 100_000);
      server.send(bytes);
      expect(server.unsent).toBe(0);
      const closed = pair.server.close(2000);
      await client.until(() => client.ended);
      client.connection.end();
      await closed;
      expect(client.bytes.equals(bytes)).toBe(true);
      await server.until(() => server.closes.length > 0);
      expect(server.closes).toEqual([null]);
    });
  });
}

transportContract(kernelFixture);
transportContract(userspaceFixture);
