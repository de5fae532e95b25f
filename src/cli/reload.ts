// `systemctl reload`: SIGHUP to a server that systemd watches over. What has changed in the configuration file since it was
// read last takes effect where CONFIG SET could do the same; the rest is named in the log. What CONFIG SET changed meanwhile
// stays, unless the file changed there too. service.ts imports it.
import { allDirectives, type ChangeRules, type Config, changeConfig, getDirective } from '../core/config.ts';
import { IMMUTABLE } from '../core/directive.ts';
import type { Server } from '../core/server.ts';

export class Reloader {
  readonly #server: Server;
  readonly #read: () => Config;
  /** As the file was read last. */
  #known: ReadonlyMap<string, string>;

  /** @param read reads file and command line anew. @throws Error with one line, from `read` */
  constructor(server: Server, read: () => Config) {
    this.#server = server;
    this.#read = read;
    this.#known = texts(server.config);
  }

  reload(): void {
    const { log, config, loading } = this.#server;
    let fresh: ReadonlyMap<string, string>;
    try {
      fresh = texts(this.#read());
    } catch (error) {
      log.warning(`Reload: nothing is changed: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    const rules: ChangeRules = {
      loading,
      protectedAllowed: true,
      apply: (named) => this.#server.configChanged(named),
    };
    const changed = allDirectives.filter(({ name }) => fresh.get(name) !== this.#known.get(name));
    this.#known = fresh;
    const done: string[] = [];
    for (const { name, directive } of changed) {
      const value = fresh.get(name) ?? '';
      const fixed = (directive.flags & IMMUTABLE) !== 0;
      const problem = fixed ? 'it needs a restart' : changeConfig(config, [[name, value]], rules);
      if (problem === null) done.push(name);
      else log.warning(`Reload: '${name}' is not changed: ${problem}`);
    }
    log.notice(done.length === 0 ? 'Reload: no setting changed' : `Reload: changed ${done.join(', ')}`);
  }
}

/** `dir` is where the process is by now, whatever the file said. */
function texts(config: Config): Map<string, string> {
  return new Map(
    allDirectives
      .filter(({ name }) => name !== 'dir')
      .map((named): [string, string] => [named.name, getDirective(config, named)]),
  );
}
