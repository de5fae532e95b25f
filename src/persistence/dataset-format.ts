// How a walk over the dataset turns into bytes: as an RDB file, or as the commands that make the dataset (an append-only
// file without RDB preamble). Implemented by rdb-writer.ts and command-writer.ts.
import type { Database } from '../core/database.ts';
import type { Keyspace } from '../core/keyspace.ts';
import type { RdbOutput } from './rdb-output.ts';

/** A big value that is written a short piece at each `next()`. It must not change before the last one. */
export type Slices = Generator<void, void, void>;

export interface DatasetFormat {
  begin(out: RdbOutput, keyspace: Keyspace): void;
  /** What follows is in this database. Comes again when the walk comes back to it. */
  database(out: RdbOutput, index: number, keys: number, expiries: number): void;
  /** @returns null when the entry is written, or the rest of it. */
  entry(out: RdbOutput, db: Database, entry: number): Slices | null;
  end(out: RdbOutput): void;
}
