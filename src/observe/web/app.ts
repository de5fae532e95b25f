/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
// The page: takes a reading a second from the server and hands it to tiles, charts and tables. Keys and themes are here.
import type { Hello } from '../live-feed.ts';
import type { Reading } from '../readings.ts';
import { HeatMap, Throughput } from './charts.ts';
import { ConnectionTable } from './connections.ts';
import { SequencePlot } from './sequence.ts';
import { bytes, count, element, fillRows, micros } from './text.ts';

const READINGS_MAX = 600;
const THEMES = ['', 'light', 'dark'];

const readings: Reading[] = [];
const throughput = new Throughput(readings);
const heat = new HeatMap(readings);
const sequence = new SequencePlot(() => {
  table.chosen = 0;
});
const table = new ConnectionTable((row) => {
  table.chosen = row.id;
  sequence.open(row.id, row.address);
});
let held = false;

function listen(): void {
  const source = new EventSource('/api/live');
  source.addEventListener('open', () => status('live', 'live'));
  source.addEventListener('error', () => status('lost', 'no answer, trying again'));
  source.addEventListener('message', (event) => {
    const message = JSON.parse(event.data) as Hello | Reading;
    if (message.kind === 'hello') hello(message);
    else read(message);
  });
}

function status(state: string, text: string): void {
  const line = element('status');
  line.dataset.state = state;
  line.textContent = text;
}

function hello(message: Hello): void {
  heat.limitsUs = message.limitsUs;
  if (message.isRelay) relayLabels();
  const where = `${message.addresses} port ${message.port}`;
  const how = message.engine === null ? 'kernel sockets' : `${message.engine} on ${message.interface}`;
  element('identity').textContent = `${where} · ${how}`;
  void table.refresh();
}

/** A relay passes bytes on unread: what it knows of is answers. */
function relayLabels(): void {
  const labels = {
    'label-commands': 'Answers/s',
    'label-p50': 'Median answer',
    'h-latency': "Upstream's latency",
    'latency-note':
      "Each column is a second, each row a range of times from a client's bytes to the upstream's first; darker rows hold more.",
    'h-busiest': 'Upstreams',
    'label-busiest': 'Upstream',
    'label-calls': 'Answers/s',
  };
  for (const [id, text] of Object.entries(labels)) element(id).textContent = text;
  throughput.counted = 'answers/s';
  throughput.rebuild();
}

function read(reading: Reading): void {
  readings.push(reading);
  if (readings.length > READINGS_MAX) readings.shift();
  if (held || document.hidden) return;
  tiles(reading);
  throughput.update();
  heat.draw();
  budget(reading.budget);
  fillRows(
    element('busiest'),
    reading.busiest.map(({ name, rate, meanUs }) => [name, count(rate), micros(meanUs)]),
    'nothing',
  );
  fillRows(
    element('drops'),
    reading.drops.map(([name, times]) => [name, count(times)]),
    'nothing was dropped',
  );
  void table.refresh();
}

function tiles(reading: Reading): void {
  const tile = (id: string, text: string): void => {
    element(`tile-${id}`).textContent = text;
  };
  tile('commands', count(reading.commands));
  tile('p50', latency(reading.latency.p50));
  tile('p99', latency(reading.latency.p99));
  tile('clients', reading.blocked > 0 ? `${reading.clients} (${reading.blocked} wait)` : String(reading.clients));
  tile('in', bytes(reading.bytesIn));
  tile('out', bytes(reading.bytesOut));
  tile('memory', bytes(reading.memory));
  tile('cpu', `${Math.round(reading.cpu * 100)} %`);
}

/** 0: there were no commands. */
function latency(us: number): string {
  return us === 0 ? '–' : micros(us);
}

function budget(parts: Readonly<Record<string, number>>): void {
  const bar = element('budget-bar');
  const names = Object.keys(parts);
  const whole = Math.max(
    1,
    names.reduce((sum, name) => sum + parts[name], 0),
  );
  const percent = (value: number): string => `${((value / whole) * 100).toFixed(1)} %`;
  bar.replaceChildren(
    ...names.map((name) => {
      const part = document.createElement('span');
      part.className = `part-${name}`;
      part.style.width = `${(parts[name] / whole) * 100}%`;
      part.title = `${name} ${percent(parts[name])}`;
      return part;
    }),
  );
  const rows = names.map((name) => {
    const label = document.createElement('span');
    const swatch = document.createElement('span');
    swatch.className = `swatch part-${name}`;
    label.append(swatch, name);
    return [label, percent(parts[name])];
  });
  fillRows(element('budget'), rows, 'not measured');
}

function redraw(): void {
  throughput.rebuild();
  heat.draw();
  sequence.rebuild();
}

function nextTheme(): void {
  const root = document.documentElement;
  const theme = THEMES[(THEMES.indexOf(root.dataset.theme ?? '') + 1) % THEMES.length];
  setTheme(theme);
  localStorage.setItem('theme', theme);
}

function setTheme(theme: string): void {
  const root = document.documentElement;
  if (theme === '') delete root.dataset.theme;
  else root.dataset.theme = theme;
  element('theme').textContent = theme === '' ? 'Theme: system' : `Theme: ${theme}`;
  redraw();
}

function hold(): void {
  held = !held;
  sequence.held = held;
  element('pause').ariaPressed = String(held);
}

function onKey(event: KeyboardEvent): void {
  const search = element<HTMLInputElement>('search');
  if (event.key === 'Escape') {
    if (document.activeElement === search && search.value !== '') return;
    search.blur();
    sequence.close();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || document.activeElement === search) return;
  if (event.key === '/') search.focus();
  else if (event.key === 'p') hold();
  else if (event.key === 't') nextTheme();
  else return;
  event.preventDefault();
}

element('theme').addEventListener('click', nextTheme);
element('pause').addEventListener('click', hold);
document.addEventListener('keydown', onKey);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
setTheme(localStorage.getItem('theme') ?? '');
listen();
