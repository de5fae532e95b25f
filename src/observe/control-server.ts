// The control socket of a running server: a local unix socket whose file permissions are its only door. A request is
// one line of JSON with the name of a question; the answer is one line of JSON, or lines and bytes for as long as the
// asker listens. What can be asked is handed in. Never on the path of a packet. The composition root opens it.
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A request longer than this is nobody's. */
const REQUEST_LENGTH_MAX = 64 * 1024;

/** What an asker sends beside the name of the question. */
export type ControlRequest = Readonly<Record<string, unknown>>;

/** The way back to who asked, for answers that go on. */
export interface ControlStream {
  /** One line of JSON. */
  line(value: unknown): void;
  bytes(bytes: Uint8Array): void;
  /** Bytes that the asker has not taken yet. */
  readonly backlog: number;
  /** Called once, when the asker has gone or `end` was called. */
  onClose: () => void;
  end(): void;
}

/**
 * Answers a question: with plain data, or with undefined when the stream has it all.
 * @throws ControlError for the asker.
 */
export type ControlAnswer = (request: ControlRequest, stream: ControlStream) => unknown;

export type ControlAnswers = Readonly<Record<string, ControlAnswer>>;

/** A wish that cannot be met; the message is one line for the person. */
export class ControlError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'ControlError';
    this.code = code;
  }
}

export class ControlServer {
  readonly path: string;
  readonly #server: Server;
  readonly #askers = new Set<Socket>();

  private constructor(path: string, server: Server) {
    this.path = path;
    this.#server = server;
  }

  /** @throws Error when the socket cannot be made, or another process answers there. */
  static async open(path: string, answers: ControlAnswers): Promise<ControlServer> {
    // An asker that has heard enough closes its side and still gets the end of what it asked for.
    const server = createServer({ allowHalfOpen: true });
    const control = new ControlServer(path, server);
    server.on('connection', (socket) => control.#serve(socket, answers));
    try {
      await listen(server, path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // libuv's word for it.
      if (code === 'EACCES') throw new Error(`${path}: is the folder there, and may we write to it? (EACCES)`);
      if (code !== 'EADDRINUSE') throw error;
      if (!lstatSync(path).isSocket()) throw new Error(`${path} is there and is no socket: name another path`);
      if (await isAnswered(path)) throw new Error(`another process answers at ${path}`);
      unlinkSync(path);
      await listen(server, path);
    }
    chmodSync(path, 0o600);
    server.unref();
    return control;
  }

  close(): void {
    this.#server.close();
    for (const asker of this.#askers) asker.destroy();
  }

  #serve(socket: Socket, answers: ControlAnswers): void {
    this.#askers.add(socket);
    const stream = new SocketStream(socket);
    let text = '';
    let asked = false;
    socket.setEncoding('utf8');
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#askers.delete(socket);
      stream.closed();
    });
    socket.on('end', () => {
      stream.closed();
      socket.end();
    });
    socket.on('data', (chunk: string) => {
      if (asked) return;
      text += chunk;
      const end = text.indexOf('\n');
      if (end < 0 && text.length <= REQUEST_LENGTH_MAX) return;
      asked = true;
      answer(text.slice(0, Math.max(0, end)), stream, answers);
    });
  }
}

function answer(text: string, stream: SocketStream, answers: ControlAnswers): void {
  try {
    const request = parseRequest(text);
    const ask = Object.hasOwn(answers, String(request.ask)) ? answers[String(request.ask)] : undefined;
    if (ask === undefined) throw new ControlError('UNKNOWN', `this server knows no '${request.ask}'`);
    const value = ask(request, stream);
    if (value === undefined) return;
    stream.line({ ok: value });
  } catch (error) {
    const code = error instanceof ControlError ? error.code : 'FAILED';
    stream.line({ error: (error as Error).message, code });
  }
  stream.end();
}

function parseRequest(text: string): ControlRequest {
  try {
    const request: unknown = JSON.parse(text);
    if (typeof request === 'object' && request !== null) return request as ControlRequest;
  } catch {
    // Said below.
  }
  throw new ControlError('SYNTAX', 'a request is one line with a JSON object');
}

class SocketStream implements ControlStream {
  onClose: () => void = () => {};
  readonly #socket: Socket;
  #isClosed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.onClose();
  }

  get backlog(): number {
    return this.#socket.writableLength;
  }

  line(value: unknown): void {
    this.#socket.write(`${JSON.stringify(value)}\n`);
  }

  bytes(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  end(): void {
    this.#socket.end();
  }
}

/** Nobody else may connect, not even before the mode is set. */
function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const before = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.on('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
}
