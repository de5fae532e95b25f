// The packages that two engines need and that are compiled when they are installed: without a compiler npm leaves them out, and
// with another Node than the one they were compiled for they do not load.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadCap } from '../../../io-engine/libpcap.ts';
import type { EngineChoice } from '../../../io-engine/options.ts';
import { loadRawSocket } from '../../../io-engine/raw-ip.ts';
import { hasProgram } from '../lab/process.ts';
import { isWritable } from '../writable.ts';
import { asRoot, type Check, type Finding, fail, pass } from './check.ts';

type Require = (name: string) => unknown;

interface Compiled {
  readonly name: string;
  /** Debian's, for compiling it. */
  readonly tools: string;
  load(require: Require): unknown;
}

const COMPILED: Partial<Readonly<Record<EngineChoice, Compiled>>> = {
  pcap: { name: 'cap', tools: 'libpcap-dev python3 make g++', load: loadCap },
  raw: { name: 'raw-socket', tools: 'python3 make g++', load: loadRawSocket },
};

/** Where package.json is: dist/ or its source. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

/** @param isThere whether the package's folder is. @param root where it is to be. */
export function packageFinding(
  engine: EngineChoice,
  require: Require,
  isThere: (name: string) => boolean,
  root: string,
): Finding | null {
  const compiled = COMPILED[engine];
  if (compiled === undefined) return null;
  const { name, tools, load } = compiled;
  try {
    load(require);
    return pass(`package ${name} is there`);
  } catch {
    const there = isThere(name);
    const text = there
      ? `engine ${engine} cannot load package ${name}: it was compiled for another Node, or not at all`
      : `engine ${engine} needs package ${name}, which was left out when wiredis was installed`;
    const npm = `npm --prefix ${root} ${there ? 'rebuild' : 'install --no-save'} ${name}`;
    const compile = isWritable(root) ? npm : asRoot(npm);
    return fail(text, hasProgram('apt-get') ? `${asRoot(`apt-get install -y ${tools}`)} && ${compile}` : compile);
  }
}

export const packages: Check = {
  name: 'packages',
  look({ config, engine, server }) {
    if (config === null || server !== null) return null;
    const require = createRequire(import.meta.url);
    const isThere = (name: string): boolean =>
      (require.resolve.paths(name) ?? []).some((folder) => existsSync(join(folder, name, 'package.json')));
    return packageFinding(engine, require, isThere, packageRoot());
  },
};
