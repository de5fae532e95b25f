// Every script beside this file, against our stack on virtual time. README.md in this folder describes the language.
// PACKETS=part of a path runs only those.
import { describe, expect, it } from 'vitest';
import { loadScripts } from '../support/packet-script/files.ts';
import { runScript } from '../support/packet-script/runner.ts';
import { StackTarget } from '../support/packet-script/stack-target.ts';

const chosen = process.env.PACKETS ?? '';

describe('packet scripts', () => {
  const scripts = loadScripts();

  it('are at least 150', () => {
    expect(scripts.length).toBeGreaterThanOrEqual(150);
  });

  for (const script of scripts.filter(({ file }) => file.includes(chosen))) {
    it(`${script.file}: ${script.title}`, async () => {
      const target = new StackTarget(script);
      try {
        await runScript(script, target);
      } finally {
        await target.close();
      }
    });
  }
});
