// Records of numbers and flags as a table: the columns' names and kinds once, then a row a record. A reader of another
// version takes the columns that it knows and leaves its own others as they are. Times and addresses mean something
// to their stack only: they are translated as they are read. For stack/state and stack/tcp/connection-state.ts.
import type { StateReader, StateWriter } from './state-bytes.ts';

/**
 * `i` int32, `f` double, `b` boolean; `m` and `u` a time of the stack's clock, milliseconds and microseconds; `o` what is
 * added to that clock's milliseconds; `a` an address.
 */
export type ColumnKind = 'i' | 'f' | 'b' | 'm' | 'u' | 'o' | 'a';

export type Column = readonly [name: string, kind: ColumnKind];

/** From the stack that wrote to the one that reads. */
export interface Translation {
  /** What the reader's clock says more, int32. */
  readonly shiftMs: number;
  readonly shiftUs: number;
  address(ip: number): number;
}

type Fields = Record<string, number | boolean>;

/** Columns of one kind, for lists of names. */
export function columns(kind: ColumnKind, names: string): Column[] {
  return names
    .trim()
    .split(/\s+/)
    .map((name) => [name, kind]);
}

export function writeColumns(out: StateWriter, all: readonly Column[]): void {
  out.int(all.length);
  for (const [name, kind] of all) out.name(kind + name);
}

export function writeRow(out: StateWriter, all: readonly Column[], record: object): void {
  const fields = record as Fields;
  for (const [name, kind] of all) {
    const value = fields[name];
    if (kind === 'b') out.flag(value as boolean);
    else if (kind === 'f') out.float(value as number);
    else out.int(value as number);
  }
}

function readColumns(from: StateReader): Column[] {
  return Array.from({ length: from.int() }, (): Column => {
    const text = from.name();
    return [text.slice(1), text[0] as ColumnKind];
  });
}

/** The rows of a table, one after the other. */
export class RowReader {
  readonly #from: StateReader;
  readonly #columns: readonly Column[];
  readonly #known: readonly boolean[];
  readonly #translation: Translation;
  readonly #values: (number | boolean)[] = [];

  /** @param known the reader's own columns: others are passed over. */
  constructor(from: StateReader, known: ReadonlySet<string>, translation: Translation) {
    this.#from = from;
    this.#columns = readColumns(from);
    this.#known = this.#columns.map(([name]) => known.has(name));
    this.#translation = translation;
  }

  next(): this {
    const columns = this.#columns;
    for (let i = 0; i < columns.length; i++) this.#values[i] = readValue(this.#from, columns[i][1], this.#translation);
    return this;
  }

  number(name: string): number {
    return this.#values[this.#columns.findIndex((column) => column[0] === name)] as number;
  }

  /** Sets what the row has of the record's fields. */
  fill(record: object): void {
    const fields = record as Fields;
    const columns = this.#columns;
    for (let i = 0; i < columns.length; i++) if (this.#known[i]) fields[columns[i][0]] = this.#values[i];
  }
}

function readValue(from: StateReader, kind: ColumnKind, { shiftMs, shiftUs, address }: Translation): number | boolean {
  if (kind === 'b') return from.flag();
  if (kind === 'f') return from.float();
  const value = from.int();
  if (kind === 'm') return (value + shiftMs) | 0;
  if (kind === 'u') return (value + shiftUs) | 0;
  if (kind === 'o') return (value - shiftMs) | 0;
  return kind === 'a' ? address(value) : value;
}

export function namesOf(all: readonly Column[]): ReadonlySet<string> {
  return new Set(all.map(([name]) => name));
}
