// A SYN flood beside its control: the same flood at the same rate, against the same interface, whose XDP program drops every
// frame of the flood before anything else is done with it. Nobody who receives on that machine can do better, so what
// clients keep here, divided by what they keep there, is what our defence costs them. Rounds alternate; medians. For
// scripts/syn-flood.sh, on a quiet machine: WIREDIS_FLOOD_ROUNDS rounds, WIREDIS_FLOOD_RATE SYNs a second (0: all).
import { cpSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeLab, dist, linkOf, openLab, root } from './fixture.ts';
import { AT_SERVER, type Effect, FloodGround, keptOf, median, NOWHERE } from './flood.ts';

const ROUNDS = Number(process.env.WIREDIS_FLOOD_ROUNDS ?? 0);
const RATE = Number(process.env.WIREDIS_FLOOD_RATE ?? 0);
const CLIENTS = Number(process.env.WIREDIS_FLOOD_CLIENTS ?? 4);
/** Three turns each. */
const SECONDS = 7;
/** What clients keep of what nobody could better. */
const RATIO_MIN = 0.9;

/** A build whose gate drops at once. @returns its folder, and the one to remove. */
function makeControlBuild(): { built: string; folder: string } {
  const folder = mkdtempSync(join(tmpdir(), 'wiredis-drop-at-once-'));
  const built = join(folder, 'dist');
  cpSync(dist, built, { recursive: true });
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const linux = join(built, 'io-engine', 'linux');
  renameSync(join(linux, 'syn-gate.js'), join(linux, 'syn-gate-original.js'));
  cpSync(join(root, 'test', 'lab', 'clients', 'drop-at-once.js'), join(linux, 'syn-gate.js'));
  return { built, folder };
}

describeLab('SYN flood beside its control', () => {
  const over = 'afxdp';
  let ground: FloodGround;
  let control: ReturnType<typeof makeControlBuild>;

  beforeAll(async () => {
    if (ROUNDS === 0) return;
    control = makeControlBuild();
    ground = await FloodGround.prepare(await openLab(), { over, rate: RATE, clients: CLIENTS });
  });

  afterAll(async () => {
    await ground?.lab.down();
    if (control !== undefined) rmSync(control.folder, { recursive: true, force: true });
  });

  /** One server, one flood. @returns what clients kept, and how many SYNs had a cookie. */
  async function measure(built: string): Promise<{ effect: Effect; cookies: number }> {
    const { veth, serverAddress: address } = linkOf(ground.lab, over);
    const server = await ground.startServer({ dist: built });
    const victim = { address, veth, server };
    try {
      await ground.flood(victim, 1);
      const effect = await ground.floodInTurns(victim, SECONDS);
      return { effect, cookies: Number((await server.info()).get('tcpSynCookiesSent')) };
    } finally {
      await server.stop();
    }
  }

  it.runIf(ROUNDS > 0)(
    `clients keep ${RATIO_MIN * 100}% of what they keep where all of it is dropped at once`,
    async () => {
      const rows: { ours: number; control: number; ratio: number; sent: number[]; rps: number[][] }[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const ours = await measure(dist);
        const beside = await measure(control.built);
        expect(ours.cookies).toBeGreaterThan(1000);
        expect(beside.cookies).toBe(0);
        const kept = [keptOf(ours.effect), keptOf(beside.effect)];
        const sent = [ours, beside].map(({ effect }) => Math.round(effect.sent[AT_SERVER]));
        const rps = [ours, beside].map(({ effect }) =>
          [AT_SERVER, NOWHERE].map((turn) => Math.round(median(effect.rates[turn]))),
        );
        rows.push({ ours: kept[0], control: kept[1], ratio: kept[0] / kept[1], sent, rps });
        console.log(`round ${round + 1}: ${JSON.stringify(rows.at(-1))}`);
      }
      const of = (column: 'ours' | 'control' | 'ratio'): string => {
        const values = rows.map((row) => row[column]);
        return `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)})`;
      };
      const rate = (i: number): string =>
        Math.round(median(rows.map(({ sent }) => sent[i])) / 1000).toLocaleString('en');
      const asked = RATE === 0 ? 'all' : RATE.toLocaleString('en');
      console.log(
        `| ${asked}: ${rate(0)},000 here, ${rate(1)},000 there | ${CLIENTS} | ${of('ours')} | ${of('control')} | ${of('ratio')} |`,
      );
      expect(median(rows.map(({ ratio }) => ratio))).toBeGreaterThanOrEqual(RATIO_MIN);
    },
    3_600_000,
  );
});
