// Bulk transfers between us and Linux through `wiredis impair`: loss, reordering, and a router that drops in silence what is
// too long for it. No speeds are claimed here (scripts/goodput measures them), only that nothing comes to a standstill.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { GoodputLab } from '../../src/cli/goodput/lab.ts';
import { describeLab, dist } from './fixture.ts';

/** A fiftieth of the link. */
const RATE_MIN = 400_000;
const link = { rate: '20mbit', queue: '256kb' };

describeLab('a bad network', () => {
  let lab: GoodputLab;

  beforeAll(async () => {
    // The built one: it starts programs that lie beside it.
    const { GoodputLab: Built } = await import(pathToFileURL(join(dist, 'src', 'cli', 'goodput', 'lab.js')).href);
    lab = new Built(`wdbad-${process.pid}`);
    await lab.up();
  });

  afterAll(async () => {
    await lab?.down();
  });

  const bad = { rttMs: 20, lossPercent: 1, reorderPercent: 5 };
  for (const flow of ['wiredis-sends', 'wiredis-receives'] as const) {
    it(`${flow}: 1 % lost, 5 % reordered`, async () => {
      const rate = await lab.measure(bad, link, { flow, connections: 2, seconds: 3, seed: 1 });
      expect(rate).toBeGreaterThan(RATE_MIN);
    });
  }

  it('finds its way past a router that drops long packets and says nothing (RFC 4821)', async () => {
    const cell = { rttMs: 20, lossPercent: 0, reorderPercent: 0 };
    const transfer = { flow: 'wiredis-sends', connections: 1, seconds: 8, seed: 1 } as const;
    const rate = await lab.measure(cell, { ...link, mtu: 1400 }, transfer);
    expect(rate).toBeGreaterThan(RATE_MIN);
  });
});
