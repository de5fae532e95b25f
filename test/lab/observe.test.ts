// The metrics port of a server on its own stack, under load: the stack's figures for Prometheus, and the web page in a real
// browser, from a laptop's screen to a phone's. Whoever looks must not cost a request. WIREDIS_SCREENSHOTS=FOLDER keeps
// what the browser saw.
import { once } from 'node:events';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Lab } from '../../src/cli/lab/lab.ts';
import { Browser, browserObstacle } from '../support/browser.ts';
import { describeLab, eventually, LabServer, linkOf, OVER, openLab } from './fixture.ts';

const METRICS = 9121;
const URL = `http://127.0.0.1:${METRICS}`;
const LAPTOP = { width: 1366, height: 900 };
const PHONE = { width: 390, height: 844 };
const over = OVER.find((name) => name === 'afxdp' || name === 'afpacket');

describeLab('the metrics port', () => {
  let lab: Lab;
  let server: LabServer;
  let load: ReturnType<Lab['start']> | null = null;
  let loadSaid = '';

  beforeAll(async () => {
    lab = await openLab();
    if (over === undefined) return;
    const words = ['--metrics-port', String(METRICS), '--save', ''];
    server = await LabServer.start(lab, { over, arguments: words });
    const { serverAddress } = linkOf(lab, over);
    const benchmark = [
      'redis-benchmark',
      '-h',
      serverAddress,
      '-t',
      'set',
      '-n',
      '100000000',
      '-c',
      '4',
      '-d',
      '2000',
      '-q',
    ];
    load = lab.start('client', benchmark, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [load.stdout!, load.stderr!]) stream.on('data', (data) => (loadSaid += data));
  });

  afterAll(async () => {
    load?.kill('SIGKILL');
    await server?.stop();
    await lab?.down();
  });

  const curl = (path: string): Promise<string> => lab.must('server', ['curl', '-sS', '-m', '10', `${URL}${path}`]);

  it.skipIf(over === undefined)("tells the stack's figures, under the names of node_exporter", async () => {
    const value = (text: string, name: string): number =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(name))
          ?.split(' ')
          .at(-1) ?? Number.NaN,
      );
    const before = await curl('/metrics');
    const after = await eventually(
      () => curl('/metrics'),
      (text) => value(text, 'redis_commands_processed_total') > value(before, 'redis_commands_processed_total') + 1000,
      30_000,
    );
    const grown = (name: string): number => value(after, name) - value(before, name);
    expect(grown('node_netstat_Tcp_InSegs')).toBeGreaterThan(1000);
    // SETs of 2,000 bytes.
    expect(grown('node_network_receive_bytes_total')).toBeGreaterThan(2_000_000);
    expect(value(after, 'node_netstat_Tcp_CurrEstab')).toBe(4);
    expect(value(after, 'wiredis_time_in_stack_usec_count')).toBeGreaterThan(0);
    expect(value(after, 'wiredis_tick_seconds_total{part="output"}')).toBeGreaterThan(0);
  });

  it.skipIf(over === undefined)('records the segments of the connection that is looked at', async () => {
    const { rows } = JSON.parse(await curl('/api/connections')) as { rows: { id: number; tcp: { state: string } }[] };
    expect(rows).toHaveLength(4);
    expect(rows[0].tcp.state).toBe('ESTABLISHED');
    const stream = await lab.run('server', [
      'curl',
      '-sSN',
      '-m',
      '2',
      `${URL}/api/connections/${rows[0].id}/sequence`,
    ]);
    const events = stream.stdout.split('\n\n').filter((line) => line.startsWith('data: {') && line.endsWith('}'));
    const points = events.flatMap((line) => JSON.parse(line.slice(6)).points ?? []) as [
      string,
      number,
      number,
      number,
    ][];
    const kinds = new Set(points.map(([kind]) => kind));
    expect([...kinds]).toEqual(expect.arrayContaining(['s', 'a', 'd']));
    const sent = points.filter(([kind]) => kind === 's');
    // Replies are '+OK\r\n', and each begins where one before it ended.
    expect(sent.every(([, , sequence, length]) => sequence % 5 === 0 && length % 5 === 0)).toBe(true);
    const times = points.map(([, at]) => at);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  const inBrowser = browserObstacle === null ? '' : ` [skipped: ${browserObstacle}]`;

  it.skipIf(over === undefined || browserObstacle !== null)(`shows it all in a browser${inBrowser}`, async () => {
    const browser = await Browser.start(['ip', 'netns', 'exec', lab.plan.namespaces.server]);
    const errors: string[] = [];
    try {
      const page = await browser.open(URL, LAPTOP);
      page.on('pageerror', (error) => errors.push(error.message));
      page.on('console', (line) => line.type() === 'error' && errors.push(line.text()));
      await page.waitForFunction(() => /\d/.test(document.getElementById('tile-commands')?.textContent ?? ''));
      await page.waitForFunction(() => document.querySelectorAll('#connection-table tbody tr').length === 4);
      expect(await page.locator('#status').textContent()).toBe('live');
      expect(await page.locator('#budget tr').count()).toBe(6);
      expect(await inkOf(page, '#throughput canvas')).toBeGreaterThan(100);
      expect(await page.locator('#throughput').textContent()).toContain('commands/s');
      expect(await inkOf(page, '#heat')).toBeGreaterThan(100);
      await sortsAndSearches(page);
      await picture(page, 'laptop-light');
      await plotsASequence(page);
      await page.emulateMedia({ colorScheme: 'dark' });
      await picture(page, 'laptop-dark');
      await page.setViewportSize(PHONE);
      // The charts follow with the browser's next frame; the page never waits for them.
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(PHONE.width);
      await page.waitForFunction(() =>
        [...document.querySelectorAll('#throughput canvas, #sequence canvas, #heat')].every(
          (canvas) => canvas.clientWidth > 200 && canvas.clientWidth <= canvas.closest('section')!.clientWidth,
        ),
      );
      await picture(page, 'phone-dark');
      await page.keyboard.press('Escape');
      expect(await page.locator('#sequence-section').isHidden()).toBe(true);
      expect(errors).toEqual([]);
    } finally {
      await browser.stop();
    }
  });

  it.skipIf(over === undefined)('has cost no request', async () => {
    expect(load!.exitCode).toBeNull();
    expect(loadSaid).not.toMatch(/error/i);
    const ended = once(load!, 'exit');
    load!.kill('SIGTERM');
    await ended;
    expect((await server.cli(['PING'])).stdout.trim()).toBe('PONG');
  });
});

describeLab("a relay's metrics port", () => {
  it.skipIf(over === undefined || browserObstacle !== null)('shows answers in a browser', async () => {
    const lab = await openLab();
    const relay = ['--core', 'relay', '--relay-spawn', "redis-server --save ''"];
    const words = [...relay, '--metrics-port', String(METRICS)];
    const server = await LabServer.start(lab, { over: over!, arguments: words });
    const all = ['redis-benchmark', '-h', server.address, '-t', 'set', '-n', '100000000', '-c', '4', '-d', '500', '-q'];
    const load = lab.start('client', all, { stdio: 'ignore' });
    const browser = await Browser.start(['ip', 'netns', 'exec', lab.plan.namespaces.server]);
    try {
      const page = await browser.open(URL, LAPTOP);
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(error.message));
      await page.waitForFunction(() => /[1-9]/.test(document.getElementById('tile-commands')?.textContent ?? ''));
      await page.waitForFunction(() => document.querySelectorAll('#connection-table tbody tr').length >= 4);
      expect(await page.locator('#label-commands').textContent()).toBe('Answers/s');
      expect(await page.locator('#throughput').textContent()).toContain('answers/s');
      expect(await page.locator('#tile-p50').textContent()).toMatch(/\d/);
      expect(await page.locator('#busiest').textContent()).toMatch(/^6379 to unix:/);
      await plotsASequence(page);
      await picture(page, 'relay-laptop');
      expect(errors).toEqual([]);
      expect(load.exitCode).toBeNull();
    } finally {
      await browser.stop();
      load.kill('SIGKILL');
      await server.stop();
      await lab.down();
    }
  });
});

async function sortsAndSearches(page: Page): Promise<void> {
  const ids = (): Promise<number[]> =>
    page.$$eval('#connection-table tbody tr', (rows) => rows.map((row) => Number((row as HTMLElement).dataset.id)));
  const ascending = await ids();
  await page.getByRole('button', { name: 'Id ↑' }).click();
  expect(await ids()).toEqual([...ascending].reverse());
  await page.keyboard.press('/');
  await page.keyboard.type('no such connection');
  expect(await page.locator('#connection-count').textContent()).toBe('0 of 4');
  await page.fill('#search', 'established set');
  expect(await page.locator('#connection-count').textContent()).toBe('4');
  await page.fill('#search', '');
}

/** By keys alone: into the table, a row down, Enter. */
async function plotsASequence(page: Page): Promise<void> {
  await page.locator('#connection-table tbody tr').first().focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() =>
    / [1-9]\d* points/.test(document.getElementById('sequence-note')?.textContent ?? ''),
  );
  expect(await inkOf(page, '#sequence canvas')).toBeGreaterThan(50);
}

/** Pixels of a canvas that are not empty. */
function inkOf(page: Page, selector: string): Promise<number> {
  return page.$eval(selector, (node) => {
    const canvas = node as HTMLCanvasElement;
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
    let ink = 0;
    for (let i = 3; i < data.length; i += 4) if (data[i] > 0) ink++;
    return ink;
  });
}

async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.WIREDIS_SCREENSHOTS;
  const image = await page.screenshot({ fullPage: true, ...(folder ? { path: join(folder, `${name}.png`) } : {}) });
  expect(image.length).toBeGreaterThan(20_000);
}
