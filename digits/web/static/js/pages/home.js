// Home: the running strip, the machine, and the tables, all live.

import { pageOf } from "../parts/columns.js";
import { listStream } from "../live/live.js";
import { JobTable } from "../parts/table.js";
import { duration, el, icon, pill, request, sparkline, confirmDialog, toast } from "../parts/ui.js";

const MACHINE_MS = 10000;
const data = JSON.parse(document.getElementById("home-data").textContent);
const tables = new Map();
const running = new Map();

function showTab(kind) {
  for (const tab of document.querySelectorAll("[data-tab]")) {
    const chosen = tab.dataset.tab === kind;
    tab.classList.toggle("active", chosen);
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    document.getElementById(`pane-${tab.dataset.tab}`).hidden = !chosen;
  }
}

function wireTabs() {
  const tabs = [...document.querySelectorAll("[data-tab]")];
  for (const tab of tabs) {
    tab.addEventListener("click", () => {
      showTab(tab.dataset.tab);
      const address = new URL(location.href);
      address.searchParams.set("tab", tab.dataset.number);
      history.replaceState(null, "", address);
    });
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) tabs.filter((other) => !other.hidden).at((tabs.indexOf(tab) + step) % tabs.length)?.focus();
    });
  }
}

function showCount(kind, total) {
  document.querySelector(`[data-count="${kind}"]`).textContent = total.toLocaleString("en");
}

// -- running strip ------------------------------------------------------------------------------------------------

async function abort(row) {
  if (!(await confirmDialog(`Abort “${row.name}”?`, "The work stops; what was saved so far stays.", { action: "Abort", danger: true }))) return;
  try {
    await request(`/jobs/${row.id}/abort`, { method: "POST" });
  } catch (error) {
    toast(error.message, "error");
  }
}

function card(row) {
  const symbol = { dataset: "images", model: "diagram-3", evaluation: "clipboard-data" }[row.type];
  const stop = el("button", { class: "btn btn-link btn-sm p-0", type: "button", title: "Abort", "aria-label": `Abort ${row.name}`, onclick: () => abort(row) }, icon("stop-circle"));
  const bar = el("div", { class: "progress", role: "progressbar", "aria-label": row.name, "aria-valuenow": row.progress, "aria-valuemin": 0, "aria-valuemax": 100 },
    el("div", { class: "progress-bar", style: `width:${row.progress}%` }));
  const line = (row.sparkline || []).length > 1 && sparkline(row.sparkline);
  return el("div", { class: "card run-card", "data-id": row.id },
    el("div", { class: "top" }, icon(symbol), el("a", { href: pageOf(row) }, row.name), pill(row.status), stop),
    line, bar,
    el("div", { class: "bottom" }, el("span", {}, `${row.progress} %`), el("span", {}, row.eta === null ? duration(row.started ? row.elapsed : null) : `${duration(row.eta)} left`)),
    row.message && el("div", { class: "message" }, row.message));
}

function showRunning(row) {
  if (row.running && !row.deleted) running.set(row.id, row);
  else running.delete(row.id);
  const strip = document.querySelector(".running-strip");
  const old = strip.querySelector(`[data-id="${row.id}"]`);
  if (!running.has(row.id)) old?.remove();
  else if (old) old.replaceWith(card(row));
  else strip.append(card(row));
  document.querySelector("[data-running]").hidden = !running.size;
  showQueue();
}

function showQueue() {
  const active = [...running.values()].filter((row) => row.letter === "R").length;
  const waiting = running.size - active;
  document.querySelector("[data-queue]").textContent = running.size ? `${active} running, ${waiting} in the queue` : "Nothing is running.";
}

async function loadRunning() {
  const page = await request("/jobs.json?status=IWR&limit=200&sort=-status,created");
  running.clear();
  document.querySelector(".running-strip").replaceChildren();
  page.rows.sort((a, b) => (a.letter === "R" ? 0 : 1) - (b.letter === "R" ? 0 : 1)).forEach(showRunning);
  showQueue();
}

async function showMachine() {
  if (document.hidden) return;
  try {
    const machine = await request("/machine.json");
    const total = machine.gpus.length;
    document.querySelector("[data-gpus]").textContent = total ? `${machine.gpus_available}/${total} GPUs available` : "No GPU: training on the CPU";
  } catch {
    // The line "the server does not answer" is shown by the live connection already.
  }
}

// -- everything ---------------------------------------------------------------------------------------------------

function loadAll() {
  for (const table of tables.values()) table.load();
  loadRunning().catch((error) => toast(error.message, "error"));
}

for (const pane of document.querySelectorAll("[data-table]")) {
  tables.set(pane.dataset.table, new JobTable(pane, { outputs: data.outputs, onCount: showCount }));
}
wireTabs();
loadAll();
showMachine();
setInterval(showMachine, MACHINE_MS);
listStream({
  sequence: data.sequence,
  onJob: (row) => {
    showRunning(row);
    tables.get(row.type)?.onRow(row);
  },
  onReset: loadAll,
});
