// @ts-check
// The curves of a training, one chart for each kind of output: losses, accuracies, others, the learning rate.

import { el } from "../parts/elements.js";
import { compact } from "../parts/format.js";
import { chartMenu } from "./chart_menu.js";
import { coursePlan, courseTraces } from "./course_charts.js";
import { isOfClass, MEAN } from "../parts/training_state.js";
import { colour, CONFIG, layout, plain, plotly } from "./theme_plot.js";

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
   */
  constructor(box, options, large = false) {
    this.box = box;
    this.options = options;
    this.large = large;
    /** @type {Map<string, HTMLElement>} */
    this.areas = new Map();
    /** @type {HTMLElement | null} */
    this.note = null;
  }

  /** @param {TrainingState} state */
  async draw(state) {
    const Plotly = await plotly();
    const drawn = plan(state)
      .map((chart) => ({ chart, traces: this.tracesOf(state, chart) }))
      .filter(({ traces }) => traces.length);
    const order = drawn.map(({ chart }) => chart.key);
    for (const key of [...this.areas.keys()]) if (!order.includes(key)) this.remove(key, Plotly);
    for (const { chart } of drawn) this.addArea(chart, order, Plotly); // all places first: they share the width
    this.noteLeftOut(state);
    for (const { chart, traces } of drawn) {
      const named = traces.filter((trace) => trace.showlegend !== false).length;
      Plotly.react(this.areas.get(chart.key), traces, this.layout(state, chart, named), CONFIG);
    }
  }

  /** @param {TrainingState} state */
  noteLeftOut(state) {
    const count = leftOut(state), words = `${compact(count)} further outputs are not drawn; the CSV has them all.`;
    if (count && !this.note) this.box.after(this.note = el("p", { class: "muted", "data-charts-left-out": "" }));
    if (this.note) this.note.hidden = !count;
    if (this.note && this.note.textContent !== words) this.note.textContent = words;
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
    const fit = () => area.classList.contains("js-plotly-plot") && area.offsetWidth && Plotly.Plots.resize(area);
    new ResizeObserver(fit).observe(area);
    const place = (/** @type {Element} */ child) => order.indexOf(/** @type {HTMLElement} */ (child).dataset.key ?? "");
    const after = [...this.box.children].find((child) => place(child) > order.indexOf(key));
    this.box.insertBefore(holder, after || null);
  }

  /**
   * @param {string} key
   * @param {any} Plotly
   */
  remove(key, Plotly) {
    const area = this.areas.get(key);
    Plotly.purge(area);
    area?.parentElement?.remove();
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
        traces.push(...stepTraces(train.epoch, scaled(train.values[name]), label("training"), tint, smoothing, Boolean(means)));
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
   * @param {number} count curves with a name
   */
  layout(state, { kind, names, unit, x = "epoch" }, count) {
    const { log } = this.options();
    const best = state.best();
    const marks = best && names.includes(best.name) ? bestMark(best, state) : {};
    const hasFew = state.curves.val.epoch.length < 2 && state.curves.train.epoch.length < 3;
    const range = state.epochs && hasFew ? { range: [0, Math.min(state.epochs, 1)] } : {};
    return layout({
      x,
      xaxis: { rangemode: "tozero", ...(x === "epoch" ? range : {}) },
      yaxis: {
        type: log && kind !== "accuracy" ? "log" : "linear",
        rangemode: kind === "accuracy" || kind === "other" ? "normal" : "tozero",
        ticksuffix: unit,
      },
      showlegend: count > 1,
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
 * @param {number[]} epochs
 * @param {Values} values
 * @param {string} name
 * @param {string} tint
 * @param {number} smoothing
 * @param {boolean} hasMeans
 * @returns {Trace[]}
 */
function stepTraces(epochs, values, name, tint, smoothing, hasMeans) {
  const shown = { x: epochs, mode: "lines", connectgaps: false };
  const quiet = { opacity: 0.3, showlegend: false, hoverinfo: "skip" };
  const faint = { ...shown, ...quiet, y: values, name: `${name}, each step`, line: { color: tint, width: 1 } };
  if (hasMeans && !smoothing) return [faint];
  const curve = {
    ...shown,
    y: smooth(values, smoothing),
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
    const of = (/** @type {Values | undefined} */ values) =>
      smooth((values ?? []).map((value) => (value === null ? null : value * factor)), smoothing);
    const means = curves.train.values[MEAN + name], own = means ?? curves.train.values[name];
    const found = [];
    if (own) found.push(meanTrace(curves.train.epoch, of(own), label(name, "training"), line.color));
    if (curves.val.values[name]) {
      found.push(validationTrace(curves.val.epoch, of(curves.val.values[name]), label(name, "validation"), line.color));
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

/**
 * A line where the best snapshot is, and one at what a guess without looking scores.
 * @param {{name: string, epoch: number}} best
 * @param {TrainingState} state
 */
function bestMark(best, state) {
  const tint = colour(2);
  const upright = { yref: "paper", y0: 0, y1: 1, line: { color: tint, width: 1.5, dash: "dot" } };
  const line = { type: "line", x0: best.epoch, x1: best.epoch, ...upright };
  const { train, val } = state.curves;
  const side = best.epoch > Math.max(train.epoch.at(-1) ?? 0, val.epoch.at(-1) ?? 0) / 2 ? "right" : "left";
  const above = { yref: "paper", y: 1, showarrow: false, xanchor: side, yanchor: "top" };
  const note = { x: best.epoch, text: "best", ...above, font: { size: 11, color: tint } };
  const guess = state.baseline?.values[best.name];
  if (guess === null || guess === undefined) return { shapes: [line], annotations: [note] };
  const [level, name] = baselineMark(guess * (state.facts(best.name).unit === "%" ? 100 : 1));
  return { shapes: [line, level], annotations: [note, name] };
}

/** @param {number} y */
function baselineMark(y) {
  const tint = colour(7);
  const level = { type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: tint, width: 1, dash: "dot" } };
  const place = { xref: "paper", x: 1, y, showarrow: false, xanchor: "right", yanchor: "bottom" };
  return [level, { text: "baseline", ...place, font: { size: 10, color: tint } }];
}

/**
 * Exponential moving average without a bias at the start; gaps stay gaps.
 * @param {Values} values
 * @param {number} weight of the past, 0 to 1
 * @returns {Values}
 */
export function smooth(values, weight) {
  if (!weight) return values;
  let average = 0, mass = 0;
  return values.map((value) => {
    if (value === null) return null;
    average = average * weight + value * (1 - weight);
    mass = mass * weight + (1 - weight);
    return average / mass;
  });
}
