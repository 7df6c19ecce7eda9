// @ts-check
// The page of a training: curves, figures, snapshots, hardware and log, live from the job's event stream.

import { bottleneck } from "../charts/course_charts.js";
import { drawAlways } from "../charts/theme_plot.js";
import { TrainingCharts } from "../charts/training_charts.js";
import { jobStream } from "../live/live.js";
import { highlight } from "../parts/code_editor.js";
import { all, el, find, meter, pageData, perhaps } from "../parts/elements.js";
import { clock, duration, epochText, fileSize, number } from "../parts/format.js";
import { FinerCurves } from "../parts/finer_curves.js";
import { OtherRuns } from "../parts/other_runs.js";
import { below, loadPage, request, send } from "../parts/request.js";
import { SnapshotList } from "../parts/snapshot_list.js";
import { classTable, isRunning, metricsTable, shown as shownOf, verdict } from "../parts/training_metrics.js";
import { NOTHING, TrainingState } from "../parts/training_state.js";
import { ValidationSamples } from "./validation_samples.js";

const LOG_BYTES = 32768;
const LOG_MS = 3000;
const DRAW_MS = 200;
const REST = 3; // times as long as drawing takes the page is left to its reader

const page = find("[data-training]");
const id = page.dataset.job ?? "";
const state = new TrainingState(pageData("training-data"));
const part = (/** @type {string} */ selector) => perhaps(selector, page); // the page of the large graph has few of them
const smoothing = find("#smoothing", document, HTMLInputElement);
const logScale = find("#log-scale", document, HTMLInputElement);
let others = /** @type {OtherRuns | null} */ (null);
const options = () => ({ smoothing: Number(smoothing.value), log: logScale.checked, others: others?.runs ?? [] });
const finer = new FinerCurves(
  state,
  (from, to) => request(below(`${page.dataset.curves}?from=${from}&to=${to}`)),
  () => later("curves"),
);
const charts = new TrainingCharts(find("[data-charts]", page), options, "large" in page.dataset, finer);
const samplesRoot = part("[data-validation-samples]");
const validationSamples = samplesRoot && new ValidationSamples(samplesRoot, id, state.frames);
const snapshots = new SnapshotList(part("[data-snapshots]"), state, page.dataset.download ?? "");
let counted = performance.now(); // when state.elapsed was true

let chartsDue = false;
let drawingMs = 0; // the last time
let failed = /** @type {HTMLElement | null} */ (null); // says that charts cannot be drawn

/** Charts in a hidden tab have no size: they are drawn when it is shown. */
function drawCharts() {
  find("[data-no-curves]", page).hidden = state.curves.train.epoch.length + state.curves.val.epoch.length > 0;
  const hint = part("[data-bottleneck]"), text = hint && bottleneck(state);
  if (hint && hint.textContent !== text) hint.textContent = text;
  if (hint) hint.hidden = !text;
  chartsDue = !find("[data-charts]", page).offsetParent;
  if (chartsDue) return;
  const began = performance.now();
  charts.draw(state).then(() => {
    drawingMs = performance.now() - began;
  }).catch((error) => {
    failed ??= notice("warning", error.message);
  });
}

// -- figures ----------------------------------------------------------------------------------------------------------

/**
 * @param {string} label
 * @param {string} value
 * @param {string} [note]
 */
const tile = (label, value, note = "") =>
  el(
    "div",
    { class: "tile" },
    el("div", { class: "tile-label" }, label),
    el("div", { class: "value" }, value || "–"),
    el("div", { class: "note" }, note),
  );

/**
 * @param {string} name
 * @param {number | null} value
 */
const shown = (name, value) => (value === null ? "" : shownOf(state, name, value));

function drawTiles() {
  drawProgress();
  part("[data-tiles]")?.replaceChildren(bestTile(), lossTile(), epochTile(), speedTile(), rateTile(), timeTile());
}

function bestTile() {
  const best = state.best();
  if (!best) {
    return tile("Best", "", state.deciding === NOTHING ? "none: several losses rank nothing" : "after the first validation");
  }
  const guess = state.baseline?.values[best.name] ?? null;
  const when = best.epoch === 0 ? "epoch 0, the start" : `epoch ${epochText(best.epoch)}`;
  const note = `${when}${guess === null ? "" : `, baseline ${shown(best.name, guess)}`}`;
  return tile(`Best ${state.facts(best.name).short}`, shown(best.name, best.value), note);
}

function lossTile() {
  const [loss] = state.names("loss");
  const now = (/** @type {"train" | "val"} */ phase) =>
    loss ? (state.isLost(phase, loss) ? "no number" : number(state.last(phase, loss))) : "";
  const validation = now("val");
  return tile("Loss", now("train"), validation ? `validation ${validation}` : "training");
}

function epochTile() {
  const { progress, epochs, curves: { train, val } } = state; // curves may be ahead of the last word on progress
  const newest = (/** @type {"epoch" | "step"} */ name) =>
    Math.max(progress?.[name] ?? 0, train[name].at(-1) ?? 0, val[name].at(-1) ?? 0);
  const step = newest("step");
  return tile("Epoch", `${epochText(newest("epoch"))} / ${number(epochs)}`, step ? `step ${number(step)}` : "");
}

function speedTile() {
  const { progress } = state;
  return tile("Speed", progress?.rate ? number(Math.round(progress.rate)) : "", `${progress?.unit || "images"}/s`);
}

function rateTile() {
  const [rate] = Object.keys(state.curves.lr.values);
  return tile("Learning rate", rate ? number(state.last("lr", rate)) : "");
}

function timeTile() {
  const running = isRunning(state);
  const elapsed = state.elapsed + (running && state.elapsed ? (performance.now() - counted) / 1000 : 0);
  return tile(running ? "Elapsed" : "Duration", duration(elapsed), running ? "" : "without waiting");
}

/** Progress and time left in the header: one place, so that no two numbers of the page disagree. */
function drawProgress() {
  const box = perhaps("[data-job-progress]"), { progress } = state, place = perhaps("[data-device]");
  if (place) place.textContent = device();
  if (!box || !progress || !isRunning(state)) return;
  box.dataset.live = "";
  const percent = Math.min(100, Math.round(100 * progress.fraction));
  find(".progress", box).setAttribute("aria-valuenow", String(percent));
  find(".progress-bar", box).style.width = `${percent}%`;
  find("[data-progress-text]", box).textContent = `${percent} %`;
  const [low, high] = (progress.eta_range ?? []).map(duration);
  const range = low && low !== high ? ` (${low} to ${high})` : "";
  find("[data-progress-eta]", box).textContent = progress.eta ? `about ${duration(progress.eta)} left${range}` : "";
}

function device() {
  if (!state.hardware) return "";
  const names = (state.hardware.gpus || []).map((/** @type {any} */ gpu) => gpu.name);
  return names.join(", ") || "on the CPU";
}

function drawMetrics() {
  const box = part("[data-metrics]");
  if (!box) return;
  const metrics = metricsTable(state), classes = classTable(state);
  const content = [];
  if (metrics) content.push(el("h2", { class: "table-title" }, "Metrics of the validation"), metrics);
  if (classes) content.push(el("h2", { class: "table-title" }, `${state.parts[1]}, at the last validation`), classes);
  box.hidden = !content.length;
  if (state.baseline) {
    const text = `Baseline: what the trivial answer scores on the same validation split (${state.baseline.description}).`;
    content.push(el("p", { class: "table-note muted" }, text));
  }
  box.replaceChildren(...content);
  const warnings = verdict(state).map((text) => el("div", { class: "alert alert-warning", role: "status" }, text));
  find("[data-verdict]", page).replaceChildren(...warnings);
}

// -- snapshots --------------------------------------------------------------------------------------------------------

function drawSnapshots() {
  if (!part("[data-snapshots]") || !state.snapshots.length) return;
  snapshots.draw();
  offerSnapshots();
}

function offerSnapshots() {
  snapshots.offer();
  if (!state.snapshots.length || !document.querySelector("[data-needs-snapshot]")) return;
  bringInference().catch((error) => notice("warning", error.message));
}

let bringing = /** @type {Promise<void> | null} */ (null);

/** The forms that a page without a snapshot could not have, taken from the page as it is now. */
function bringInference() {
  bringing ??= bring().finally(() => {
    bringing = null;
  });
  return bringing;
}

async function bring() {
  const fresh = await loadPage().catch(() => {
    throw new Error("The inference forms could not be loaded; reload the page.");
  });
  for (const old of all("[data-needs-snapshot]")) {
    const found = fresh.getElementById(old.id);
    if (!found || "needsSnapshot" in found.dataset) continue;
    old.replaceWith(found);
    document.dispatchEvent(new CustomEvent("digits:content", { detail: found }));
  }
}

// -- hardware, log, notices -------------------------------------------------------------------------------------------

function drawHardware() {
  const box = part("[data-hardware]");
  const now = state.hardware;
  if (!box) return;
  box.hidden = !now || !isRunning(state);
  if (box.hidden) return;
  const cores = Math.max(1, Math.ceil(now.cpu_percent / 100), now.cpus || 1);
  const meters = [meter("CPU", now.cpu_percent / cores, `${Math.round(now.cpu_percent)} % of one core`)];
  if (now.memory_total) meters.push(memoryMeter("Memory", now.memory, now.memory_total));
  for (const gpu of now.gpus) {
    const warm = gpu.temperature ? `, ${gpu.temperature} °C` : "";
    meters.push(meter(`GPU ${gpu.index}`, gpu.utilization || 0, `${gpu.name}: ${gpu.utilization ?? "?"} %${warm}`));
    if (gpu.memory_total) meters.push(memoryMeter(`GPU ${gpu.index} memory`, gpu.memory_used, gpu.memory_total));
  }
  find("[data-meters]", page).replaceChildren(...meters);
}

/**
 * @param {string} label
 * @param {number} used in bytes
 * @param {number} total
 */
const memoryMeter = (label, used, total) => meter(label, (100 * used) / total, `${fileSize(used)} of ${fileSize(total)}`);

function drawTraces() {
  const box = part("[data-traces]"), last = state.traces.at(-1);
  if (!box || !last) return;
  box.hidden = false;
  find("[data-traces-where]", box).textContent = last.where;
}

function drawLog() {
  const box = part("[data-log-tail]");
  const lines = state.log.map(({ t, message }) => `${clock(t)}  ${message}`);
  if (box) showTail(box, lines.join("\n") || "Nothing has happened yet.");
}

/**
 * Who had scrolled to the end stays there; what is hidden counts as at its end when it was last shown there.
 * @param {HTMLElement} box
 * @param {string} text
 */
function showTail(box, text) {
  if (box.clientHeight) box.dataset.atEnd = String(box.scrollTop + box.clientHeight >= box.scrollHeight - 20);
  box.textContent = text;
  toEnd(box);
}

/** @param {HTMLElement} box */
function toEnd(box) {
  if (box.dataset.atEnd !== "false") box.scrollTop = box.scrollHeight;
}

function onTab() {
  if (chartsDue) drawCharts();
  for (const box of [part("[data-log-tail]"), part("[data-output]")]) if (box) toEnd(box);
}

async function showOutput() {
  const box = part("[data-output]");
  const details = box?.parentElement;
  if (!(details instanceof HTMLDetailsElement) || !details.open || !state.attempts.length) return;
  showTail(/** @type {HTMLElement} */ (box), (await endOfLog(page.dataset.log ?? "")) || "The worker has printed nothing.");
}

/**
 * The last lines of the worker's log.
 * @param {string} address
 */
async function endOfLog(address) {
  const ask = (/** @type {Record<string, string>} */ headers) =>
    send(below(address), { headers, cache: "no-store" }).catch(() => null);
  const head = await ask({ Range: "bytes=0-0" }); // its length first: a range beyond a short file is refused
  const length = Number(head?.headers.get("Content-Range")?.split("/")[1] || 0);
  const isLong = head?.status === 206 && length > LOG_BYTES;
  const response = await ask(isLong ? { Range: `bytes=${length - LOG_BYTES}-` } : {});
  const text = response?.ok ? await response.text() : "";
  return response?.status === 206 ? text.slice(text.indexOf("\n") + 1) : text; // the first line is torn
}

let outputTimer = 0;
function outputSoon() {
  if (outputTimer || document.hidden) return;
  outputTimer = setTimeout(() => {
    outputTimer = 0;
    showOutput();
  }, LOG_MS);
}

/**
 * @param {string} kind
 * @param {string} text
 * @param {string} [advice]
 */
function notice(kind, text, advice) {
  const note = el("div", { class: `alert alert-${kind}`, role: "status" }, text, advice ? ` ${advice}` : "");
  part("[data-notices]")?.append(note);
  return note;
}

// -- live -------------------------------------------------------------------------------------------------------------

/** @type {Record<string, () => void>} */
const DRAW = {
  curves: drawCharts,
  metrics: drawMetrics,
  tiles: drawTiles,
  snapshots: drawSnapshots,
  hardware: drawHardware,
  log: drawLog,
  traces: drawTraces,
};
/** @type {Set<string>} */
const due = new Set();
let timer = 0;

/** @param {...string} parts */
function later(...parts) {
  for (const name of parts) due.add(name);
  timer ||= setTimeout(() => {
    timer = 0;
    for (const name of due) DRAW[name]();
    due.clear();
  }, Math.max(DRAW_MS, REST * drawingMs));
}

let thinning = false;

/** The server chooses anew what is shown of the run. */
async function chooseAnew() {
  if (thinning) return;
  thinning = true;
  await reload().catch(() => null); // the next event tries again
  thinning = false;
}

async function reload() {
  const fresh = await request(below(page.dataset.curves ?? ""));
  if (fresh.offset >= state.offset) state.load(fresh);
  validationSamples?.reset(state.frames);
  later(...Object.keys(DRAW));
}

/**
 * @param {any} event
 * @param {number} offset
 */
function onEvent(event, offset) {
  const changed = state.add(event, offset);
  if (!changed) return;
  outputSoon();
  if (changed === "reload") {
    reload().catch(() => location.reload());
    if (event.type !== "attempt") return;
    finer.clear();
    if (event.resumed_step < 0) return;
    for (const old of all("[data-resumed]", page)) old.remove();
    const text = `Resumed from step ${number(event.resumed_step)} (attempt ${event.attempt}); nothing before it was lost.`;
    notice("info", text).dataset.resumed = "";
  } else if (changed === "warning") notice("warning", event.message, event.advice);
  else if (changed === "thin") chooseAnew();
  else if (changed === "curves") later("curves", "metrics", "tiles", "log");
  else if (changed === "hardware") later("hardware", "curves");
  else if (changed === "sample") validationSamples?.add(event);
  else if (changed in DRAW) later(changed);
}

/** @param {import("../parts/columns.js").Row} row */
function onJob(row) {
  state.status = row.letter;
  if (row.elapsed !== undefined) {
    state.elapsed = row.elapsed;
    counted = performance.now();
  }
  later("tiles", "metrics", "hardware");
  if (row.running) return;
  outputSoon();
  offerSnapshots();
}

/** Why it failed, with what can be done, as the page would say it now. */
async function bringReason() {
  const box = perhaps("[data-job-error]");
  if (!box) return;
  const fresh = (await loadPage()).querySelector("[data-job-error]");
  if (fresh instanceof HTMLElement && fresh.dataset.jobError) box.replaceWith(fresh);
}

document.addEventListener("digits:status", (event) => {
  if (/** @type {CustomEvent} */ (event).detail.letter === "E") bringReason().catch(() => null);
});
const otherRuns = part("[data-other-runs]");
if (otherRuns) others = new OtherRuns(otherRuns, find("#curves", page), id, () => later("curves"));
smoothing.addEventListener("input", () => later("curves"));
logScale.addEventListener("change", () => later("curves"));
for (const text of all("[data-highlight]")) text.replaceChildren(highlight(text.textContent ?? ""));
drawAlways(drawCharts);
document.addEventListener("digits:tab", onTab);
for (const draw of [drawTiles, drawMetrics, drawSnapshots, drawHardware, drawLog, drawTraces]) draw();
part("[data-output]")?.parentElement?.addEventListener("toggle", showOutput);
setInterval(() => isRunning(state) && !document.hidden && drawTiles(), 1000);
jobStream(id, { offset: state.offset, onEvent, onJob });
