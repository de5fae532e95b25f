// Which settings a server has that leaves Redis to another: the network's and the process's. The rest belongs into the
// redis.conf of the server behind it. The composition root imports it.
import { allDirectives, type Config, isDefault } from '../core/config.ts';
import { ServerStartError } from '../core/server.ts';

const OWN = new Set<string>([
  ...['bind', 'port', 'tcp-backlog', 'tcp-keepalive', 'unixsocket', 'unixsocketperm', 'maxclients', 'protected-mode'],
  ...[
    'core',
    'relay-upstream',
    'relay-spawn',
    'relay-forward',
    'workers',
    'transport',
    'netdev',
    'engine',
    'control-socket',
    'shutdown-timeout',
  ],
  ...['dir', 'daemonize', 'pidfile', 'logfile', 'loglevel', 'log-format', 'crash-log-enabled', 'always-show-logo'],
  ...['user-after-open', 'metrics-port', 'metrics-bind', 'metrics-token'],
]);
/** Who relies on these would be let down by a warning. */
const ACCESS = new Set<string>(['requirepass', 'aclfile', 'replicaof']);

interface Given {
  readonly config: Config;
  readonly renames?: readonly unknown[];
  readonly users?: readonly unknown[];
  readonly moduleSettings?: readonly unknown[];
}

/** @throws ServerStartError for settings that decide who may do what, and are not ours to enforce. */
export function refuseCoreSettings({ config, renames = [], users = [] }: Given): void {
  const named = changed(config).filter((name) => ACCESS.has(name));
  if (renames.length > 0) named.push('rename-command');
  if (users.length > 0) named.push('user');
  if (named.length > 0) {
    const text = `'core relay' passes bytes on and does not know commands: put ${named.join(', ')} into the redis.conf`;
    throw new ServerStartError(`${text} of the Redis server behind it`);
  }
  const { relaySpawn, relayUpstream } = config;
  if (relaySpawn.length === 0 && relayUpstream === '') {
    throw new ServerStartError(
      "'core relay' wants a Redis server: relay-spawn COMMAND, or relay-upstream unix:PATH or tcp:HOST:PORT",
    );
  }
  if (relaySpawn.length > 0 && relayUpstream !== '') {
    throw new ServerStartError('relay-spawn starts its own upstream: leave relay-upstream away, or relay-spawn');
  }
}

/** Settings that are somebody else's, by name. */
export function idleSettings(config: Config): string[] {
  return changed(config).filter((name) => !OWN.has(name) && !name.startsWith('tls-'));
}

function changed(config: Config): string[] {
  return allDirectives.filter((named) => !isDefault(config, named)).map(({ name }) => name as string);
}
