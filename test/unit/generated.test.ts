// Files that are made from the code: each must be what the code makes now. 'npm run generate' writes them.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { dashboard } from '../../scripts/generated/grafana-dashboard.ts';
import { netdevReference } from '../../scripts/generated/netdev-reference.ts';
import { createConfig } from '../../src/core/config.ts';

const FILES: Readonly<Record<string, () => string>> = {
  'docs/netdev-conf.md': netdevReference,
  'packaging/grafana/wiredis.json': () => `${JSON.stringify(dashboard(), null, 1)}\n`,
};

describe('generated files', () => {
  it.each(Object.entries(FILES))('%s is current', (path, make) => {
    if (process.env.WIREDIS_GENERATE === '1') {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, make());
    }
    const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
    expect(text === make(), `${path} is not what the code makes: run 'npm run generate'`).toBe(true);
  });
});

describe('the dashboard', () => {
  it('has panels that do not overlap, each with a query', () => {
    const { panels } = dashboard() as {
      panels: { id: number; gridPos: { x: number; y: number }; targets: unknown[] }[];
    };
    expect(new Set(panels.map(({ gridPos }) => `${gridPos.x} ${gridPos.y}`)).size).toBe(panels.length);
    for (const { targets } of panels) expect(targets.length).toBeGreaterThan(0);
    expect(createConfig().metricsPort).toBe(0);
  });
});
