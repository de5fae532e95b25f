// The HTTP door of the metrics port: who may come in (loopback, or whoever knows the token), what browsers are told about
// what they may load, and answers that go wrong. What lies behind is handed in. observe-server.ts and relay-observe.ts import it.
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { ServerStartError } from '../core/server.ts';
import type { Log } from '../platform/log.ts';
import { IMPORT_MAP_HASH } from './web/page.ts';

/** Nothing but what this server itself serves runs or is loaded. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `script-src 'self' ${IMPORT_MAP_HASH}`,
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');
/** What the page's style carries on elements is set by script, which the policy allows. */
const COOKIE = 'wiredis_token';
const HERE = 'http://localhost';
const LOCAL_NAMES = ['localhost', '127.0.0.1', '[::1]'];

export class ObserveError extends ServerStartError {}

export interface ObserveSettings {
  readonly port: number;
  readonly bind: string;
  /** '': none, allowed on loopback only. */
  readonly token: string;
}

/** @returns what is wrong with the settings, or null. */
export function settingsProblem({ bind, token }: ObserveSettings): string | null {
  if (isIP(bind) === 0) return `metrics-bind: '${bind}' is not an IP address`;
  if (!isLoopback(bind) && token === '') {
    return `metrics-bind ${bind} is not loopback: set 'metrics-token' to a secret, or bind to 127.0.0.1`;
  }
  return null;
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

/** What is behind the door; the request may come in. */
export type Answer = (url: URL, request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

export class ObserveDoor {
  readonly #settings: ObserveSettings;
  readonly #log: Log;
  readonly #behind: Answer;
  readonly #http: HttpServer;

  constructor(settings: ObserveSettings, log: Log, behind: Answer) {
    this.#settings = settings;
    this.#log = log;
    this.#behind = behind;
    this.#http = createServer((request, response) => void this.#answer(request, response));
    // A scraper's socket must not keep a server that was told to stop.
    this.#http.unref();
  }

  /** @throws ObserveError with one line. */
  async open(): Promise<void> {
    const { bind, port } = this.#settings;
    const problem = settingsProblem(this.#settings);
    if (problem !== null) throw new ObserveError(problem);
    await new Promise<void>((listening, failed) => {
      this.#http.once('error', (error: NodeJS.ErrnoException) => {
        failed(new ObserveError(`metrics-port ${port} on ${bind} cannot be listened on: ${reasonOf(error)}`));
      });
      this.#http.listen(port, bind, listening);
    });
  }

  close(): void {
    this.#http.close();
    this.#http.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#route(request, response);
    } catch (error) {
      this.#log.warning(`The metrics page failed: ${error instanceof Error ? error.message : String(error)}`);
      if (!response.headersSent) send(response, 500, 'text/plain', 'internal error\n');
      else response.destroy();
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = request.url ?? '/';
    // What anybody can send is no line of the log.
    if (!URL.canParse(target, HERE)) return send(response, 400, 'text/plain', 'not a path\n');
    const url = new URL(target, HERE);
    response.setHeader('Content-Security-Policy', CONTENT_SECURITY_POLICY);
    response.setHeader('X-Content-Type-Options', 'nosniff');
    response.setHeader('Referrer-Policy', 'no-referrer');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      return send(response, 405, 'text/plain', 'only GET\n');
    }
    if (!this.#hostIsOurs(request)) return send(response, 421, 'text/plain', 'not a name of this server\n');
    if (!this.#mayRead(request, url)) return refuse(response);
    if (url.searchParams.has('token')) return this.#remember(url, response);
    await this.#behind(url, request, response);
  }

  /** Another site's name that resolves to us (DNS rebinding) gets nothing from a port without a token. */
  #hostIsOurs(request: IncomingMessage): boolean {
    if (this.#settings.token !== '') return true;
    const host = (request.headers.host ?? '').replace(/:\d+$/, '').toLowerCase();
    return LOCAL_NAMES.includes(host) || host === this.#settings.bind;
  }

  #mayRead(request: IncomingMessage, url: URL): boolean {
    const { token } = this.#settings;
    if (token === '') return true;
    const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const cookie = (request.headers.cookie ?? '')
      .split(';')
      .map((part) => part.trim())
      .find((part) => part.startsWith(`${COOKIE}=`))
      ?.slice(COOKIE.length + 1);
    const given = [bearer, cookie, url.searchParams.get('token') ?? undefined];
    return given.some((word) => word !== undefined && (sameSecret(word, token) || sameSecret(word, digest(token))));
  }

  /** The address with the token is opened once; a cookie that only this server gets takes its place. */
  #remember(url: URL, response: ServerResponse): void {
    if (this.#settings.token !== '') {
      const cookie = `${COOKIE}=${digest(this.#settings.token)}; HttpOnly; SameSite=Strict; Path=/`;
      response.setHeader('Set-Cookie', cookie);
    }
    response.writeHead(303, { Location: url.pathname });
    response.end();
  }
}

function digest(token: string): string {
  return createHash('sha256').update(`wiredis ${token}`).digest('hex');
}

/** In a time that does not tell how much of it was right. */
function sameSecret(given: string, wanted: string): boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(given), hash(wanted));
}

function refuse(response: ServerResponse): void {
  response.setHeader('WWW-Authenticate', 'Bearer realm="wiredis"');
  send(response, 401, 'text/plain', "the token is wanted: 'Authorization: Bearer TOKEN', or open /?token=TOKEN once\n");
}

export function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'Content-Type': type, 'Cache-Control': 'no-store' });
  response.end(text);
}

export function sendJson(response: ServerResponse, value: unknown): void {
  send(response, 200, 'application/json', JSON.stringify(value));
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'EADDRINUSE') return 'another process has that port; choose another one';
  if (code === 'EADDRNOTAVAIL') return "that address is none of this host's kernel; see metrics-bind";
  if (code === 'EACCES') return 'ports below 1024 need root';
  return message;
}
