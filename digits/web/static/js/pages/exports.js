// @ts-check
// The exports of a model: what is there, what is being made, a form for another one; and the graph of its network.

import { ago, el, find, icon, perhaps, pill, progressBar } from "../parts/elements.js";
import { confirmDialog } from "../parts/dialogs.js";
import { epochText, fileSize, number } from "../parts/format.js";
import { networkView } from "../parts/network_view.js";
import { below, request } from "../parts/request.js";
import { snapshotChoice } from "../parts/snapshot_list.js";

/** @typedef {import("../parts/network_view.js").NetworkReport} NetworkReport */
/**
 * @typedef {object} Export
 * @property {string} id
 * @property {string} name
 * @property {string} title
 * @property {number} snapshot_epoch
 * @property {string} status
 * @property {number} progress
 * @property {string} message
 * @property {string} error
 * @property {number | null} created
 * @property {string} url
 * @property {number | null} size
 * @property {Parity | null} parity
 * @property {boolean} [lossy]
 * @property {{runtime: string, p50_ms: number, p95_ms: number}[]} [timings]
 * @property {{name: string, title: string, url: string}[]} packages
 */
/**
 * @typedef {{max_difference: number | null, metric_drop: number | null, metric?: string, model?: number, export?: number,
 *   pictures?: number, total?: number, reason?: string}} Parity
 */
/** @typedef {{epoch: number, best: boolean}} SnapshotChoice */

const BUSY_MS = 1500;
const IDLE_MS = 20000;
const CLOSE = 1e-4; // as digits.engines.parity: more is not rounding alone
const ENDED = ["Done", "Error", "Aborted"];

const card = find("[data-exports]");
const address = below(card.dataset.exports ?? "");
const form = find("form", card, HTMLFormElement);
const epochs = find("[name=snapshot_epoch]", card, HTMLSelectElement);
let timer = 0;

/** @param {Export} row */
function exportRow(row) {
  const done = row.parity !== null;
  const state = [pill(row.status)];
  if (!ENDED.includes(row.status)) state.push(progressBar(`${row.title}, epoch ${row.snapshot_epoch}`, 100 * row.progress));
  const words = row.error || row.message;
  return el(
    "tr",
    {},
    el("td", {}, row.title),
    el("td", { class: "num", "data-title": "Epoch" }, String(row.snapshot_epoch)),
    el("td", {}, ...state, words && el("div", { class: row.error ? "text-danger" : "muted" }, words)),
    el("td", { class: "num", "data-title": "Size" }, done ? fileSize(row.size) : ""),
    el("td", { class: "num", "data-title": "Difference" }, parityOf(row)),
    el("td", { class: "num", "data-title": "Lost" }, dropOf(row)),
    el("td", { class: "num", "data-title": "p50" }, latencyOf(row)),
    el("td", { "data-title": "Made" }, row.created === null ? "" : ago(row.created)),
    el(
      "td",
      {},
      row.url && el("a", { class: "btn btn-outline-secondary btn-sm", href: row.url }, icon("download"), " Download"),
      " ",
      ENDED.includes(row.status) && deleteButton(row),
      row.packages.length > 0 &&
        el("div", { class: "links" }, ...row.packages.flatMap((one) => [el("a", { href: one.url }, one.title), " "])),
    ),
  );
}

/** @param {Export} row */
function deleteButton(row) {
  const what = `${row.title}, epoch ${epochText(row.snapshot_epoch)}`;
  const look = { class: "btn btn-outline-secondary btn-sm", type: "button", "aria-label": `Delete ${what}`, title: "Delete" };
  return el("button", { ...look, onclick: () => remove(row, what) }, icon("trash"));
}

/**
 * @param {Export} row
 * @param {string} what
 */
async function remove(row, what) {
  const text = `${what}: its files are removed. The model and its snapshots stay.`;
  if (!(await confirmDialog("Delete this export?", text, { action: "Delete", danger: true }))) return;
  const path = address.replace(/exports\.json$/, `exports/${encodeURIComponent(row.name)}`);
  await told(() => request(path, { method: "DELETE" }));
}

/** @param {Export} row */
function parityOf(row) {
  if (row.parity === null) return "";
  const far = row.parity.max_difference;
  if (far === null) return el("span", { title: "It finds another number of boxes" }, "–");
  const text = far === 0 ? "0" : number(far);
  return far > CLOSE && !row.lossy ? el("span", { class: "text-warning", title: "More than rounding" }, text) : text;
}

/** What the deciding metric is worse by. @param {Export} row */
function dropOf(row) {
  const parity = row.parity;
  if (!parity) return "";
  if (parity.metric_drop === null) return el("span", { class: "muted", title: parity.reason ?? "" }, "–");
  const title = `${parity.metric}: ${number(parity.model ?? 0)} became ${number(parity.export ?? 0)} on ${parity.pictures} of ` +
    `${parity.total} validation pictures`;
  return el("span", { title }, parity.metric_drop === 0 ? "0" : number(parity.metric_drop));
}

/** The median of one picture in this format, and in the model itself. @param {Export} row */
function latencyOf(row) {
  const [own, first] = row.timings ?? [];
  if (!first) return "";
  return el("span", { title: `${own.runtime}: ${number(own.p50_ms)} ms` }, `${number(first.p50_ms)} ms`);
}

/** @param {SnapshotChoice[]} snapshots */
function offer(snapshots) {
  const chosen = epochs.value;
  const label = (/** @type {{epoch: number, best: boolean}} */ { epoch, best }) =>
    `Epoch ${epochText(epoch)}${best ? " (best)" : ""}`;
  epochs.replaceChildren(...snapshots.map((one) => el("option", { value: snapshotChoice(one.epoch) }, label(one))));
  if (snapshots.some((one) => snapshotChoice(one.epoch) === chosen)) epochs.value = chosen;
  for (const part of form.elements) /** @type {HTMLInputElement} */ (part).disabled = !snapshots.length;
}

async function look() {
  clearTimeout(timer);
  let busy = false;
  try {
    const found = await request(address);
    offer(found.snapshots);
    draw(found.exports);
    busy = found.exports.some((/** @type {Export} */ row) => !ENDED.includes(row.status));
  } finally {
    timer = setTimeout(() => look().catch(() => {}), busy ? BUSY_MS : IDLE_MS);
  }
}

/** @param {Export[]} rows */
function draw(rows) {
  const box = find("[data-export-list]", card);
  const heads = [
    ["Format"],
    ["Epoch", "num"],
    ["State"],
    ["Size", "num"],
    ["Difference", "num"],
    ["Lost", "num"],
    ["p50", "num"],
    ["Made"],
    [""],
  ];
  const head = el("tr", {}, ...heads.map(([text, kind]) => el("th", { class: kind, scope: "col" }, text)));
  const table = el("table", { class: "table-list table-rows" }, el("thead", {}, head), el("tbody", {}, ...rows.map(exportRow)));
  find("[data-parity-report]", card).hidden = !rows.some((row) => row.parity !== null);
  box.replaceChildren(
    rows.length ? el("div", { class: "table-scroll" }, table) : el("p", { class: "muted" }, "There is no export."),
  );
}

const formats = find("[name=format]", form, HTMLSelectElement);

function explain() {
  find("[data-export-note]", card).textContent = formats.selectedOptions[0]?.dataset.note ?? "";
}

formats.addEventListener("change", explain);
explain();

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  await told(() => request(address, { method: "POST", data: Object.fromEntries(new FormData(form)) }));
});

/**
 * Does something and shows what there is then; a refusal is said above the list.
 * @param {() => Promise<any>} act
 */
async function told(act) {
  const problem = find("[data-export-problem]", card);
  problem.hidden = true;
  try {
    await act();
    await look();
  } catch (error) {
    problem.hidden = false;
    problem.textContent = /** @type {Error} */ (error).message;
  }
}

look().catch(() => {});

const button = perhaps("[data-show-graph]");
button?.addEventListener("click", async () => {
  const box = find("[data-graph]"), { check = "", dataset = "", crop = "", layers = "" } = button.dataset;
  const text = find("[data-network-text]").textContent ?? "";
  box.replaceChildren(el("p", { class: "muted", role: "status" }, "Building the network …"));
  try {
    const report = await request(below(check), {
      method: "POST",
      data: { custom_network: text, dataset_id: dataset, crop_size: crop, python_layer_server_file: layers },
    });
    box.replaceChildren(networkView(/** @type {NetworkReport} */ (report)));
  } catch (error) {
    box.replaceChildren(el("div", { class: "alert alert-danger", role: "alert" }, /** @type {Error} */ (error).message));
  }
});
