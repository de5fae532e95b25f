/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
// The connections table: sorted by any column, searched, walked by keys; a chosen row opens its sequence plot.
import type { ConnectionRow as Row } from '../connection-rows.ts';
import { bytes, element, micros, seconds } from './text.ts';

type Tcp = NonNullable<Row['tcp']>;

interface Column {
  readonly title: string;
  readonly value: (row: Row) => string | number;
  readonly show?: (row: Row) => string;
  readonly className?: string;
}

const tcp = (title: string, of: (tcp: Tcp) => number, show: (value: number) => string, className = ''): Column => ({
  title,
  value: (row) => (row.tcp === null ? -1 : of(row.tcp)),
  show: (row) => (row.tcp === null ? '–' : show(of(row.tcp))),
  className: `number ${className}`.trim(),
});

const known = (title: string, of: (row: Row) => number | null, show: (value: number) => string): Column => ({
  title,
  value: (row) => of(row) ?? -1,
  show: (row) => {
    const value = of(row);
    return value === null ? '–' : show(value);
  },
  className: 'number',
});

const COLUMNS: readonly Column[] = [
  { title: 'Id', value: (row) => row.id, className: 'number' },
  { title: 'Address', value: (row) => row.address },
  { title: 'Name', value: (row) => row.name },
  { title: 'State', value: (row) => row.tcp?.state ?? 'kernel' },
  { title: 'Last command', value: (row) => row.command },
  tcp(
    'RTT',
    ({ rttUs }) => rttUs,
    (value) => (value === 0 ? '–' : micros(value)),
  ),
  tcp('cwnd', ({ cwnd }) => cwnd, bytes),
  tcp('Window', ({ sendWindow }) => sendWindow, bytes),
  tcp('Sent again', ({ retransmissions }) => retransmissions, String, 'again'),
  tcp('Send-Q', ({ sendQueue }) => sendQueue, bytes),
  tcp('Recv-Q', ({ receiveQueue }) => receiveQueue, bytes),
  tcp(
    'RTO',
    ({ rtoMs }) => rtoMs,
    (value) => (value === 0 ? '–' : `${value} ms`),
  ),
  known('Idle', ({ idleSeconds }) => idleSeconds, seconds),
  known('Age', ({ ageSeconds }) => ageSeconds, seconds),
  known('Memory', ({ memory }) => memory, bytes),
];

export class ConnectionTable {
  readonly #table = element<HTMLTableElement>('connection-table');
  readonly #search = element<HTMLInputElement>('search');
  readonly #onChosen: (row: Row) => void;
  #rows: readonly Row[] = [];
  #total = 0;
  #sortBy = 0;
  #descending = false;
  #chosen = 0;
  #loading = false;

  constructor(onChosen: (row: Row) => void) {
    this.#onChosen = onChosen;
    this.#buildHead();
    this.#search.addEventListener('input', () => this.#draw());
    const body = this.#table.tBodies[0];
    body.addEventListener('click', (event) => this.#choose(event.target));
    body.addEventListener('keydown', (event) => this.#onKey(event));
  }

  get chosen(): number {
    return this.#chosen;
  }

  set chosen(id: number) {
    this.#chosen = id;
    this.#draw();
  }

  async refresh(): Promise<void> {
    if (this.#loading) return;
    this.#loading = true;
    try {
      const response = await fetch('/api/connections');
      const data = (await response.json()) as { total: number; rows: Row[] };
      this.#rows = data.rows;
      this.#total = data.total;
      this.#draw();
    } catch {
      // The header says that the server is gone; the table keeps what was last seen.
    } finally {
      this.#loading = false;
    }
  }

  #buildHead(): void {
    const line = document.createElement('tr');
    COLUMNS.forEach((column, i) => {
      const head = document.createElement('th');
      head.scope = 'col';
      head.className = column.className ?? '';
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = column.title;
      button.addEventListener('click', () => this.#sort(i));
      head.append(button);
      line.append(head);
    });
    this.#table.tHead!.replaceChildren(line);
    this.#markSorted();
  }

  #sort(column: number): void {
    this.#descending = this.#sortBy === column ? !this.#descending : COLUMNS[column].className !== undefined;
    this.#sortBy = column;
    this.#markSorted();
    this.#draw();
  }

  #markSorted(): void {
    [...this.#table.tHead!.rows[0].cells].forEach((head, i) => {
      const arrow = this.#descending ? ' ↓' : ' ↑';
      head.firstElementChild!.textContent = COLUMNS[i].title + (i === this.#sortBy ? arrow : '');
      if (i === this.#sortBy) head.ariaSort = this.#descending ? 'descending' : 'ascending';
      else head.removeAttribute('aria-sort');
    });
  }

  #wanted(): Row[] {
    const words = this.#search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (row: Row): string =>
      `${row.id} ${row.address} ${row.name} ${row.command} ${row.tcp?.state ?? 'kernel'}`.toLowerCase();
    const found = this.#rows.filter((row) => words.every((word) => text(row).includes(word)));
    const { value } = COLUMNS[this.#sortBy];
    const way = this.#descending ? -1 : 1;
    return found.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      const order = typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y));
      return way * (order || a.id - b.id);
    });
  }

  #draw(): void {
    const wanted = this.#wanted();
    const body = this.#table.tBodies[0];
    const focused = (document.activeElement as HTMLElement | null)?.dataset.id;
    body.replaceChildren(...wanted.map((row) => this.#line(row)));
    if (focused !== undefined)
      body.querySelector<HTMLElement>(`[data-id="${focused}"]`)?.focus({ preventScroll: true });
    const shown = wanted.length === this.#total ? String(this.#total) : `${wanted.length} of ${this.#total}`;
    element('connection-count').textContent = shown;
  }

  #line(row: Row): HTMLTableRowElement {
    const line = document.createElement('tr');
    line.tabIndex = 0;
    line.dataset.id = String(row.id);
    line.ariaSelected = String(row.id === this.#chosen);
    if ((row.tcp?.retransmissions ?? 0) > 0) line.className = 'trouble';
    for (const { value, show, className } of COLUMNS) {
      const cell = line.insertCell();
      cell.className = className ?? '';
      cell.textContent = show === undefined ? String(value(row)) : show(row);
    }
    return line;
  }

  #choose(target: EventTarget | null): void {
    const line = (target as HTMLElement).closest('tr');
    const row = this.#rows.find(({ id }) => String(id) === line?.dataset.id);
    if (row !== undefined) this.#onChosen(row);
  }

  #onKey(event: KeyboardEvent): void {
    const line = (event.target as HTMLElement).closest('tr');
    if (event.key === 'Enter' || event.key === ' ') this.#choose(event.target);
    else if (event.key === 'ArrowDown') (line?.nextElementSibling as HTMLElement | null)?.focus();
    else if (event.key === 'ArrowUp') (line?.previousElementSibling as HTMLElement | null)?.focus();
    else return;
    event.preventDefault();
  }
}
