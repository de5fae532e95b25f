// The screen of `wiredis top` as lines of text, for any width and height: from a reading to what a terminal shows. Pure; the
// terminal is terminal.ts. For src/cli/tools/top.ts.
import type { TopConnection, TopReading } from '../../observe/top-feed.ts';
import { type Cell, shortBytes, shortCount, shortMicroseconds, tableLines } from './table.ts';

export interface ScreenOptions {
  readonly width: number;
  /** Lines at most; Infinity: as many as there are. */
  readonly height: number;
  readonly colour: boolean;
  readonly sort: Sort;
  readonly isPaused: boolean;
  /** The server has been silent for longer than it should. */
  readonly isOverdue: boolean;
  /** The last line tells the keys. */
  readonly keys: boolean;
}

export const SORTS = ['traffic', 'received', 'sent', 'rtt', 'queue', 'again', 'idle', 'id'] as const;
export type Sort = (typeof SORTS)[number];

const BY: Readonly<Record<Sort, (c: TopConnection) => number>> = {
  traffic: ({ received, sent }) => (received ?? 0) + (sent ?? 0),
  received: ({ received }) => received ?? 0,
  sent: ({ sent }) => sent ?? 0,
  rtt: ({ rttUs }) => rttUs ?? 0,
  queue: ({ sendQueue }) => sendQueue ?? 0,
  again: ({ retransmissions }) => retransmissions ?? 0,
  idle: ({ idleMs }) => idleMs ?? 0,
  id: ({ id }) => -id,
};

/** The tick budget's parts: a letter for the bar, and a colour of the terminal's sixteen. */
const PARTS: readonly (readonly [name: string, letter: string, sgr: number])[] = [
  ['receive', 'r', 36],
  ['commands', 'c', 33],
  ['transmit', 't', 32],
  ['persistence', 'p', 35],
  ['other', 'o', 37],
];
const BAR_WIDTH_MAX = 30;
/** Of its line, what is not the bar: `core 100% []`. */
const BESIDE_BAR = 12;
const BOLD = 1;
const REVERSE = 7;
const RED = 31;
const YELLOW = 33;
const COMMANDS_MAX = 6;

export function screenLines(top: TopReading, options: ScreenOptions): string[] {
  const { width, height } = options;
  const paint = painter(options.colour);
  const head = [
    ...headLines(top, options, paint).flatMap((line) => folded(line, width)),
    '',
    ...besideEachOther(commandLines(top, paint), dropLines(top, paint), width),
    '',
  ];
  const foot = options.keys ? [paint(REVERSE, cut(keyLine(options), width).padEnd(width))] : [];
  const room = Math.max(0, height - head.length - foot.length);
  const all = [...head, ...connectionLines(top.connections, options.sort, paint).slice(0, room)];
  return [...all.slice(0, Math.max(0, height - foot.length)).map((line) => cut(line, width)), ...foot];
}

type Paint = (sgr: number, text: string) => string;

function painter(colour: boolean): Paint {
  return (sgr, text) => (colour ? `\x1b[${sgr}m${text}\x1b[0m` : text);
}

function headLines(
  { server, reading }: TopReading,
  { isPaused, isOverdue, width }: ScreenOptions,
  paint: Paint,
): string[] {
  const state = isPaused ? 'paused' : isOverdue ? 'silent: a long command or script may keep it busy' : '';
  const relay = server.isRelay ? 'relay  ' : '';
  const how = server.engine === null ? 'kernel sockets' : `${server.engine} on ${server.interface}`;
  const clock = new Date(reading.t).toTimeString().slice(0, 8);
  const { latency } = reading;
  const again =
    reading.retransmissions > 0 ? paint(YELLOW, `sent again/s ${reading.retransmissions}`) : 'sent again/s 0';
  const errors = `errors/s ${shortCount(reading.errors)}`;
  const waiting = reading.blocked > 0 ? ` (${reading.blocked} wait)` : '';
  return [
    `${paint(BOLD, 'wiredis')} ${server.addresses} port ${server.port}  ${relay}${how}  up ${duration(server.uptimeMs)}  ` +
      `pid ${server.pid}  ${clock}${state === '' ? '' : `  ${paint(RED, state)}`}`,
    `${server.isRelay ? 'answers' : 'commands'}/s ${paint(BOLD, shortCount(reading.commands))}  in ${shortBytes(reading.bytesIn)}/s  ` +
      `out ${shortBytes(reading.bytesOut)}/s  clients ${reading.clients}${waiting}  memory ${shortBytes(reading.memory)}  ` +
      `${reading.errors > 0 ? paint(YELLOW, errors) : errors}  ${again}`,
    `${server.isRelay ? 'upstream' : 'latency'}  ${(
      [
        ['p50', latency.p50],
        ['p90', latency.p90],
        ['p99', latency.p99],
        ['p99.9', latency.p999],
        ['max', latency.max],
      ] as const
    )
      .map(([name, us]) => `${name} ${paint(BOLD, shortMicroseconds(us))}`)
      .join('  ')}`,
    budgetLine(reading.cpu, reading.budget, paint, Math.max(1, Math.min(BAR_WIDTH_MAX, width - BESIDE_BAR))),
  ];
}

/** A bar of what the core's time went to, and the same in words. */
function budgetLine(cpu: number, budget: Readonly<Record<string, number>>, paint: Paint, barWidth: number): string {
  const parts = PARTS.filter(([name]) => (budget[name] ?? 0) > 0);
  let bar = '';
  let filled = 0;
  let sum = 0;
  for (const [name, letter, sgr] of parts) {
    sum += budget[name];
    const upTo = Math.min(barWidth, Math.round(sum * barWidth));
    bar += paint(sgr, letter.repeat(Math.max(0, upTo - filled)));
    filled = Math.max(filled, upTo);
  }
  const words = parts.map(([name, , sgr]) => `${paint(sgr, name)} ${percent(budget[name])}`);
  return `core ${paint(BOLD, percent(cpu))} [${bar}${' '.repeat(barWidth - filled)}]  ${words.join('  ')}`;
}

function commandLines({ server, reading }: TopReading, paint: Paint): string[] {
  const rows = reading.busiest
    .slice(0, COMMANDS_MAX)
    .map(({ name, rate, meanUs }): Cell[] => [name, shortCount(rate), shortMicroseconds(meanUs)]);
  const heading = server.isRelay ? ['Upstream', 'Answers/s', 'Mean'] : ['Command', 'Calls/s', 'Mean'];
  return headed(tableLines(heading, rows), paint);
}

function dropLines({ reading }: TopReading, paint: Paint): string[] {
  const rows = reading.drops.slice(0, COMMANDS_MAX).map(([reason, count]): Cell[] => [reason, shortCount(count)]);
  return rows.length === 0 ? [] : headed(tableLines(['Dropped, because', 'Count'], rows), paint);
}

function connectionLines(connections: readonly TopConnection[], sort: Sort, paint: Paint): string[] {
  const rows = [...connections].sort((a, b) => BY[sort](b) - BY[sort](a)).map(connectionRow);
  return headed(tableLines('Id Address Name Command In/s Out/s RTT Send-Q Again Idle'.split(' '), rows), paint);
}

function connectionRow(c: TopConnection): Cell[] {
  const known = (value: number | null, text: (value: number) => string): string => (value === null ? '-' : text(value));
  return [
    String(c.id),
    c.address,
    c.name === '' ? '-' : c.name,
    c.command === '' ? '-' : c.command,
    known(c.received, shortBytes),
    known(c.sent, shortBytes),
    known(c.rttUs, shortMicroseconds),
    known(c.sendQueue, shortBytes),
    known(c.retransmissions, shortCount),
    known(c.idleMs, (ms) => shortMicroseconds(Math.max(1, ms * 1000))),
  ];
}

function headed([heading, ...rows]: string[], paint: Paint): string[] {
  return [paint(BOLD, heading), ...rows];
}

function besideEachOther(left: readonly string[], right: readonly string[], width: number): string[] {
  const leftWidth = Math.max(40, ...left.map((line) => visible(line).length + 2));
  if (right.length === 0) return [...left];
  if (leftWidth + 30 > width) return [...left, '', ...right];
  return Array.from({ length: Math.max(left.length, right.length) }, (_, i) => {
    const line = left[i] ?? '';
    return `${line}${' '.repeat(leftWidth - visible(line).length)}${right[i] ?? ''}`.trimEnd();
  });
}

function keyLine({ sort, isPaused }: ScreenOptions): string {
  return `q quit   s sort (${sort})   p ${isPaused ? 'go on' : 'pause'}`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what colours are made of.
const ESCAPES = /(\x1b\[\d+m)/g;

function visible(line: string): string {
  return line.replace(ESCAPES, '');
}

/** In lines that hold it, broken where two spaces part its pieces: what a narrow terminal would cut off matters. */
function folded(line: string, width: number): string[] {
  const lines: string[] = [];
  for (const piece of line.split(/ {2}(?=[^\s\]])/)) {
    const longer = lines.length === 0 ? piece : `${lines.at(-1)}  ${piece}`;
    if (lines.length > 0 && visible(longer).length > width) lines.push(`  ${piece}`);
    else lines[Math.max(0, lines.length - 1)] = longer;
  }
  return lines;
}

/** Cut to what a line of the terminal holds; colours take no room. */
function cut(line: string, width: number): string {
  if (visible(line).length <= width) return line;
  let room = width;
  let text = '';
  for (const piece of line.split(ESCAPES)) {
    if (piece.startsWith('\x1b[')) text += piece;
    else {
      text += piece.slice(0, room);
      room -= Math.min(room, piece.length);
    }
  }
  return text;
}

function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}

function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const days = Math.floor(seconds / 86_400);
  const clock = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
  return days > 0 ? `${days}d ${clock}` : clock;
}
