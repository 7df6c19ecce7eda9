// The page of a data set: progress while it is made, charts when it is done.

import { jobStream } from "./live.js";
import { duration, number } from "./ui.js";

const page = document.getElementById("dataset");
const figures = JSON.parse(document.getElementById("dataset-figures").textContent);
const SPLITS = [["train", "Training", "#3b6fb6"], ["val", "Validation", "#b4651e"], ["test", "Test", "#4d7d57"]];
const MOST_NAMED = 60;

function layout(more) {
  const style = getComputedStyle(document.body);
  const line = style.getPropertyValue("--bs-border-color");
  const axis = { gridcolor: line, zerolinecolor: line, automargin: true };
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: style.getPropertyValue("--bs-body-color"), family: style.fontFamily, size: 12 },
    margin: { l: 50, r: 12, t: 8, b: 40 },
    ...more,
    xaxis: { ...axis, ...more.xaxis },
    yaxis: { ...axis, ...more.yaxis },
  };
}

function drawClasses() {
  const target = page.querySelector('[data-chart="classes"]');
  if (!target) return;
  const logarithmic = document.getElementById("log-scale").checked;
  const totals = figures.class_labels.map((_, i) => SPLITS.reduce((sum, [name]) => sum + (figures.splits[name]?.class_counts[i] || 0), 0));
  const order = totals.map((_, i) => i).sort((a, b) => totals[b] - totals[a] || a - b);
  const names = order.map((i) => figures.class_labels[i]);
  const many = names.length > MOST_NAMED;
  const places = order.map((_, place) => place);
  const traces = SPLITS.filter(([name]) => figures.splits[name]).map(([name, title, color]) => ({
    type: "bar",
    name: title,
    x: places,
    y: order.map((i) => figures.splits[name].class_counts[i]),
    customdata: names,
    hovertemplate: `%{customdata}: %{y:,} <extra>${title}</extra>`,
    marker: { color },
  }));
  const ticks = many ? { showticklabels: false, title: { text: `${number(names.length)} classes, largest first` } } : { tickvals: places, ticktext: names.map(shortened) };
  const barmode = logarithmic ? "group" : "stack";
  const legend = { orientation: "h", y: 1.12, x: 0 };
  const yaxis = { type: logarithmic ? "log" : "linear", title: { text: "images" } };
  Plotly.react(target, traces, layout({ barmode, bargap: many ? 0 : 0.3, legend, xaxis: ticks, yaxis, margin: { l: 55, r: 12, t: 30, b: 50 } }), { responsive: true, displaylogo: false });
}

function drawSizes() {
  const target = page.querySelector('[data-chart="sizes"]');
  if (!target) return;
  const { x, y, z } = figures.size_map;
  const shown = z.map((row) => row.map((count) => (count ? Math.log10(count) : null)));
  const heat = { type: "heatmap", x: edges(x), y: edges(y), z: shown, customdata: z, colorscale: "Viridis", showscale: false, hovertemplate: "about %{x}×%{y}: %{customdata} images<extra></extra>" };
  const xaxis = { title: { text: "width" }, showgrid: false };
  const yaxis = { title: { text: "height" }, showgrid: false };
  Plotly.react(target, [heat], layout({ xaxis, yaxis }), { responsive: true, displaylogo: false });
}

/** Lower edges of all bins and the upper edge of the last one, which is what a heat map wants. */
function edges(lower) {
  const step = lower.length > 1 ? lower[1] - lower[0] : 1;
  return [...lower, lower[lower.length - 1] + step];
}

const shortened = (name) => (name.length > 18 ? `${name.slice(0, 17)}…` : name);

function draw() {
  if (!figures.class_labels) return;
  drawClasses();
  drawSizes();
}

function showProgress(event) {
  const part = (name, text) => (page.querySelector(`[data-${name}]`).textContent = text);
  part("stage", event.stage || "Working");
  part("count", event.total ? `${number(event.done)} of ${number(event.total)} ${event.unit || "images"}` : "");
  part("rate", event.rate ? `${number(Math.round(event.rate))} ${event.unit || "images"}/s` : "");
  part("eta", event.eta === null ? "" : `about ${duration(event.eta)} left`);
}

function follow() {
  if (!page.querySelector("[data-making]")) return;
  jobStream(page.dataset.jobId, {
    onEvent: (event) => event.type === "progress" && showProgress(event),
    onJob: (row) => row.running === false && location.reload(),
  });
}

document.getElementById("log-scale")?.addEventListener("change", drawClasses);
document.addEventListener("digits:theme", draw);
draw();
follow();
