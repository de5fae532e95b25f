/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
// Figures as people read them, and the page's elements by name. For the browser: imports nothing of the server.

export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as T;
}

/** Calls back whenever the element's width has changed: by the window, a scroll bar or the layout. Not while it is hidden. */
export function onWidth(host: HTMLElement, callback: (width: number) => void): void {
  let last = host.clientWidth;
  new ResizeObserver(() => {
    const width = host.clientWidth;
    if (width === 0 || width === last) return;
    last = width;
    callback(width);
  }).observe(host);
}

/** The theme's colour of that name. */
export function colour(name: string): string {
  const probe = document.createElement('i');
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

/** `12.3k` */
export function count(value: number): string {
  if (value < 1000) return String(Math.round(value));
  if (value < 1e6) return `${(value / 1e3).toFixed(value < 1e5 ? 1 : 0)}k`;
  return `${(value / 1e6).toFixed(value < 1e8 ? 2 : 0)}M`;
}

/** `1.2 MiB` */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let rest = value;
  for (; rest >= 1024 && unit < units.length - 1; unit++) rest /= 1024;
  return `${unit === 0 ? Math.round(rest) : rest.toFixed(rest < 10 ? 2 : 1)} ${units[unit]}`;
}

/** `340 µs`, `1.2 ms` */
export function micros(value: number): string {
  if (value < 10) return `${value.toFixed(1)} µs`;
  if (value < 1000) return `${Math.round(value)} µs`;
  if (value < 1e6) return `${(value / 1e3).toFixed(value < 1e4 ? 1 : 0)} ms`;
  return `${(value / 1e6).toFixed(1)} s`;
}

/** `3 h 12 min` */
export function seconds(value: number): string {
  if (value < 60) return `${Math.floor(value)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min`;
  if (value < 86400) return `${Math.floor(value / 3600)} h ${Math.floor((value % 3600) / 60)} min`;
  return `${Math.floor(value / 86400)} d`;
}

/** A table's body from rows of cells. */
export function fillRows(body: HTMLElement, rows: readonly (readonly (string | HTMLElement)[])[], empty: string): void {
  const made = rows.map((cells) => {
    const row = document.createElement('tr');
    for (const cell of cells) {
      const data = document.createElement('td');
      data.append(cell);
      row.append(data);
    }
    return row;
  });
  if (made.length === 0) {
    const row = document.createElement('tr');
    const data = document.createElement('td');
    data.className = 'empty';
    data.textContent = empty;
    row.append(data);
    made.push(row);
  }
  body.replaceChildren(...made);
}
