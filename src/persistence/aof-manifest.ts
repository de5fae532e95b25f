// The manifest of a multi-part append-only file: which file is the base, which increments follow, which are history and
// to be deleted. A change is made on a copy, written beside the old manifest and put in its place, so that a crash
// leaves one or the other. Imported by what writes and loads the append-only file.
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { splitArgs } from '../resp/split-args.ts';
import { syncDirectoryLater } from './background-file.ts';
import { syncDirectory } from './snapshot.ts';

const LINE_MAX = 1024;

export interface AofPart {
  readonly name: string;
  readonly sequence: number;
}

/** A manifest that cannot be used; the message is what Redis would log. */
export class AofManifestError extends Error {
  readonly code = 'AOF_MANIFEST';
}

/** Directory and names of the files. */
export interface AofNames {
  /** `appenddirname`, relative to `dir`. */
  readonly directory: string;
  /** `appendfilename`. */
  readonly file: string;
}

export class AofManifest {
  base: AofPart | null = null;
  increments: AofPart[] = [];
  history: AofPart[] = [];
  #baseSequence = 0;
  #incrementSequence = 0;
  readonly #names: AofNames;

  constructor(names: AofNames) {
    this.#names = names;
  }

  copy(): AofManifest {
    const copy = new AofManifest(this.#names);
    copy.base = this.base;
    copy.increments = [...this.increments];
    copy.history = [...this.history];
    copy.#baseSequence = this.#baseSequence;
    copy.#incrementSequence = this.#incrementSequence;
    return copy;
  }

  get isEmpty(): boolean {
    return this.base === null && this.increments.length === 0;
  }

  /** Base and increments, in the order in which they are loaded. */
  get parts(): AofPart[] {
    return this.base === null ? [...this.increments] : [this.base, ...this.increments];
  }

  /** Path of a part. */
  pathOf(name: string): string {
    return join(this.#names.directory, name);
  }

  /** Makes the next base; the one before becomes history. @param rdb whether its contents are an RDB file. */
  addBase(rdb: boolean): AofPart {
    if (this.base !== null) this.history.unshift(this.base);
    const sequence = ++this.#baseSequence;
    this.base = { name: `${this.#names.file}.${sequence}.base.${rdb ? 'rdb' : 'aof'}`, sequence };
    return this.base;
  }

  /** An old file that is the base as it is. */
  adoptBase(name: string): void {
    this.base = { name, sequence: 1 };
    this.#baseSequence = 1;
  }

  addIncrement(): AofPart {
    const sequence = ++this.#incrementSequence;
    const part = { name: `${this.#names.file}.${sequence}.incr.aof`, sequence };
    this.increments.push(part);
    return part;
  }

  /** All increments but the last `kept` ones are in the base now. */
  retireIncrements(kept: number): void {
    const retired = this.increments.splice(0, Math.max(0, this.increments.length - kept));
    for (const part of retired) this.history.unshift(part);
  }

  get manifestName(): string {
    return `${this.#names.file}.manifest`;
  }

  /** Of the increment that is written while the first base is. */
  get temporaryIncrement(): string {
    return `temp-${this.#names.file}.incr`;
  }

  format(): string {
    const line = (part: AofPart, type: string): string =>
      `file ${quoted(part.name)} seq ${part.sequence} type ${type}\n`;
    return [
      ...(this.base === null ? [] : [line(this.base, 'b')]),
      ...this.history.map((part) => line(part, 'h')),
      ...this.increments.map((part) => line(part, 'i')),
    ].join('');
  }

  /** When this returns the manifest is on the disk. @throws the system's error. */
  persist(): void {
    const file = openSync(this.#temporary, 'w', 0o644);
    try {
      writeFileSync(file, this.format(), 'latin1');
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    this.putInPlace();
    syncDirectory(this.#names.directory);
  }

  /**
   * As `persist`, in three steps of which the long ones hold nobody up: on the disk under another name, in the old one's
   * place, and that too on the disk. @throws the system's error.
   */
  async prepare(): Promise<void> {
    const file = await open(this.#temporary, 'w', 0o644);
    try {
      await file.writeFile(this.format(), 'latin1');
      await file.sync();
    } finally {
      await file.close();
    }
  }

  putInPlace(): void {
    renameSync(this.#temporary, this.pathOf(this.manifestName));
  }

  settle(): Promise<void> {
    return syncDirectoryLater(this.#names.directory);
  }

  /** What was prepared is of no use. */
  discard(): void {
    rmSync(this.#temporary, { force: true });
  }

  get #temporary(): string {
    return this.pathOf(`temp-${this.manifestName}`);
  }

  /** The manifest that is on the disk; an empty one when there is none. @throws AofManifestError */
  static load(names: AofNames): AofManifest {
    const manifest = new AofManifest(names);
    const path = manifest.pathOf(manifest.manifestName);
    if (!existsSync(path)) return manifest;
    let text: string;
    try {
      text = readFileSync(path, 'latin1');
    } catch (error) {
      throw new AofManifestError(`Fatal error: can't open the AOF manifest file ${path} for reading: ${String(error)}`);
    }
    if (text === '') throw manifestError('Found an empty AOF manifest');
    const lines = text.split('\n');
    const rest = lines.pop();
    for (const [i, line] of lines.entries()) manifest.#read(line, i + 1);
    if (rest !== '' && !rest!.startsWith('#')) throw manifestError('The AOF manifest file contains too long line');
    return manifest;
  }

  #read(whole: string, number: number): void {
    if (whole.startsWith('#')) return;
    if (whole.length >= LINE_MAX) throw manifestError('The AOF manifest file contains too long line');
    const line = whole.trim();
    const fail = (reason: string): AofManifestError => manifestError(reason, number, line);
    const words = line === '' ? null : splitArgs(line);
    if (words === null || words.length < 6 || words.length % 2 !== 0) throw fail('Invalid AOF manifest file format');
    let name = '';
    let sequence = 0;
    let type = '';
    for (let i = 0; i < words.length; i += 2) {
      const value = words[i + 1];
      const key = words[i].toLowerCase();
      if (key === 'file') {
        name = value;
        if (name.includes('/') || name.includes('\\')) throw fail("File can't be a path, just a filename");
      } else if (key === 'seq') sequence = Number.parseInt(value, 10) || 0;
      else if (key === 'type') type = value.slice(0, 1);
    }
    if (name === '' || sequence === 0 || type === '') throw fail('Invalid AOF manifest file format');
    const problem = this.#add({ name, sequence }, type);
    if (problem !== null) throw fail(problem);
  }

  #add(part: AofPart, type: string): string | null {
    if (type === 'b') {
      if (this.base !== null) return 'Found duplicate base file information';
      this.base = part;
      this.#baseSequence = part.sequence;
    } else if (type === 'h') this.history.push(part);
    else if (type === 'i') {
      if (part.sequence <= this.#incrementSequence) return 'Found a non-monotonic sequence number';
      this.increments.push(part);
      this.#incrementSequence = part.sequence;
    } else return 'Unknown AOF file type';
    return null;
  }
}

function manifestError(reason: string, line = 0, text = ''): AofManifestError {
  const where = line === 0 ? '' : `Reading the manifest file, at line ${line}\n>>> '${text}'\n`;
  return new AofManifestError(`\n*** FATAL AOF MANIFEST FILE ERROR ***\n${where}${reason}\n`);
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\x07': '\\a',
  '\b': '\\b',
};

/** A name with blanks or unprintable characters, as a quoted word. */
function quoted(name: string): string {
  if (name !== '' && /^[!#-&(-[\]-~]+$/.test(name) && basename(name) === name) return name;
  let text = '"';
  for (const char of name) {
    const code = char.charCodeAt(0);
    if (char === '"' || char === '\\') text += `\\${char}`;
    else if (ESCAPES[char] !== undefined) text += ESCAPES[char];
    else if (code < 32 || code > 126) text += `\\x${code.toString(16).padStart(2, '0')}`;
    else text += char;
  }
  return `${text}"`;
}
