// The curves of a training, one chart for each kind of output: losses, accuracies, others, the learning rate.

import { CONFIG, colour, layout, plotly } from "./theme_plot.js";
import { MEAN } from "../parts/training_state.js";
import { el } from "../parts/ui.js";

const UNITS = { mae: ["errors", "Error"], rmse: ["errors", "Error"], psnr: ["psnr", "PSNR (dB)"], ssim: ["ssim", "SSIM"], r2: ["r2", "R²"] };

/** Draws into `box`; `options()` gives {smoothing, log}. */
export class TrainingCharts {
  constructor(box, options, large = false) {
    this.box = box;
    this.options = options;
    this.large = large;
    this.areas = new Map();
  }

  async draw(state) {
    const Plotly = await plotly();
    const drawn = plan(state).map((chart) => ({ ...chart, traces: chart.kind === "lr" ? rateTraces(state) : this.traces(state, chart) })).filter(({ traces }) => traces.length);
    const order = drawn.map(({ key }) => key);
    for (const key of [...this.areas.keys()]) if (!order.includes(key)) this.remove(key, Plotly);
    for (const chart of drawn) this.area(chart, order, Plotly); // all places first: they share the width
    for (const chart of drawn) Plotly.react(this.areas.get(chart.key), chart.traces, this.layout(state, chart, chart.traces.filter((trace) => trace.showlegend !== false).length), CONFIG);
  }

  area({ key, kind, title }, order, Plotly) {
    if (this.areas.has(key)) return;
    const area = el("div", { class: `chart chart-${kind}${this.large ? " chart-large" : ""}`, role: "img", "aria-label": `${title} over the epochs` });
    const holder = el("figure", { class: "chart-box", "data-key": key }, el("figcaption", {}, title), area);
    this.areas.set(key, area);
    new ResizeObserver(() => area.classList.contains("js-plotly-plot") && area.offsetWidth && Plotly.Plots.resize(area)).observe(area);
    const after = [...this.box.children].find((child) => order.indexOf(child.dataset.key) > order.indexOf(key));
    this.box.insertBefore(holder, after || null);
  }

  remove(key, Plotly) {
    const area = this.areas.get(key);
    Plotly.purge(area);
    area.parentElement.remove();
    this.areas.delete(key);
  }

  traces(state, { kind, names }) {
    const { smoothing } = this.options();
    const factor = kind === "accuracy" ? 100 : 1;
    const many = names.length > 1;
    const scaled = (values) => values.map((value) => (value === null ? null : value * factor));
    return names.flatMap((name, i) => {
      const { train, val } = state.curves;
      const label = (text) => (many ? `${name} (${text})` : text);
      const tint = colour(i);
      const means = train.values[MEAN + name];
      const traces = [];
      if (train.values[name]) traces.push(...stepTraces(train.epoch, scaled(train.values[name]), label("training"), tint, smoothing, Boolean(means)));
      if (means) traces.push(meanTrace(train.epoch, scaled(means), label("training"), tint));
      if (val.values[name]) traces.push(validationTrace(val.epoch, smooth(scaled(val.values[name]), smoothing), label("validation"), many ? tint : colour(1)));
      return traces;
    });
  }

  layout(state, { kind, names, unit }, count) {
    const { log } = this.options();
    const best = state.best();
    const marks = best && names.includes(best.name) ? bestMark(best, state) : {};
    const xaxis = { rangemode: "tozero", ...(state.epochs && state.curves.val.epoch.length < 2 && state.curves.train.epoch.length < 3 ? { range: [0, Math.min(state.epochs, 1)] } : {}) };
    return layout({
      x: "epoch", xaxis, yaxis: { type: log && kind !== "accuracy" ? "log" : "linear", rangemode: kind === "loss" || kind === "lr" ? "tozero" : "normal", ticksuffix: unit },
      showlegend: count > 1, uirevision: `${kind}-${log}`, ...marks,
    });
  }
}

/** The charts of a state: outputs of one kind share one, but numbers of different units have their own. */
function plan(state) {
  const shared = [["loss", "Loss", ""], ["accuracy", "Accuracy (%)", ""]].map(([kind, title, unit]) => ({ key: kind, kind, title, unit, names: state.names(kind) }));
  const others = new Map();
  for (const name of state.names("other")) {
    const [key, title] = UNITS[name] ?? [`other-${name}`, name];
    if (!others.has(key)) others.set(key, { key, kind: "other", title, unit: "", names: [] });
    others.get(key).names.push(name);
  }
  const rate = { key: "lr", kind: "lr", title: "Learning rate", unit: "", names: Object.keys(state.curves.lr.values) };
  return [...shared, ...others.values(), rate];
}

/** Values of single steps: faint where means over whole epochs are drawn over them. */
function stepTraces(epochs, values, name, tint, smoothing, hasMeans) {
  const shown = { x: epochs, mode: "lines", connectgaps: false };
  const faint = { ...shown, y: values, name: `${name}, each step`, line: { color: tint, width: 1 }, opacity: 0.3, showlegend: false, hoverinfo: "skip" };
  if (hasMeans && !smoothing) return [faint];
  const curve = { ...shown, y: smooth(values, smoothing), name: hasMeans ? `${name}, smoothed` : name, line: { color: tint, width: hasMeans ? 1.25 : 2 }, showlegend: !hasMeans };
  return smoothing ? [faint, curve] : [curve];
}

/** Means over whole epochs. */
function meanTrace(epochs, values, name, tint) {
  const at = values.flatMap((value, i) => (value === null ? [] : [i]));
  return { x: at.map((i) => epochs[i]), y: at.map((i) => values[i]), name, mode: at.length < 60 ? "lines+markers" : "lines", line: { color: tint, width: 2 }, marker: { size: 4, color: tint } };
}

function validationTrace(epochs, values, name, tint) {
  const mode = values.length < 60 ? "lines+markers" : "lines";
  return { x: epochs, y: values, name, mode, connectgaps: false, line: { color: tint, width: 2, dash: "dash" }, marker: { size: 5, color: tint } };
}

function rateTraces(state) {
  const { epoch, values } = state.curves.lr;
  return Object.entries(values).map(([name, y], i) => ({ x: epoch, y, name, mode: "lines", line: { color: colour(i), width: 2, shape: "hv" } }));
}

/** A line where the best snapshot is, and one at what a guess without looking scores. */
function bestMark(best, state) {
  const { epochs, baseline } = state;
  const line = { type: "line", x0: best.epoch, x1: best.epoch, yref: "paper", y0: 0, y1: 1, line: { color: colour(2), width: 1.5, dash: "dot" } };
  const note = { x: best.epoch, yref: "paper", y: 1, text: "best", showarrow: false, xanchor: best.epoch > epochs / 2 ? "right" : "left", yanchor: "top", font: { size: 11, color: colour(2) } };
  const guess = baseline?.values[best.name];
  if (guess === null || guess === undefined) return { shapes: [line], annotations: [note] };
  const y = guess * (state.curves.kinds[best.name] === "accuracy" ? 100 : 1);
  const level = { type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: colour(7), width: 1, dash: "dot" } };
  const name = { xref: "paper", x: 1, y, text: "baseline", showarrow: false, xanchor: "right", yanchor: "bottom", font: { size: 10, color: colour(7) } };
  return { shapes: [line, level], annotations: [note, name] };
}

/** Exponential moving average without a bias at the start; gaps stay gaps. */
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
