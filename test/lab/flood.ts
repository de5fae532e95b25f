// What the tests of SYN floods share: a lab whose clients come first on their core, the flooder behind them there, and what
// clients who were connected before keep of their throughput while the flood takes turns between the server's port and
// interfaces beside it. Receiving threads have the priority of programs, as ksoftirqd has: one that came first would leave the
// server nothing of its core in a flood that fills it. What differs from turn to turn is what the frames cost the server's host.
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from '../../src/cli/lab/lab.ts';
import {
  dist,
  eventually,
  LabServer,
  linkOf,
  type Over,
  PORT,
  parseInfo,
  root,
  type ServerOptions,
} from './fixture.ts';

/** No client is there: what is sent to it is dropped by the kernel before IP. */
export const GATEWAY_MAC = '02:00:00:00:00:fe';

export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1];

/** How many commands the server had done, by its own clock. */
interface Sample {
  readonly unixMs: number;
  readonly commands: number;
}

const SAMPLE_MS = 50;
/** Frames of the turn before are gone by then. */
const TURN_BEGINS_MS = 50;

/**
 * Asks the server again and again for how much it has done, past the network that is flooded: by a socket file. What it answers
 * has its time in it, so it does not matter how late the answer is read.
 */
class Counter {
  readonly samples: Sample[] = [];
  readonly #socket: Socket;
  readonly #timer: NodeJS.Timeout;
  #said = '';

  constructor(path: string) {
    this.#socket = connect(path);
    this.#socket.setEncoding('latin1').on('data', (text) => this.#read(String(text)));
    this.#timer = setInterval(() => this.#socket.write('INFO everything\r\n'), SAMPLE_MS);
  }

  #read(text: string): void {
    this.#said += text;
    for (;;) {
      const length = /^\$(\d+)\r\n/.exec(this.#said);
      const end = length === null ? 0 : length[0].length + Number(length[1]) + 2;
      if (length === null || this.#said.length < end) return;
      const info = parseInfo(this.#said.slice(length[0].length, end));
      this.#said = this.#said.slice(end);
      const unixMs = Number(info.get('server_time_usec')) / 1000;
      this.samples.push({ unixMs, commands: Number(info.get('total_commands_processed')) });
      this.connections = Number(info.get('connected_clients'));
    }
  }

  connections = 0;

  /** @returns NaN outside of what was seen. */
  commandsAt(unixMs: number): number {
    const after = this.samples.findIndex((sample) => sample.unixMs >= unixMs);
    if (after < 1) return Number.NaN;
    const [a, b] = [this.samples[after - 1], this.samples[after]];
    return a.commands + ((b.commands - a.commands) * (unixMs - a.unixMs)) / (b.unixMs - a.unixMs);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#socket.destroy();
  }
}

/** Turns of the flood: against the server, against the interface that leads nowhere, against the next beside it. */
export const AT_SERVER = 0;
export const NOWHERE = 1;
export const DROPPED = 2;
/** The interface of the client's host that leads nowhere. */
const NOWHERE_DEVICE = 'nowhere';

/** Where a flood is aimed. */
export interface Victim {
  readonly address: string;
  readonly veth: string;
  readonly server: LabServer;
}

/** What a flood in turns did to those who were connected. */
export interface Effect {
  /** SYNs a second in each kind of turn. */
  readonly sent: readonly number[];
  /** Commands a second in each turn, by kind. */
  readonly rates: readonly (readonly number[])[];
}

/** What they keep in turns of one kind. */
export function keptOf({ rates }: Effect, turn = AT_SERVER): number {
  return median(rates[turn]) / median(rates[NOWHERE]);
}

/** What the flooder prints. */
interface Flooded {
  readonly frames: readonly number[];
  readonly seconds: number;
  /** Which interface had its turn from when on. */
  readonly turns: readonly { readonly turn: number; readonly unixMs: number }[];
}

/** The file by which the server under flood tells how much it has done, in its working directory. */
const SOCKET_FILE = 'told.sock';
/** Directives of a server that a flood is aimed at. */
export const TOLD_BY_FILE = ['--unixsocket', SOCKET_FILE] as const;

export interface FloodPlan {
  readonly over: Over;
  /** SYNs a second; 0: as many as the core can make. */
  readonly rate: number;
  /** Connections of redis-benchmark; more than a few leave the flooder nothing of their core. */
  readonly clients: number;
}

export class FloodGround {
  readonly lab: Lab;
  readonly plan: FloodPlan;
  /** Further interfaces of the client's host that have their turns. */
  readonly beside: string[] = [];

  private constructor(lab: Lab, plan: FloodPlan) {
    this.lab = lab;
    this.plan = plan;
  }

  static async prepare(lab: Lab, plan: FloodPlan): Promise<FloodGround> {
    const { veth } = linkOf(lab, plan.over);
    await lab.must('client', ['sysctl', '-qw', `net.ipv6.conf.${veth}.disable_ipv6=0`]);
    await lab.must('client', ['ip', 'addr', 'add', 'fd77::2/64', 'dev', veth, 'nodad']);
    await lab.must('client', ['ip', 'link', 'add', NOWHERE_DEVICE, 'type', 'bridge']);
    await lab.must('client', ['ip', 'link', 'set', NOWHERE_DEVICE, 'up']);
    return new FloodGround(lab, plan);
  }

  /** A server that answers what made-up sources send, over both families. */
  startServer(more: Pick<ServerOptions, 'dist'> = {}): Promise<LabServer> {
    const { lab, plan } = this;
    const { serverAddress } = linkOf(lab, plan.over);
    return LabServer.start(lab, {
      ...more,
      over: plan.over,
      arguments: TOLD_BY_FILE,
      bind: `${serverAddress} fd77::1`,
      netdev: [
        'address = fd77::1/64',
        'gateway = 10.77.0.254',
        `arp = 10.77.0.254 ${GATEWAY_MAC}`,
        'gateway = fd77::fe',
        `arp = fd77::fe ${GATEWAY_MAC}`,
      ].join('\n'),
    });
  }

  /** Floods `victim`; `inTurns` with the interfaces beside it. */
  async #flood(
    { address, veth }: Victim,
    seconds: number,
    source: string | undefined,
    inTurns: boolean,
  ): Promise<Flooded> {
    const { lab, plan } = this;
    const mac = (await lab.must('server', ['cat', `/sys/class/net/${veth}/address`])).trim();
    const devices = inTurns ? [veth, NOWHERE_DEVICE, ...this.beside] : [veth];
    const words = [`${root}/test/lab/clients/syn-flood.js`, dist, devices.join(','), mac, address, String(PORT)];
    const more = source === undefined ? [] : [source];
    const child = lab.start('client', [process.execPath, ...words, String(seconds), String(plan.rate), ...more], {});
    let said = '';
    let complaints = '';
    child.stdout!.on('data', (chunk) => (said += chunk));
    child.stderr!.on('data', (chunk) => (complaints += chunk));
    const code = await new Promise((resolve) => child.once('close', resolve));
    if (code !== 0) throw new Error(complaints);
    return JSON.parse(said) as Flooded;
  }

  /** Floods `victim`, nothing else. @returns SYNs sent. */
  async flood(victim: Victim, seconds: number, source?: string): Promise<number> {
    return (await this.#flood(victim, seconds, source, false)).frames[0];
  }

  /** Floods `victim` in turns while clients that were connected before ask it for keys. */
  async floodInTurns(victim: Victim, seconds: number, source?: string): Promise<Effect> {
    const { lab, plan } = this;
    const load = ['-t', 'get', '-c', String(plan.clients), '-n', '100000000', '-q'];
    const words = ['chrt', '-f', '1', 'redis-benchmark', '-h', victim.address, ...load];
    const benchmark = lab.start('client', words, { stdio: 'ignore' });
    const counter = new Counter(join(victim.server.directory, SOCKET_FILE));
    try {
      await eventually(
        async () => counter.connections,
        (count) => count > plan.clients,
        20_000,
      );
      const { frames, seconds: took, turns } = await this.#flood(victim, seconds, source, true);
      await sleep(SAMPLE_MS * 4);
      const rates: number[][] = frames.map(() => []);
      for (const [i, { turn, unixMs }] of turns.slice(0, -1).entries()) {
        const [from, to] = [unixMs + TURN_BEGINS_MS, turns[i + 1].unixMs];
        rates[turn].push(((counter.commandsAt(to) - counter.commandsAt(from)) * 1000) / (to - from));
      }
      // The last turn may be one more of its kind than of others.
      const turnsOf = (turn: number): number => turns.filter((one) => one.turn === turn).length;
      return { sent: frames.map((count, i) => (count * turns.length) / (took * turnsOf(i))), rates };
    } finally {
      benchmark.kill();
      counter.close();
    }
  }
}
