// @ts-check
// A timeline on a canvas: a lane for each thread, bars beneath the bars that they lie in; it can be moved and enlarged.

import { token } from "./theme_plot.js";

/** @typedef {{ph: string, name: string, cat: string, ts: number, dur: number, tid: number}} TraceEvent */
/** @typedef {{name: string, cat: string, start: number, end: number, lane: string}} Bar times in microseconds */
/** @typedef {{title: string, rows: Bar[][]}} Lane */

const ROW = 18; // CSS pixels
const TITLE = 22;
const AXIS = 20;
const CHARACTER = 6.4; // width of one, about
const LEAST = 0.001; // microseconds that are shown at least

/**
 * Lanes with their rows, as a trace of Chrome has them: an event that begins inside another one on its thread lies beneath it.
 * @param {any[]} events
 * @returns {Lane[]}
 */
export function lanesOf(events) {
  /** @type {Map<number, string>} */
  const titles = new Map();
  /** @type {Map<number, TraceEvent[]>} */
  const threads = new Map();
  for (const event of events) {
    if (event.ph === "M" && event.name === "thread_name") titles.set(event.tid, event.args.name);
    if (event.ph !== "X") continue;
    const list = threads.get(event.tid);
    if (list) list.push(event);
    else threads.set(event.tid, [event]);
  }
  return [...threads].map(([tid, found]) => laneOf(titles.get(tid) ?? `thread ${tid}`, found));
}

/**
 * @param {string} title
 * @param {TraceEvent[]} events
 * @returns {Lane}
 */
function laneOf(title, events) {
  /** @type {Bar[][]} */
  const rows = [];
  /** @type {number[]} */
  const open = []; // where the bars end that are not over
  for (const event of events.toSorted((a, b) => a.ts - b.ts || b.dur - a.dur)) {
    while (open.length && open[open.length - 1] <= event.ts) open.pop();
    const end = event.ts + event.dur;
    (rows[open.length] ??= []).push({ name: event.name, cat: event.cat, start: event.ts, end, lane: title });
    open.push(end);
  }
  return { title, rows };
}

/**
 * The last of some bars, in the order of time, that begins at or before a moment; -1 where none does.
 * @param {Bar[]} bars
 * @param {number} moment
 */
export function lastBefore(bars, moment) {
  let low = 0, high = bars.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bars[middle].start <= moment) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * A length of time in words.
 * @param {number} microseconds
 */
export function timeText(microseconds) {
  if (microseconds >= 1000) return `${Number((microseconds / 1000).toPrecision(3))} ms`;
  return `${Number(microseconds.toPrecision(3))} µs`;
}

export class Timeline {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(category: string) => string} colourOf a token's name
   * @param {(text: string) => void} say what lies under the pointer
   */
  constructor(canvas, colourOf, say) {
    this.canvas = canvas;
    this.colourOf = colourOf;
    this.say = say;
    /** @type {Lane[]} */
    this.lanes = [];
    this.whole = 1; // microseconds
    this.from = 0;
    this.to = 1;
    this.due = 0;
    this.dragged = /** @type {number | null} */ (null);
    canvas.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.onDown(event));
    canvas.addEventListener("pointermove", (event) => this.onMove(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (this.dragged = null));
    canvas.addEventListener("dblclick", (event) => this.zoom(2, this.momentAt(event.offsetX)));
    canvas.addEventListener("keydown", (event) => this.onKey(event));
    new ResizeObserver(() => this.later()).observe(canvas);
  }

  /** @param {any[]} events of a trace of Chrome */
  show(events) {
    this.lanes = lanesOf(events);
    const ends = this.lanes.flatMap(({ rows }) => rows.map((bars) => bars.reduce((last, { end }) => Math.max(last, end), 0)));
    this.whole = Math.max(LEAST, ...ends);
    this.reset();
  }

  reset() {
    this.from = 0;
    this.to = this.whole;
    this.later();
  }

  /**
   * @param {number} factor more than 1: enlarge
   * @param {number} [around] the moment that keeps its place
   */
  zoom(factor, around = (this.from + this.to) / 2) {
    const span = Math.min(this.whole, Math.max(LEAST, (this.to - this.from) / factor));
    const share = (around - this.from) / (this.to - this.from);
    this.moveTo(around - share * span, span);
  }

  /**
   * @param {number} from
   * @param {number} [span]
   */
  moveTo(from, span = this.to - this.from) {
    this.from = Math.max(0, Math.min(from, this.whole - span));
    this.to = this.from + span;
    this.later();
  }

  /** @param {number} x in CSS pixels */
  momentAt(x) {
    return this.from + x / this.canvas.clientWidth * (this.to - this.from);
  }

  /** @param {WheelEvent} event */
  onWheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY / 300), this.momentAt(event.offsetX));
  }

  /** @param {PointerEvent} event */
  onDown(event) {
    this.dragged = event.offsetX;
    this.canvas.setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  onMove(event) {
    if (this.dragged !== null) {
      const moved = (event.offsetX - this.dragged) / this.canvas.clientWidth * (this.to - this.from);
      this.dragged = event.offsetX;
      this.moveTo(this.from - moved);
    }
    const bar = this.barAt(event.offsetX, event.offsetY);
    if (bar) this.say(`${bar.name}: ${timeText(bar.end - bar.start)}, from ${timeText(bar.start)} on, ${bar.lane}`);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const span = this.to - this.from;
    /** @type {Record<string, () => void>} */
    const acts = {
      ArrowLeft: () => this.moveTo(this.from - span / 5),
      ArrowRight: () => this.moveTo(this.from + span / 5),
      "+": () => this.zoom(1.5),
      "-": () => this.zoom(1 / 1.5),
      Home: () => this.reset(),
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }

  /**
   * @param {number} x in CSS pixels
   * @param {number} y
   */
  barAt(x, y) {
    const moment = this.momentAt(x);
    let top = AXIS;
    for (const { rows } of this.lanes) {
      const row = Math.floor((y - top - TITLE) / ROW);
      if (row >= 0 && row < rows.length) {
        const bar = rows[row][lastBefore(rows[row], moment)];
        return bar && bar.end >= moment ? bar : null;
      }
      top += TITLE + rows.length * ROW;
      if (y < top) return null;
    }
    return null;
  }

  later() {
    this.due ||= requestAnimationFrame(() => {
      this.due = 0;
      this.draw();
    });
  }

  draw() {
    const width = this.canvas.clientWidth, scale = devicePixelRatio || 1;
    const height = this.lanes.reduce((sum, { rows }) => sum + TITLE + rows.length * ROW, AXIS) + 4;
    this.canvas.style.height = `${height}px`;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    const context = this.canvas.getContext("2d");
    if (!context || !width) return;
    context.scale(scale, scale);
    context.textBaseline = "middle";
    context.font = `11px ${getComputedStyle(this.canvas).fontFamily}`;
    this.drawAxis(context, width, height);
    let top = AXIS;
    for (const { title, rows } of this.lanes) {
      context.fillStyle = token("ink-2");
      context.fillText(title, 4, top + TITLE / 2);
      rows.forEach((bars, row) => this.drawRow(context, bars, top + TITLE + row * ROW, width));
      top += TITLE + rows.length * ROW;
    }
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} width
   * @param {number} height
   */
  drawAxis(context, width, height) {
    const span = this.to - this.from;
    const rough = span / Math.max(2, width / 110), power = 10 ** Math.floor(Math.log10(rough));
    const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
    for (let moment = Math.ceil(this.from / step) * step; moment <= this.to; moment += step) {
      const x = (moment - this.from) / span * width;
      context.fillStyle = token("line");
      context.fillRect(x, AXIS - 4, 1, height);
      context.fillStyle = token("ink-3");
      const text = timeText(moment);
      if (x + 3 + context.measureText(text).width <= width) context.fillText(text, x + 3, AXIS / 2);
    }
  }

  /**
   * Bars that share a pixel are drawn once.
   * @param {CanvasRenderingContext2D} context
   * @param {Bar[]} bars
   * @param {number} y
   * @param {number} width
   */
  drawRow(context, bars, y, width) {
    const perPixel = (this.to - this.from) / width, text = token("on-strong");
    let drawn = -1;
    for (let i = Math.max(0, lastBefore(bars, this.from)); i < bars.length && bars[i].start < this.to; i++) {
      const { start, end, cat, name } = bars[i];
      const left = (start - this.from) / perPixel, right = (end - this.from) / perPixel;
      if (right < 0 || right < drawn + 0.5) continue;
      const from = Math.max(left, 0), length = Math.max(1, Math.min(right, width) - from - 0.5);
      context.fillStyle = token(this.colourOf(cat));
      context.fillRect(from, y, length, ROW - 2);
      drawn = from + length;
      const characters = Math.floor((length - 6) / CHARACTER);
      if (characters < 3) continue;
      context.fillStyle = text;
      context.fillText(name.length > characters ? `${name.slice(0, characters - 1)}…` : name, from + 3, y + ROW / 2 - 1);
    }
  }
}
