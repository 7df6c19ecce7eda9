// @ts-check
// Home: the machine, what runs and waits, what one may begin with, the last results, and the tables, all live.

import { listStream } from "../live/live.js";
import { pageOf } from "../parts/columns.js";
import { confirmDialog, toast } from "../parts/dialogs.js";
import { ago, all, el, find, icon, jobPill, pageData, pill, progressBar, sparkline } from "../parts/elements.js";
import { duration, number, withUnit } from "../parts/format.js";
import { meters } from "../parts/machine.js";
import { loadPage, request, url } from "../parts/request.js";
import { wireStart } from "../parts/start.js";
import { JobTable } from "../parts/table.js";
import { addressOf, usual } from "../parts/table_view.js";
import { showTab, wireTabs } from "../parts/tabs.js";
import { debounced } from "../parts/timing.js";

/** @typedef {import("../parts/columns.js").Row} Row */

const MACHINE_MS = 3000;
const RELOAD_MS = 300;
const MENU_MS = 1500, MOST_TRIES = 20;
const MOST_CARDS = 24, MOST_WAITING = 24, MOST_HOLDERS = 3, RESULTS = 4;
const FULL = 92; // percent from which a device is shown as full
/** @type {Record<string, string>} */
const SYMBOLS = { dataset: "images", model: "diagram-3", evaluation: "clipboard-data", pretrained_model: "box-seam" };
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
  const best = row.best_value !== null && `${row.rank.title} ${withUnit(row.rank.value, row.rank.unit)}`;
  return el(
    "div",
    { class: "card run-card", "data-id": row.id },
    el("div", { class: "top" }, icon(SYMBOLS[row.type]), el("a", { href: pageOf(row) }, row.name), pill(row.status), stop),
    line,
    progressBar(row.name, row.progress),
    el("div", { class: "bottom" }, el("span", {}, `${row.progress} %`), best && el("span", {}, best), el("span", {}, time)),
    row.message && el("div", { class: "message" }, row.message),
  );
}

/**
 * A running job is a card; those that wait are one line, which opens.
 * @param {Row} row
 */
function showRunning(row) {
  const active = row.running && !row.deleted && SYMBOLS[row.type];
  const before = running.get(row.id);
  if (!active && !before) return;
  if (active) running.set(row.id, row);
  else running.delete(row.id);
  if (!active || before?.letter !== row.letter) loadRunningSoon(); // how many wait has changed, and who is shown of them
  const old = document.querySelector(`.run-card[data-id="${row.id}"]`);
  const strip = find(`[data-strip="${row.letter === "R" ? "R" : "W"}"]`);
  if (!active) old?.remove();
  else if (old?.parentElement === strip) old.replaceWith(card(row));
  else {
    old?.remove();
    if (row.letter === "R") strip.append(card(row));
  }
}

/**
 * @param {number} active
 * @param {number} waiting
 * @param {number} shown of those that wait
 */
function showQueue(active, waiting, shown) {
  find("[data-running]").hidden = !active && !waiting;
  find("[data-running-title]").hidden = !active;
  find("[data-waiting]").hidden = !waiting;
  find("[data-waiting] summary").textContent = `${number(waiting)} waiting`;
  const more = find("[data-more-waiting]");
  more.hidden = waiting <= shown;
  const queue = el("a", { href: url("/queue") }, "Queue & hardware");
  more.replaceChildren(`and ${number(waiting - shown)} more, in their order under `, queue, ".");
  find("[data-queue]").textContent = active || waiting
    ? `${number(active)} running, ${number(waiting)} in the queue`
    : "Nothing is running.";
}

async function loadRunning() {
  const [active, waiting] = await Promise.all([
    request(`/jobs.json?status=R&limit=${MOST_CARDS}&sort=started&columns=name`),
    request(`/jobs.json?status=IW&limit=${MOST_WAITING}&sort=-priority,created&columns=name`),
  ]);
  running.clear();
  for (const [letter, page] of /** @type {[string, any][]} */ ([["R", active], ["W", waiting]])) {
    const rows = page.rows.filter((/** @type {Row} */ row) => SYMBOLS[row.type]);
    for (const row of rows) running.set(row.id, row);
    find(`[data-strip="${letter}"]`).replaceChildren(...rows.map(card));
  }
  showQueue(active.total, waiting.total, waiting.rows.length);
  for (const table of tables.values()) table.drawAround();
}

const loadRunningSoon = debounced(() => loadRunning().catch(complain), RELOAD_MS);

// -- the machine ------------------------------------------------------------------------------------------------------

async function showMachine() {
  if (document.hidden) return;
  try {
    const machine = await request("/machine.json");
    const total = machine.gpus.length;
    find("[data-gpus]").textContent = total ? `${machine.gpus_available}/${total} GPUs available` : "No GPU: training on the CPU";
    find("[data-hardware]").replaceChildren(...meters(machine).map(device));
    const box = find("[data-supervisor]");
    box.hidden = machine.supervisor.ok;
    box.textContent = `Jobs do not start at the moment. ${machine.supervisor.message}`;
  } catch {
    // The line "the server does not answer" is shown by the live connection already.
  }
}

/** @param {import("../parts/machine.js").Meter} meter */
function device({ label, title, share, text, holders, scarce }) {
  const shown = holders.slice(0, MOST_HOLDERS).map(({ name, href, text: much }) =>
    el("li", {}, el("a", { href, title: name }, name), much && el("span", {}, much))
  );
  const more = holders.length - shown.length;
  if (more > 0) shown.push(el("li", {}, `and ${more} more`));
  return el(
    "div",
    { class: `device${scarce && share >= FULL ? " full" : ""}` },
    el("div", { class: "top" }, el("strong", {}, label), el("span", {}, text)),
    title && el("div", { class: "model", title }, title),
    progressBar(label, share),
    shown.length > 0 && el("ul", { "aria-label": `Jobs that hold ${label}` }, ...shown),
  );
}

/** Plugins are imported when a page first asks for them: until all are, the menu is asked for again. */
async function completeMenu(tries = MOST_TRIES) {
  const menu = find("[data-sources]");
  if (menu.dataset.sources === "all" || !tries) return;
  await new Promise((resolve) => setTimeout(resolve, MENU_MS));
  const fresh = (await loadPage()).querySelector("[data-sources]");
  if (fresh && fresh.children.length !== menu.children.length) menu.replaceChildren(...fresh.children);
  menu.dataset.sources = fresh instanceof HTMLElement ? fresh.dataset.sources : "";
  await completeMenu(tries - 1);
}

// -- last results -----------------------------------------------------------------------------------------------------

/** @param {Row} row */
function result(row) {
  const { title, value, better, unit } = row.rank;
  const arrow = { lower: " ↓", higher: " ↑" }[String(better)] ?? "";
  const failed = row.letter === "E";
  const best = value === null
    ? el("div", { class: "muted" }, "No metric was measured.")
    : el("div", { class: "value" }, `${withUnit(value, unit)} `, el("small", {}, `${title}${arrow}`));
  return el(
    "div",
    { class: "card result-card", "data-result": row.id },
    el("div", { class: "top" }, icon(SYMBOLS[row.type]), el("a", { href: pageOf(row), title: row.name }, row.name), jobPill(row)),
    failed && value === null ? null : best,
    failed && el("div", { class: "error", title: row.error }, row.error || "It failed."),
    el("div", { class: "bottom" }, el("span", {}, row.dataset_name || row.network), row.finished && ago(row.finished)),
  );
}

async function loadResults() {
  const { rows } = await request(`/jobs.json?kind=model&status=DEA&limit=${RESULTS}&sort=-finished&columns=name`);
  find("[data-results]").hidden = !rows.length;
  find("[data-results-strip]").replaceChildren(...rows.map(result));
}

const loadResultsSoon = debounced(() => loadResults().catch(complain), RELOAD_MS);

// -- everything -------------------------------------------------------------------------------------------------------

function loadAll() {
  for (const table of tables.values()) table.load();
  loadRunning().catch(complain);
  loadResults().catch(complain);
}

for (const pane of all("[data-table]")) {
  const kind = pane.dataset.table ?? "";
  const waiting = () => [...running.values()].filter((row) => row.type === kind && row.letter !== "R").length;
  tables.set(kind, new JobTable(pane, { onCount: showCount, isShown: () => shown === kind, waiting }));
}
addEventListener("popstate", readAddress);
wireTabs(document, chooseTab);
wireStart(find("[data-start]"));
find("[data-demo]").addEventListener("submit", () => {
  const button = find("[data-demo] button", document, HTMLButtonElement);
  setTimeout(() => (button.disabled = true)); // one click is enough
  addEventListener("pageshow", (event) => event.persisted && (button.disabled = false));
});
loadAll();
showMachine();
completeMenu().catch(() => {});
setInterval(showMachine, MACHINE_MS);
listStream({
  sequence: data.sequence,
  onJob: (row) => {
    showRunning(row);
    if (row.type === "model" && !row.running) loadResultsSoon();
    tables.get(row.type)?.onRow(row);
  },
  onReset: loadAll,
});
