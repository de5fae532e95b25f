// Where clients come in: `bind` and `port` on the transport in use, `tls-port` with TLS over it, and `unixsocket`, which is
// the kernel's whatever the transport. Opens them, and opens them anew when a directive changes. For server.ts.
import * as nodeNet from 'node:net';
import type { Config } from './core/config.ts';
import { DirectiveError } from './core/directive.ts';
import type { Server } from './core/server.ts';
import { Net } from './net/net.ts';
import { KernelTransport, type SocketCalls } from './transports/kernel.ts';
import { type PlainSockets, Tls, type TlsSettings } from './transports/tls.ts';
import {
  type Acceptor,
  type Connection,
  type ConnectionHandler,
  type ConnectOptions,
  type Listener,
  type Transport,
  TransportError,
} from './transports/transport.ts';

/** Directives that move where we listen. */
const PLACES = ['bind', 'port', 'tls-port'] as const;
type Place = (typeof PLACES)[number];

type Kind = 'plain' | 'tls';
const PLAIN: readonly Kind[] = ['plain'];
const TLS: readonly Kind[] = ['tls'];
const KINDS: readonly Kind[] = ['plain', 'tls'];

const FAILURES: Readonly<Record<Place, string>> = {
  bind: 'Failed to bind to specified addresses.',
  port: 'Unable to listen on this port. Check server logs.',
  'tls-port': 'Unable to update TLS configuration. Check server logs.',
};

/** Whose clients come in: the Redis core, or the relay. */
export type ListeningHost = Pick<Server, 'config' | 'log' | 'clock' | 'scheduler' | 'beforeOutput' | 'accept'>;

const ANYWHERE: readonly string[] = ['*', '0.0.0.0', '::'];

export class Listening {
  readonly #server: ListeningHost;
  readonly #transport: Transport;
  /** For socket files and for what is under TLS; the transport itself when that is the kernel's. */
  readonly #local: KernelTransport;
  #tls: Tls | null = null;
  /** What TLS over a transport of our own has its plain sockets from. */
  #net: Net | null = null;
  #ports = new Map<Kind, Listener[]>();
  #socketFile: Listener | null = null;
  readonly #others: Listener[] = [];
  /** What the open listeners listen on, and what they were last asked to. */
  #openPlaces = '';
  #wantedPlaces = '';
  #attempt = 0;
  #pending: Promise<string | null> | null = null;

  /** @param calls without them clients on the socket file are not served in the middle of a command. */
  constructor(server: ListeningHost, transport: Transport, calls?: SocketCalls) {
    this.#server = server;
    this.#transport = transport;
    const { clock, scheduler } = server;
    const keepAliveSeconds = (): number => 0;
    this.#local =
      transport instanceof KernelTransport
        ? transport
        : new KernelTransport({ clock, scheduler, keepAliveSeconds, ...(calls === undefined ? {} : { calls }) });
    this.#local.beforeOutput = () => server.beforeOutput();
  }

  get listeners(): readonly Listener[] {
    const ports = [...this.#ports.values()].flat();
    return this.#socketFile === null ? ports : [...ports, this.#socketFile];
  }

  /** @throws TransportError with one line that says what to do. */
  async open(): Promise<void> {
    await this.openPorts();
    await this.openSocketFile();
  }

  async openPorts(): Promise<void> {
    this.#ports = await this.#openPorts(KINDS);
    this.#openPlaces = this.#wantedPlaces = places(this.#server.config);
  }

  async openSocketFile(): Promise<void> {
    const { config, accept } = this.#server;
    if (config.unixsocket === '') return;
    const { unixsocket, unixsocketperm, tcpBacklog } = config;
    this.#socketFile = await this.#local.listenLocal(unixsocket, unixsocketperm, tcpBacklog, accept);
  }

  /** Another port, at every address of `bind`, plain. @throws TransportError */
  async openAlso(port: number, accept: Acceptor): Promise<void> {
    await this.#openAddresses(port, this.#transport, accept, this.#others);
  }

  /** A directive changed. @throws DirectiveError when it cannot take effect. */
  changed(directive: string): void {
    if (PLACES.includes(directive as Place)) this.#openAgain(directive as Place);
    else if (directive.startsWith('tls-') && this.#tls !== null) {
      try {
        this.#tls.reconfigure(tlsSettings(this.#server.config));
      } catch (error) {
        if (!(error instanceof TransportError)) throw error;
        this.#server.log.warning(error.message);
        throw new DirectiveError('Unable to update TLS configuration. Check server logs.');
      }
    }
  }

  /** What a change of directives began and has not ended: what went wrong, or null. */
  takePending(): Promise<string | null> | null {
    const pending = this.#pending;
    this.#pending = null;
    return pending;
  }

  /** A connection to another server, over TLS when replication is to be. @throws TransportError */
  connect(
    host: string,
    port: number,
    attach: (connection: Connection) => ConnectionHandler,
    signal?: AbortSignal,
  ): Promise<Connection> {
    const { tlsReplication, bindSourceAddr } = this.#server.config;
    const options: ConnectOptions = { signal, localAddress: bindSourceAddr === '' ? undefined : bindSourceAddr };
    return (tlsReplication ? this.#openTls() : this.#transport).connect(host, port, attach, options);
  }

  /** In the middle of a command: `Transport.serveNow`, of everything that listens. */
  serveNow(): void {
    this.#transport.serveNow?.();
    this.#net?.serveNow();
    if (this.#local !== this.#transport) this.#local.serveNow();
  }

  /** No more clients. */
  closeListeners(): void {
    this.#closePorts(KINDS);
    this.closeSocketFile();
    for (const listener of this.#others.splice(0)) listener.close();
    this.#openPlaces = '';
  }

  closeSocketFile(): void {
    this.#socketFile?.close();
    this.#socketFile = null;
  }

  /** Ends every connection, and gives the transport back. */
  async close(graceMs: number): Promise<void> {
    if (this.#local !== this.#transport) await this.#local.close(graceMs);
    await this.#transport.close(graceMs);
  }

  /** Listens on `port` (plain) or `tls-port`, at every address. */
  async #openPort(kind: Kind): Promise<Listener[]> {
    const { port, tlsPort } = this.#server.config;
    const number = kind === 'plain' ? port : tlsPort;
    if (number === 0) return [];
    const opened: Listener[] = [];
    try {
      const on = kind === 'plain' ? this.#transport : this.#openTls();
      await this.#openAddresses(number, on, this.#server.accept, opened);
    } catch (error) {
      for (const listener of opened) listener.close();
      throw error;
    }
    return opened;
  }

  async #openAddresses(
    port: number,
    on: Pick<Transport, 'listen'>,
    accept: Acceptor,
    opened: Listener[],
  ): Promise<void> {
    const { bind, tcpBacklog } = this.#server.config;
    const isKernel = this.#local === this.#transport;
    let isAnywhere = false;
    for (const word of bind) {
      // A dash in front: an address that may be missing on this host.
      const optional = word.startsWith('-');
      const address = optional ? word.slice(1) : word;
      const name = address === '::*' ? '::' : address;
      // In our own stack that is one place for both families; redis.conf's default names it twice.
      if (!isKernel && ANYWHERE.includes(name)) {
        if (isAnywhere) continue;
        isAnywhere = true;
      }
      try {
        opened.push(await on.listen(name, port, tcpBacklog, accept));
      } catch (error) {
        if (!optional || !(error instanceof TransportError) || error.code === 'EADDRINUSE') throw error;
      }
    }
  }

  #openTls(): Tls {
    const { log, scheduler } = this.#server;
    const settings = tlsSettings(this.#server.config);
    if (this.#local !== this.#transport) this.#net ??= new Net(this.#transport, scheduler);
    const sockets = (this.#net ?? nodeNet) as unknown as PlainSockets;
    const complain = (text: string): void => log.verbose(text);
    this.#tls ??= new Tls({ sockets, connections: this.#local, complain }, settings);
    return this.#tls;
  }

  /**
   * A new port is opened before the old one is closed; when it cannot be, the old one stays. Addresses may overlap, so
   * those are closed first.
   */
  #openAgain(directive: Place): void {
    const wanted = places(this.#server.config);
    if (wanted === this.#wantedPlaces) return;
    this.#wantedPlaces = wanted;
    const attempt = ++this.#attempt;
    this.#pending = null;
    // Put back before the change was made.
    if (wanted === this.#openPlaces) return;
    if (directive === 'bind') {
      this.#closePorts(KINDS);
      this.#openPlaces = '';
    }
    const kinds = directive === 'bind' ? KINDS : directive === 'port' ? PLAIN : TLS;
    this.#pending = this.#openPorts(kinds).then(
      (opened) => {
        if (attempt !== this.#attempt) {
          for (const listener of [...opened.values()].flat()) listener.close();
          return null;
        }
        this.#closePorts(kinds);
        for (const [kind, listeners] of opened) this.#ports.set(kind, listeners);
        this.#openPlaces = wanted;
        return null;
      },
      (error: unknown) => {
        const text = error instanceof Error ? error.message : String(error);
        this.#server.log.warning(`Failed to listen on the changed address: ${text}`);
        if (attempt === this.#attempt) this.#wantedPlaces = this.#openPlaces;
        return FAILURES[directive];
      },
    );
  }

  async #openPorts(kinds: readonly Kind[]): Promise<Map<Kind, Listener[]>> {
    const opened = new Map<Kind, Listener[]>();
    try {
      for (const kind of kinds) opened.set(kind, await this.#openPort(kind));
    } catch (error) {
      for (const listener of [...opened.values()].flat()) listener.close();
      throw error;
    }
    return opened;
  }

  #closePorts(kinds: readonly Kind[]): void {
    for (const kind of kinds) {
      for (const listener of this.#ports.get(kind) ?? []) listener.close();
      this.#ports.delete(kind);
    }
  }
}

function places({ bind, port, tlsPort }: Config): string {
  return `${port} ${tlsPort} ${bind.join(' ')}`;
}

function tlsSettings(config: Config): TlsSettings {
  return {
    certFile: config.tlsCertFile,
    keyFile: config.tlsKeyFile,
    keyPassword: config.tlsKeyFilePass,
    caCertFile: config.tlsCaCertFile,
    caCertDir: config.tlsCaCertDir,
    dhParamsFile: config.tlsDhParamsFile,
    protocols: config.tlsProtocols,
    ciphers: config.tlsCiphers,
    cipherSuites: config.tlsCiphersuites,
    preferServerCiphers: config.tlsPreferServerCiphers,
    authClients: config.tlsAuthClients as TlsSettings['authClients'],
    sessionTimeoutSeconds: config.tlsSessionCacheTimeout,
  };
}
