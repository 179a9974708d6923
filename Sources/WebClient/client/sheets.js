// @ts-check
// How the elements look. A page sets `--carillon-…`, listed in elements.d.ts; `--_…` is what comes
// of it. Sides are logical, so all of it mirrors where one reads from right to left.

const palette = {
  surface: '#fff, #1b1e25',
  hover: '#f3f5f8, #262a33',
  unread: '#f1f5fe, #20283a',
  text: '#191c22, #eceef2',
  muted: '#59616e, #a8b0bd',
  border: '#e2e5ea, #363b46',
  accent: '#2356d0, #8fb3ff',
  badge: '#d1293d, #d1293d',
  green: '#17803d, #5fd38a',
  blue: '#2356d0, #8fb3ff',
  gray: '#59616e, #a8b0bd',
  purple: '#7a35c9, #c9a0ff',
  red: '#c3253a, #ff8b94',
  amber: '#8f5500, #f5b74e',
};
const colors = Object.entries(palette).map(([name, pair]) =>
  `--_${name}: var(--carillon-${name}, light-dark(${pair}));`);
const shadow = 'box-shadow: var(--carillon-shadow, 0 12px 40px #0003, 0 2px 8px #0002);';
const ring = 'outline: 2px solid var(--_accent);';

const css = {
  base: `
:host { color-scheme: var(--carillon-color-scheme, light dark); ${colors.join('')}
  --_radius: var(--carillon-radius, 12px); color: var(--_text);
  font: 14px/1.45 var(--carillon-font, system-ui, sans-serif) }
:host([theme=light]) { --carillon-color-scheme: light }
:host([theme=dark]) { --carillon-color-scheme: dark }
* { box-sizing: border-box; margin: 0 }
:is(a, button, select, h2, span, time, div, p):is([hidden], :empty):not(.icon, .mark, .dot) {
  display: none }
a { color: var(--_accent); text-decoration: none }
button, select { font: inherit; color: var(--_accent); background: none; border: 0; padding: 4px 8px;
  border-radius: 8px; cursor: pointer }
button:hover:enabled, .action:hover { background: var(--_hover) }
button:disabled { color: var(--_muted); cursor: default }
:focus-visible { ${ring} outline-offset: 1px }
svg { inline-size: 1em; fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round;
  stroke-linejoin: round }
@media (prefers-reduced-motion: reduce) { * { animation: none !important } }`,

  item: `
:host { display: block }
.item { position: relative; display: flex; gap: 12px; padding: 12px 16px }
:host([unread]) .item { background: var(--_unread) }
:host .item:hover { background: var(--_hover) }
:host([member]) .item { padding-inline-start: 62px }
.icon { flex: none; display: grid; place-items: center; inline-size: 36px; block-size: 36px;
  font-size: 19px; border-radius: 10px; background: color-mix(in srgb, currentColor 13%, #0000) }
:host([stacked]) .icon { box-shadow: 3px 3px var(--_surface), 4px 4px var(--_border) }
:host([member]) .icon { inline-size: 24px; block-size: 24px; font-size: 14px; border-radius: 7px }
.body { flex: 1; min-inline-size: 0; overflow-wrap: anywhere }
.title { color: inherit; cursor: pointer }
.title::after { content: ''; position: absolute; inset: 0 }
.title:focus-visible { outline: 0 }
.title:focus-visible::after { ${ring} outline-offset: -3px; border-radius: 8px }
:host([unread]) .title, .priority, .more, .action { font-weight: 600 }
.message { color: var(--_muted); white-space: pre-line; display: -webkit-box; overflow: hidden;
  -webkit-box-orient: vertical; -webkit-line-clamp: var(--carillon-lines, 3) }
:host([expanded]) .message { display: block }
.meta, .actions { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 12px;
  margin-block-start: 4px; font-size: 12px; color: var(--_muted) }
.priority { color: var(--_amber) }
:host([data-priority=urgent]) .priority { color: var(--_red) }
.more { padding: 3px 0 }
.more, .action, .dismiss { position: relative }
.actions { gap: 8px; margin-block-start: 8px }
.action { padding: 4px 12px; border: 1px solid var(--_border); border-radius: 8px;
  background: var(--_surface); font-size: 13px }
.mark { flex: none; inline-size: 8px; block-size: 8px; margin-block: 6px; border-radius: 50% }
:host([unread]) .mark { background: var(--_accent) }
:host(:not([unread])) .mark { visibility: hidden }
.dismiss { position: absolute; inset-block-start: 8px; inset-inline-end: 8px; display: flex;
  padding: 6px; color: var(--_muted); background: var(--_surface); border: 1px solid var(--_border) }
@media (hover) { .item:not(:hover, :focus-within) .dismiss { opacity: 0 } }
@media (forced-colors: active) {
  :host([unread]) .mark { background: Highlight; forced-color-adjust: none } }`,

  rows: `
:host { display: flex; flex-direction: column; overflow: hidden; background: var(--_surface);
  border: 1px solid var(--_border); border-radius: var(--_radius) }
carillon-item + carillon-item:not([member]) { border-block-start: 1px solid var(--_border) }
.header, .filters, .footer { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 8px;
  padding: 12px 16px }
.title { font-size: 16px; outline: 0 }
.count { font: 600 12px/20px inherit; color: var(--_accent); padding: 0 8px; border-radius: 9px;
  background: var(--_unread) }
.count + * { margin-inline-start: auto }
.header button { font-size: 13px; font-weight: 600 }
.scroll { overflow-y: auto; overscroll-behavior: contain; border: solid var(--_border);
  border-width: 1px 0; flex: 1 1 auto }
.footer { justify-content: space-between; font-size: 13px; font-weight: 600 }
.empty { padding: 40px 24px; text-align: center; color: var(--_muted) }
.empty svg { display: block; inline-size: 36px; margin: 0 auto 12px; opacity: .6 }`,

  panel: `
:host([popover]) { position: fixed; inset: auto; margin: 0; padding: 0; ${shadow}
  inline-size: min(var(--carillon-panel-width, 400px), 100vw - 16px);
  max-block-size: min(var(--carillon-panel-height, 560px), var(--_room, 100vh)) }
:host([popover]:not(:popover-open)) { display: none }`,

  status: `
:host { display: inline-flex; align-items: center; gap: 8px; color: var(--_muted);
  --_dot: var(--_amber) }
:host([data-state=connected]) { --_dot: var(--_green) }
:host(:is([data-state=error], [data-state^=dis], [data-state=offline])) { --_dot: var(--_gray) }
.dot { inline-size: 8px; block-size: 8px; border-radius: 50%; background: var(--_dot) }
:host([data-state$=connecting]) .dot { animation: pulse 1s infinite alternate }
@keyframes pulse { to { opacity: .3 } }
@media (forced-colors: active) { .dot { background: CanvasText; forced-color-adjust: none } }`,

  bell: `
:host { display: inline-block }
.bell { position: relative; display: grid; place-items: center; inline-size: 40px; block-size: 40px;
  padding: 0; font-size: 22px; color: inherit; border-radius: 50% }
.badge { position: absolute; inset-block-start: 0; inset-inline-start: 50%; min-inline-size: 18px;
  padding: 0 4px; border-radius: 9px; background: var(--_badge); color: #fff; text-align: center;
  font: 700 11px/18px var(--carillon-font, system-ui, sans-serif) }
carillon-status { position: absolute; inset: auto 6px 6px auto; inset-inline: auto 6px }
carillon-status::part(label) { display: none }
carillon-status::part(dot) { box-shadow: 0 0 0 2px var(--_surface) }`,

  toast: `
:host(:popover-open) { position: fixed; inset: auto; inset-block-start: 16px; inset-inline-end: 16px;
  inline-size: min(380px, 100vw - 32px); padding: 0; border: 0; background: none;
  overflow: visible }
:host([position^=bottom]) { inset-block: auto 16px }
:host([position$=start]) { inset-inline: 16px auto }
.stack { display: grid; gap: 10px }
carillon-item, .rest { background: var(--_surface); border: 1px solid var(--_border);
  border-radius: var(--_radius); ${shadow} overflow: hidden; animation: come .2s }
carillon-item { --carillon-unread: var(--_surface) }
.rest { margin: 8px auto; inline-size: max-content; padding: 4px 12px; color: var(--_muted) }
@keyframes come { from { opacity: 0; translate: 0 -12px } }`,

  list: `
.filters { padding-block-start: 0 }
.filter[aria-pressed=true] { background: var(--_unread); font-weight: 600; ${ring}
  outline-width: 1px }
.types { border: 1px solid var(--_border); background: var(--_surface); margin-inline-start: auto }
[aria-busy=true] { opacity: .6 }
.scroll > :is(.more, .note) { display: block; margin: 12px auto; text-align: center;
  color: var(--_muted) }
.scroll > .more { border: 1px solid var(--_border); padding: 6px 16px; color: var(--_accent) }`,
};

const sheets = {};

export const sheetOf = (name) => {
  if (!sheets[name]) (sheets[name] = new CSSStyleSheet()).replaceSync(css[name]);
  return sheets[name];
};
