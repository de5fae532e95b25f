// The tree that the suite runs in: a copy of its own for each run, since the runner keeps its files in it, with our
// server behind `src/redis-server` and Debian's programs for the rest. Imported by test/redis only.
import { chmodSync, cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Those that external mode leaves out wholly or for the greater part, cluster and TLS (which needs Tcl's own) aside. */
export const OWN_SERVER_UNITS: readonly string[] = [
  ...['unit/acl', 'unit/acl-v2', 'unit/auth', 'unit/info', 'unit/maxmemory', 'unit/aofrw', 'unit/pubsubshard'],
  ...['unit/wait', 'unit/limits', 'unit/obuf-limits', 'unit/memefficiency', 'unit/pendingquerybuf'],
  ...['unit/oom-score-adj', 'unit/shutdown', 'unit/networking', 'unit/client-eviction', 'unit/dump', 'unit/multi'],
  ...['unit/introspection', 'unit/other', 'integration/logging', 'integration/shutdown', 'integration/rdb'],
  ...['integration/aof', 'integration/aof-multi-part', 'integration/convert-zipmap-hash-on-load'],
  ...['integration/convert-ziplist-hash-on-load', 'integration/convert-ziplist-zset-on-load'],
  ...['integration/corrupt-dump', 'integration/corrupt-dump-fuzzer', 'integration/dismiss-mem'],
  ...['integration/redis-cli', 'integration/redis-benchmark', 'integration/block-repl', 'integration/replication'],
  ...['integration/replication-2', 'integration/replication-3', 'integration/replication-4'],
  ...['integration/replication-psync', 'integration/replication-buffer', 'integration/psync2'],
  ...['integration/psync2-reg', 'integration/psync2-pingoff', 'integration/psync2-master-restart'],
  'integration/failover',
];

const DEBIAN_PROGRAMS = ['redis-cli', 'redis-benchmark', 'redis-check-rdb', 'redis-check-aof'];
const DEBIAN_FOLDER = '/usr/bin';

/**
 * Makes a copy of the suite whose `src/redis-server` is `script`.
 * @param suite the unpacked source.
 * @param folder where the copy goes.
 * @param script wiredis-server.js, or null for the redis-server that is installed.
 */
export function prepareTree(suite: string, folder: string, script: string | null): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'src'), { recursive: true });
  for (const name of ['tests', 'utils', 'redis.conf', 'sentinel.conf']) {
    if (existsSync(join(suite, name))) cpSync(join(suite, name), join(folder, name), { recursive: true });
  }
  for (const name of DEBIAN_PROGRAMS) symlinkSync(join(DEBIAN_FOLDER, name), join(folder, 'src', name));
  const server = join(folder, 'src', 'redis-server');
  if (script === null) {
    symlinkSync(join(DEBIAN_FOLDER, 'redis-server'), server);
    return;
  }
  writeFileSync(server, wrapper(process.execPath, script));
  chmodSync(server, 0o755);
}

/** `exec` keeps the process id that the suite knows; the transport goes to the file, since words are what is tested. */
function wrapper(node: string, script: string): string {
  return `#!/bin/sh
if [ -f "$1" ] && ! grep -q '^transport ' "$1"; then printf '\\ntransport kernel\\n' >>"$1"; fi
exec ${node} ${script} "$@"
`;
}
