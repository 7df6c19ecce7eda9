// @ts-check
// The page of a data set: progress while it is made, charts when it is done.

import { colour, CONFIG, drawAlways, layout, plotly } from "../charts/theme_plot.js";
import { find, pageData, perhaps } from "../parts/elements.js";
import { duration, fixed, number, percent } from "../parts/format.js";

const page = find("#dataset");
const figures = pageData("dataset-figures");
const SPLITS = [["train", "Training"], ["val", "Validation"], ["test", "Test"]];
/** @type {Record<string, string>} */
const STAGES = { train_db: "Training images", val_db: "Validation images", test_db: "Test images" };
const MOST_NAMED = 60;
const LONGEST_NAME = 18;
const LOG_FLOOR = -0.2; // the foot of logarithmic bars lies below 1, so that a single image is seen

/** @param {string} name */
const chartBox = (name) => perhaps(`[data-chart="${name}"]`, page);

/**
 * Ticks of an axis of classes: their names, or none where there are too many to be read.
 * @param {string[]} names
 */
const classTicks = (names) =>
  names.length > MOST_NAMED ? { showticklabels: false } : { tickvals: names.map((_, i) => i), ticktext: names.map(shortened) };

/**
 * Bars of one split at 0, 1, 2 …
 * @param {string} name
 * @param {string} color
 * @param {number[]} y
 * @param {any[]} customdata
 * @param {string} hover
 */
const bars = (name, color, y, customdata, hover) => ({
  type: "bar",
  name,
  x: y.map((_, i) => i),
  y,
  customdata,
  hovertemplate: `${hover}<extra>${name}</extra>`,
  marker: { color },
});

async function drawClasses() {
  const target = chartBox("classes");
  if (!target) return;
  const logarithmic = find("#log-scale", document, HTMLInputElement).checked;
  const order = largestFirst();
  const names = order.map((i) => figures.class_labels[i]);
  const traces = SPLITS.map(([name, title], i) => ({ name, title, color: colour(i) }))
    .filter(({ name }) => figures.splits[name])
    .map(({ name, title, color }) => {
      const counts = order.map((i) => figures.splits[name].class_counts[i] ?? 0);
      return bars(title, color, counts, names, "%{customdata}: %{y:,}");
    });
  const many = names.length > MOST_NAMED;
  const text = many ? `${number(names.length)} classes, largest first` : "";
  const highest = Math.max(2, ...traces.flatMap((trace) => trace.y));
  const drawn = layout({
    y: "images",
    xaxis: { ...classTicks(names), showgrid: false, title: { standoff: 8, text } },
    yaxis: logarithmic ? { type: "log", range: [LOG_FLOOR, Math.log10(highest) + 0.1] } : {},
    barmode: logarithmic ? "group" : "stack",
    bargap: many ? 0 : 0.35,
    hovermode: "closest",
  });
  (await plotly()).react(target, traces, drawn, CONFIG);
}

/** Class numbers, those with the most images of all splits first. */
function largestFirst() {
  /** @type {string[]} */
  const labels = figures.class_labels;
  const countOf = (/** @type {string} */ split, /** @type {number} */ i) => figures.splits[split]?.class_counts[i] ?? 0;
  const totals = labels.map((_, i) => SPLITS.reduce((sum, [split]) => sum + countOf(split, i), 0));
  return totals.map((_, i) => i).sort((a, b) => totals[b] - totals[a] || a - b);
}

async function drawSizes() {
  const target = chartBox("sizes");
  if (!target) return;
  /** @type {{x: number[], y: number[], z: number[][]}} lower edges of the bins, and counts */
  const { x, y, z } = figures.size_map;
  const heat = {
    type: "heatmap",
    x: edges(x),
    y: edges(y),
    z: z.map((row) => row.map((count) => (count ? Math.log10(count) : null))),
    text: z.map((row, j) => row.map((count, i) => `width ${range(x, i)}, height ${range(y, j)}: ${number(count)} images`)),
    hovertemplate: "%{text}<extra></extra>",
    hoverongaps: false,
    zmin: -0.7, // one image is not the darkest colour
    zmax: Math.log10(Math.max(2, ...z.flat())),
    colorscale: "Viridis",
    showscale: false,
  };
  const bare = { showgrid: false, zeroline: false };
  const drawn = layout({ x: "width", y: "height", xaxis: bare, yaxis: bare, hovermode: "closest" });
  (await plotly()).react(target, [heat], drawn, CONFIG);
}

/** Boxes or pixels of each class as a share of the split, so that splits of any size compare. */
async function drawObjects() {
  const target = chartBox("objects");
  if (!target) return;
  const traces = labelled().map(({ title, color, counted }) => {
    /** @type {number[]} */
    const objects = counted.objects;
    const total = objects.reduce((sum, count) => sum + count, 0) || 1;
    const shares = objects.map((count) => (100 * count) / total);
    const said = objects.map((count, i) => [figures.class_labels[i], number(count)]);
    return bars(title, color, shares, said, "%{customdata[0]}: %{customdata[1]} (%{y:.2f} %)");
  });
  const xaxis = { ...classTicks(figures.class_labels), showgrid: false };
  (await plotly()).react(target, traces, layout({ y: "%", xaxis, barmode: "group", hovermode: "closest" }), CONFIG);
}

/**
 * @param {string} chart
 * @param {string} name of the figures
 * @param {string} title of the axis
 * @param {(value: number) => string} say
 */
async function drawHistogram(chart, name, title, say) {
  const target = chartBox(chart);
  if (!target) return;
  const traces = labelled().map(({ title: split, color, counted }) => {
    const { edges: bounds, counts } = counted[name];
    const said = counts.map((/** @type {number} */ _, /** @type {number} */ i) => `${say(bounds[i])} to ${say(bounds[i + 1])}`);
    return bars(split, color, counts, said, "%{customdata}: %{y:,}");
  });
  /** @type {number[]} */
  const bounds = labelled()[0]?.counted[name].edges ?? [];
  const at = bounds.map((_, i) => i).filter((i) => i % 3 === 0); // bin i lies between its edges i - ½ and i + ½
  const xaxis = { showgrid: false, tickvals: at.map((i) => i - 0.5), ticktext: at.map((i) => say(bounds[i])) };
  const drawn = layout({ x: title, y: "boxes", xaxis, barmode: "stack", bargap: 0.05, hovermode: "closest" });
  (await plotly()).react(target, traces, drawn, CONFIG);
}

/** The splits with figures of their labels. */
const labelled = () =>
  SPLITS.map(([name, title], i) => ({ title, color: colour(i), counted: figures.labels?.[name] })).filter(({ counted }) =>
    counted
  );

/** @param {number} share */
const shortPercent = (share) => percent(share, share < 0.1 ? 1 : 0);

function drawLabels() {
  drawObjects();
  drawHistogram("box-sizes", "sizes", "square root of the share of the picture", shortPercent);
  drawHistogram("box-shapes", "shapes", "width over height", (value) => fixed(value, 2));
}

/** @param {number[]} lower edges of bins */
const step = (lower) => (lower.length > 1 ? lower[1] - lower[0] : 1);
/**
 * @param {number[]} lower
 * @param {number} i
 */
const range = (lower, i) => (step(lower) === 1 ? String(lower[i]) : `${lower[i]} to ${lower[i] + step(lower) - 1}`);

/**
 * Lower edges of all bins and the upper edge of the last one, which is what a heat map wants.
 * @param {number[]} lower
 */
const edges = (lower) => [...lower, lower[lower.length - 1] + step(lower)];

/** @param {string} name */
const shortened = (name) => (name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name);

/** @param {any} event */
function showProgress(event) {
  const part = (/** @type {string} */ name, /** @type {string} */ text) => {
    find(`[data-making-${name}]`, page).textContent = text;
  };
  const unit = event.unit || "images";
  part("stage", STAGES[event.stage] || event.stage || "Working");
  part("count", event.total ? `${number(event.done)} of ${number(event.total)} ${unit}` : "");
  part("rate", event.rate ? `${number(Math.round(event.rate))} ${unit}/s` : "");
  part("eta", event.eta === null ? "" : `about ${duration(event.eta)} left`);
}

async function follow() {
  if (!page.querySelector("[data-making]")) return;
  document.addEventListener("digits:status", (event) => {
    if (!(/** @type {CustomEvent} */ (event).detail.running)) location.reload();
  });
  const { jobStream } = await import("../live/live.js");
  jobStream(page.dataset.jobId ?? "", { onEvent: (event) => event.type === "progress" && showProgress(event) });
}

if (figures.class_labels) {
  document.getElementById("log-scale")?.addEventListener("change", drawClasses);
  drawAlways(() => {
    drawClasses();
    drawSizes();
    drawLabels();
  });
}
follow();
