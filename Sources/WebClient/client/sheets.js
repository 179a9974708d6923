// @ts-check
// The elements' style sheets, and the colours in light and dark mode.

// A page may set `--carillon-…`; `--_…` is the resulting colour. Each pair is light, then dark.
const palette = {
  surface: '#fff, #1b1e25',
  hover: '#f3f5f8, #262a33',
  unread: '#fff, #1b1e25',
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
  `--_${name}: var(--carillon-${name}, light-dark(${pair}));`
);
const card = `background: var(--_surface); border: 1px solid var(--_border);
  border-radius: var(--carillon-radius, 12px);`;
// On a dark page a faint shadow cannot be seen, and the card's colour may be that of the page.
const shadow = `box-shadow: var(--carillon-shadow, 0 12px 40px light-dark(#0003, #000c),
  0 2px 8px light-dark(#0002, #0009));`;
/** The screens on which the panel is a sheet. */
const PHONE = '(max-width: 480px)';
/** The screens that have room for one toast: also the low ones, as a zoomed window. */
// guard: one-toast-in-a-low-window
export const TIGHT = `${PHONE}, (max-height: 560px)`;
const ring = 'outline: 2px solid var(--_accent);';
const font = 'var(--carillon-font, system-ui, sans-serif)';

// A header is one row: where its width is short, the count goes below the title.
// A clamped text ends in dots that may be outside of it, where the page has the other direction.
// `plaintext`: a text that is not translated keeps its own order in a page of the other direction.
// Where neither of its two properties is set, `color-scheme` is inherited from the page.
const css = {
  base: `
:host { color-scheme: var(--carillon-color-scheme, var(--_scheme)); ${colors.join('')}
  color: var(--_text); font: 14px/1.45 ${font} }
:host([theme=light]) { --carillon-color-scheme: light }
:host([theme=dark]) { --carillon-color-scheme: dark }
* { box-sizing: border-box; margin: 0 }
[hidden], :empty:is(a, button, div, p, .badge, .priority) { display: none !important }
a { color: var(--_accent); text-decoration: none }
* { unicode-bidi: plaintext }
button, select { font: inherit; color: var(--_accent); background: none; border: 0;
  padding: 4px 8px; border-radius: 8px; cursor: pointer }
:is(button, .action):hover { background: var(--_hover) }
[aria-disabled=true] { color: var(--_muted); cursor: default }
:focus-visible { ${ring} outline-offset: 1px }
svg { display: block; inline-size: 1em; fill: none; stroke: currentColor; stroke-width: 2;
  stroke-linecap: round; stroke-linejoin: round }
@media (prefers-reduced-motion) {
  :host, * { animation: none !important; transition: none !important }
}`,

  item: `
:host { display: block }
.item { position: relative; display: flex; gap: 12px; padding-block: 12px;
  padding-inline: 20px 8px }
:host([unread]) .item { background: var(--_unread) }
:host .item:hover { background: var(--_hover) }
:host([member]) .item { padding-inline-start: 68px }
.icon { display: grid; flex: none; place-items: center; inline-size: 36px; block-size: 36px;
  font-size: 19px; border-radius: 10px; background: color-mix(in srgb, currentColor 12%, #0000) }
:host([stacked]) .icon { box-shadow: 3px 3px var(--_surface), 4px 4px var(--_border) }
.body { flex: 1; min-inline-size: 0; overflow-wrap: anywhere }
.head { display: flex; align-items: baseline; gap: 12px }
.title { flex: 1; min-inline-size: 0; color: inherit; cursor: pointer }
.title::after { content: ''; position: absolute; inset: 0 }
.title:focus-visible { outline: 0 }
.title:focus-visible::after { ${ring} outline-offset: -3px; border-radius: 8px }
:host([unread]) .title, .priority, .more, .action { font-weight: 600 }
.title, .message { display: -webkit-box; overflow: visible clip; text-align: match-parent;
  text-align: -webkit-match-parent;
  -webkit-box-orient: vertical; -webkit-line-clamp: var(--carillon-lines, 3) }
:host([expanded]) :is(.title, .message) { display: block }
.message { color: var(--_muted); white-space: pre-line }
.time { flex: none; font-size: 12px; color: var(--_muted) }
.meta, .actions { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 12px;
  margin-block-start: 6px; font-size: 12px }
.meta:not(:has(:not(:empty))) { display: none }
.priority { color: var(--_red); text-transform: capitalize }
.more { padding: 4px 0 }
.more, .action, .dismiss { position: relative }
.actions { gap: 8px }
.action { ${card} padding: 4px 12px; border-radius: 8px; font-size: 13px }
.mark { position: absolute; inset: 26px auto auto; inset-inline-start: 6px; inline-size: 8px;
  block-size: 8px; border-radius: 50%; background: var(--_accent); forced-color-adjust: none }
:host([member]) .mark { inset-inline-start: 54px }
:host(:not([unread])) .mark { visibility: hidden }
.dismiss { flex: none; align-self: start; margin-block-start: -4px; margin-inline-start: -8px;
  padding: 7px;
  color: var(--_muted) }
.dismiss:hover { background: var(--_border) }
@media (hover) { .item:not(:hover, :focus-within) .dismiss { opacity: 0 } }
@media (hover: none) { .dismiss { margin-block-start: -8px; padding: 11px } }`,

  rows: `
:host { ${card} display: flex; flex-direction: column; overflow: clip }
carillon-item + carillon-item:not([member]) { border-block-start: 1px solid var(--_border) }
.header, .name, .filters, .footer { display: flex; flex-wrap: wrap; align-items: center;
  gap: 4px 8px }
.header, .filters, .footer { padding-block: 8px; padding-inline: 20px 8px }
.header { flex-wrap: nowrap }
.name { flex: 1 .2 135px; min-inline-size: 0; gap: 0 8px }
.title { overflow: hidden; font-size: 17px; text-overflow: ellipsis; white-space: nowrap;
  outline: 0 }
.count { font-size: 13px; color: var(--_muted) }
.text { font-size: 13px; font-weight: 600; text-align: end }
.opener { padding: 6px; font-size: 20px; color: var(--_muted) }
.opener svg { stroke-width: 3 }
.menu { position: fixed; inset: auto; margin: 0; padding: 4px; min-inline-size: 150px; ${card}
  border-radius: 10px; color: inherit; ${shadow} }
.choice { display: block; inline-size: 100%; padding: 8px 12px; text-align: start }
.choice:not([aria-disabled=true]) { color: var(--_text) }
.scroll { flex: auto; overflow-y: auto; overscroll-behavior: contain; border: solid var(--_border);
  border-width: 1px 0 }
.footer { justify-content: space-between; padding-inline-end: 16px; font-size: 13px;
  font-weight: 600 }
.snackbar { position: sticky; inset-block-end: 8px; display: flex; align-items: center; gap: 8px;
  margin: 8px; padding-block: 4px; padding-inline: 14px 6px; min-block-size: 40px;
  border-radius: 10px; background: var(--_text); color: var(--_surface) }
.snackbar span { flex: 1 }
.undo, .undo:hover { color: inherit; font-weight: 600; background: none;
  text-decoration: underline }
.undo:focus-visible { outline-color: currentColor }
.empty { padding: 48px 24px; text-align: center; color: var(--_muted) }
.empty svg { inline-size: 36px; margin: 0 auto 12px; opacity: .7 }
.empty.unseen { position: absolute; clip-path: circle(0) }
.load { ${card} display: block; margin: 12px auto; padding: 6px 16px; font-weight: 600 }
.skeleton { animation: pulse 1s infinite alternate }
.bone { display: flex; gap: 12px; padding: 12px 20px }
.bone span { display: grid; gap: 10px; flex: 1; align-content: center }
.bone::before, .bone span::before, .bone span::after { content: ''; block-size: 9px;
  border-radius: 5px; background: var(--_border) }
.bone::before { inline-size: 36px; block-size: 36px; border-radius: 10px }
.bone span::before { inline-size: 40% }
.bone span::after { inline-size: 85% }
@keyframes pulse { to { opacity: .5 } }`,

  panel: `
:host([popover]) { position: fixed; inset: auto; margin: 0; padding: 0; ${shadow}
  inline-size: min(var(--carillon-panel-width, 420px), 100vw - 16px);
  max-block-size: min(var(--carillon-panel-height, 560px), var(--_room, 100vh));
  opacity: 0; translate: 0 -8px;
  transition: opacity .15s, translate .15s, display .15s allow-discrete,
    overlay .15s allow-discrete }
:host([popover]:not(:popover-open)) { display: none }
:host(:popover-open) { opacity: 1; translate: 0 }
@starting-style { :host(:popover-open) { opacity: 0; translate: 0 -8px } }
.grip { display: none }
@media ${PHONE} {
  :host([popover]) { inset: auto 0 0 !important; inline-size: 100%; max-block-size: 85dvh;
    padding-block-end: env(safe-area-inset-bottom); border-width: 1px 0 0;
    border-end-start-radius: 0; border-end-end-radius: 0; opacity: 1; translate: 0 100%;
    transition-duration: .2s }
  :host(:popover-open) { translate: 0 }
  @starting-style { :host(:popover-open) { opacity: 1; translate: 0 100% } }
  :host::backdrop { background: #0006 }
  .grip { display: block; align-self: center; padding: 10px 24px; margin-block-end: -8px }
  .grip span { display: block; inline-size: 36px; block-size: 4px;
    border-radius: 2px; background: var(--_border) }
}`,

  status: `
:host { display: inline-flex; align-items: center; gap: 6px; color: var(--_muted); font-size: 13px;
  --_dot: var(--_gray) }
:host([data-state=connected]) { --_dot: var(--_green) }
:host(:is([data-state$=connecting], [data-state=offline], [data-state=error])) {
  --_dot: light-dark(#d07400, #f5b74e) }
.dot { inline-size: 8px; block-size: 8px; border-radius: 50%; background: var(--_dot);
  forced-color-adjust: none }
:host([data-state$=connecting]) .dot { animation: pulse 1s infinite alternate }
@keyframes pulse { to { opacity: .3 } }`,

  bell: `
:host { display: inline-block; color: inherit }
.bell { position: relative; display: flex; align-items: center; gap: 4px; min-block-size: 44px;
  padding: 9px; border-radius: 22px; color: inherit }
.bell svg { inline-size: 26px }
.bell:hover { background: color-mix(in srgb, currentColor 12%, #0000) }
.bell:focus-visible { outline-color: currentColor }
.badge { min-inline-size: 20px; padding: 0 6px; border-radius: 10px; background: var(--_badge);
  color: #fff; text-align: center; font: 700 12px/20px ${font}; forced-color-adjust: none }
carillon-status { position: absolute; inset-block-start: 24px; inset-inline-start: 25px }
carillon-status::part(label) { display: none }
carillon-status::part(dot) { inline-size: 10px; block-size: 10px }
carillon-status:is([data-state=connected], [data-state=connecting], [data-state=disconnected]) {
  display: none }`,

  toast: `
:host(:popover-open) { position: fixed; display: grid; gap: 10px; inset: 16px 16px auto auto;
  inset-inline: auto 16px; inline-size: min(380px, 100vw - 32px); padding: 0; border: 0;
  background: none; overflow: visible }
:host([position^=bottom]) { inset-block: auto 16px }
:host([position$=start]) { inset-inline: 16px auto }
@media ${PHONE} {
  :host(:popover-open) { inset-inline: 8px; inset-block-start: max(8px, env(safe-area-inset-top));
    inline-size: auto }
  :host([position^=bottom]) { inset-block: auto max(8px, env(safe-area-inset-bottom)) }
}
carillon-item { ${card} ${shadow} overflow: hidden; animation: come .2s;
  --carillon-unread: var(--_surface) }
carillon-item::part(mark) { display: none }
carillon-item::part(item) { padding-inline-start: 16px }
@keyframes come { from { opacity: 0; translate: 0 -12px } }`,

  list: `
.filters { padding-block: 0 12px; padding-inline-end: 16px }
.filter, .types { ${card} border-radius: 8px; padding: 5px 10px; font-size: 13px;
  color: var(--_text) }
.filter[aria-pressed=true] { background: color-mix(in srgb, var(--_accent) 12%, #0000);
  color: var(--_accent); border-color: currentColor }
.types { max-inline-size: 100%; margin-inline-start: auto; text-overflow: ellipsis }
[aria-busy=true] { opacity: .6 }
.scroll { border-block-end: 0 }
.end { padding: 12px; text-align: center; color: var(--_muted) }
@media ${PHONE} { .header carillon-status[data-state=connected] { display: none } }
.footer { display: none }`,
};

export const sheets = {};

// A constructed style sheet is allowed where a content security policy forbids inline styles. A
// server that renders pages imports this module, and has no style sheets.
for (const name in globalThis.CSSStyleSheet && css) {
  (sheets[name] = new CSSStyleSheet()).replaceSync(css[name]);
}
