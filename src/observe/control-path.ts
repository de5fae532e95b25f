// Where the control sockets of running servers are: one a process, in a folder that only its user can enter. The server
// makes it, the tools look there for whoever runs. Imported by control-server.ts and control-client.ts.
import { lstatSync, mkdirSync, readdirSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SUFFIX = '.sock';

/** RuntimeDirectory= of the unit that install-service.sh writes: the service's user has it, root looks there too. */
const SERVICE_FOLDER = '/run/wiredis-service';

/** A service's is where the service manager says, root's in /run, everybody else's in the folder for temporary files. */
function controlFolder(): string {
  const { RUNTIME_DIRECTORY: given } = process.env;
  if (given?.startsWith('/')) return given.split(':')[0];
  const uid = process.getuid?.() ?? 0;
  return uid === 0 ? '/run/wiredis' : join(tmpdir(), `wiredis-${uid}`);
}

/** The path of this process's socket. @throws Error when the folder cannot be made, or somebody else has made it. */
export function ownControlPath(): string {
  const folder = controlFolder();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!isOurs(folder)) throw new Error(`${folder} is not a folder that only we can write to`);
  removeDead(folder);
  return join(folder, `${process.pid}${SUFFIX}`);
}

/** Sockets of servers that may be running, and the processes they belong to. */
export function listControlPaths(): { readonly path: string; readonly pid: number }[] {
  const own = controlFolder();
  const folders = isOurs(own) ? [own] : [];
  if (process.getuid?.() === 0 && isFolder(SERVICE_FOLDER)) folders.push(SERVICE_FOLDER);
  return folders
    .flatMap((folder) => sockets(folder).map((name) => ({ path: join(folder, name), pid: Number.parseInt(name, 10) })))
    .filter(({ pid }) => isAlive(pid));
}

function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** In a folder that all may write to, another user could have put one with this name first. */
function isOurs(folder: string): boolean {
  try {
    const { uid, mode } = lstatSync(folder);
    return uid === (process.getuid?.() ?? 0) && (mode & 0o170022) === 0o040000;
  } catch {
    return false;
  }
}

function sockets(folder: string): string[] {
  return readdirSync(folder).filter((name) => /^\d+\.sock$/.test(name));
}

function removeDead(folder: string): void {
  for (const name of sockets(folder)) {
    if (isAlive(Number.parseInt(name, 10))) continue;
    try {
      unlinkSync(join(folder, name));
    } catch {
      // Another server that begins has done so.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
