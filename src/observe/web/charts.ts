/// <reference lib="dom" />
// The page's charts of the last minutes: throughput (uPlot), and the heat map of latencies on a canvas of its own.
import uPlot from 'uplot';
import type { Reading } from '../readings.ts';
import { bytes, colour, count, element, micros, onWidth } from './text.ts';

/** Seconds that the charts show. */
const SPAN = 120;
export const BYTE_STEPS = Array.from({ length: 40 }, (_, i) => 2 ** i);
const PLOT_HEIGHT = 200;
const HEAT_LEFT = 62;
const HEAT_BOTTOM = 20;

export class Throughput {
  readonly #readings: readonly Reading[];
  readonly #host = element('throughput');
  #plot: uPlot | null = null;
  /** What is counted; shown from the next `rebuild` on. */
  counted = 'commands/s';

  constructor(readings: readonly Reading[]) {
    this.#readings = readings;
    onWidth(this.#host, (width) => this.#plot?.setSize({ width, height: PLOT_HEIGHT }));
  }

  /** Anew, in the theme's colours. */
  rebuild(): void {
    this.#plot?.destroy();
    const axis = { stroke: colour('dim'), grid: { stroke: colour('line'), width: 1 }, ticks: { show: false } };
    const line = (label: string, name: string, scale: string, format: (value: number) => string): uPlot.Series => ({
      label,
      scale,
      stroke: colour(name),
      width: 2,
      points: { show: false },
      value: (_plot, value) => (value === null || value === undefined ? '–' : format(value)),
    });
    const perSecond = (value: number): string => `${bytes(value)}/s`;
    this.#plot = new uPlot(
      {
        width: this.#host.clientWidth,
        height: PLOT_HEIGHT,
        scales: {
          // As the heat map beside it, also while there are few readings.
          // By the data: of a single point uPlot makes a span of its own.
          x: { range: ({ data: [times] }) => [(times.at(-1) ?? SPAN) - SPAN, times.at(-1) ?? SPAN] },
          commands: { range: (_plot, _min, max) => [0, Math.max(10, max * 1.1)] },
          bytes: { range: (_plot, _min, max) => [0, Math.max(1024, max * 1.1)] },
        },
        axes: [
          axis,
          { ...axis, scale: 'commands', size: 55, values: (_plot, ticks) => ticks.map(count) },
          {
            ...axis,
            scale: 'bytes',
            side: 1,
            size: 70,
            grid: { show: false },
            incrs: BYTE_STEPS,
            values: (_plot, ticks) => ticks.map((tick) => bytes(tick)),
          },
        ],
        series: [
          {},
          line(this.counted, 'accent', 'commands', count),
          { ...line('received', 'second', 'bytes', perSecond), dash: [6, 4] },
          line('sent', 'third', 'bytes', perSecond),
        ],
      },
      this.#data(),
      this.#host,
    );
  }

  update(): void {
    this.#plot?.setData(this.#data());
  }

  #data(): uPlot.AlignedData {
    const last = this.#readings.slice(-SPAN);
    return [
      last.map(({ t }) => t / 1000),
      last.map(({ commands }) => commands),
      last.map(({ bytesIn }) => bytesIn),
      last.map(({ bytesOut }) => bytesOut),
    ];
  }
}

export class HeatMap {
  readonly #readings: readonly Reading[];
  readonly #canvas = element<HTMLCanvasElement>('heat');
  limitsUs: readonly number[] = [];

  constructor(readings: readonly Reading[]) {
    this.#readings = readings;
    onWidth(this.#canvas, () => this.draw());
  }

  draw(): void {
    const canvas = this.#canvas;
    const scale = window.devicePixelRatio;
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const context = canvas.getContext('2d');
    if (context === null || this.limitsUs.length === 0) return;
    context.scale(scale, scale);
    const last = this.#readings.slice(-SPAN);
    const [bottom, top] = this.#rowsInUse(last);
    const cell = { w: (width - HEAT_LEFT) / SPAN, h: (height - HEAT_BOTTOM) / (top - bottom + 1) };
    const most = Math.max(1, ...last.flatMap(({ heat }) => heat));
    const [r, g, b] = colour('accent').match(/\d+/g) ?? ['0', '0', '0'];
    last.forEach(({ heat }, i) => {
      const x = HEAT_LEFT + (SPAN - last.length + i) * cell.w;
      for (let row = bottom; row <= top; row++) {
        if ((heat[row] ?? 0) === 0) continue;
        // By logarithm: one slow command among a million must be seen.
        const strength = 0.12 + 0.88 * (Math.log1p(heat[row]) / Math.log1p(most));
        context.fillStyle = `rgb(${r} ${g} ${b} / ${strength})`;
        context.fillRect(x, (top - row) * cell.h, Math.ceil(cell.w), Math.ceil(cell.h));
      }
    });
    this.#labels(context, bottom, top, cell.h, width, height);
  }

  /** Rows between the quickest and the slowest that were seen, with some air. */
  #rowsInUse(last: readonly Reading[]): [number, number] {
    const used = this.limitsUs.map((_, row) => last.some(({ heat }) => heat[row] > 0));
    const first = used.indexOf(true);
    if (first < 0) return [0, 10];
    return [Math.max(0, first - 1), Math.min(this.limitsUs.length, Math.max(first + 7, used.lastIndexOf(true) + 2))];
  }

  #labels(
    context: CanvasRenderingContext2D,
    bottom: number,
    top: number,
    rowHeight: number,
    width: number,
    height: number,
  ): void {
    context.fillStyle = colour('dim');
    context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    context.textAlign = 'right';
    context.textBaseline = 'middle';
    const every = Math.max(1, Math.ceil(16 / rowHeight));
    for (let row = bottom; row <= top; row += every) {
      const limit = this.limitsUs[row];
      const label = limit === undefined ? 'more' : micros(limit + 1);
      context.fillText(label, HEAT_LEFT - 6, (top - row + 0.5) * rowHeight);
    }
    context.textBaseline = 'bottom';
    context.textAlign = 'left';
    context.fillText(`${SPAN / 60} min ago`, HEAT_LEFT, height - 2);
    context.textAlign = 'right';
    context.fillText('now', width, height - 2);
  }
}
