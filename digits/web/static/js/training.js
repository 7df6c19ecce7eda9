// The page of a training: curves, figures, snapshots, hardware and log, live from the job's event stream.

import { highlight } from "./code_editor.js";
import { jobStream } from "./live.js";
import { drawAlways } from "./theme_plot.js";
import { TrainingCharts } from "./training_charts.js";
import { TrainingState } from "./training_state.js";
import { duration, el, fileSize, icon, number, request, root } from "./ui.js";

const page = document.querySelector("[data-training]");
const id = page.dataset.job;
const state = new TrainingState(JSON.parse(document.getElementById("training-data").textContent));
const one = (selector) => page.querySelector(selector);
const smoothing = document.getElementById("smoothing"), logScale = document.getElementById("log-scale");
const charts = new TrainingCharts(one("[data-charts]"), () => ({ smoothing: Number(smoothing.value), log: logScale.checked }), "large" in page.dataset);
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
  return el("div", { class: "tile" }, el("div", { class: "label" }, label), el("div", { class: "value" }, value || "–"), el("div", { class: "note" }, note));
}

const shown = (name, value) => (value === null ? "" : state.curves.kinds[name] === "accuracy" ? `${number(value * 100)} %` : number(value));
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
    tile(best ? `Best ${best.name}` : "Best", best ? shown(best.name, best.value) : "", best ? `epoch ${epochText(best.epoch)}` : "after the first validation"),
    tile("Loss", loss ? number(state.last("train", loss)) : "", loss && state.last("val", loss) !== null ? `validation ${number(state.last("val", loss))}` : "training"),
    tile("Epoch", progress ? `${epochText(progress.epoch)} / ${number(state.epochs)}` : `0 / ${number(state.epochs)}`, progress?.step ? `step ${number(progress.step)}` : ""),
    tile("Speed", progress?.rate ? number(Math.round(progress.rate)) : "", progress?.unit ? `${progress.unit}/s` : "images/s"),
    tile("Learning rate", rate ? number(state.last("lr", rate)) : ""),
    tile(running ? "Elapsed" : "Duration", duration(elapsed) || "0 s", running && progress?.eta ? `about ${duration(progress.eta)} left` : device()),
  );
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
  const names = [...new Set(state.snapshots.flatMap((snapshot) => Object.keys(snapshot.metrics)))];
  const head = el("tr", {}, el("th", {}, "Epoch"), ...names.map((name) => el("th", { class: "num" }, name)), el("th"), el("th"));
  const newest = [...state.snapshots].reverse();
  const rows = [...newest.filter((snapshot) => snapshot.best), ...newest.filter((snapshot) => !snapshot.best)].map((snapshot) => snapshotRow(snapshot, names));
  box.replaceChildren(el("div", { class: "table-scroll snapshot-list" }, el("table", { class: "table-list" }, el("thead", {}, head), el("tbody", {}, ...rows))));
  offerSnapshots();
}

/** The selects of the inference forms follow; who had the newest chosen keeps the newest. */
function offerSnapshots() {
  const newest = [...state.snapshots].reverse();
  for (const select of document.querySelectorAll("select[data-snapshot]")) {
    const chosen = select.selectedIndex > 0 ? select.value : String(newest[0].epoch);
    const label = ({ epoch, best }, i) => `Epoch ${epochText(epoch)}${i ? "" : " (newest)"}${best ? " (best)" : ""}`;
    select.replaceChildren(...newest.map((snapshot, i) => el("option", { value: snapshot.epoch }, label(snapshot, i))));
    select.value = chosen;
  }
  const box = document.getElementById("inference");
  if (box && !box.querySelector("form") && !box.querySelector("[data-first]")) {
    const show = el("button", { class: "btn btn-outline-primary btn-sm", type: "button", onclick: () => location.reload() }, "Try it");
    box.querySelector("p.muted")?.remove();
    box.append(el("p", { class: "mb-0", "data-first": true }, "The first snapshot is there. ", show));
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

const DRAW = { curves: drawCharts, tiles: drawTiles, snapshots: drawSnapshots, hardware: drawHardware, log: drawLog };
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
  later("curves", "tiles", "snapshots", "hardware", "log");
}

function onEvent(event, offset) {
  const changed = state.add(event, offset);
  if (!changed) return;
  outputSoon();
  if (changed === "reload") {
    reload().catch(() => location.reload());
    if (event.resumed_step >= 0) notice("info", `Resumed from step ${number(event.resumed_step)} (attempt ${event.attempt}); nothing before it was lost.`);
  } else if (changed === "warning") notice("warning", event.message, event.advice);
  else if (changed === "curves") later("curves", "tiles", "log");
  else if (changed in DRAW) later(changed);
}

function onJob(row) {
  state.status = row.letter;
  if (row.elapsed !== undefined) { state.elapsed = row.elapsed; counted = Date.now() / 1000; }
  later("tiles", "hardware");
  if (!row.running) outputSoon();
}

smoothing.addEventListener("input", () => later("curves"));
logScale.addEventListener("change", () => later("curves"));
for (const text of document.querySelectorAll("[data-highlight]")) text.replaceChildren(highlight(text.textContent));
drawAlways(drawCharts);
drawTiles();
drawSnapshots();
drawHardware();
drawLog();
one("[data-output]")?.parentElement.addEventListener("toggle", showOutput);
setInterval(() => isRunning() && !document.hidden && drawTiles(), 1000);
jobStream(id, { offset: state.offset, onEvent, onJob });
