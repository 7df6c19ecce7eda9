// @ts-check
// The columns of the tables on the home page: title, sort key, and how a cell is drawn.

import { ago, el, jobPill, sparkline, tagPill } from "./elements.js";
import { duration, fileSize, number } from "./format.js";
import { url } from "./request.js";

/**
 * A job as in `/jobs.json`.
 * @typedef {Record<string, any> & {id: string, type: "dataset" | "model" | "evaluation", name: string, status: string}} Row
 */
/**
 * @typedef {object} Column
 * @property {string} key
 * @property {string} title
 * @property {(row: Row) => import("./elements.js").Child} cell
 * @property {string} [sort] what the server sorts by
 * @property {string} [css]
 * @property {boolean} [hidden] until the user chooses it
 * @property {boolean} [fixed] cannot be hidden
 * @property {boolean} [output] shows a metric
 */

const PAGES = { dataset: "/datasets/", model: "/models/", evaluation: "/evaluations/" };
const SWEEP = /^(.*?)((?: (?:learning_rate|batch_size):\S+)+)$/; // names of a sweep: the varied values are the minor part

/**
 * Path of a job's page.
 * @param {Row} row
 */
export const pageOf = (row) => url(`${PAGES[row.type]}${row.id}`);

/** @param {Row} row */
function nameCell(row) {
  const [, major, minor] = SWEEP.exec(row.name) || [null, row.name, ""];
  return el("a", { href: pageOf(row), title: row.name }, major, minor && el("span", { class: "minor" }, minor));
}

/** @param {Row} row */
function statusCell(row) {
  const cell = el("span", { title: row.error || row.message || "" }, jobPill(row));
  if (row.stopping && row.running) cell.append(" …");
  if (row.letter === "R") cell.append(el("span", { class: "minor ms-1" }, `${row.progress} %`));
  return cell;
}

/** @param {Row} row */
function bestCell(row) {
  if (row.best_value === null) return "";
  const arrow = { lower: "↓ ", higher: "↑ " }[String(row.best_better)] ?? "";
  const epoch = row.best_epoch === null ? "" : ` @ ${number(row.best_epoch)}`;
  const isStart = row.best_epoch === 0; // the weights that a training began with
  const title = `${row.best_name}${epoch && `, epoch ${number(row.best_epoch)}`}${isStart ? ": the start was best" : ""}`;
  return el("span", { title }, `${arrow}${number(row.best_value)}`, el("span", { class: "minor" }, epoch, isStart && " (start)"));
}

/** @param {Row} row */
function linked(row) {
  return row.dataset_id ? el("a", { href: url(`/datasets/${row.dataset_id}`) }, row.dataset_name || row.dataset_id) : "";
}

/** @type {(name: string) => (row: Row) => string} */
const summary = (name) => (row) => number(row.summary?.[name]);

/** @type {Record<string, Omit<Column, "key">>} */
const COLUMNS = {
  name: { title: "Name", sort: "name", css: "name", cell: nameCell, fixed: true },
  id: { title: "Id", sort: "id", cell: (row) => el("code", {}, row.id), hidden: true },
  status: { title: "Status", sort: "status", cell: statusCell },
  task: { title: "Task", sort: "task", cell: (row) => row.task_title, hidden: true },
  extension: { title: "Source", sort: "extension", cell: (row) => row.extension, hidden: true },
  elapsed: { title: "Duration", sort: "elapsed", css: "num", cell: (row) => (row.started ? duration(row.elapsed) : "") },
  submitted: { title: "Created", sort: "created", css: "num", cell: (row) => ago(row.submitted) },
  disk: { title: "Disk", sort: "disk_bytes", css: "num", cell: (row) => fileSize(row.disk_bytes), hidden: true },
  username: { title: "Owner", sort: "owner", cell: (row) => row.username },
  group: { title: "Group", sort: "group", cell: (row) => row.group, hidden: true },
  tags: { title: "Tags", cell: (row) => el("span", { class: "tags" }, ...row.tags.map(tagPill)), hidden: true },
  classes: { title: "Classes", css: "num", cell: summary("classes") },
  entries: { title: "Pictures", css: "num", cell: summary("entries") },
  refs: { title: "Models", sort: "refs", css: "num", cell: (row) => number(row.refs) },
  backend: { title: "Backend", cell: (row) => row.backend, hidden: true },
  dataset: { title: "Dataset", sort: "dataset_id", css: "name", cell: linked },
  network: { title: "Network", sort: "network", cell: (row) => row.network },
  framework: { title: "Framework", sort: "framework", cell: (row) => row.framework, hidden: true },
  best: { title: "Best", sort: "best_value", css: "num", cell: bestCell },
  sparkline: { title: "Loss", css: "spark-cell", cell: (row) => sparkline(row.sparkline || []) },
};

const LAST = "elapsed submitted disk username group tags";

/** @type {Record<string, string>} */
const ORDER = {
  dataset: `name id status task classes entries refs extension backend ${LAST}`,
  model: `name id status task dataset network framework best sparkline extension ${LAST}`,
  evaluation: `name id status dataset best ${LAST}`,
};

/**
 * Columns of one table in order, by key; outputs are hidden until they are chosen.
 * @param {string} kind "dataset", "model" or "evaluation"
 * @param {[string, string][]} outputs name and phase of each metric that some model has
 * @returns {Map<string, Column>}
 */
export function columnsOf(kind, outputs) {
  const columns = ORDER[kind].split(" ").map((key) => ({ key, ...COLUMNS[key] }));
  if (kind === "model") {
    for (const [name, phase] of outputs) {
      for (const which of ["last", "min", "max"]) columns.push(outputColumn(name, phase, which));
    }
  }
  return new Map(columns.map((column) => [column.key, column]));
}

/**
 * @param {string} name
 * @param {string} phase
 * @param {string} which "last", "min" or "max"
 * @returns {Column}
 */
function outputColumn(name, phase, which) {
  const key = `${name} (${phase}) ${which}`;
  const sort = `output:${name}:${phase}:${which}`;
  return { key, title: key, sort, css: "num", cell: (row) => number(row[key]), hidden: true, output: true };
}
