// The page of a data set: progress while it is made, charts when it is done.

import { CONFIG, colour, drawAlways, layout, plotly } from "../charts/theme_plot.js";
import { duration, number } from "../parts/ui.js";

const page = document.getElementById("dataset");
const figures = JSON.parse(document.getElementById("dataset-figures").textContent);
const SPLITS = [["train", "Training"], ["val", "Validation"], ["test", "Test"]];
const STAGES = { train_db: "Training images", val_db: "Validation images", test_db: "Test images" };
const MOST_NAMED = 60;
const LONGEST_NAME = 18;
const LOG_FLOOR = -0.2; // the foot of logarithmic bars lies below 1, so that a single image is seen

async function drawClasses() {
  const target = page.querySelector('[data-chart="classes"]');
  if (!target) return;
  const logarithmic = document.getElementById("log-scale").checked;
  const order = largestFirst();
  const names = order.map((i) => figures.class_labels[i]);
  const traces = SPLITS.map(([name, title], i) => ({ name, title, color: colour(i) }))
    .filter(({ name }) => figures.splits[name])
    .map(({ name, title, color }) => ({
      type: "bar",
      name: title,
      x: order.map((_, place) => place),
      y: order.map((i) => figures.splits[name].class_counts[i] ?? 0),
      customdata: names,
      hovertemplate: `%{customdata}: %{y:,}<extra>${title}</extra>`,
      marker: { color },
    }));
  const many = names.length > MOST_NAMED;
  const ticks = many ? { showticklabels: false } : { tickvals: names.map((_, place) => place), ticktext: names.map(shortened) };
  const drawn = layout({
    x: many ? `${number(names.length)} classes, largest first` : "",
    y: "images",
    xaxis: { ...ticks, showgrid: false, title: { standoff: 8, text: many ? `${number(names.length)} classes, largest first` : "" } },
    yaxis: logarithmic ? { type: "log", range: [LOG_FLOOR, Math.log10(Math.max(2, ...traces.flatMap((trace) => trace.y))) + 0.1] } : {},
    barmode: logarithmic ? "group" : "stack",
    bargap: many ? 0 : 0.35,
    hovermode: "closest",
  });
  (await plotly()).react(target, traces, drawn, CONFIG);
}

/** Class numbers, those with the most images of all splits first. */
function largestFirst() {
  const totals = figures.class_labels.map((_, i) => SPLITS.reduce((sum, [name]) => sum + (figures.splits[name]?.class_counts[i] ?? 0), 0));
  return totals.map((_, i) => i).sort((a, b) => totals[b] - totals[a] || a - b);
}

async function drawSizes() {
  const target = page.querySelector('[data-chart="sizes"]');
  if (!target) return;
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
  const drawn = layout({ x: "width", y: "height", xaxis: { showgrid: false, zeroline: false }, yaxis: { showgrid: false, zeroline: false }, hovermode: "closest" });
  (await plotly()).react(target, [heat], drawn, CONFIG);
}

/** Boxes or pixels of each class as a share of the split, so that splits of any size compare. */
async function drawObjects() {
  const target = page.querySelector('[data-chart="objects"]');
  if (!target) return;
  const traces = labelled().map(({ title, color, counted }) => {
    const total = counted.objects.reduce((sum, count) => sum + count, 0) || 1;
    return {
      type: "bar",
      name: title,
      x: figures.class_labels.map((_, i) => i),
      y: counted.objects.map((count) => (100 * count) / total),
      customdata: counted.objects.map((count, i) => [figures.class_labels[i], number(count)]),
      hovertemplate: `%{customdata[0]}: %{customdata[1]} (%{y:.2f} %)<extra>${title}</extra>`,
      marker: { color },
    };
  });
  const many = figures.class_labels.length > MOST_NAMED;
  const ticks = many ? { showticklabels: false } : { tickvals: figures.class_labels.map((_, i) => i), ticktext: figures.class_labels.map(shortened) };
  const drawn = layout({ y: "%", xaxis: { ...ticks, showgrid: false }, barmode: "group", hovermode: "closest" });
  (await plotly()).react(target, traces, drawn, CONFIG);
}

async function drawHistogram(chart, name, title, say) {
  const target = page.querySelector(`[data-chart="${chart}"]`);
  if (!target) return;
  const traces = labelled().map(({ title: split, color, counted }) => {
    const { edges: bounds, counts } = counted[name];
    return {
      type: "bar",
      name: split,
      x: counts.map((_, i) => i),
      y: counts,
      customdata: counts.map((_, i) => `${say(bounds[i])} to ${say(bounds[i + 1])}`),
      hovertemplate: `%{customdata}: %{y:,}<extra>${split}</extra>`,
      marker: { color },
    };
  });
  const bounds = labelled()[0]?.counted[name].edges ?? [];
  const at = bounds.map((_, i) => i).filter((i) => i % 3 === 0); // bin i lies between its edges i - ½ and i + ½
  const xaxis = { showgrid: false, tickvals: at.map((i) => i - 0.5), ticktext: at.map((i) => say(bounds[i])) };
  const drawn = layout({ x: title, y: "boxes", xaxis, barmode: "stack", bargap: 0.05, hovermode: "closest" });
  (await plotly()).react(target, traces, drawn, CONFIG);
}

const labelled = () =>
  SPLITS.map(([name, title], i) => ({ title, color: colour(i), counted: figures.labels?.[name] })).filter(({ counted }) => counted);

const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

function drawLabels() {
  drawObjects();
  drawHistogram("box-sizes", "sizes", "square root of the share of the picture", percent);
  drawHistogram("box-shapes", "shapes", "width over height", (value) => value.toFixed(2));
}

const step = (lower) => (lower.length > 1 ? lower[1] - lower[0] : 1);
const range = (lower, i) => (step(lower) === 1 ? String(lower[i]) : `${lower[i]} to ${lower[i] + step(lower) - 1}`);

/** Lower edges of all bins and the upper edge of the last one, which is what a heat map wants. */
const edges = (lower) => [...lower, lower[lower.length - 1] + step(lower)];

const shortened = (name) => (name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name);

function showProgress(event) {
  const part = (name, text) => (page.querySelector(`[data-making-${name}]`).textContent = text);
  const unit = event.unit || "images";
  part("stage", STAGES[event.stage] || event.stage || "Working");
  part("count", event.total ? `${number(event.done)} of ${number(event.total)} ${unit}` : "");
  part("rate", event.rate ? `${number(Math.round(event.rate))} ${unit}/s` : "");
  part("eta", event.eta === null ? "" : `about ${duration(event.eta)} left`);
}

async function follow() {
  if (!page.querySelector("[data-making]")) return;
  document.addEventListener("digits:status", ({ detail }) => !detail.running && location.reload());
  const { jobStream } = await import("../live/live.js");
  jobStream(page.dataset.jobId, { onEvent: (event) => event.type === "progress" && showProgress(event) });
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
