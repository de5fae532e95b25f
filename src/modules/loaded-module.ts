// One version of a module while it is loaded: its definition, its context, and its commands. Imported by modules.ts.
import { Command } from '../core/command-table.ts';
import {
  addDirective,
  currentValue,
  findAnyDirective,
  getDirective,
  type NamedDirective,
  removeDirective,
} from '../core/config.ts';
import type { Server } from '../core/server.ts';
import { ModuleContext } from './context.ts';
import { completeSpec, type ModuleDefinition, ModuleError } from './definition.ts';
import { guarded, messageOf } from './guarded.ts';

export class LoadedModule {
  readonly definition: ModuleDefinition;
  /** As it was named by who loaded it. */
  readonly path: string;
  readonly args: readonly string[];
  readonly context: ModuleContext;
  readonly commands: readonly Command[];
  readonly settings: NamedDirective[] = [];
  /** Unix time, seconds. */
  firstLoaded: number;
  readonly lastLoaded: number;
  /** False once it was unloaded, or another version took its place. */
  open = false;
  /** Commands, timers and hooks that have failed by a bug of the module. */
  failures = 0;
  readonly #server: Server;

  constructor(server: Server, definition: ModuleDefinition, path: string, args: readonly string[]) {
    this.#server = server;
    this.definition = definition;
    this.path = path;
    this.args = args;
    this.lastLoaded = Math.floor(server.clock.unixMs / 1000);
    this.firstLoaded = this.lastLoaded;
    const version = String(definition.version);
    const wrap = (command: Parameters<typeof guarded>[1]): ReturnType<typeof guarded> => guarded(this, command);
    this.commands = definition.commands.map((command) => {
      const spec = completeSpec(command, version, wrap);
      return new Command(spec, spec.name, null, definition.name);
    });
    this.context = new ModuleContext(server, this);
  }

  get name(): string {
    return this.definition.name;
  }

  get version(): string {
    return String(this.definition.version);
  }

  /** For the list of modules: Redis's versions are whole numbers. */
  get versionNumber(): number {
    return Number.isInteger(this.definition.version) ? Number(this.definition.version) : Number.NaN;
  }

  // --- settings ---

  /** @param before the version whose place it takes: values stay. @throws ModuleError */
  addSettings(before: LoadedModule | null): void {
    const { config } = this.#server;
    for (const [name, directive] of Object.entries(this.definition.settings ?? {})) {
      const known = before?.settings.find((one) => one.name === name);
      const named = addDirective(config, name, directive);
      if (named === null) {
        this.removeSettings();
        throw new ModuleError(`there is a setting '${name}' already`);
      }
      if (known !== undefined && named.box !== undefined) named.box.value = currentValue(config, known);
      this.settings.push(named);
    }
  }

  removeSettings(): void {
    for (const { name } of this.settings.splice(0)) removeDirective(this.#server.config, name);
  }

  setting(name: string): unknown {
    const { config } = this.#server;
    const named = findAnyDirective(config, name);
    if (named === undefined) throw new ModuleError(`there is no setting '${name}'`);
    return named.box === undefined ? getDirective(config, named) : currentValue(config, named);
  }

  // --- hooks ---

  /** @throws what onLoad throws */
  start(): void {
    this.open = true;
    const result: unknown = this.definition.onLoad?.(this.context);
    if (!(result instanceof Promise)) return;
    result.catch((error: unknown) => this.failed('onLoad', error));
    throw new ModuleError('onLoad must not be asynchronous: await at the top level of the file');
  }

  /** Never fails: what onUnload throws is logged. */
  stop(): void {
    try {
      this.definition.onUnload?.(this.context);
    } catch (error) {
      this.failed('onUnload', error);
    }
    this.close();
  }

  /** Without its hook. */
  close(): void {
    this.context.close();
    this.open = false;
  }

  settingChanged(name: string): void {
    try {
      this.definition.onSetting?.(this.context, name);
    } catch (error) {
      this.failed('onSetting', error);
    }
  }

  failed(where: string, error: unknown): void {
    this.failures++;
    this.#server.log.warning(`Module [${this.name}] failed in '${where}': ${messageOf(error)}`);
  }
}
