// The package as `npm pack` makes it, and its installation into a clean prefix, for tests of what people install.
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const QUIET = ['--no-audit', '--no-fund', '--loglevel', 'error'];
const NO_REGISTRY = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTCACHED|ENETUNREACH/;

export const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly files: readonly string[];
  readonly version: string;
};

/** Builds and packs into `folder`. @returns the tarball's path. */
export async function packTarball(folder: string): Promise<string> {
  const source = join(folder, 'source');
  for (const name of ['package.json', ...manifest.files.filter((name) => !name.startsWith('dist'))]) {
    if (existsSync(name)) cpSync(name, join(source, name), { recursive: true });
  }
  const compiler = resolve('node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', join(source, 'dist')]);
  await npm(process.execPath, ['pack', source, '--pack-destination', folder, '--ignore-scripts'], folder);
  return join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz'))!);
}

/**
 * `npm install -g` into a prefix of its own, by a given Node.
 * @returns null, or why the registry could not be had. @throws Error whatever else went wrong.
 */
export async function installGlobally(node: string, tarball: string, prefix: string): Promise<string | null> {
  const words = [
    'install',
    '-g',
    '--prefix',
    prefix,
    '--prefer-offline',
    '--omit=optional',
    '--ignore-scripts',
    tarball,
  ];
  return tryRegistry(() => npm(node, words, dirname(tarball)));
}

/** @returns null, or the reason when there is no registry to be had. */
export async function tryRegistry(use: () => Promise<unknown>): Promise<string | null> {
  try {
    await use();
    return null;
  } catch (error) {
    const text = String((error as { stderr?: string }).stderr ?? error);
    if (!NO_REGISTRY.test(text)) throw error;
    return `no registry: ${text.split('\n')[0]}`;
  }
}

/** npm run by a given Node. @returns its stdout. */
export async function npm(node: string, words: readonly string[], cwd: string): Promise<string> {
  const path = (process.env.PATH ?? '').split(delimiter);
  const program = path.map((place) => join(place, 'npm')).find(existsSync)!;
  const env = { ...process.env, PATH: [dirname(node), ...path].join(delimiter) };
  return (await run(node, [realpathSync(program), ...words, ...QUIET], { cwd, env, timeout: 200_000 })).stdout;
}
