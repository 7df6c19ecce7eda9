// The curves of a training, one chart for each kind of output: losses, accuracies, others, the learning rate.

import { CONFIG, colour, layout, plotly } from "./theme_plot.js";
import { MEAN } from "./training_state.js";
import { el } from "./ui.js";

const CHARTS = [["loss", "Loss"], ["accuracy", "Accuracy (%)"], ["other", "Other outputs"], ["lr", "Learning rate"]];

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
    const wanted = CHARTS.map(([kind, title]) => [kind, title, kind === "lr" ? rateTraces(state) : this.traces(state, kind)]);
    for (const [kind, title, traces] of wanted) { // all places first: they share the width
      if (traces.length) this.area(kind, title, Plotly);
      else this.remove(kind, Plotly);
    }
    for (const [kind, , traces] of wanted) {
      if (traces.length) Plotly.react(this.areas.get(kind), traces, this.layout(state, kind, traces.length), CONFIG);
    }
  }

  area(kind, title, Plotly) {
    if (!this.areas.has(kind)) {
      const area = el("div", { class: `chart chart-${kind}${this.large ? " chart-large" : ""}`, role: "img", "aria-label": `${title} over the epochs` });
      const holder = el("figure", { class: "chart-box", "data-kind": kind }, el("figcaption", {}, title), area);
      this.areas.set(kind, area);
      new ResizeObserver(() => area.classList.contains("js-plotly-plot") && area.offsetWidth && Plotly.Plots.resize(area)).observe(area);
      const order = CHARTS.findIndex(([name]) => name === kind);
      const after = [...this.box.children].find((child) => CHARTS.findIndex(([name]) => name === child.dataset.kind) > order);
      this.box.insertBefore(holder, after || null);
    }
  }

  remove(kind, Plotly) {
    const area = this.areas.get(kind);
    if (!area) return;
    Plotly.purge(area);
    area.parentElement.remove();
    this.areas.delete(kind);
  }

  traces(state, kind) {
    const { smoothing } = this.options();
    const factor = kind === "accuracy" ? 100 : 1;
    const names = state.names(kind);
    return names.flatMap((name, i) => ["train", "val", "mean"].flatMap((phase) => {
      const series = state.curves[phase === "mean" ? "train" : phase];
      const values = series.values[phase === "mean" ? MEAN + name : name];
      if (!values) return [];
      if (phase === "mean") return [meanTrace(series, values, factor, names.length > 1 ? `${name} ` : "", colour(i))];
      const tint = colour(names.length > 1 ? i : phase === "val" ? 1 : 0);
      const y = values.map((value) => (value === null ? null : value * factor));
      const shown = { x: series.epoch, connectgaps: false, mode: phase === "val" && y.length < 60 ? "lines+markers" : "lines", marker: { size: 5, color: tint } };
      const line = { color: tint, width: 2, dash: phase === "val" ? "dash" : "solid" };
      const curve = { ...shown, y: smooth(y, smoothing), name: names.length > 1 ? `${name} (${phase})` : phase === "val" ? "validation" : "training", line };
      if (!smoothing) return [curve];
      return [{ ...shown, y, mode: "lines", line: { ...line, width: 1 }, opacity: 0.25, hoverinfo: "skip", showlegend: false }, curve];
    }));
  }

  layout(state, kind, count) {
    const { log } = this.options();
    const best = state.best();
    const marks = best && state.curves.kinds[best.name] === kind ? bestMark(best, state.epochs) : {};
    const xaxis = { rangemode: "tozero", ...(state.epochs && state.curves.val.epoch.length < 2 && state.curves.train.epoch.length < 3 ? { range: [0, Math.min(state.epochs, 1)] } : {}) };
    return layout({
      x: "epoch", xaxis, yaxis: { type: log && kind !== "accuracy" ? "log" : "linear", rangemode: kind === "loss" || kind === "lr" ? "tozero" : "normal" },
      showlegend: count > 1, uirevision: `${kind}-${log}`, ...marks,
    });
  }
}

/** Means over whole epochs: a click on the legend shows them. */
function meanTrace(series, values, factor, name, tint) {
  const at = values.flatMap((value, i) => (value === null ? [] : [i]));
  const line = { color: tint, width: 2, dash: "dot" };
  return { x: at.map((i) => series.epoch[i]), y: at.map((i) => values[i] * factor), name: `${name}epoch mean`, mode: "lines+markers", line, marker: { size: 4, color: tint }, visible: "legendonly" };
}

function rateTraces(state) {
  const { epoch, values } = state.curves.lr;
  return Object.entries(values).map(([name, y], i) => ({ x: epoch, y, name, mode: "lines", line: { color: colour(i), width: 2, shape: "hv" } }));
}

function bestMark(best, epochs) {
  const line = { type: "line", x0: best.epoch, x1: best.epoch, yref: "paper", y0: 0, y1: 1, line: { color: colour(2), width: 1.5, dash: "dot" } };
  const note = { x: best.epoch, yref: "paper", y: 1, text: "best", showarrow: false, xanchor: best.epoch > epochs / 2 ? "right" : "left", yanchor: "top", font: { size: 11, color: colour(2) } };
  return { shapes: [line], annotations: [note] };
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
