// Every script says what it is for: --help prints the whole comment that it begins with, and does nothing else.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Sourced by others. */
const PARTS = ['help.sh', 'lab-server.sh', 'long-test.sh'];
/** Of wiredis itself, with its own help. */
const WRAPPERS = ['goodput', 'impair', 'lab.sh', 'tool.sh'];

const scripts = ['scripts', 'scripts/bench']
  .flatMap((folder) => readdirSync(folder, { withFileTypes: true }).map((entry) => ({ folder, entry })))
  .filter(({ entry }) => entry.isFile() && /^[^.]*(\.sh)?$/.test(entry.name))
  .filter(({ entry }) => ![...PARTS, ...WRAPPERS].includes(entry.name))
  .map(({ folder, entry }) => join(folder, entry.name));

describe('scripts', () => {
  it('are found', () => {
    expect(scripts).toEqual(expect.arrayContaining(['scripts/test.sh', 'scripts/bench/snapshots.sh']));
  });

  it.each(scripts)('%s --help', (script) => {
    accessSync(script, constants.X_OK);
    const comment = /^#!\/bin\/sh\n((?:#.*\n)+)/.exec(readFileSync(script, 'utf8'))?.[1] ?? '';
    expect(comment.split('\n').length).toBeGreaterThan(2);
    const { status, stdout, stderr } = spawnSync('sh', [script, '--help'], { encoding: 'utf8' });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: comment.replace(/^# ?/gm, ''), stderr: '' });
  });
});
