// The tools' side of the control socket: finds the running server, asks, and reads the answer. Imported by src/cli.
import { connect, type Socket } from 'node:net';
import { listControlPaths } from './control-path.ts';

/** No server, no permission, or the server's own refusal; the message is one line that says what to do. */
export class ControlClientError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'ControlClientError';
    this.code = code;
  }
}

/**
 * The socket of the one server that runs here.
 * @param wanted a path, a process id, or empty: the only one there is.
 * @throws ControlClientError NO_SERVER, SEVERAL.
 */
export function findControlPath(wanted: string): string {
  if (wanted !== '' && !/^\d+$/.test(wanted)) return wanted;
  const running = listControlPaths();
  const chosen = wanted === '' ? running : running.filter(({ pid }) => pid === Number(wanted));
  if (chosen.length === 1) return chosen[0].path;
  if (chosen.length > 1) {
    const pids = chosen.map(({ pid }) => pid).join(', ');
    throw new ControlClientError('SEVERAL', `several servers run here (${pids}): choose one with --server PID`);
  }
  const whose =
    wanted === '' ? 'no server of this user runs here' : `no server of this user has the process id ${wanted}`;
  const others = process.getuid?.() === 0 ? '' : ", use 'sudo' for another user's";
  throw new ControlClientError(
    'NO_SERVER',
    `${whose}: start wiredis-server${others}, or name its socket with --server PATH`,
  );
}

/** Asks one question. @returns the answer. @throws ControlClientError */
export async function ask(path: string, question: string, parameters: object = {}): Promise<unknown> {
  const stream = await openStream(path, question, parameters);
  const line = await stream.line();
  stream.close();
  return line;
}

/** An answer that goes on: lines of JSON first, then whatever was asked for. */
export interface AnswerStream {
  /** The next line's value. @throws ControlClientError the server's refusal, or GONE. */
  line(): Promise<unknown>;
  /** Everything from here on, until the server ends. */
  bytes(): AsyncIterable<Uint8Array>;
  /** No more is wanted; what is on its way still comes. */
  end(): void;
  close(): void;
}

export function openStream(path: string, question: string, parameters: object = {}): Promise<AnswerStream> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('error', (error: NodeJS.ErrnoException) => reject(connectError(path, error)));
    socket.once('connect', () => {
      socket.removeAllListeners('error');
      socket.on('error', () => {});
      socket.write(`${JSON.stringify({ ...parameters, ask: question })}\n`);
      resolve(new SocketAnswer(socket));
    });
  });
}

function connectError(path: string, { code = 'EIO' }: NodeJS.ErrnoException): ControlClientError {
  if (code === 'EACCES' || code === 'EPERM') {
    return new ControlClientError('NO_PRIVILEGE', `${path} is another user's: run this as that user, or with sudo`);
  }
  return new ControlClientError('NO_SERVER', `no server answers at ${path} (${code}): is it running?`);
}

class SocketAnswer implements AnswerStream {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#chunks = socket[Symbol.asyncIterator]();
  }

  async line(): Promise<unknown> {
    const pieces: Buffer[] = [];
    for (let piece = this.#rest; ; ) {
      const end = piece.indexOf(10);
      if (end >= 0) {
        pieces.push(piece.subarray(0, end));
        this.#rest = piece.subarray(end + 1);
        return unwrap(Buffer.concat(pieces).toString('utf8'));
      }
      pieces.push(piece);
      const next = await this.#next();
      if (next === null) throw new ControlClientError('GONE', 'the server has ended');
      piece = next;
    }
  }

  async *bytes(): AsyncIterable<Uint8Array> {
    if (this.#rest.length > 0) yield this.#rest;
    for (;;) {
      const next = await this.#next();
      if (next === null) return;
      yield next;
    }
  }

  /** @returns null at the end, however it came: a server that is killed resets what it had not read. */
  async #next(): Promise<Buffer | null> {
    try {
      const next = await this.#chunks.next();
      return next.done === true ? null : next.value;
    } catch {
      return null;
    }
  }

  end(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
  }
}

function unwrap(line: string): unknown {
  let value: { ok?: unknown; error?: string; code?: string };
  try {
    value = JSON.parse(line);
  } catch {
    throw new ControlClientError('NO_SERVER', 'who answers there is no wiredis-server: name its control socket');
  }
  if (value.error !== undefined) throw new ControlClientError(value.code ?? 'FAILED', value.error);
  return value.ok;
}
