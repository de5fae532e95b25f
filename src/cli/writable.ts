// Whether this process may write to a file or folder. Imported by src/cli only.
import { accessSync, constants } from 'node:fs';

export function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
