/// <reference lib="dom" />
// One connection's sequence plot in the manner of tcptrace: a stroke for each segment that left, red where it was not for
// the first time, below it the line of what was acknowledged, above it the edge of the peer's window.
import uPlot from 'uplot';
import { BYTE_STEPS } from './charts.ts';
import { bytes, colour, element, micros, onWidth } from './text.ts';

type Point = readonly [kind: 's' | 'r' | 'a' | 'd', atUs: number, sequence: number, length: number];

interface Hello {
  readonly kind: 'hello';
  readonly id: number;
  readonly address: string;
  readonly rttUs: number;
  readonly mss: number;
}

interface Points {
  readonly kind: 'points';
  readonly points: readonly Point[];
  readonly lost: number;
  readonly ended: boolean;
}

const PLOT_HEIGHT = 320;
/** What a browser draws in no time; the oldest go first. */
const POINTS_MAX = 20_000;

export class SequencePlot {
  readonly #host = element('sequence');
  readonly #section = element('sequence-section');
  readonly #note = element('sequence-note');
  readonly #onClosed: () => void;
  #source: EventSource | null = null;
  #plot: uPlot | null = null;
  #points: Point[] = [];
  #hello: Hello | null = null;
  #again = 0;
  #state = '';
  held = false;

  constructor(onClosed: () => void) {
    this.#onClosed = onClosed;
    element('sequence-close').addEventListener('click', () => this.close());
    onWidth(this.#host, (width) => this.#plot?.setSize({ width, height: PLOT_HEIGHT }));
  }

  open(id: number, address: string): void {
    this.#source?.close();
    this.#points = [];
    this.#again = 0;
    this.#hello = null;
    this.#state = '';
    this.#section.hidden = false;
    this.#note.textContent = `${address}: asking…`;
    this.rebuild();
    this.#section.scrollIntoView({ block: 'nearest' });
    const source = new EventSource(`/api/connections/${id}/sequence`);
    this.#source = source;
    source.addEventListener('message', (event) => this.#take(JSON.parse(event.data) as Hello | Points));
    source.addEventListener('error', () => {
      source.close();
      this.#state =
        this.#hello === null
          ? 'its segments cannot be seen: the connection is gone, or the kernel handles it'
          : 'recording ended';
      this.#describe(address);
    });
  }

  close(): void {
    if (this.#section.hidden) return;
    this.#source?.close();
    this.#source = null;
    this.#section.hidden = true;
    this.#onClosed();
  }

  get isOpen(): boolean {
    return !this.#section.hidden;
  }

  #take(message: Hello | Points): void {
    if (message.kind === 'hello') {
      this.#hello = message;
      this.#describe(message.address);
      return;
    }
    this.#points.push(...message.points);
    if (this.#points.length > POINTS_MAX) this.#points.splice(0, this.#points.length - POINTS_MAX);
    this.#again += message.points.filter(([kind]) => kind === 'r').length;
    if (message.ended) {
      this.#state = 'the connection is closed';
      this.#source?.close();
    }
    this.#describe(this.#hello?.address ?? '');
    if (!this.held) this.#plot?.setData(this.#data());
  }

  #describe(address: string): void {
    const hello = this.#hello;
    const facts =
      hello === null
        ? []
        : [
            `RTT ${micros(hello.rttUs)}`,
            `MSS ${hello.mss}`,
            `${this.#points.length} points`,
            `${this.#again} sent again`,
          ];
    this.#note.textContent = [address, ...facts, this.#state].filter((part) => part !== '').join(' · ');
  }

  rebuild(): void {
    if (this.#section.hidden) return;
    this.#plot?.destroy();
    const axis = { stroke: colour('dim'), grid: { stroke: colour('line'), width: 1 }, ticks: { show: false } };
    const stairs = (label: string, name: string): uPlot.Series => ({
      label,
      stroke: colour(name),
      width: 1.5,
      points: { show: false },
      paths: uPlot.paths.stepped!({ align: 1 }),
      value: (_plot, value) => (value === null || value === undefined ? '–' : bytes(value)),
    });
    this.#plot = new uPlot(
      {
        width: this.#host.clientWidth,
        height: PLOT_HEIGHT,
        legend: { show: false },
        scales: { x: { time: false }, y: { range: (_plot, min, max) => this.#range(min, max) } },
        axes: [
          { ...axis, values: (_plot, ticks) => ticks.map((tick) => `${tick} s`) },
          { ...axis, size: 80, incrs: BYTE_STEPS, values: (_plot, ticks) => ticks.map((tick) => bytes(tick)) },
        ],
        series: [{ label: 'time' }, stairs('acknowledged', 'good'), stairs('window', 'second')],
        hooks: { draw: [(plot) => this.#drawSegments(plot)] },
      },
      this.#data(),
      this.#host,
    );
  }

  /** The data sent and acknowledged sets the scale: a window may be far above it. */
  #range(min: number, max: number): [number, number] {
    let low = Number.POSITIVE_INFINITY;
    let high = 0;
    for (const [kind, , sequence, length] of this.#points) {
      if (kind === 'd') continue;
      low = Math.min(low, sequence);
      high = Math.max(high, sequence + (kind === 'a' ? 0 : length));
    }
    if (low > high) return [min ?? 0, Math.max(max ?? 0, 1)];
    const air = Math.max(10, (high - low) * 0.15);
    return [Math.max(0, low - air / 3), high + air];
  }

  #data(): uPlot.AlignedData {
    const acks = this.#points.filter(([kind]) => kind === 'a');
    const end = this.#points.at(-1)?.[1];
    const last = acks.at(-1);
    // The stairs go on to where time has come.
    if (last !== undefined && end !== undefined && end > last[1]) acks.push(['a', end, last[2], last[3]]);
    return [
      acks.map(([, at]) => at / 1e6),
      acks.map(([, , sequence]) => sequence),
      acks.map(([, , sequence, window]) => sequence + window),
    ];
  }

  #drawSegments(plot: uPlot): void {
    const { ctx } = plot;
    const fresh = colour('accent');
    const again = colour('bad');
    ctx.save();
    ctx.beginPath();
    ctx.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
    ctx.clip();
    for (const [kind, at, sequence, length] of this.#points) {
      if (kind !== 's' && kind !== 'r') continue;
      const x = plot.valToPos(at / 1e6, 'x', true);
      const from = plot.valToPos(sequence, 'y', true);
      const to = plot.valToPos(sequence + length, 'y', true);
      ctx.strokeStyle = kind === 's' ? fresh : again;
      ctx.lineWidth = (kind === 's' ? 1.5 : 2.5) * window.devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(x, Math.max(from, to + 2));
      ctx.lineTo(x, to);
      ctx.stroke();
    }
    ctx.restore();
  }
}
