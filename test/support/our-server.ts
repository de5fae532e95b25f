// Our whole server in this process, over kernel sockets on loopback, with a port and a directory of its own.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as calls from '../../io-engine/linux/libc.ts';
import { createConfig, findDirective, setDirective } from '../../src/core/config.ts';
import type { Server } from '../../src/core/server.ts';
import { silentLog } from '../../src/platform/log.ts';
import { createServer, RunningServer, systemWorld, type World } from '../../src/server.ts';
import { KernelTransport } from '../../src/transports/kernel.ts';
import type { Transport } from '../../src/transports/transport.ts';
import { freePort, Peer } from './redis-server.ts';

export class OurServer {
  readonly port: number;
  /** Its `dir`, removed by `stop`. */
  readonly directory: string;
  readonly #running: RunningServer;

  private constructor(port: number, directory: string, running: RunningServer) {
    this.port = port;
    this.directory = directory;
    this.#running = running;
  }

  /**
   * @param directives of redis.conf, those of modules included.
   * @param prepare puts files into the directory before the server starts.
   * @param parts of its world, in place of the system's.
   */
  static async start(
    directives: Readonly<Record<string, string | number>> = {},
    prepare: (directory: string) => void = () => {},
    parts: Partial<World> = {},
  ): Promise<OurServer> {
    const directory = mkdtempSync(join(tmpdir(), 'our-server-'));
    prepare(directory);
    const port = await freePort();
    const config = createConfig();
    const moduleSettings: { name: string; words: string[] }[] = [];
    const all = { port, bind: '127.0.0.1', save: '', transport: 'kernel', ...directives };
    for (const [name, value] of Object.entries(all)) {
      const directive = findDirective(name);
      if (directive === undefined) moduleSettings.push({ name, words: [String(value)] });
      else setDirective(config, directive, [String(value)]);
    }
    config.dir = directory;
    const world = { ...systemWorld(config), log: silentLog, ...parts };
    const transport = new KernelTransport({ ...world, keepAliveSeconds: () => 0, calls });
    const running = new RunningServer(createServer({ config, moduleSettings }, world, 'kernel'), transport);
    const server = new OurServer(port, directory, running);
    try {
      await running.start();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  get server(): Server {
    return this.#running.server;
  }

  get transport(): Transport {
    return this.#running.transport;
  }

  connect(): Peer {
    return new Peer(this.port);
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#running.onStopped = resolve;
      this.#running.shutdown({ save: 'nosave', now: true, force: true });
    });
    rmSync(this.directory, { recursive: true, force: true });
  }
}
