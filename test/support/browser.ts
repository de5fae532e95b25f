// Headless Chromium for tests of the web page: the system's own, found by name; driven by playwright-core.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { hasProgram } from '../../src/cli/lab/process.ts';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const program = ['chromium', 'chromium-browser', 'google-chrome'].find(hasProgram);

/** Why there can be no browser; null when there can. */
export const browserObstacle: string | null = program === undefined ? 'needs chromium' : null;

export class Browser {
  readonly context: BrowserContext;
  readonly #folder: string;

  private constructor(context: BrowserContext, folder: string) {
    this.context = context;
    this.#folder = folder;
  }

  /** @param prefix words before the browser's own: where it runs. */
  static async start(prefix: readonly string[] = []): Promise<Browser> {
    const folder = mkdtempSync(join(tmpdir(), 'browser-'));
    const wrapper = join(folder, 'chromium.sh');
    writeFileSync(wrapper, `#!/bin/sh\nexec ${prefix.join(' ')} ${program} "$@"\n`, { mode: 0o755 });
    const context = await chromium.launchPersistentContext(join(folder, 'profile'), {
      executablePath: wrapper,
      args: FLAGS,
      chromiumSandbox: false,
    });
    return new Browser(context, folder);
  }

  async open(url: string, size: { width: number; height: number }, dark = false): Promise<Page> {
    const page = await this.context.newPage();
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme: dark ? 'dark' : 'light' });
    await page.goto(url);
    return page;
  }

  async stop(): Promise<void> {
    await this.context.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
