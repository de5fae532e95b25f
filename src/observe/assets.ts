// What the web page is made of, read once: its own files beside this one, and the chart library's from its package.
// observe-server.ts serves them; nothing comes from anywhere else.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { PAGE } from './web/page.ts';
import { STYLE } from './web/style.ts';

export interface Asset {
  readonly type: string;
  readonly text: string;
}

const SCRIPT = 'text/javascript; charset=utf-8';
const CSS = 'text/css; charset=utf-8';
/** Modules that the browser loads; the build leaves them beside this file. */
const SCRIPTS = ['app', 'charts', 'connections', 'sequence', 'text'];

/** By path. Without the build (a test that runs the sources) the page has no scripts. */
export function pageAssets(): ReadonlyMap<string, Asset> {
  const chartLibrary = join(dirname(createRequire(import.meta.url).resolve('uplot')), '');
  const read = (name: string): string => readFileSync(join(chartLibrary, name), 'utf8');
  const assets = new Map<string, Asset>([
    ['/', { type: 'text/html; charset=utf-8', text: PAGE }],
    ['/style.css', { type: CSS, text: STYLE }],
    ['/uplot.css', { type: CSS, text: read('uPlot.min.css') }],
    ['/uplot.js', { type: SCRIPT, text: read('uPlot.esm.js') }],
  ]);
  for (const name of SCRIPTS) {
    const text = builtScript(name);
    if (text !== null) assets.set(`/${name}.js`, { type: SCRIPT, text });
  }
  return assets;
}

function builtScript(name: string): string | null {
  try {
    return readFileSync(new URL(`./web/${name}.js`, import.meta.url), 'utf8').replace(/\n\/\/# sourceMappingURL.*/, '');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
