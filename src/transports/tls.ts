// TLS over either transport: plain sockets of the shape of node:net come in, Node's own TLS is put over them, and what comes
// out is handed to a KernelTransport, which makes connections of them. One implementation for the kernel's sockets and
// for those of our stack. Used by src/listening.ts.
import { readdirSync, readFileSync } from 'node:fs';
import type { Server as NetServer, Socket } from 'node:net';
import { join } from 'node:path';
import {
  connect as connectTls,
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  type SecureVersion,
  TLSSocket,
} from 'node:tls';
import type { KernelTransport } from './kernel.ts';
import type { Acceptor, Connection, ConnectionHandler, ConnectOptions, Listener } from './transport.ts';
import { TransportError } from './transport.ts';

/** What of `node:net` is needed; `src/net` has it too. */
export interface PlainSockets {
  createServer(
    options: { allowHalfOpen: boolean; noDelay: boolean },
    onConnection: (socket: Socket) => void,
  ): NetServer;
  connect(options: { host: string; port: number; localAddress: string | undefined; allowHalfOpen: boolean }): Socket;
}

/** The `tls-*` directives. */
export interface TlsSettings {
  readonly certFile: string;
  readonly keyFile: string;
  readonly keyPassword: string;
  readonly caCertFile: string;
  readonly caCertDir: string;
  readonly dhParamsFile: string;
  /** `TLSv1.2 TLSv1.3`; '': Node's default. */
  readonly protocols: string;
  readonly ciphers: string;
  readonly cipherSuites: string;
  readonly preferServerCiphers: boolean;
  readonly authClients: 'yes' | 'no' | 'optional';
  readonly sessionTimeoutSeconds: number;
}

const VERSIONS: readonly SecureVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];
/** A client that does not come to an end with the handshake. */
const HANDSHAKE_MS = 60_000;

/**
 * Reads the files and makes what every connection needs.
 * @throws TransportError EINVAL whose message names the directive that is wrong.
 */
function makeContext(settings: TlsSettings): SecureContext {
  const { certFile, keyFile, caCertFile, caCertDir, authClients } = settings;
  if (certFile === '' || keyFile === '') {
    throw new TransportError('EINVAL', "TLS needs 'tls-cert-file' and 'tls-key-file'");
  }
  if (authClients !== 'no' && caCertFile === '' && caCertDir === '') {
    throw new TransportError(
      'EINVAL',
      "Either 'tls-ca-cert-file' or 'tls-ca-cert-dir' must be given when 'tls-auth-clients' is enabled",
    );
  }
  const ciphers = [settings.cipherSuites, settings.ciphers].filter((names) => names !== '').join(':');
  const options: SecureContextOptions = {
    cert: file('tls-cert-file', certFile),
    key: file('tls-key-file', keyFile),
    honorCipherOrder: settings.preferServerCiphers,
    sessionTimeout: settings.sessionTimeoutSeconds,
    ...versions(settings.protocols),
    ...(settings.keyPassword === '' ? {} : { passphrase: settings.keyPassword }),
    ...(ciphers === '' ? {} : { ciphers }),
    ...(settings.dhParamsFile === '' ? {} : { dhparam: file('tls-dh-params-file', settings.dhParamsFile) }),
  };
  const ca = authorities(caCertFile, caCertDir);
  try {
    return createSecureContext(ca.length === 0 ? options : { ...options, ca });
  } catch (error) {
    throw new TransportError('EINVAL', `TLS cannot use its settings: ${(error as Error).message}`);
  }
}

function file(directive: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new TransportError('EINVAL', `'${directive}': cannot read ${path}: ${(error as Error).message}`);
  }
}

function authorities(caCertFile: string, caCertDir: string): Buffer[] {
  const all = caCertFile === '' ? [] : [file('tls-ca-cert-file', caCertFile)];
  if (caCertDir === '') return all;
  let names: string[];
  try {
    names = readdirSync(caCertDir);
  } catch (error) {
    throw new TransportError('EINVAL', `'tls-ca-cert-dir': cannot read ${caCertDir}: ${(error as Error).message}`);
  }
  const pem = names.map((name) => file('tls-ca-cert-dir', join(caCertDir, name)));
  return [...all, ...pem.filter((bytes) => bytes.includes('BEGIN CERTIFICATE'))];
}

/** Node knows a least and a greatest version; a gap between two that are named is closed. */
function versions(protocols: string): SecureContextOptions {
  if (protocols === '') return {};
  const wanted = protocols.split(/\s+/).map((name) => VERSIONS.find((v) => v.toLowerCase() === name.toLowerCase()));
  if (wanted.includes(undefined)) {
    throw new TransportError('EINVAL', `'tls-protocols' knows ${VERSIONS.join(', ')}, not all of '${protocols}'`);
  }
  const places = wanted.map((version) => VERSIONS.indexOf(version as SecureVersion));
  return { minVersion: VERSIONS[Math.min(...places)], maxVersion: VERSIONS[Math.max(...places)] };
}

export interface TlsParts {
  readonly sockets: PlainSockets;
  /** Makes connections of what is decrypted, and gives them their tick. */
  readonly connections: KernelTransport;
  /** A line about a client that could not be let in. */
  readonly complain: (text: string) => void;
}

export class Tls {
  readonly #parts: TlsParts;
  #context: SecureContext;
  #authClients: TlsSettings['authClients'];

  /** @throws TransportError */
  constructor(parts: TlsParts, settings: TlsSettings) {
    this.#parts = parts;
    this.#context = makeContext(settings);
    this.#authClients = settings.authClients;
  }

  /** For connections from now on. @throws TransportError, and everything stays as it was. */
  reconfigure(settings: TlsSettings): void {
    this.#context = makeContext(settings);
    this.#authClients = settings.authClients;
  }

  /** @throws TransportError */
  listen(address: string, port: number, backlog: number, acceptor: Acceptor): Promise<Listener> {
    const server = this.#parts.sockets.createServer({ allowHalfOpen: true, noDelay: true }, (plain) => {
      this.#shakeHands(plain, acceptor);
    });
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        reject(new TransportError(error.code ?? 'EIO', error.message));
      });
      const host = address === '*' ? '0.0.0.0' : address;
      server.listen({ host, port, backlog, ipv6Only: true }, () => {
        resolve({ address, port, close: () => server.close() });
      });
    });
  }

  #shakeHands(plain: Socket, acceptor: Acceptor): void {
    const auth = this.#authClients;
    const requestCert = auth !== 'no';
    const socket = new TLSSocket(plain, {
      isServer: true,
      secureContext: this.#context,
      requestCert,
      rejectUnauthorized: auth === 'yes',
    });
    const refuse = (error: Error): void => {
      this.#parts.complain(`Error accepting a client connection: ${error.message}`);
      socket.destroy();
      plain.destroy();
    };
    plain.on('error', () => socket.destroy());
    const late = (): void => refuse(new Error('the TLS handshake takes too long'));
    socket.setTimeout(HANDSHAKE_MS, late);
    socket.once('error', refuse);
    socket.once('secure', () => {
      const problem = requestCert ? certificateProblem(socket, auth === 'yes') : null;
      if (problem !== null) {
        refuse(problem);
        return;
      }
      socket.off('error', refuse);
      socket.setTimeout(0, late);
      this.#parts.connections.adoptSocket(socket, plain, acceptor);
    });
  }

  /** Opens a connection with TLS over it. @throws TransportError */
  connect(
    host: string,
    port: number,
    attach: (connection: Connection) => ConnectionHandler,
    { signal, localAddress }: ConnectOptions = {},
  ): Promise<Connection> {
    const plain = this.#parts.sockets.connect({ host, port, localAddress, allowHalfOpen: true });
    return new Promise((resolve, reject) => {
      // As in Redis, the name in the certificate does not count: the authority does.
      const options = { socket: plain, secureContext: this.#context, checkServerIdentity: () => undefined };
      const socket = connectTls(options);
      const failed = (error: NodeJS.ErrnoException): void => {
        plain.destroy();
        reject(new TransportError(error.code ?? 'EIO', `connect to ${host}:${port}: ${error.message}`));
      };
      signal?.addEventListener('abort', () => socket.destroy(new Error('given up')));
      plain.once('error', failed);
      socket.once('error', failed);
      socket.once('secureConnect', () => {
        socket.off('error', failed);
        let made: Connection | null = null;
        this.#parts.connections.adoptSocket(socket, plain, (connection) => {
          made = connection;
          return attach(connection);
        });
        if (made !== null) resolve(made);
      });
    });
  }
}

/** What is wrong with the certificate that a client has shown, or with its showing none. */
function certificateProblem(socket: TLSSocket, isRequired: boolean): Error | null {
  const shown = socket.getPeerX509Certificate() !== undefined;
  if (!shown) return isRequired ? new Error('peer did not return a certificate') : null;
  // Only tls.Server looks at this by itself. Whoever cannot be asked has not been verified.
  const handle = (socket as unknown as { _handle: { verifyError?(): Error | null } | null })._handle;
  if (handle?.verifyError === undefined) return new Error('the certificate cannot be verified');
  return handle.verifyError() ?? null;
}
