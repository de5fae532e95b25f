// The web page's markup. Its style is style.ts, its script app.ts. assets.ts serves it.
import { createHash } from 'node:crypto';

/** Tells the browser where the chart library lies; inline, so the policy names its hash. */
const IMPORT_MAP = '{"imports":{"uplot":"/uplot.js"}}';

/** For the page's Content-Security-Policy. */
export const IMPORT_MAP_HASH = `'sha256-${createHash('sha256').update(IMPORT_MAP).digest('base64')}'`;

const TILES = [
  ['commands', 'Commands/s'],
  ['p50', 'Median command'],
  ['p99', '99th percentile'],
  ['clients', 'Clients'],
  ['in', 'Received/s'],
  ['out', 'Sent/s'],
  ['memory', 'Memory'],
  ['cpu', 'Core in use'],
]
  .map(([id, label]) => `<div class="tile"><dt id="label-${id}">${label}</dt><dd id="tile-${id}">–</dd></div>`)
  .join('');

export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>wiredis</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='3' fill='%230b7285'/%3E%3Cpath d='M2 10h3l2-6 2 9 2-5h3' fill='none' stroke='%23fff' stroke-width='1.6'/%3E%3C/svg%3E">
<link rel="stylesheet" href="/uplot.css">
<link rel="stylesheet" href="/style.css">
<script type="importmap">${IMPORT_MAP}</script>
<script type="module" src="/app.js"></script>
</head>
<body>
<a class="skip" href="#connections">To the connections</a>
<header>
  <h1>wiredis</h1>
  <p id="identity">connecting…</p>
  <p id="status" role="status">connecting</p>
  <button id="pause" type="button" aria-pressed="false" title="Hold the page still (p)">Pause</button>
  <button id="theme" type="button" title="Light or dark (t)">Theme</button>
</header>
<main>
  <dl class="tiles">${TILES}</dl>
  <section class="wide" aria-labelledby="h-throughput">
    <h2 id="h-throughput">Throughput</h2>
    <div id="throughput" class="chart" role="img" aria-label="Commands, and bytes both ways, by second"></div>
  </section>
  <section class="wide" aria-labelledby="h-latency">
    <h2 id="h-latency">Command latency</h2>
    <canvas id="heat" role="img" aria-label="How many commands took how long, by second"></canvas>
    <p class="note" id="latency-note">Each column is a second, each row a range of times in the core; darker rows hold more commands.</p>
  </section>
  <section aria-labelledby="h-budget">
    <h2 id="h-budget">Tick budget</h2>
    <div id="budget-bar" class="bar" role="img" aria-label="What the core's time was spent on"></div>
    <table class="plain"><tbody id="budget"></tbody></table>
  </section>
  <section aria-labelledby="h-busiest">
    <h2 id="h-busiest">Busiest commands</h2>
    <table class="plain"><thead><tr><th scope="col" id="label-busiest">Command</th><th scope="col" id="label-calls">Calls/s</th><th scope="col">Mean</th></tr></thead><tbody id="busiest"></tbody></table>
  </section>
  <section aria-labelledby="h-drops">
    <h2 id="h-drops">Drop reasons</h2>
    <table class="plain"><tbody id="drops"></tbody></table>
  </section>
  <section class="full" aria-labelledby="h-sequence" id="sequence-section" hidden>
    <h2 id="h-sequence">Sequence plot</h2>
    <div class="tools"><p id="sequence-note"></p><button id="sequence-close" type="button" title="Stop recording (Esc)">Close</button></div>
    <div id="sequence" class="chart tall" role="img" aria-label="Sequence numbers over time"></div>
    <ul class="legend"><li class="sent">sent</li><li class="again">sent again</li><li class="ack">acknowledged</li><li class="window">peer's window</li></ul>
  </section>
  <section class="full" aria-labelledby="h-connections" id="connections">
    <h2 id="h-connections">Connections <span id="connection-count"></span></h2>
    <div class="tools"><label>Search <input id="search" type="search" placeholder="address, name, command, state" autocomplete="off" title="/"></label></div>
    <div class="scroll" tabindex="0" role="region" aria-label="Connections">
      <table id="connection-table"><thead></thead><tbody></tbody></table>
    </div>
  </section>
</main>
<footer>Keys: <kbd>/</kbd> search, <kbd>p</kbd> pause, <kbd>t</kbd> theme, <kbd>↑</kbd><kbd>↓</kbd> rows, <kbd>Enter</kbd> sequence plot, <kbd>Esc</kbd> close. <a href="/metrics">Prometheus metrics</a></footer>
</body>
</html>
`;
