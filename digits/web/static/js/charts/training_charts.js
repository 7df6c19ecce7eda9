// @ts-check
// The curves of a training, one chart for each kind of output: losses, accuracies, others, the learning rate.

import { el } from "../parts/elements.js";
import { compact, number } from "../parts/format.js";
import { withPart } from "../parts/finer_curves.js";
import { chartMenu } from "./chart_menu.js";
import { bestMark } from "./chart_marks.js";
import { coursePlan, courseTraces } from "./course_charts.js";
import { smooth, smoothed } from "../parts/smoothing.js";
import { isOfClass, MEAN } from "../parts/training_state.js";
import { colour, CONFIG, DrawnInView, followSize, isLog, layout, plain, plotly } from "./theme_plot.js";

/** @typedef {import("../parts/training_state.js").TrainingState} TrainingState */
/** @typedef {(number | null)[]} Values */
/** @typedef {{key: string, kind: string, title: string, unit: string, names: string[], x?: string}} Chart */
/** @typedef {Record<string, any>} Trace of Plotly */

const SHARES = "Accuracy (%)"; // of what a network text calls an accuracy
const MOST_CLASSES = 16; // in one chart
const MOST_CURVES = 16; // in another chart
const MOST_CHARTS = 24; // a network text may report thousands of outputs
const FEW_POINTS = 60; // up to here each has a mark

export class TrainingCharts {
  /**
   * @param {HTMLElement} box
   * @param {() => {smoothing: number, log: boolean, others: import("../parts/other_runs.js").OtherRun[]}} options
   * @param {boolean} [large]
   * @param {import("../parts/finer_curves.js").FinerCurves | null} [finer]
   */
  constructor(box, options, large = false, finer = null) {
    this.box = box;
    this.options = options;
    this.large = large;
    /** @type {Map<string, HTMLElement>} */
    this.areas = new Map();
    this.finer = finer;
    this.inView = new DrawnInView();
    /** @type {Record<string, HTMLElement>} */
    this.notes = {};
  }

  /** @param {TrainingState} state */
  async draw(state) {
    const Plotly = await plotly();
    const drawn = plan(state)
      .map((chart) => ({ chart, traces: this.tracesOf(withPart(state, this.finer?.parts.get(chart.key)), chart) }))
      .filter(({ traces }) => traces.length)
      .map(({ chart, traces }) => ({ chart, traces, layout: this.layout(state, chart, traces) })); // all before any is drawn
    const order = drawn.map(({ chart }) => chart.key);
    for (const key of [...this.areas.keys()]) if (!order.includes(key)) this.remove(key, Plotly);
    for (const { chart } of drawn) this.addArea(chart, order, Plotly); // all places first: they share the width
    this.noteLeftOut(state);
    this.noteThinned(state);
    for (const { chart, traces, layout } of drawn) {
      const area = /** @type {HTMLElement} */ (this.areas.get(chart.key));
      this.inView.draw(area, () => {
        Plotly.react(area, traces, layout, CONFIG);
        if (area.dataset.zoomed === undefined && (!chart.x || chart.kind === "gradients")) this.followZoom(chart.key, area);
      });
    }
  }

  /**
   * Zooming in brings the finer points of that part.
   * @param {string} key
   * @param {HTMLElement} area
   */
  followZoom(key, area) {
    area.dataset.zoomed = "";
    /** @type {any} */ (area).on("plotly_relayout", (/** @type {Record<string, any>} */ change) => {
      if (!Object.keys(change).some((name) => name.startsWith("xaxis."))) return;
      const { range, autorange } = /** @type {any} */ (area).layout.xaxis;
      this.finer?.show(key, autorange || change["xaxis.autorange"] ? null : range);
    });
  }

  /** @param {TrainingState} state */
  noteThinned(state) {
    const { shown, of } = state.reported();
    const words = `${number(shown)} of ${number(of)} reports of the training are drawn, with the smallest and the largest of ` +
      `each part${this.finer ? "; zoom into a chart for more" : ""}.`;
    this.noteHere("thinned", shown < of, words);
  }

  /** @param {TrainingState} state */
  noteLeftOut(state) {
    const count = leftOut(state);
    this.noteHere("charts-left-out", count > 0, `${compact(count)} further outputs are not drawn; the CSV has them all.`);
  }

  /**
   * A line behind the charts.
   * @param {string} name
   * @param {boolean} needed
   * @param {string} words
   */
  noteHere(name, needed, words) {
    if (needed && !this.notes[name]) {
      this.box.after(this.notes[name] = el("p", { class: "muted mt-2 mb-0", [`data-${name}`]: "" }));
    }
    const note = this.notes[name];
    if (note) note.hidden = !needed;
    if (note && note.textContent !== words) note.textContent = words;
  }

  /**
   * @param {Chart} chart
   * @param {string[]} order keys of all charts
   * @param {any} Plotly
   */
  addArea({ key, kind, title, x = "epochs" }, order, Plotly) {
    if (this.areas.has(key)) return;
    const css = `chart chart-${kind}${this.large ? " chart-large" : ""}`;
    const area = el("div", { class: css, role: "group", "aria-label": `${title} over the ${x}` });
    const holder = el(
      "figure",
      { class: "chart-box", "data-key": key },
      el("figcaption", {}, title, chartMenu(area, title)),
      area,
    );
    this.areas.set(key, area);
    followSize(area, Plotly);
    const place = (/** @type {Element} */ child) => order.indexOf(/** @type {HTMLElement} */ (child).dataset.key ?? "");
    const after = [...this.box.children].find((child) => place(child) > order.indexOf(key));
    this.box.insertBefore(holder, after || null);
  }

  /**
   * @param {string} key
   * @param {any} Plotly
   */
  remove(key, Plotly) {
    const area = /** @type {HTMLElement} */ (this.areas.get(key));
    this.inView.forget(area);
    Plotly.purge(area);
    area.parentElement?.remove();
    this.areas.delete(key);
  }

  /**
   * @param {TrainingState} state
   * @param {Chart} chart
   */
  tracesOf(state, chart) {
    if (chart.kind === "lr") return [...rateTraces(state), ...this.options().others.flatMap(otherRates)];
    const own = chart.x ? courseTraces(state, chart.kind) : this.traces(state, chart);
    return [...own, ...this.options().others.flatMap((run) => otherTraces(run, chart, this.options().smoothing))];
  }

  /**
   * @param {TrainingState} state
   * @param {Chart} chart
   */
  traces(state, { kind, names }) {
    const { smoothing } = this.options();
    const { train, val } = state.curves;
    const factor = kind === "accuracy" ? 100 : 1;
    const scaled = (/** @type {Values} */ values) => values.map((value) => (value === null ? null : value * factor));
    return names.flatMap((name, i) => {
      const ofClass = isOfClass(name) && name.slice(name.indexOf("/") + 1);
      const label = (/** @type {string} */ text) => ofClass || (names.length > 1 ? `${name} (${text})` : text);
      const tint = colour(i);
      const means = train.values[MEAN + name];
      const traces = [];
      if (train.values[name]) {
        const steps = { ...train, y: scaled(train.values[name]) };
        traces.push(...stepTraces(steps, label("training"), tint, smoothing, Boolean(means)));
      }
      if (means) traces.push(meanTrace(train.epoch, scaled(means), label("training"), tint));
      if (val.values[name]) {
        const curve = smooth(scaled(val.values[name]), smoothing);
        traces.push(validationTrace(val.epoch, curve, label("validation"), names.length > 1 || ofClass ? tint : colour(1)));
      }
      return traces;
    });
  }

  /**
   * @param {TrainingState} state
   * @param {Chart} chart
   * @param {Trace[]} traces
   */
  layout(state, { kind, names, unit, x = "epoch" }, traces) {
    const log = kind !== "accuracy" && isLog(this.options().log, traces.flatMap((trace) => trace.y));
    const best = state.best();
    const marks = best && names.includes(best.name) ? bestMark(best, state, log) : {};
    const hasFew = state.curves.val.epoch.length < 2 && state.curves.train.epoch.length < 3;
    const range = state.epochs && hasFew ? { range: [0, Math.min(state.epochs, 1)] } : {};
    return layout({
      x,
      xaxis: { rangemode: "tozero", ...(x === "epoch" ? range : {}) },
      yaxis: {
        type: log ? "log" : "linear",
        rangemode: kind === "accuracy" || kind === "other" ? "normal" : "tozero",
        ticksuffix: unit,
      },
      showlegend: named(traces) > 1,
      uirevision: `${kind}-${log}`,
      ...marks,
    });
  }
}

/**
 * The charts of a state: losses share one, and so do metrics of one family; numbers of different units have their own.
 * @param {TrainingState} state
 * @returns {Chart[]}
 */
export function plan(state) {
  const loss = { key: "loss", kind: "loss", title: "Loss", unit: "", names: state.names("loss") };
  /** @type {Map<string, Chart>} */
  const families = new Map();
  for (const kind of ["accuracy", "other"]) {
    for (const name of state.names(kind)) {
      const facts = state.facts(name);
      const title = facts.chart || (kind === "accuracy" ? SHARES : facts.title);
      const key = `${kind}-${facts.chart || (kind === "accuracy" ? SHARES : name)}`;
      const chart = families.get(key) ?? { key, kind, title, unit: "", names: [] };
      chart.names.push(name);
      families.set(key, chart);
    }
  }
  const classes = [...state.classNames()].map(([base, names]) => ({
    key: `class-${base}`,
    kind: "accuracy",
    title: `${state.facts(base).title} of ${
      names.length > MOST_CLASSES ? `the first ${MOST_CLASSES} classes` : "each class"
    } (%)`,
    unit: "",
    names: names.slice(0, MOST_CLASSES),
  }));
  const rate = { key: "lr", kind: "lr", title: "Learning rate", unit: "", names: Object.keys(state.curves.lr.values) };
  const outputs = [loss, ...families.values(), ...classes].slice(0, MOST_CHARTS);
  for (const chart of outputs) chart.names = chart.names.slice(0, MOST_CURVES);
  return [...outputs, rate, ...coursePlan(state)];
}

/**
 * How many outputs no chart has; those of classes are in a table.
 * @param {TrainingState} state
 */
export function leftOut(state) {
  const drawn = new Set(plan(state).flatMap((chart) => chart.names));
  const names = ["loss", "accuracy", "other"].flatMap((kind) => state.names(kind));
  return names.filter((name) => !drawn.has(name)).length;
}

/**
 * Values of single steps: faint where means over whole epochs are drawn over them.
 * @param {{epoch: number[], y: Values, extremes?: number[]}} steps
 * @param {string} name
 * @param {string} tint
 * @param {number} smoothing
 * @param {boolean} hasMeans
 * @returns {Trace[]}
 */
function stepTraces({ epoch, y, extremes }, name, tint, smoothing, hasMeans) {
  const shown = { x: epoch, mode: "lines", connectgaps: false };
  const quiet = { opacity: 0.3, showlegend: false, hoverinfo: "skip" };
  const faint = { ...shown, ...quiet, y, name: `${name}, each step`, line: { color: tint, width: 1 } };
  if (hasMeans && !smoothing) return [faint];
  const curve = {
    ...shown,
    ...smoothed(epoch, y, smoothing, extremes),
    name: hasMeans ? `${name}, smoothed` : name,
    line: { color: tint, width: hasMeans ? 1.25 : 2 },
    showlegend: !hasMeans,
  };
  return smoothing ? [faint, curve] : [curve];
}

/** @param {number} count of points */
const modeOf = (count) => (count < FEW_POINTS ? "lines+markers" : "lines");

/**
 * Means over whole epochs.
 * @param {number[]} epochs
 * @param {Values} values
 * @param {string} name
 * @param {string} tint
 * @returns {Trace}
 */
function meanTrace(epochs, values, name, tint) {
  const at = values.flatMap((value, i) => (value === null ? [] : [i]));
  const marks = { line: { color: tint, width: 2 }, marker: { size: 4, color: tint } };
  return { x: at.map((i) => epochs[i]), y: at.map((i) => values[i]), name, mode: modeOf(at.length), ...marks };
}

/**
 * @param {number[]} epochs
 * @param {Values} values
 * @param {string} name
 * @param {string} tint
 * @returns {Trace}
 */
function validationTrace(epochs, values, name, tint) {
  const marks = { line: { color: tint, width: 2, dash: "dash" }, marker: { size: 5, color: tint } };
  return { x: epochs, y: values, name, mode: modeOf(values.length), connectgaps: false, ...marks };
}

/**
 * @param {TrainingState} state
 * @returns {Trace[]}
 */
function rateTraces({ curves: { lr } }) {
  const line = (/** @type {number} */ i) => ({ color: colour(i), width: 2, shape: "hv" });
  return Object.entries(lr.values).map(([name, y], i) => ({ x: lr.epoch, y, name, mode: "lines", line: line(i) }));
}

/** @param {number} number of another run: not the colours of this one */
const otherColour = (number) => colour(3 + number);

/**
 * The curves of another run in a chart of this one.
 * @param {import("../parts/other_runs.js").OtherRun} run
 * @param {Chart} chart
 * @param {number} smoothing
 * @returns {Trace[]}
 */
function otherTraces({ name, state: { curves }, number }, { kind, names, x }, smoothing) {
  const run = plain(name);
  const factor = kind === "accuracy" ? 100 : 1;
  const line = { color: otherColour(number), width: 1.5 };
  const label = (/** @type {string} */ name, /** @type {string} */ phase) =>
    `${run}: ${names.length > 1 ? `${name} (${phase})` : phase}`;
  if (x) {
    const { epoch, values } = curves.gradients ?? {};
    return kind === "gradients" && values?.gradient_norm
      ? [{ x: epoch, y: values.gradient_norm, name: run, mode: "lines", line }]
      : [];
  }
  return names.flatMap((name) => {
    const of = (/** @type {Values} */ values) => values.map((value) => (value === null ? null : value * factor));
    const means = curves.train.values[MEAN + name], own = means ?? curves.train.values[name];
    const found = [];
    if (own) {
      const { x, y } = smoothed(curves.train.epoch, of(own), smoothing, curves.train.extremes);
      found.push(meanTrace(x, y, label(name, "training"), line.color));
    }
    if (curves.val.values[name]) {
      const y = smooth(of(curves.val.values[name]), smoothing);
      found.push(validationTrace(curves.val.epoch, y, label(name, "validation"), line.color));
    }
    return found;
  });
}

/**
 * @param {import("../parts/other_runs.js").OtherRun} run
 * @returns {Trace[]}
 */
function otherRates({ name, state: { curves: { lr } }, number }) {
  const line = { color: otherColour(number), width: 1.5, shape: "hv" };
  return Object.values(lr.values).slice(0, 1).map((y) => ({ x: lr.epoch, y, name: plain(name), mode: "lines", line }));
}

/** @param {Trace[]} traces */
const named = (traces) => traces.filter((trace) => trace.showlegend !== false).length;
