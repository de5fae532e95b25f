// This package's version, from package.json. Anyone above core/ may import it.
import { readFileSync } from 'node:fs';

export function packageVersion(): string {
  // From dist/src as well as from src.
  for (const up of ['../package.json', '../../package.json']) {
    try {
      const parsed = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as { version?: string };
      if (parsed.version !== undefined) return parsed.version;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
  }
  return '0.0.0';
}
