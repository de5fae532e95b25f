// Runs a packet script against a target, event by event: injects, waits, compares. What does not hold is a ScriptError that
// shows the line, what came instead in the script's own words, and everything that happened before. For tests.
import { buildFrames } from './build.ts';
import { decode, differences, learn, type Seen } from './decode.ts';
import { Flow, PEER_PORT_BASE } from './flow.ts';
import { parseScript } from './parse.ts';
import { type Event, type Packet, type Script, ScriptError, type TcpOption, type TcpPacket } from './syntax.ts';
import type { Frame, Target } from './target.ts';

const PEER_ISN = 0x2468_0000;
/** Calls that ask our stack for what Linux has no name for. */
const OURS_ONLY = new Set(['drops', 'stat', 'state', 'start', 'writable']);
/** Silence after the last event in which nothing may come. */
const QUIET_US = 5000;

export async function runScript(script: Script, target: Target): Promise<void> {
  const run = new Run(script, target);
  for (const event of script.events) await run.event(event);
  await run.finish();
}

class Run {
  readonly #script: Script;
  readonly #target: Target;
  readonly #flows = new Map<number, Flow>();
  readonly #startUs: number;
  readonly #log: string[] = [];
  /** When the last event happened. */
  #baseUs: number;

  constructor(script: Script, target: Target) {
    this.#script = script;
    this.#target = target;
    this.#startUs = target.nowUs();
    this.#baseUs = this.#startUs;
  }

  async event(event: Event): Promise<void> {
    const { action } = event;
    if (action.do === 'inject') await this.#inject(event, action.packet);
    else if (action.do === 'expect') await this.#expect(event, action.packet);
    else await this.#call(event, action.words, action.options);
  }

  /** Nothing more comes, and nothing is left. */
  async finish(): Promise<void> {
    const last = this.#script.events[this.#script.events.length - 1];
    await this.#quietUntil(last, this.#target.nowUs() + QUIET_US);
    const left = await this.#target.leftovers();
    if (left !== null) this.#fail(last, `after the script: ${left}`);
  }

  #flow(id: number): Flow {
    let flow = this.#flows.get(id);
    if (flow === undefined) {
      const isn = Number(this.#script.settings.get('peer-isn') ?? PEER_ISN + id * 0x10_0000);
      flow = new Flow(id, this.#target.port, isn | 0);
      this.#flows.set(id, flow);
    }
    return flow;
  }

  readonly #flowOf = (peerPort: number): Flow | null => {
    const id = peerPort - PEER_PORT_BASE;
    return id > 0 && id < 10_000 ? this.#flow(id) : null;
  };

  /** Earliest and latest time of an event, on the target's clock. */
  #window({ moment }: Event): [fromUs: number, toUs: number] {
    const base = moment.relative ? this.#baseUs : this.#startUs;
    return [base + moment.from * 1e6, base + moment.to * 1e6];
  }

  // ---- The three kinds of line -----------------------------------------------------------------------------------

  async #inject(event: Event, packet: Packet): Promise<void> {
    await this.#reach(event);
    const flow = this.#flow(event.flow);
    for (const single of burst(packet)) this.#send(single, flow);
    this.#note('<', event.text);
  }

  #send(packet: Packet, flow: Flow): void {
    if (packet.kind === 'tcp' && typeof packet.ack === 'number') flow.acked = packet.ack;
    const nowMs = Math.floor((this.#target.nowUs() - this.#startUs) / 1000);
    for (const frame of buildFrames(packet, flow, this.#target.hosts, nowMs)) this.#target.inject(frame, flow);
    this.#baseUs = this.#target.nowUs();
  }

  async #expect(event: Event, packet: Packet): Promise<void> {
    const [fromUs, toUs] = this.#window(event);
    for (const single of burst(packet)) await this.#expectOne(event, single, fromUs, toUs);
  }

  async #expectOne(event: Event, packet: Packet, fromUs: number, toUs: number): Promise<void> {
    const { earlyUs, lateUs } = this.#target.tolerance(toUs - this.#baseUs);
    const frame = await this.#target.next(toUs + lateUs);
    if (frame === null) return this.#fail(event, `expected  ${event.text}\n      got nothing`);
    const seen = this.#decode(frame);
    const wrong = differences(packet, this.#flow(event.flow), seen, this.#target.hosts);
    if (frame.atUs < fromUs - earlyUs) wrong.push(`it came ${this.#ms(fromUs - frame.atUs)} ms too early`);
    if (wrong.length > 0)
      this.#fail(event, `expected  ${event.text}\n      got ${this.#printed(frame, seen)}\n      ${wrong.join('; ')}`);
    this.#note('>', seen.text);
    this.#baseUs = frame.atUs;
  }

  async #call(event: Event, words: readonly string[], options: readonly TcpOption[]): Promise<void> {
    const [name] = words;
    if (name === 'handshake') return this.#handshake(event, words, options);
    await this.#reach(event);
    if (name === 'feed') return this.#feed(event, words);
    if (name === 'drain') return this.#drain(event, Number(words[1] ?? 0));
    if (name === 'syns') return this.#syns(event, Number(words[1]), Number(words[2] ?? words[1]));
    if (name === 'quiet' || (this.#target.isLinux && OURS_ONLY.has(name))) return;
    const deadline = this.#target.nowUs() + (this.#target.isLinux ? this.#target.tolerance(0).lateUs : 0);
    for (;;) {
      const answer = await this.#target.call(this.#flow(event.flow), words);
      if (answer === null) break;
      if (this.#target.nowUs() >= deadline) this.#fail(event, `${event.text}: ${answer}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    this.#note(' ', words.join(' '));
  }

  // ---- Calls of the runner's own ---------------------------------------------------------------------------------

  /** `handshake [client] [win N] <options>`: a connection, opened by the peer or by the stack. */
  async #handshake(event: Event, words: readonly string[], options: readonly TcpOption[]): Promise<void> {
    const win = words.includes('win') ? Number(words[words.indexOf('win') + 1]) : 65535;
    const flow = event.flow === 1 ? '' : `[${event.flow}] `;
    const steps = words.includes('client')
      ? ['connect', '> S 0:0(0) <...>', `< S. 0:0(0) ack 1 win ${win} <>`, '> . 1:1(0) ack 1', 'open']
      : ['listen', `< S 0:0(0) win ${win} <>`, '> S. 0:0(0) ack 1 <...>', `< . 1:1(0) ack 1 win ${win}`, 'accept'];
    const time = `${event.moment.relative ? '+' : ''}${event.moment.from}`;
    for (const [index, step] of steps.entries()) {
      const line = `${index === 0 ? time : '+0'} ${flow}${step}`;
      const [parsed] = parseScript(`# expanded\nlinux: yes\n${line}`, this.#script.file).events;
      const { action } = parsed;
      if (action.do === 'inject' && step.includes('<>')) (action.packet as TcpPacket).options = options;
      await this.event({ ...parsed, line: event.line, text: `${event.text}  (its '${step}')` });
    }
  }

  /** `feed COUNT x LENGTH`: in-order data whose acknowledgements are of no interest. */
  async #feed(event: Event, words: readonly string[]): Promise<void> {
    const flow = this.#flow(event.flow);
    const length = Number(words[3]);
    for (let i = 0; i < Number(words[1]); i++) {
      const range = { start: flow.fed, end: flow.fed + length, length };
      this.#send({ kind: 'tcp', flags: '.', ...range, ack: Math.max(flow.acked, 1) }, flow);
      flow.fed += length;
      await this.#drain(event, 0);
    }
  }

  /** Takes whatever comes within some seconds, or is there. */
  async #drain(event: Event, seconds: number): Promise<void> {
    const until = this.#target.nowUs() + seconds * 1e6 + (this.#target.isLinux ? 20_000 : 0);
    for (let frame = await this.#target.next(until); frame !== null; frame = await this.#target.next(until)) {
      const seen = this.#decode(frame);
      if (seen.fault !== null) this.#fail(event, `while draining: ${seen.fault}: ${seen.text}`);
      this.#note('~', seen.text);
    }
    this.#baseUs = this.#target.nowUs();
  }

  /** `syns COUNT [ANSWERED]`: half-open connections from as many ports, of which so many get a SYN,ACK. */
  async #syns(event: Event, count: number, answered: number): Promise<void> {
    let answers = 0;
    for (let i = 0; i < count; i++) {
      this.#send({ kind: 'tcp', flags: 'S', start: 0, end: 0, length: 0, options: [] }, this.#flow(1000 + i));
      const frame = await this.#target.next(this.#target.nowUs() + (this.#target.isLinux ? 20_000 : 0));
      if (frame === null) continue;
      const seen = this.#decode(frame);
      if ((seen.segment.flags & 0x3f) !== 0x12) this.#fail(event, `no SYN,ACK: ${seen.text}`);
      answers++;
    }
    if (answers !== answered) this.#fail(event, `${answers} SYNs were answered, not ${answered}`);
  }

  // ---- Time and order --------------------------------------------------------------------------------------------

  /** Waits until the event is due. What comes before that was not expected; what came at once may be expected later. */
  async #reach(event: Event): Promise<void> {
    const [fromUs] = this.#window(event);
    if (fromUs > this.#target.nowUs()) await this.#quietUntil(event, fromUs);
    this.#baseUs = Math.max(fromUs, this.#baseUs);
  }

  async #quietUntil(event: Event, untilUs: number): Promise<void> {
    const frame = await this.#target.next(untilUs);
    if (frame !== null)
      this.#fail(event, `before  ${event.text}\n      came, unexpected, ${this.#printed(frame, this.#decode(frame))}`);
  }

  #decode(frame: Frame): Seen {
    learn(frame.bytes, this.#flowOf);
    const seen = decode(frame.bytes, this.#flowOf, this.#target.hosts);
    return seen;
  }

  // ---- Words -----------------------------------------------------------------------------------------------------

  #ms(us: number): string {
    return String(Math.round(us) / 1000);
  }

  #printed(frame: Frame, seen: Seen): string {
    return `+${((frame.atUs - this.#baseUs) / 1e6).toFixed(3)} > ${seen.text}`;
  }

  #note(direction: string, text: string): void {
    this.#log.push(`${((this.#target.nowUs() - this.#startUs) / 1e6).toFixed(3).padStart(8)} ${direction} ${text}`);
  }

  #fail(event: Event, message: string): never {
    const log = this.#log.slice(-25).map((line) => `      ${line}`);
    throw new ScriptError(this.#script.file, event.line, `${message}\n    so far:\n${log.join('\n')}`);
  }
}

/** `1:3001(1000)` is three segments; the last may be shorter, and only it carries PSH and FIN. */
function burst(packet: Packet): Packet[] {
  if (packet.kind !== 'tcp' || packet.start === '*' || packet.end === '*') return [packet];
  const { start, end, length } = packet;
  if (length === 0 || end - start <= length) return [packet];
  const packets: Packet[] = [];
  for (let at = start; at < end; at += length) {
    const size = Math.min(length, end - at);
    const isLast = at + size === end;
    const flags = isLast ? packet.flags : packet.flags.replace(/[PF]/g, '');
    packets.push({ ...packet, flags, start: at, end: at + size, length: size });
  }
  return packets;
}
