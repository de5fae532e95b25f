// From a path, or the bare name of a bundled module, to what its file exports. A file is imported anew each time: the
// engine keeps what was imported before for as long as the process lives, so old code adds up; it is counted. Imported
// by modules.ts.
import { existsSync } from 'node:fs';
import { extname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ModuleError } from './definition.ts';
import { messageOf } from './guarded.ts';

/** Modules that come with the server, by bare name. */
const BUNDLED = join(fileURLToPath(import.meta.url), '..', 'bundled');
/** `.js` in a build, `.ts` in the sources. */
const OWN_EXTENSION = extname(fileURLToPath(import.meta.url));
const READS_TYPESCRIPT = process.features as { readonly typescript?: string | false };

/** How often each file was imported in this process: every version, and every server, has state of its own. */
const imports = new Map<string, number>();

export class ModuleLoader {
  /** How often a file was imported that had been imported before: as many versions are kept in memory for nothing. */
  leaked = 0;
  readonly #imported = new Set<string>();

  /** The file that `path` names; a bare name is a bundled module's if there is one. */
  fileOf(path: string): string {
    const bundled = join(BUNDLED, `${path}${OWN_EXTENSION}`);
    if (/^[a-z0-9-]+$/.test(path) && existsSync(bundled)) return bundled;
    return isAbsolute(path) ? path : resolve(path);
  }

  /** What the file exports. @throws ModuleError */
  async import(path: string): Promise<unknown> {
    const file = this.fileOf(path);
    if (!existsSync(file)) throw new ModuleError(`there is no file ${file}`);
    const url = pathToFileURL(file);
    const before = imports.get(file) ?? 0;
    // Another address, or the engine would give what it has.
    if (before > 0) url.searchParams.set('version', String(before));
    imports.set(file, before + 1);
    try {
      const exported: unknown = await import(/* @vite-ignore */ url.href);
      if (this.#imported.has(file)) this.leaked++;
      this.#imported.add(file);
      return exported;
    } catch (error) {
      if (/\.[cm]?ts$/.test(file) && !READS_TYPESCRIPT.typescript && isSyntaxProblem(error)) {
        throw new ModuleError(
          `Node.js ${process.version} does not read TypeScript: compile the file, or use Node.js 22.18 or later`,
        );
      }
      throw new ModuleError(messageOf(error));
    }
  }
}

function isSyntaxProblem(error: unknown): boolean {
  return error instanceof SyntaxError || (error as { code?: unknown } | null)?.code === 'ERR_UNKNOWN_FILE_EXTENSION';
}
