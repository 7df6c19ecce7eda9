// @ts-check
// Home: the running strip, the machine, and the tables, all live.

import { listStream } from "../live/live.js";
import { pageOf } from "../parts/columns.js";
import { confirmDialog, toast } from "../parts/dialogs.js";
import { all, el, find, icon, pageData, pill, progressBar, sparkline } from "../parts/elements.js";
import { duration, number } from "../parts/format.js";
import { request } from "../parts/request.js";
import { JobTable } from "../parts/table.js";
import { addressOf, usual } from "../parts/table_view.js";
import { showTab, wireTabs } from "../parts/tabs.js";

/** @typedef {import("../parts/columns.js").Row} Row */

const MACHINE_MS = 10000;
const SYMBOLS = { dataset: "images", model: "diagram-3", evaluation: "clipboard-data" };
const data = pageData("home-data");
/** @type {Map<string, JobTable>} */
const tables = new Map();
/** @type {Map<string, Row>} */
const running = new Map();
let shown = all("[data-tab]").find((tab) => tab.getAttribute("aria-selected") === "true")?.dataset.tab ?? "model";

/**
 * @param {string} name
 * @param {HTMLElement} tab
 */
function chooseTab(name, tab) {
  showTab(document, name);
  shown = name;
  const table = tables.get(name);
  const address = addressOf(table?.view ?? usual(), new URLSearchParams({ tab: tab.dataset.number ?? "" }));
  history.pushState(null, "", `?${address}`);
}

/** After *Back*: the tab and the view that the address says. */
function readAddress() {
  const wanted = new URLSearchParams(location.search).get("tab") ?? "2";
  const tab = all("[data-tab]").find((known) => known.dataset.number === wanted);
  shown = tab?.dataset.tab ?? "model";
  showTab(document, shown);
  tables.get(shown)?.readAddress();
}

/**
 * @param {string} kind
 * @param {number} total
 */
function showCount(kind, total) {
  find(`[data-count="${kind}"]`).textContent = number(total);
}

/** @param {unknown} error */
const complain = (error) => toast(/** @type {Error} */ (error).message, "error");

// -- running strip ----------------------------------------------------------------------------------------------------

/** @param {Row} row */
async function abort(row) {
  const text = "The work stops; what was saved so far stays.";
  if (!(await confirmDialog(`Abort “${row.name}”?`, text, { action: "Abort", danger: true }))) return;
  await request(`/jobs/${row.id}/abort`, { method: "POST" }).catch(complain);
}

/** @param {Row} row */
function card(row) {
  const stop = el(
    "button",
    {
      class: "btn btn-link btn-sm p-0",
      type: "button",
      title: "Abort",
      "aria-label": `Abort ${row.name}`,
      onclick: () => abort(row),
    },
    icon("stop-circle"),
  );
  const line = (row.sparkline || []).length > 1 && sparkline(row.sparkline);
  const time = row.eta === null ? duration(row.started ? row.elapsed : null) : `${duration(row.eta)} left`;
  return el(
    "div",
    { class: "card run-card", "data-id": row.id },
    el("div", { class: "top" }, icon(SYMBOLS[row.type]), el("a", { href: pageOf(row) }, row.name), pill(row.status), stop),
    line,
    progressBar(row.name, row.progress),
    el("div", { class: "bottom" }, el("span", {}, `${row.progress} %`), el("span", {}, time)),
    row.message && el("div", { class: "message" }, row.message),
  );
}

/** @param {Row} row */
function showRunning(row) {
  if (row.running && !row.deleted) running.set(row.id, row);
  else running.delete(row.id);
  const old = document.querySelector(`.run-card[data-id="${row.id}"]`);
  const strip = find(`[data-strip="${row.letter === "R" ? "R" : "W"}"]`);
  if (!running.has(row.id)) old?.remove();
  else if (old?.parentElement === strip) old.replaceWith(card(row));
  else {
    old?.remove();
    strip.append(card(row));
  }
  find("[data-running]").hidden = !running.size;
  showQueue();
}

function showQueue() {
  const active = [...running.values()].filter((row) => row.letter === "R").length;
  const waiting = running.size - active;
  find("[data-waiting]").hidden = !waiting;
  find("[data-waiting] summary").textContent = `${waiting} waiting`;
  find("[data-queue]").textContent = running.size ? `${active} running, ${waiting} in the queue` : "Nothing is running.";
}

async function loadRunning() {
  const page = await request("/jobs.json?status=IWR&limit=200&sort=-status,created");
  /** @type {Row[]} */
  const rows = page.rows;
  running.clear();
  for (const strip of all("[data-strip]")) strip.replaceChildren();
  rows.sort((a, b) => Number(b.letter === "R") - Number(a.letter === "R")).forEach(showRunning);
  showQueue();
}

async function showMachine() {
  if (document.hidden) return;
  try {
    const machine = await request("/machine.json");
    const total = machine.gpus.length;
    find("[data-gpus]").textContent = total ? `${machine.gpus_available}/${total} GPUs available` : "No GPU: training on the CPU";
  } catch {
    // The line "the server does not answer" is shown by the live connection already.
  }
}

// -- everything -------------------------------------------------------------------------------------------------------

function loadAll() {
  for (const table of tables.values()) table.load();
  loadRunning().catch(complain);
}

for (const pane of all("[data-table]")) {
  const kind = pane.dataset.table ?? "";
  tables.set(kind, new JobTable(pane, { onCount: showCount, isShown: () => shown === kind }));
}
addEventListener("popstate", readAddress);
wireTabs(document, chooseTab);
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
