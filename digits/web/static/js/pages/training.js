// The page of a training: curves, figures, snapshots, hardware and log, live from the job's event stream.

import { highlight } from "../parts/code_editor.js";
import { Film } from "./film.js";
import { jobStream } from "../live/live.js";
import { drawAlways } from "../charts/theme_plot.js";
import { TrainingCharts } from "../charts/training_charts.js";
import { classTable, metricsTable, shortTitle, shown as shownOf, verdict } from "../parts/training_metrics.js";
import { isOfClass, TrainingState } from "../parts/training_state.js";
import { duration, el, fileSize, icon, number, request, root } from "../parts/ui.js";

const page = document.querySelector("[data-training]");
const id = page.dataset.job;
const state = new TrainingState(JSON.parse(document.getElementById("training-data").textContent));
const one = (selector) => page.querySelector(selector);
const smoothing = document.getElementById("smoothing"), logScale = document.getElementById("log-scale");
const charts = new TrainingCharts(one("[data-charts]"), () => ({ smoothing: Number(smoothing.value), log: logScale.checked }), "large" in page.dataset);
const film = one("[data-film]") && new Film(one("[data-film]"), id, state.frames);
let counted = Date.now() / 1000; // when state.elapsed was true
const LOG_BYTES = 32768;
const LOG_MS = 3000;

function drawCharts() {
  const empty = !state.curves.train.epoch.length && !state.curves.val.epoch.length;
  one("[data-no-curves]").hidden = !empty;
  charts.draw(state);
}

// -- figures ------------------------------------------------------------------------------------------------------

function tile(label, value, note = "") {
  return el("div", { class: "tile" }, el("div", { class: "tile-label" }, label), el("div", { class: "value" }, value || "–"), el("div", { class: "note" }, note));
}

const shown = (name, value) => (value === null ? "" : shownOf(state, name, value));
const epochText = (epoch) => (epoch === null || epoch === undefined ? "" : number(Math.round(epoch * 100) / 100));

function drawTiles() {
  const box = one("[data-tiles]");
  if (!box) return;
  const best = state.best(), progress = state.progress;
  const loss = state.names("loss")[0];
  const rate = Object.keys(state.curves.lr.values)[0];
  const running = isRunning();
  const elapsed = state.elapsed + (running && state.elapsed ? Date.now() / 1000 - counted : 0);
  box.replaceChildren(
    tile(best ? `Best ${shortTitle(best.name)}` : "Best", best ? shown(best.name, best.value) : "", best ? bestNote(best) : "after the first validation"),
    tile("Loss", loss ? number(state.last("train", loss)) : "", loss && state.last("val", loss) !== null ? `validation ${number(state.last("val", loss))}` : "training"),
    tile("Epoch", progress ? `${epochText(progress.epoch)} / ${number(state.epochs)}` : `0 / ${number(state.epochs)}`, progress?.step ? `step ${number(progress.step)}` : ""),
    tile("Speed", progress?.rate ? number(Math.round(progress.rate)) : "", progress?.unit ? `${progress.unit}/s` : "images/s"),
    tile("Learning rate", rate ? number(state.last("lr", rate)) : ""),
    tile(running ? "Elapsed" : "Duration", duration(elapsed) || "0 s", running && progress?.eta ? `about ${duration(progress.eta)} left` : device()),
  );
}

function bestNote(best) {
  const guess = state.baseline?.values[best.name];
  return `epoch ${epochText(best.epoch)}${guess === null || guess === undefined ? "" : `, baseline ${shown(best.name, guess)}`}`;
}

function drawMetrics() {
  const box = one("[data-metrics]");
  if (!box) return;
  const tables = [metricsTable(state), classTable(state)].filter(Boolean);
  box.hidden = !tables.length;
  const note = state.baseline && `Baseline: what the trivial answer scores on the same validation split (${state.baseline.description}).`;
  const heads = ["Metrics of the validation", "Classes, at the last validation"];
  box.replaceChildren(...tables.flatMap((table, i) => [el("h2", { class: "table-title" }, heads[i]), table]), ...(note ? [el("p", { class: "table-note muted" }, note)] : []));
  one("[data-verdict]").replaceChildren(...verdict(state).map((text) => el("div", { class: "alert alert-warning", role: "status" }, text)));
}

const isRunning = () => ["I", "W", "R"].includes(state.status);

function device() {
  const gpus = state.hardware?.gpus || [];
  return state.hardware ? (gpus.length ? gpus.map((gpu) => gpu.name).join(", ") : "on the CPU") : "";
}

// -- snapshots ----------------------------------------------------------------------------------------------------

function drawSnapshots() {
  const box = one("[data-snapshots]");
  if (!box || !state.snapshots.length) return;
  const names = [...new Set(state.snapshots.flatMap((snapshot) => Object.keys(snapshot.metrics)))].filter((name) => !isOfClass(name));
  const head = el("tr", {}, el("th", {}, "Epoch"), ...names.map((name) => el("th", { class: "num", title: name }, shortTitle(name))), el("th"), el("th"));
  const newest = [...state.snapshots].reverse();
  const rows = [...newest.filter((snapshot) => snapshot.best), ...newest.filter((snapshot) => !snapshot.best)].map((snapshot) => snapshotRow(snapshot, names));
  box.replaceChildren(el("div", { class: "table-scroll snapshot-list" }, el("table", { class: "table-list" }, el("thead", {}, head), el("tbody", {}, ...rows))));
  offerSnapshots();
}

/** The selects of the inference forms follow; who had the newest chosen keeps the newest. */
function offerSnapshots() {
  const newest = [...state.snapshots].reverse();
  for (const select of newest.length ? document.querySelectorAll("select[data-snapshot]") : []) {
    const chosen = select.selectedIndex > 0 ? select.value : String(newest[0].epoch);
    const label = ({ epoch, best }, i) => `Epoch ${epochText(epoch)}${i ? "" : " (newest)"}${best ? " (best)" : ""}`;
    select.replaceChildren(...newest.map((snapshot, i) => el("option", { value: snapshot.epoch }, label(snapshot, i))));
    select.value = chosen;
  }
  if (newest.length && document.querySelector("[data-needs-snapshot]")) bringInference().catch((error) => notice("warning", error.message));
}

let bringing = null;

/** The forms that a page without a snapshot could not have, taken from the page as it is now. */
function bringInference() {
  bringing ??= bring().finally(() => { bringing = null; });
  return bringing;
}

async function bring() {
  const response = await fetch(location.pathname, { credentials: "same-origin", headers: { Accept: "text/html" } });
  if (!response.ok) throw new Error("The inference forms could not be loaded; reload the page.");
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const old of document.querySelectorAll("[data-needs-snapshot]")) {
    const found = fresh.getElementById(old.id);
    if (!found || "needsSnapshot" in found.dataset) continue;
    old.replaceWith(found);
    document.dispatchEvent(new CustomEvent("digits:content", { detail: found }));
  }
}

function snapshotRow(snapshot, names) {
  const epoch = epochText(snapshot.epoch);
  const address = `${page.dataset.download}`;
  const link = (kind) => el("a", { href: `${address}.${kind}?epoch=${snapshot.epoch}`, download: true }, kind);
  return el("tr", {},
    el("td", {}, `${epoch} `, snapshot.best && el("span", { class: "badge-best" }, icon("star-fill"), " best")),
    ...names.map((name) => el("td", { class: "num" }, shown(name, snapshot.metrics[name] ?? null))),
    el("td", {}, el("span", { class: "links" }, icon("download"), link("zip"), link("tar.gz"))),
    el("td", {}, el("a", { href: "#inference", onclick: () => choose(snapshot.epoch) }, "Test")));
}

function choose(epoch) {
  for (const select of document.querySelectorAll('[name="snapshot_epoch"]')) {
    select.value = [...(select.options || [])].find((option) => Number(option.value) === epoch)?.value ?? select.value;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

// -- hardware, log, notices ---------------------------------------------------------------------------------------

function meter(label, fraction, text) {
  const percent = Math.max(0, Math.min(100, fraction * 100));
  const bar = el("div", { class: "progress", role: "progressbar", "aria-label": label, "aria-valuenow": Math.round(percent), "aria-valuemin": 0, "aria-valuemax": 100 }, el("div", { class: "progress-bar", style: `width: ${percent}%` }));
  return el("div", { class: "hardware-meter" }, el("span", {}, label), bar, el("span", { class: "muted" }, text));
}

function drawHardware() {
  const box = one("[data-hardware]");
  const now = state.hardware;
  if (!box || !now || !isRunning()) { if (box) box.hidden = true; return; }
  const cores = Math.max(1, Math.ceil(now.cpu_percent / 100), navigator.hardwareConcurrency || 1);
  const meters = [meter("CPU", now.cpu_percent / 100 / cores, `${Math.round(now.cpu_percent)} % of one core`)];
  if (now.memory_total) meters.push(meter("Memory", now.memory / now.memory_total, `${fileSize(now.memory)} of ${fileSize(now.memory_total)}`));
  for (const gpu of now.gpus) {
    const warm = gpu.temperature ? `, ${gpu.temperature} °C` : "";
    meters.push(meter(`GPU ${gpu.index}`, (gpu.utilization || 0) / 100, `${gpu.name}: ${gpu.utilization ?? "?"} %${warm}`));
    if (gpu.memory_total) meters.push(meter(`GPU ${gpu.index} memory`, gpu.memory_used / gpu.memory_total, `${fileSize(gpu.memory_used)} of ${fileSize(gpu.memory_total)}`));
  }
  one("[data-meters]").replaceChildren(...meters);
  box.hidden = false;
}

function drawLog() {
  const box = one("[data-log-tail]");
  if (!box) return;
  const lines = state.log.map(({ t, message }) => `${new Date(t * 1000).toLocaleTimeString("en-GB")}  ${message}`);
  showTail(box, lines.join("\n") || "Nothing has happened yet.");
}

function showTail(box, text) {
  const atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 20;
  box.textContent = text;
  if (atEnd) box.scrollTop = box.scrollHeight;
}

async function showOutput() {
  const box = one("[data-output]");
  if (!box?.parentElement.open || !state.attempts.length) return;
  const ask = (headers) => fetch(page.dataset.log, { headers, cache: "no-store", credentials: "same-origin" }).catch(() => null);
  const head = await ask({ Range: "bytes=0-0" }); // its length first: a range beyond a short file is refused
  const length = Number(head?.headers.get("Content-Range")?.split("/")[1] || 0);
  const response = head?.status === 206 && length > LOG_BYTES ? await ask({ Range: `bytes=${length - LOG_BYTES}-` }) : await ask({});
  const text = response?.ok ? await response.text() : "";
  showTail(box, (response?.status === 206 ? text.slice(text.indexOf("\n") + 1) : text) || "The worker has printed nothing.");
}

let outputTimer = 0;
function outputSoon() {
  if (!outputTimer && !document.hidden) outputTimer = setTimeout(() => { outputTimer = 0; showOutput(); }, LOG_MS);
}

function notice(kind, text, advice) {
  one("[data-notices]")?.append(el("div", { class: `alert alert-${kind}`, role: "status" }, text, advice ? ` ${advice}` : ""));
}

// -- live ---------------------------------------------------------------------------------------------------------

const DRAW = { curves: drawCharts, metrics: drawMetrics, tiles: drawTiles, snapshots: drawSnapshots, hardware: drawHardware, log: drawLog };
const due = new Set();
let timer = 0;
function later(...parts) {
  for (const part of parts) due.add(part);
  timer ||= setTimeout(() => {
    timer = 0;
    for (const part of due) DRAW[part]();
    due.clear();
  }, 200);
}

async function reload() {
  const fresh = await request(page.dataset.curves.slice(root.length));
  if (fresh.offset >= state.offset) state.load(fresh);
  film?.reset(state.frames);
  later("curves", "metrics", "tiles", "snapshots", "hardware", "log");
}

function onEvent(event, offset) {
  const changed = state.add(event, offset);
  if (!changed) return;
  outputSoon();
  if (changed === "reload") {
    reload().catch(() => location.reload());
    if (event.resumed_step >= 0) notice("info", `Resumed from step ${number(event.resumed_step)} (attempt ${event.attempt}); nothing before it was lost.`);
  } else if (changed === "warning") notice("warning", event.message, event.advice);
  else if (changed === "curves") later("curves", "metrics", "tiles", "log");
  else if (changed === "sample") film?.add(event);
  else if (changed in DRAW) later(changed);
}

function onJob(row) {
  state.status = row.letter;
  if (row.elapsed !== undefined) { state.elapsed = row.elapsed; counted = Date.now() / 1000; }
  later("tiles", "metrics", "hardware");
  if (!row.running) { outputSoon(); offerSnapshots(); }
}

smoothing.addEventListener("input", () => later("curves"));
logScale.addEventListener("change", () => later("curves"));
for (const text of document.querySelectorAll("[data-highlight]")) text.replaceChildren(highlight(text.textContent));
drawAlways(drawCharts);
drawTiles();
drawMetrics();
drawSnapshots();
drawHardware();
drawLog();
one("[data-output]")?.parentElement.addEventListener("toggle", showOutput);
setInterval(() => isRunning() && !document.hidden && drawTiles(), 1000);
jobStream(id, { offset: state.offset, onEvent, onJob });
