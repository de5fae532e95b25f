// A connection to a running server, one request after another, for tools. Imported by src/cli/tools.
import { connect, type Socket } from 'node:net';
import { CommandError, type ReplyValue, replyLength, replyValue } from '../modules/reply-value.ts';
import { CliError } from './tool.ts';

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Empty: none. */
  readonly password: string;
}

export class RespConnection {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #wake: () => void = () => {};
  #problem: Error | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (data: Buffer) => {
      this.#received = Buffer.concat([this.#received, data]);
      this.#wake();
    });
    const fail = (error?: Error): void => {
      this.#problem ??= error ?? new Error('the server closed the connection');
      this.#wake();
    };
    socket.on('error', fail);
    socket.on('close', () => fail());
  }

  /** @throws CliError when nobody answers there, or the password is wrong. */
  static async open(address: ServerAddress): Promise<RespConnection> {
    const { host, port, user, password } = address;
    const socket = connect({ host, port });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (error) =>
        reject(new CliError('NO_SERVER', `no server at ${host}:${port}: ${error.message}`)),
      );
    });
    const connection = new RespConnection(socket);
    if (password !== '') await connection.ask('AUTH', ...(user === '' ? [] : [user]), password);
    return connection;
  }

  /** @throws CliError with the error reply. */
  async ask(...words: readonly string[]): Promise<ReplyValue> {
    const bulks = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    this.#socket.write(`*${words.length}\r\n${bulks.join('')}`);
    for (;;) {
      const length = replyLength(this.#received);
      if (length > 0) {
        const reply = this.#received.subarray(0, length);
        this.#received = this.#received.subarray(length);
        return this.#value(reply);
      }
      if (this.#problem !== null) throw new CliError('DISCONNECTED', this.#problem.message);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #value(reply: Uint8Array): ReplyValue {
    try {
      return replyValue(reply);
    } catch (error) {
      if (error instanceof CommandError) throw new CliError('REFUSED', `the server says: ${error.message}`);
      throw error;
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}
