// @ts-check
// Home: the running strip, the machine, and the tables, all live.

import { listStream } from "../live/live.js";
import { pageOf } from "../parts/columns.js";
import { confirmDialog, toast } from "../parts/dialogs.js";
import { all, el, find, icon, pageData, pill, progressBar, sparkline } from "../parts/elements.js";
import { duration, number } from "../parts/format.js";
import { request } from "../parts/request.js";
import { JobTable } from "../parts/table.js";
import { showTab, wireTabs } from "../parts/tabs.js";

/** @typedef {import("../parts/columns.js").Row} Row */

const MACHINE_MS = 10000;
const SYMBOLS = { dataset: "images", model: "diagram-3", evaluation: "clipboard-data" };
const data = pageData("home-data");
/** @type {Map<string, JobTable>} */
const tables = new Map();
/** @type {Map<string, Row>} */
const running = new Map();

/**
 * @param {string} name
 * @param {HTMLElement} tab
 */
function chooseTab(name, tab) {
  showTab(document, name);
  const address = new URL(location.href);
  address.searchParams.set("tab", tab.dataset.number ?? "");
  history.replaceState(null, "", address);
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
  const strip = find(".running-strip");
  const old = strip.querySelector(`[data-id="${row.id}"]`);
  if (!running.has(row.id)) old?.remove();
  else if (old) old.replaceWith(card(row));
  else strip.append(card(row));
  find("[data-running]").hidden = !running.size;
  showQueue();
}

function showQueue() {
  const active = [...running.values()].filter((row) => row.letter === "R").length;
  const waiting = running.size - active;
  find("[data-queue]").textContent = running.size ? `${active} running, ${waiting} in the queue` : "Nothing is running.";
}

async function loadRunning() {
  const page = await request("/jobs.json?status=IWR&limit=200&sort=-status,created");
  /** @type {Row[]} */
  const rows = page.rows;
  running.clear();
  find(".running-strip").replaceChildren();
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
  tables.set(pane.dataset.table ?? "", new JobTable(pane, { outputs: data.outputs, onCount: showCount }));
}
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
