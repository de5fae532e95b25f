// The web page's style: two themes by custom properties, one column on a phone, a grid on wider screens.
export const STYLE = `
:root {
  color-scheme: light dark;
  --bg: light-dark(#f6f7f9, #14171c);
  --panel: light-dark(#ffffff, #1d2128);
  --line: light-dark(#d9dde3, #333a45);
  --text: light-dark(#1b2027, #e6e9ee);
  --dim: light-dark(#59626f, #9aa4b2);
  --accent: light-dark(#0b7285, #3bc9db);
  --second: light-dark(#b35c00, #ffa94d);
  --third: light-dark(#5f3dc4, #b197fc);
  --bad: light-dark(#c92a2a, #ff8787);
  --good: light-dark(#2b8a3e, #69db7c);
  --heat: light-dark(11 114 133, 59 201 219);
}
:root[data-theme='light'] { color-scheme: light; }
:root[data-theme='dark'] { color-scheme: dark; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--text); font: 15px/1.45 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem .9rem; padding: .6rem 1rem; border-bottom: 1px solid var(--line); background: var(--panel); position: sticky; top: 0; z-index: 5; }
h1 { margin: 0; font-size: 1.15rem; letter-spacing: .01em; }
h2 { margin: 0 0 .5rem; font-size: .95rem; font-weight: 600; }
header p { margin: 0; color: var(--dim); }
#identity { flex: 1; min-width: 10rem; overflow-wrap: anywhere; }
#status::before { content: ''; display: inline-block; width: .6em; height: .6em; border-radius: 50%; margin-right: .4em; background: var(--second); }
#status[data-state='live']::before { background: var(--good); }
#status[data-state='lost']::before { background: var(--bad); }
button, input { font: inherit; color: inherit; background: var(--bg); border: 1px solid var(--line); border-radius: 6px; padding: .25rem .6rem; }
button { cursor: pointer; }
button[aria-pressed='true'] { border-color: var(--accent); color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
main { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: .8rem; padding: .8rem 1rem; max-width: 1500px; margin: 0 auto; }
section { grid-column: span 2; background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: .8rem; min-width: 0; }
section.wide { grid-column: span 3; }
section.full, .tiles { grid-column: 1 / -1; }
section[hidden] { display: none; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .6rem; margin: 0; }
.tile { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: .5rem .8rem; }
.tile dt { color: var(--dim); font-size: .8rem; }
.tile dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
.chart { width: 100%; min-height: 200px; overflow: hidden; }
.chart.tall { min-height: 320px; }
#heat { width: 100%; height: 205px; display: block; }
.note { margin: .35rem 0 0; color: var(--dim); font-size: .8rem; }
.bar { display: flex; height: 1.3rem; border-radius: 5px; overflow: hidden; background: var(--bg); margin-bottom: .5rem; }
.bar span { min-width: 0; }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .5em; vertical-align: -.05em; }
.part-receive { background: var(--accent); } .part-commands { background: var(--second); } .part-persistence { background: var(--third); }
.part-transmit { background: var(--good); } .part-other { background: var(--dim); } .part-idle { background: var(--line); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
td, th { text-align: left; padding: .25rem .5rem; white-space: nowrap; }
th { font-weight: 600; color: var(--dim); font-size: .85rem; }
td.number, th.number { text-align: right; }
table.plain td:first-child { white-space: normal; overflow-wrap: anywhere; }
table.plain td:not(:first-child), table.plain th:not(:first-child) { text-align: right; }
table.plain tr + tr td, #connection-table td { border-top: 1px solid var(--line); }
#connection-table th { position: sticky; top: 0; background: var(--panel); padding: 0; }
#connection-table th button { border: 0; background: none; width: 100%; text-align: inherit; font-weight: inherit; padding: .3rem .5rem; border-radius: 0; white-space: nowrap; }
#connection-table th[aria-sort] button { color: var(--accent); }
#connection-table tbody tr { cursor: pointer; }
#connection-table tbody tr:hover, #connection-table tbody tr:focus { background: color-mix(in srgb, var(--accent) 12%, transparent); outline: none; }
#connection-table tbody tr[aria-selected='true'] { box-shadow: inset 3px 0 var(--accent); }
#connection-table tbody tr.trouble td.again { color: var(--bad); font-weight: 600; }
#connection-count { color: var(--dim); font-weight: 400; }
.scroll { overflow: auto; max-height: 26rem; }
.tools { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; justify-content: space-between; margin-bottom: .5rem; }
.tools p { margin: 0; color: var(--dim); }
.tools label { display: flex; gap: .5rem; align-items: center; flex: 1; }
.tools input { flex: 1; max-width: 26rem; min-width: 0; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; margin: .4rem 0 0; padding: 0; color: var(--dim); font-size: .85rem; }
.legend li::before { content: ''; display: inline-block; width: 1em; height: .3em; margin-right: .4em; vertical-align: .2em; background: currentColor; }
.legend .sent::before { background: var(--accent); } .legend .again::before { background: var(--bad); }
.legend .ack::before { background: var(--good); } .legend .window::before { background: var(--second); }
.uplot, .uplot * { font-family: inherit; }
.u-legend { color: var(--dim); font-size: .8rem; }
.u-legend tr:first-child { display: none; }
.u-legend td, .u-legend th { padding: 0 .2rem; }
footer { padding: .4rem 1rem 1.2rem; color: var(--dim); font-size: .85rem; text-align: center; }
a { color: var(--accent); }
kbd { border: 1px solid var(--line); border-radius: 4px; padding: 0 .3em; font: inherit; }
.skip { position: absolute; left: -99rem; } .skip:focus { left: .5rem; top: .5rem; z-index: 9; background: var(--panel); padding: .4rem; }
.empty { color: var(--dim); }
@media (max-width: 900px) { section.wide { grid-column: 1 / -1; } section { grid-column: span 3; } #h-drops { display: block; } }
@media (max-width: 620px) {
  header { position: static; } main { padding: .6rem; gap: .6rem; } section { grid-column: 1 / -1; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); } .tile dd { font-size: 1.1rem; }
  footer kbd, footer { font-size: .8rem; }
  .scroll { max-height: 70vh; }
}
@media (prefers-reduced-motion: no-preference) { .bar span { transition: width .3s; } }
`;
