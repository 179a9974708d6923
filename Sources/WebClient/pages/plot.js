// @ts-check
// One plot of at most the last five minutes: lines over time, on a canvas that is crisp on any
// screen.
//
// Values can be read with the pointer, with the keyboard (the plot is a slider over time) and as
// text. The colours come from the style sheet through the legend's swatches, so light and dark
// mode need no second table.

import { make } from './dom.js';
import { GAP_MILLISECONDS } from './rates.js';
import { axisSteps, formats } from './units.js';

export const SPAN_MILLISECONDS = 300_000;
/** Shortest time span drawn: a page that was just opened has only a few samples. */
const LEAST_SPAN = 60_000;
const MINUTE = 60_000;
const QUARTER = 15_000;
const TOP = 10;
const BOTTOM = 22;
const RIGHT = 10;
/** Dash patterns, so that lines differ in more than their colour. */
const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3]];

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const secondsClock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});
const exactClock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

/**
 * @typedef {import('./rates.js').Sample} Sample
 * @typedef {{label: string, of: (sample: Sample) => number | null}} Series
 * @typedef {{title: string, format: string, least: number, note?: string}} PlotOptions
 */

/** A plot. Dispatches `read` with the time that the user points at, or null. */
export class Plot extends EventTarget {
  /** @type {Series[]} */
  #series = [];
  /** @type {Sample[]} */
  #samples = [];
  #now = 0;
  #span = SPAN_MILLISECONDS;
  /** The time that is pointed at, in this plot or in another one. @type {number | null} */
  #reading = null;
  /** Whether it is pointed at in this plot; only then the tip with the values is shown. */
  #isRead = false;
  #isDue = false;
  #options;
  #format;
  #left = 0;
  #width = 0;
  #height = 0;

  /** @param {PlotOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    this.#format = formats[options.format];
    this.canvas = make('canvas', { 'aria-hidden': 'true' });
    this.tip = make('div', { class: 'tip', hidden: true, 'aria-hidden': 'true' });
    this.legend = make('ul', { class: 'legend' });
    this.summary = make('p', { class: 'unseen' });
    this.area = make(
      'div',
      {
        class: 'plot-area',
        role: 'slider',
        tabindex: '0',
        'aria-label': `${options.title}: choose a time with the arrow keys`,
        'aria-valuemin': -SPAN_MILLISECONDS / 1_000,
        'aria-valuemax': 0,
        'aria-valuenow': 0,
        pointermove: (/** @type {PointerEvent} */ event) => this.#point(event),
        pointerleave: () => this.#read(null),
        keydown: (/** @type {KeyboardEvent} */ event) => this.#step(event),
        blur: () => this.#read(null),
      },
      this.canvas,
      this.tip,
    );
    const note = options.note ? make('span', { class: 'note' }, options.note) : null;
    const caption = make('figcaption', {}, make('h3', {}, options.title), note);
    this.element = make('figure', { class: 'plot' }, caption, this.area, this.legend, this.summary);
    new ResizeObserver(() => this.draw()).observe(this.area);
  }

  /** @param {Series[]} series */
  show(series) {
    this.#series = series;
    this.legend.replaceChildren(
      ...series.map(({ label }, index) =>
        make(
          'li',
          {},
          make('span', { class: `swatch line-${index % 8}`, 'data-dash': dashIndex(index) }),
          make('span', {}, label),
          make('output', { 'aria-hidden': 'true' }),
        )
      ),
    );
    this.draw();
  }

  /**
   * @param {Sample[]} samples oldest first
   * @param {number} now the right edge
   */
  update(samples, now) {
    this.#samples = samples;
    this.#now = now;
    const age = samples.length ? now - samples[0].time : 0;
    this.#span = Math.min(Math.max(age, LEAST_SPAN), SPAN_MILLISECONDS);
    this.draw();
  }

  /** Marks the time that is pointed at in another plot; null: none. @param {number | null} time */
  point(time) {
    this.#reading = time;
    this.#isRead = false;
    this.draw();
  }

  /** Draws in the next animation frame. */
  draw() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#paint();
      this.#write();
    });
  }

  // Input.

  /** @param {PointerEvent} event */
  #point(event) {
    const x = event.clientX - this.area.getBoundingClientRect().left;
    const share = (x - this.#left) / (this.#width - this.#left - RIGHT);
    if (share < 0 || share > 1) return this.#read(null);
    const sample = this.#nearest(this.#now - (1 - share) * this.#span);
    this.#read(sample ? sample.time : null);
  }

  /** @param {KeyboardEvent} event */
  #step(event) {
    const steps = {
      ArrowLeft: -1,
      ArrowDown: -1,
      ArrowRight: 1,
      ArrowUp: 1,
      PageUp: 30,
      PageDown: -30,
    };
    const last = this.#samples.length - 1;
    if (event.key === 'Escape') return this.#read(null);
    if (last < 0) return;
    const at = this.#nearest(this.#reading ?? Infinity);
    let index = at ? this.#samples.indexOf(at) : last;
    if (event.key === 'Home') index = 0;
    else if (event.key === 'End') index = last;
    else if (Object.hasOwn(steps, event.key)) {
      index += steps[/** @type {keyof typeof steps} */ (event.key)];
    } else return;
    event.preventDefault();
    this.#read(this.#samples[Math.max(0, Math.min(last, index))].time);
  }

  /** @param {number | null} time */
  #read(time) {
    if (time === this.#reading && this.#isRead) return;
    this.#reading = time;
    this.#isRead = time !== null;
    this.draw();
    this.dispatchEvent(new CustomEvent('read', { detail: time }));
  }

  /** @param {number} time */
  #nearest(time) {
    /** @type {Sample | null} */
    let best = null;
    for (const sample of this.#samples) {
      if (!best || Math.abs(sample.time - time) <= Math.abs(best.time - time)) best = sample;
    }
    return best;
  }

  // Drawing.

  #paint() {
    const box = this.area.getBoundingClientRect();
    const ratio = devicePixelRatio || 1;
    if (box.width < 40 || box.height < 40) return;
    this.#width = box.width;
    this.#height = box.height;
    const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const pen = this.canvas.getContext('2d');
    if (!pen) return;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, box.width, box.height);
    const style = getComputedStyle(this.area);
    pen.font = `11px ${style.fontFamily}`;
    const steps = axisSteps(this.#largest(), this.#options.least);
    const labels = steps.map(this.#format);
    this.#left = Math.ceil(Math.max(...labels.map((text) => pen.measureText(text).width))) + 10;
    const top = steps[steps.length - 1];
    const bottom = box.height - BOTTOM;
    const y = (/** @type {number} */ value) => bottom - (value / top) * (bottom - TOP);
    const x = (/** @type {number} */ time) =>
      box.width - RIGHT -
      ((this.#now - time) / this.#span) * (box.width - RIGHT - this.#left);
    this.#paintAxes(pen, steps, labels, x, y, style.color, ratio);
    const colours = this.#colours();
    this.#series.forEach((series, index) => this.#paintLine(pen, series, index, colours, x, y));
    if (this.#reading !== null) this.#paintReading(pen, colours, x, y, style.color);
  }

  #largest() {
    let largest = 0;
    for (const sample of this.#samples) {
      for (const { of } of this.#series) largest = Math.max(largest, of(sample) ?? 0);
    }
    return largest;
  }

  #colours() {
    return [...this.legend.querySelectorAll('.swatch')].map((each) => getComputedStyle(each).color);
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {number[]} steps
   * @param {string[]} labels
   * @param {(time: number) => number} x
   * @param {(value: number) => number} y
   * @param {string} colour
   * @param {number} ratio
   */
  #paintAxes(pen, steps, labels, x, y, colour, ratio) {
    // A hairline must be centred on a device pixel to be crisp.
    const crisp = (/** @type {number} */ at) => (Math.round(at * ratio) + 0.5) / ratio;
    pen.lineWidth = 1 / ratio;
    pen.strokeStyle = colour;
    pen.fillStyle = colour;
    pen.setLineDash([]);
    pen.textBaseline = 'middle';
    pen.textAlign = 'right';
    steps.forEach((step, index) => {
      pen.globalAlpha = index ? 0.22 : 0.6;
      pen.beginPath();
      pen.moveTo(this.#left, crisp(y(step)));
      pen.lineTo(this.#width - RIGHT, crisp(y(step)));
      pen.stroke();
      pen.globalAlpha = 1;
      pen.fillText(labels[index], this.#left - 6, y(step));
    });
    pen.textBaseline = 'alphabetic';
    pen.textAlign = 'center';
    const isShort = this.#span <= 2 * MINUTE;
    const step = isShort ? QUARTER : MINUTE;
    const first = Math.ceil((this.#now - this.#span) / step) * step;
    let free = this.#left - 8;
    for (let time = first; time <= this.#now; time += step) {
      const at = x(time);
      pen.globalAlpha = 0.14;
      pen.beginPath();
      pen.moveTo(crisp(at), TOP);
      pen.lineTo(crisp(at), this.#height - BOTTOM);
      pen.stroke();
      pen.globalAlpha = 1;
      const text = (isShort ? secondsClock : clock).format(time);
      const half = pen.measureText(text).width / 2;
      if (at - half > free && at + half < this.#width) {
        pen.fillText(text, at, this.#height - 6);
        // On a narrow screen not every line has room for its time.
        free = at + half + 8;
      }
    }
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {Series} series
   * @param {number} index
   * @param {string[]} colours
   * @param {(time: number) => number} x
   * @param {(value: number) => number} y
   */
  #paintLine(pen, { of }, index, colours, x, y) {
    const from = this.#now - this.#span;
    pen.save();
    pen.beginPath();
    pen.rect(this.#left, 0, this.#width - this.#left, this.#height);
    pen.clip();
    pen.strokeStyle = colours[index];
    pen.fillStyle = colours[index];
    pen.lineWidth = 1.75;
    pen.lineJoin = 'round';
    pen.setLineDash(DASHES[dashIndex(index)]);
    /** @type {[number, number][]} */
    let run = [];
    let before = 0;
    const finish = () => {
      if (run.length) strokeRun(pen, run, index === 0 ? y(0) : null);
      run = [];
    };
    for (const sample of this.#samples) {
      const value = of(sample);
      if (value === null || sample.time - before > GAP_MILLISECONDS) finish();
      if (value !== null && sample.time >= from - GAP_MILLISECONDS) {
        run.push([x(sample.time), y(value)]);
      }
      before = sample.time;
    }
    finish();
    pen.restore();
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {string[]} colours
   * @param {(time: number) => number} x
   * @param {(value: number) => number} y
   * @param {string} colour
   */
  #paintReading(pen, colours, x, y, colour) {
    const sample = this.#nearest(Number(this.#reading));
    if (!sample) return;
    const at = x(sample.time);
    if (at < this.#left) return;
    pen.strokeStyle = colour;
    pen.globalAlpha = 0.7;
    pen.lineWidth = 1;
    pen.setLineDash([3, 3]);
    pen.beginPath();
    pen.moveTo(at, TOP);
    pen.lineTo(at, this.#height - BOTTOM);
    pen.stroke();
    pen.globalAlpha = 1;
    this.#series.forEach(({ of }, index) => {
      const value = of(sample);
      if (value === null) return;
      pen.fillStyle = colours[index];
      pen.beginPath();
      pen.arc(at, y(value), 3.5, 0, 7);
      pen.fill();
    });
  }

  // Text.

  #write() {
    const last = this.#samples[this.#samples.length - 1];
    const read = this.#reading === null ? null : this.#nearest(this.#reading);
    const shown = read ?? last;
    const outputs = [...this.legend.querySelectorAll('output')];
    for (const [index, { of }] of this.#series.entries()) {
      outputs[index].textContent = shown ? this.#text(of(shown)) : '–';
    }
    this.summary.textContent = this.#summary(last);
    const age = shown && last ? Math.round((shown.time - last.time) / 1_000) : 0;
    this.area.setAttribute('aria-valuenow', String(Math.max(age, -SPAN_MILLISECONDS / 1_000)));
    this.area.setAttribute('aria-valuetext', shown ? this.#sentence(shown) : 'nothing yet');
    this.tip.hidden = !(read && this.#isRead);
    if (read && this.#isRead) this.#placeTip(read);
  }

  /** @param {Sample} sample */
  #sentence(sample) {
    const parts = this.#series.map(({ label, of }) => `${label} ${this.#text(of(sample))}`);
    return `${exactClock.format(sample.time)}: ${parts.join(', ')}`;
  }

  /** @param {Sample | undefined} last */
  #summary(last) {
    if (!last) return `${this.#options.title}: nothing yet.`;
    const parts = this.#series.map(({ label, of }) => {
      const values = /** @type {number[]} */ (this.#samples.map(of).filter((value) =>
        value !== null
      ));
      if (!values.length) return `${label}: none`;
      const [low, high] = [Math.min(...values), Math.max(...values)].map(this.#format);
      return `${label}: now ${this.#text(of(last))}, lowest ${low}, highest ${high}`;
    });
    return `${this.#options.title}, last five minutes. ${parts.join('. ')}.`;
  }

  /** @param {number | null} value */
  #text(value) {
    return value === null ? '–' : this.#format(value);
  }

  /** @param {Sample} sample */
  #placeTip(sample) {
    const rows = this.#series.map(({ label, of }, index) =>
      make(
        'div',
        {},
        make('span', { class: `swatch line-${index % 8}`, 'data-dash': dashIndex(index) }),
        make('span', {}, label),
        make('b', {}, this.#text(of(sample))),
      )
    );
    this.tip.replaceChildren(
      make('div', { class: 'when' }, exactClock.format(sample.time)),
      ...rows,
    );
    const share = 1 - (this.#now - sample.time) / this.#span;
    const at = this.#left + share * (this.#width - this.#left - RIGHT);
    const isRight = at > this.#width / 2;
    this.tip.style.left = isRight ? 'auto' : `${at + 12}px`;
    this.tip.style.right = isRight ? `${this.#width - at + 12}px` : 'auto';
  }
}

/** @param {number} index */
const dashIndex = (index) => (index + Math.floor(index / 8)) % DASHES.length;

/**
 * Strokes a run of points without a gap; a single point becomes a dot.
 *
 * @param {CanvasRenderingContext2D} pen
 * @param {[number, number][]} run
 * @param {number | null} ground bottom of the area below the line, or null to leave it unfilled
 */
function strokeRun(pen, run, ground) {
  pen.beginPath();
  if (run.length === 1) {
    pen.arc(run[0][0], run[0][1], 1.5, 0, 7);
    pen.fill();
    return;
  }
  for (const [x, y] of run) pen.lineTo(x, y);
  pen.stroke();
  if (ground === null) return;
  pen.lineTo(run[run.length - 1][0], ground);
  pen.lineTo(run[0][0], ground);
  pen.globalAlpha = 0.1;
  pen.fill();
  pen.globalAlpha = 1;
}
