// The modules of a server: loading, reloading, unloading, and what INFO and MODULE LIST tell of them. One change at a
// time: a file is read and checked while the server goes on, and all that others can see of it happens at once, between
// two ticks. The composition root makes one; commands reach it as `server.modules`.
import type { Command } from '../core/command-table.ts';
import { type NamedDirective, setDirective } from '../core/config.ts';
import { DirectiveError } from '../core/directive.ts';
import type { Server } from '../core/server.ts';
import { API_VERSION, definitionOf, type ModuleDefinition, ModuleError } from './definition.ts';
import { messageOf } from './guarded.ts';
import { LoadedModule } from './loaded-module.ts';
import { ModuleLoader } from './loader.ts';
import { States } from './module-states.ts';

/** A setting of a module that is given before the module is there. */
export interface EarlySetting {
  readonly name: string;
  readonly words: readonly string[];
}

const BUILTIN = '<builtin>';

export class Modules {
  readonly #server: Server;
  readonly #version: string;
  readonly #loader = new ModuleLoader();
  readonly #loaded = new Map<string, LoadedModule>();
  readonly #states: States;
  /** Whoever offers a command of that name, the one in force last; the server's own comes first. */
  readonly #offers = new Map<string, Command[]>();
  /** The change that is under way, and those behind it. */
  #queue: Promise<unknown> = Promise.resolve();
  #early: EarlySetting[] = [];
  /** Loads and reloads that went well. */
  #loads = 0;

  /** @param version of this package. */
  constructor(server: Server, version: string) {
    this.#server = server;
    this.#version = version;
    this.#states = new States(server, this.#loaded);
    server.keyspace.moduleStates = this.#states;
  }

  get loaded(): readonly LoadedModule[] {
    return [...this.#loaded.values()];
  }

  /** Versions of modules that nobody uses any more, and that stay in memory. */
  get leaked(): number {
    return this.#loader.leaked;
  }

  // --- at start ---

  /** Settings that modules to come will ask for. */
  set earlySettings(settings: readonly EarlySetting[]) {
    this.#early = [...settings];
  }

  get earlySettings(): readonly EarlySetting[] {
    return this.#early;
  }

  logBuiltin(): void {
    this.#server.log.notice(`Module [${BUILTIN}] loaded ${this.#server.commands.all.length} commands.`);
  }

  // --- changes ---

  /** MODULE LOAD and `loadmodule`: a module of that name must not be there. @returns what went wrong, or null. */
  load(path: string, args: readonly string[] = [], settings: readonly EarlySetting[] = []): Promise<string | null> {
    return this.#enqueue(path, args, settings, false);
  }

  /** `module-add`: takes the place of the module of that name, if there is one. @returns what went wrong, or null. */
  add(path: string, args: readonly string[] = []): Promise<string | null> {
    return this.#enqueue(path, args, [], true);
  }

  #enqueue(
    path: string,
    args: readonly string[],
    settings: readonly EarlySetting[],
    mayReplace: boolean,
  ): Promise<string | null> {
    const done = this.#queue.then(() => this.#change(path, args, settings, mayReplace));
    this.#queue = done;
    return done;
  }

  async #change(
    path: string,
    args: readonly string[],
    settings: readonly EarlySetting[],
    mayReplace: boolean,
  ): Promise<string | null> {
    const { config, log, scheduler } = this.#server;
    try {
      const definition = definitionOf(await this.#loader.import(path));
      await new Promise<void>((resolve) => scheduler.soon(resolve));
      const before = this.#loaded.get(definition.name) ?? null;
      if (before !== null && !mayReplace)
        throw new ModuleError(`a module of the name ${definition.name} is loaded already`);
      const mismatch = definition.apiVersion !== API_VERSION;
      if (mismatch && config.moduleStrict) {
        log.notice(`Loading new [${path}] module.`);
        this.#warnOfVersion(path, definition);
        throw new ModuleError("another API version, and 'module-strict' is yes");
      }
      const module = new LoadedModule(this.#server, definition, path, args);
      this.#exchange(before, module, mismatch, settings);
      return null;
    } catch (error) {
      const message = messageOf(error);
      log.warning(`Module ${path} failed to load: ${message}`);
      return message;
    }
  }

  #warnOfVersion(path: string, { apiVersion }: ModuleDefinition): void {
    this.#server.log.warning(
      `[${path}] version mismatch. Module was compiled against ${apiVersion}, but we are ${API_VERSION}.`,
    );
  }

  /** The old version goes, the new one comes; when that one fails, all is as before. @throws what onLoad throws */
  #exchange(
    before: LoadedModule | null,
    module: LoadedModule,
    mismatch: boolean,
    settings: readonly EarlySetting[],
  ): void {
    const { log } = this.#server;
    const { path } = module;
    if (before !== null) {
      this.#states.keep(before);
      log.notice(`Running cleanup function for [${before.path}].`);
      before.stop();
      before.removeSettings();
      log.notice(`Closed previous [${before.path}] module.`);
    }
    log.notice(`Loading new [${path}] module.`);
    if (mismatch) {
      this.#warnOfVersion(path, module.definition);
      log.warning(`Strict version enforcement is disabled. Loading [${path}] but undefined behavior may occur.`);
    }
    try {
      module.addSettings(before);
      this.#takeSettings(module, settings);
      this.#install(before, module);
      log.notice(`Running load function of module [${path}].`);
      module.start();
    } catch (error) {
      this.#goBack(before, module);
      throw error;
    }
    module.firstLoaded = before?.firstLoaded ?? module.lastLoaded;
    this.#loaded.set(module.name, module);
    this.#loads++;
    this.#rememberForConfig();
    this.#states.deliver(module.name);
  }

  #goBack(before: LoadedModule | null, module: LoadedModule): void {
    module.close();
    const values = module.settings.map((named) => ({ name: named.name, value: named.box?.value }));
    module.removeSettings();
    if (before === null) {
      this.#putCommands(module, null);
      return;
    }
    before.addSettings(null);
    for (const named of before.settings) {
      const known = values.find(({ name }) => name === named.name);
      if (known !== undefined && named.box !== undefined) named.box.value = known.value;
    }
    this.#putCommands(module, before);
    this.#server.log.warning(`Module [${before.path}] goes on.`);
    try {
      before.start();
    } catch (error) {
      before.failed('onLoad', error);
    }
    this.#states.deliver(before.name);
  }

  #takeSettings(module: LoadedModule, given: readonly EarlySetting[]): void {
    const all = [...this.#early, ...given];
    const own = (name: string) => module.settings.find((named) => named.name === name.toLowerCase());
    for (const { name, words } of all) {
      const named = own(name);
      if (named === undefined) continue;
      try {
        setDirective(this.#server.config, named, words);
      } catch (error) {
        if (!(error instanceof DirectiveError)) throw error;
        throw new ModuleError(`setting ${name}: ${error.message}`);
      }
    }
    const unknown = given.find(({ name }) => own(name) === undefined);
    if (unknown !== undefined) throw new ModuleError(`it has no setting '${unknown.name}'`);
    this.#early = this.#early.filter(({ name }) => own(name) === undefined);
  }

  /** @returns what is wrong, or null. */
  unload(name: string): string | null {
    const module = this.#loaded.get(name);
    if (module === undefined) return 'no such module with that name';
    if (module.context.waiting > 0) {
      return 'the module has blocked clients. Please wait for them to be unblocked and try again';
    }
    const { log } = this.#server;
    this.#states.keep(module);
    log.notice(`Running cleanup function for [${module.path}].`);
    module.stop();
    module.removeSettings();
    this.#putCommands(module, null);
    this.#loaded.delete(name);
    this.#rememberForConfig();
    log.notice(`Module [${module.path}] unloaded.`);
    return null;
  }

  /** The server stops: every module cleans up. */
  stop(): void {
    for (const module of this.#loaded.values()) module.stop();
    this.#loaded.clear();
  }

  // --- commands ---

  #install(before: LoadedModule | null, module: LoadedModule): void {
    const { commands, log } = this.#server;
    const replaced = module.commands.map(({ calledAs }) => commands.named(calledAs) !== null);
    for (const command of module.commands) {
      const old = before?.commands.find(({ calledAs }) => calledAs === command.calledAs);
      if (old !== undefined) command.adoptCounters(old);
    }
    this.#putCommands(before, module);
    module.commands.forEach(({ calledAs }, i) => {
      log.notice(`${replaced[i] ? 'Replaced existing' : 'Added'} command ${calledAs} [${module.path}]`);
    });
    for (const { calledAs } of before?.commands ?? []) {
      if (commands.named(calledAs) === null) log.notice(`Removed command ${calledAs} [${module.path}]`);
    }
    log.notice(`Module [${module.path}] loaded ${module.commands.length} commands.`);
  }

  /** In one step: what `old` offers goes, and what was behind it comes back; what `fresh` offers takes its place. */
  #putCommands(old: LoadedModule | null, fresh: LoadedModule | null): void {
    const { commands, dispatcher } = this.#server;
    const changes = new Map<string, Command | null>();
    const offersOf = (name: string): Command[] => {
      const known = this.#offers.get(name);
      if (known !== undefined) return known;
      const own = commands.named(name);
      const offers = own === null ? [] : [own];
      this.#offers.set(name, offers);
      return offers;
    };
    for (const command of old?.commands ?? []) {
      const offers = offersOf(command.calledAs).filter((one) => one !== command);
      this.#offers.set(command.calledAs, offers);
      changes.set(command.calledAs, offers.at(-1) ?? null);
    }
    for (const command of fresh?.commands ?? []) {
      const offers = offersOf(command.calledAs);
      if (!offers.includes(command)) offers.push(command);
      changes.set(command.calledAs, command);
    }
    for (const name of changes.keys()) if (this.#offers.get(name)?.length === 0) this.#offers.delete(name);
    commands.change(changes);
    dispatcher.commandsChanged();
  }

  // --- config ---

  /** CONFIG REWRITE writes down what is loaded now. */
  #rememberForConfig(): void {
    const { config } = this.#server;
    config.moduleAdd = [];
    config.loadmodule = this.loaded.map(({ path, args }) => [path, ...args]);
  }

  settingChanged(named: NamedDirective): void {
    if (named.box === undefined) return;
    for (const module of this.#loaded.values()) {
      if (module.settings.includes(named)) module.settingChanged(named.name);
    }
  }

  // --- INFO ---

  /** @param withBuiltin the server's own commands too, as if they were a module. */
  info(withBuiltin: boolean): (readonly [string, string | number])[] {
    const lines: [string, string | number][] = [];
    if (withBuiltin) lines.push(this.#infoLine(BUILTIN, BUILTIN, API_VERSION, this.#version, 0, 0, ''));
    let failures = 0;
    for (const module of this.#loaded.values()) {
      const { definition, firstLoaded, lastLoaded, name, path, version } = module;
      lines.push(this.#infoLine(name, path, definition.apiVersion, version, firstLoaded, lastLoaded, name));
      failures += module.failures;
    }
    lines.push(['loaded_modules', this.#loaded.size]);
    lines.push(['module_loads', this.#loads]);
    lines.push(['leaked_module_versions', this.leaked]);
    lines.push(['module_failures', failures]);
    return lines;
  }

  #infoLine(
    name: string,
    file: string,
    api: string,
    version: string,
    first: number,
    last: number,
    owner: string,
  ): [string, string] {
    const own = this.#server.commands.all.filter(({ module }) => module === owner).map(({ calledAs }) => calledAs);
    return [
      `module_${name}`,
      `filename=${file},compiled_against=${api},module_version=${version},first_loaded=${first},last_loaded=${last},` +
        `commands=${own.join(',')}`,
    ];
  }
}
