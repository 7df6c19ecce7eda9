// @ts-check
// Curves of several runs over each other: a colour for each line, a band where it has several seeds.

import { el } from "../parts/elements.js";
import { number } from "../parts/format.js";
import { chartMenu } from "./chart_menu.js";
import { smoothed } from "../parts/smoothing.js";
import { colour, CONFIG, DrawnInView, followSize, isLog, layout, levelOf, plain, plotly, token } from "./theme_plot.js";

/** @typedef {(number | null)[]} Values */
/** @typedef {{epoch: number[], step: number[], time: number[], values: Record<string, Values>,
 *   extremes?: number[], reports?: number}} Series */
/** @typedef {{phase: string, x: string, smoothing: number, log: boolean}} Options */

const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
const MOST_CHARTS = 6;
const SERIES = 8;
const UNITS = /** @type {Record<string, string>} */ ({ epoch: "epoch", step: "step", time: "seconds since the start" });

/** @type {DrawnInView | undefined} */
let inViewOf;

/**
 * How the n-th line is drawn.
 * @param {number} n
 */
export const strokeOf = (n) => ({ color: colour(n), dash: DASHES[Math.floor(n / SERIES) % DASHES.length] });

/**
 * The outputs that have a chart: those of classes are left out.
 * @param {any} found the comparison
 * @param {Options} options
 */
export function outputs(found, options) {
  const phases = options.phase === "both" ? ["val", "train"] : [options.phase];
  /** @type {Set<string>} */
  const names = new Set();
  for (const curves of Object.values(found.curves)) {
    for (const phase of phases) for (const name of Object.keys(curves[phase].values)) names.add(name);
  }
  const first = found.verdict.metric || found.runs[0].best?.name;
  const shown = [...names].filter((name) => !name.includes("/") && !name.startsWith("epoch_"));
  return shown.sort((a, b) => Number(b === first) - Number(a === first)).slice(0, MOST_CHARTS);
}

/**
 * Draw the charts of a comparison into a box.
 * @param {HTMLElement} box
 * @param {any} found the comparison
 * @param {Options} options
 */
export async function drawCurves(box, found, options) {
  const Plotly = await plotly();
  const inView = inViewOf ??= new DrawnInView();
  const names = outputs(found, options);
  const strokes = found.lines.map((/** @type {any} */ _, /** @type {number} */ n) => strokeOf(n));
  for (const old of [...box.children]) {
    if (!(old instanceof HTMLElement) || names.includes(old.dataset.key ?? "")) continue;
    if (old.lastElementChild) inView.forget(old.lastElementChild);
    old.remove();
  }
  const areas = names.map((name) => place(box, name, found.metrics[name]?.title ?? name, Plotly)); // all first: they share the width
  const charts = names.map((name) => {
    const percent = found.metrics[name]?.unit === "%", factor = percent ? 100 : 1;
    const traces = runTraces(found, name, options, strokes, factor);
    const log = !percent && isLog(options.log, traces.flatMap((trace) => trace.y));
    const y = { type: log ? "log" : "linear", ticksuffix: percent ? " %" : "" };
    const shapes = baselineShapes(found, name, factor, log);
    const shown = { showlegend: false, hovermode: "closest", shapes, uirevision: options.x };
    return {
      traces: [...bands(found, name, options, strokes, factor), ...traces],
      layout: layout({ x: UNITS[options.x], yaxis: y, ...shown }),
    };
  });
  noteThinned(box, found, options);
  charts.forEach(({ traces, layout }, i) => inView.draw(areas[i], () => Plotly.react(areas[i], traces, layout, CONFIG)));
}

/**
 * What is not drawn of long runs is said.
 * @param {HTMLElement} box
 * @param {any} found
 * @param {Options} options
 */
function noteThinned(box, found, options) {
  const series = /** @type {Series[]} */ (Object.values(found.curves).map(({ train }) => train));
  const shown = series.reduce((sum, { epoch }) => sum + epoch.length, 0);
  const all = series.reduce((sum, { epoch, reports }) => sum + (reports ?? epoch.length), 0);
  const note = box.parentElement?.querySelector("[data-thinned]");
  const text = options.phase === "val" || shown >= all ? "" : `${number(shown)} of ${number(all)} reports of the trainings ` +
    "are drawn, with the smallest and the largest of each part; the page of a run shows more of it where one zooms in.";
  if (note) note.textContent = text;
  else if (text) box.after(el("p", { class: "muted mt-2 mb-0", "data-thinned": "" }, text));
}

/**
 * Where a chart is drawn: at the end of the box, where it has been before if it has. It keeps the width of its place.
 * @param {HTMLElement} box
 * @param {string} name
 * @param {string} title
 * @param {any} Plotly
 * @returns {HTMLElement}
 */
function place(box, name, title, Plotly) {
  const known = [...box.children].find((child) => child instanceof HTMLElement && child.dataset.key === name);
  if (known) {
    box.append(known);
    return /** @type {HTMLElement} */ (known.lastElementChild);
  }
  const area = el("div", { class: "chart", role: "group", "aria-label": `${title} of all runs` });
  followSize(area, Plotly);
  box.append(el("figure", { class: "chart-box", "data-key": name }, el("figcaption", {}, title, chartMenu(area, title)), area));
  return area;
}

/**
 * A line for each run, and all their best ones as one: Plotly takes its time for each trace.
 * @param {any} found
 * @param {string} name
 * @param {Options} options
 * @param {{color: string, dash: string}[]} strokes of the lines
 * @param {number} factor
 */
function runTraces(found, name, options, strokes, factor) {
  const wanted = options.phase === "both" ? ["train", "val"] : [options.phase];
  const traces = [];
  const best = { x: [], y: [], text: [], color: [] };
  for (const run of found.runs) {
    const { color, dash } = strokes[run.line];
    for (const phase of wanted) {
      const series = /** @type {Series} */ (found.curves[run.id][phase]);
      if (!series.values[name]) continue;
      const all = series.values[name].map((value) => (value === null ? null : value * factor));
      const { x, y } = smoothed(/** @type {any} */ (series)[options.x], all, options.smoothing, series.extremes);
      const faint = options.phase === "both" && phase === "train";
      const line = { color, dash, width: faint ? 1 : 1.75 };
      const label = `${run.name}${options.phase === "both" ? ` (${phase === "val" ? "validation" : "training"})` : ""}`;
      traces.push({
        x,
        y,
        name: plain(label),
        mode: x.length < 2 ? "markers" : "lines",
        line,
        marker: { color, size: 6 },
        opacity: faint ? 0.5 : 1,
      });
      const at = phase === "val" && run.best?.name === name ? series.epoch.indexOf(run.best.epoch) : -1;
      if (at < 0) continue;
      for (
        const [list, value] of [
          [best.x, x[at]],
          [best.y, y[at]],
          [best.text, plain(`${run.name}: best`)],
          [best.color, color],
        ]
      ) /** @type {any[]} */ (list).push(value);
    }
  }
  if (!best.x.length) return traces;
  const { color, ...points } = best;
  const marker = { color, size: 10, symbol: "star", line: { color: token("surface"), width: 1 } };
  return [...traces, {
    ...points,
    name: "best",
    mode: "markers",
    marker,
    hovertemplate: "%{text}<br>(%{x}, %{y})<extra></extra>",
  }];
}

/**
 * Between the smallest and the largest of the seeds of a line, where they were validated at the same moments.
 * @param {any} found
 * @param {string} name
 * @param {Options} options
 * @param {{color: string, dash: string}[]} strokes
 * @param {number} factor
 */
function bands(found, name, options, strokes, factor) {
  if (options.phase === "train" || options.x === "time") return [];
  return found.lines.flatMap((/** @type {any} */ line, /** @type {number} */ n) => {
    const all = line.ids.map((/** @type {string} */ id) => found.curves[id].val).filter((/** @type {any} */ s) => s.values[name]);
    const least = Math.min(...all.map((/** @type {any} */ series) => series.epoch.length));
    if (all.length < 2 || !least) return [];
    const x = all[0][options.x].slice(0, least);
    const at = (/** @type {number} */ i) =>
      all.map((/** @type {any} */ s) => s.values[name][i]).filter((/** @type {any} */ v) => v !== null);
    const ends = x.map((/** @type {number} */ _, /** @type {number} */ i) =>
      at(i).length ? [Math.min(...at(i)) * factor, Math.max(...at(i)) * factor] : [null, null]
    );
    const shared = { x, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false };
    const fill = { fill: "tonexty", fillcolor: `${strokes[n].color}33` };
    return [{ ...shared, y: ends.map((/** @type {any} */ e) => e[0]) }, {
      ...shared,
      ...fill,
      y: ends.map((/** @type {any} */ e) => e[1]),
    }];
  });
}

/**
 * @param {any} found
 * @param {string} name
 * @param {number} factor
 * @param {boolean} log
 */
function baselineShapes(found, name, factor, log) {
  const values = [...new Set(Object.values(found.metrics[name]?.baseline ?? {}))];
  const at = values.length === 1 && levelOf(Number(values[0]) * factor, log);
  if (!at) return [];
  const y = at.line;
  return [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: token("ink-3"), width: 1, dash: "dot" } }];
}

/**
 * Every run a line over the axes of the settings that differ, the metric last.
 * @param {any} found
 * @param {string} metric
 */
export function parallel(found, metric) {
  const names = Object.keys(found.settings).filter((name) => name !== "random_seed").slice(0, 8);
  const values = found.metrics[metric]?.values ?? {};
  const axes = [
    ...names.map((name) => axisOf(name, found.settings[name])),
    axisOf(found.metrics[metric]?.title ?? metric, values),
  ];
  const width = 140 * axes.length, height = 260, top = 40, bottom = height - 24;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("class", "parallel");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `Settings that differ and ${metric} of ${found.runs.length} runs`);
  const add = (/** @type {string} */ tag, /** @type {Record<string, any>} */ attributes, text = "") => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
    node.textContent = text;
    svg.append(node);
    return node;
  };
  axes.forEach((axis, i) => {
    const x = 70 + 140 * i;
    add("line", { x1: x, x2: x, y1: top, y2: bottom });
    add("text", { x, y: 14, "text-anchor": "middle" }, axis.name.slice(0, 22));
    add("text", { x, y: 30, "text-anchor": "middle" }, axis.high);
    add("text", { x, y: height - 8, "text-anchor": "middle" }, axis.low);
  });
  for (const run of found.runs) {
    const places = axes.map((axis) => axis.place(run.id));
    const stroke = strokeOf(run.line).color;
    const lacking = axes.filter((_, i) => places[i] === null).map(({ name }) => name);
    for (const part of knownParts(places)) {
      const points = part.map(([i, place]) => [70 + 140 * i, bottom - place * (bottom - top)]);
      const line = points.length > 1
        ? add("polyline", { points: points.map((point) => point.join(",")).join(" "), stroke })
        : add("circle", { cx: points[0][0], cy: points[0][1], r: 3, fill: stroke });
      const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
      title.textContent = lacking.length ? `${run.name} (nothing for ${lacking.join(", ")})` : run.name;
      line.append(title);
    }
  }
  return svg;
}

/**
 * The neighbouring axes on which a run has a place, each with it: a line has a gap where a value is not known.
 * @param {(number | null)[]} places
 */
export function knownParts(places) {
  /** @type {[number, number][][]} */
  const parts = [];
  places.forEach((place, i) => {
    if (place === null) return;
    if (i && places[i - 1] !== null) parts.at(-1)?.push([i, place]);
    else parts.push([[i, place]]);
  });
  return parts;
}

/**
 * @param {string} name
 * @param {Record<string, any>} values by id
 */
function axisOf(name, values) {
  const known = Object.values(values).filter((value) => value !== null && value !== undefined && value !== "");
  const numeric = known.length > 0 && known.every((value) => typeof value === "number");
  const words = numeric ? [] : [...new Set(known.map(String))].sort();
  const low = numeric ? Math.min(...known) : 0, high = numeric ? Math.max(...known) : Math.max(words.length - 1, 1);
  const log = numeric && low > 0 && high / low >= 20;
  const scale = (/** @type {number} */ value) => (log ? Math.log(value) : value);
  const place = (/** @type {string} */ id) => {
    const value = values[id];
    if (value === null || value === undefined || value === "") return null;
    const number = numeric ? scale(value) : words.indexOf(String(value));
    const [from, to] = numeric ? [scale(low), scale(high)] : [low, high];
    return to > from ? (number - from) / (to - from) : 0.5;
  };
  const ends = numeric ? [low, high].map((end) => Number(end.toPrecision(4)).toString()) : [words[0] ?? "", words.at(-1) ?? ""];
  return { name, place, low: ends[0].slice(0, 20), high: ends[1].slice(0, 20) };
}
