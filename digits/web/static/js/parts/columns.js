// @ts-check
// The columns of the tables of jobs: title, sort key, and how a cell is drawn.

import { ago, el, jobPill, sparkline, tagPill } from "./elements.js";
import { duration, fileSize, number, withUnit } from "./format.js";
import { url } from "./request.js";

/** @typedef {"dataset" | "model" | "evaluation" | "pretrained_model"} Kind */
/**
 * A job as in `/jobs.json`.
 * @typedef {Record<string, any> & {id: string, type: Kind, name: string, status: string}} Row
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

const PAGES = {
  dataset: "/datasets/",
  model: "/models/",
  evaluation: "/evaluations/",
  pretrained_model: "/pretrained_models/",
};
const SWEEP = /^(.*?)((?: (?:learning_rate|batch_size):\S+)+)$/; // names of a sweep: the varied values are the minor part

/**
 * Path of a job's page.
 * @param {Row} row
 */
export const pageOf = (row) => url(`${PAGES[row.type]}${row.id}`);

/**
 * The name as a link; `cut` is where its end begins that is kept whole where there is no room for all of it.
 * @param {Row} row
 * @param {number} [cut]
 */
export function nameLink(row, cut = 0) {
  const [, major, minor] = SWEEP.exec(row.name) || [null, row.name, ""];
  const parts = cut
    ? [el("span", { class: "cut-start" }, row.name.slice(0, cut)), el("span", { class: "cut-end" }, row.name.slice(cut))]
    : [major, minor && el("span", { class: "minor" }, minor)];
  return el("a", { href: pageOf(row), title: row.name, class: cut ? "cut" : null }, ...parts);
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
  const { name, title, value, epoch, better, unit } = row.rank;
  if (row.seeds?.text) return seedsCell(row);
  if (value === null || value === undefined) return "";
  const arrow = { lower: " ↓", higher: " ↑" }[String(better)] ?? "";
  const at = epoch === null || epoch === undefined ? "" : ` @ ${number(epoch)}`;
  const isStart = epoch === 0; // the weights that a training began with
  const hint = `${name}${at && `, epoch ${number(epoch)}`}${isStart ? ": the start was best" : ""}`;
  const metric = el("span", { class: "minor" }, `${title}${arrow} `);
  return el("span", { title: hint }, metric, withUnit(value, unit), el("span", { class: "minor" }, at, isStart && " (start)"));
}

/**
 * What several seeds reached: mean and standard deviation.
 * @param {Row} row
 */
function seedsCell(row) {
  const { values, ids, text } = row.seeds;
  const hint = `Mean ± standard deviation of ${values.length} of ${ids.length} runs that differ by their seed alone`;
  return el("span", { title: hint }, el("span", { class: "minor" }, `${row.rank.title} `), text);
}

/** @param {Row} row */
function linked(row) {
  return row.dataset_id ? el("a", { href: url(`/datasets/${row.dataset_id}`) }, row.dataset_name || row.dataset_id) : "";
}

/** @type {(name: string) => (row: Row) => string} */
const summary = (name) => (row) => number(row.summary?.[name]);

/** @type {Record<string, Omit<Column, "key">>} */
const COLUMNS = {
  name: { title: "Name", sort: "name", css: "name", cell: nameLink, fixed: true },
  id: { title: "Id", sort: "id", cell: (row) => el("code", {}, row.id), hidden: true },
  status: { title: "Status", sort: "status", cell: statusCell },
  task: { title: "Task", sort: "task", cell: (row) => row.task_title, hidden: true },
  extension: { title: "Source", sort: "extension", cell: (row) => row.extension, hidden: true },
  elapsed: { title: "Duration", sort: "elapsed", css: "num", cell: (row) => (row.started ? duration(row.elapsed) : "") },
  submitted: { title: "Created", sort: "created", css: "num", cell: (row) => ago(row.submitted) },
  disk: { title: "Disk", sort: "disk_bytes", css: "num", cell: (row) => fileSize(row.disk_bytes), hidden: true },
  username: { title: "Owner", sort: "owner", cell: (row) => row.username, hidden: true },
  group: { title: "Group", sort: "group", cell: (row) => row.group, hidden: true },
  tags: { title: "Tags", sort: "tag", cell: (row) => el("span", { class: "tags" }, ...row.tags.map(tagPill)), hidden: true },
  classes: { title: "Classes", css: "num", cell: summary("classes") },
  entries: { title: "Pictures", css: "num", cell: summary("entries") },
  refs: { title: "Models", sort: "refs", css: "num", cell: (row) => number(row.refs) },
  backend: { title: "Backend", cell: (row) => row.backend, hidden: true },
  dataset: { title: "Dataset", sort: "dataset", css: "name other", cell: linked },
  network: { title: "Network", sort: "network", cell: (row) => row.network },
  framework: { title: "Framework", sort: "framework", cell: (row) => row.framework, hidden: true },
  best: { title: "Best", sort: "best", css: "num best", cell: bestCell },
  from: { title: "From", cell: (row) => row.summary?.from ?? "" },
  sparkline: { title: "Loss", css: "spark-cell", cell: (row) => sparkline(row.sparkline || []) },
};

const LAST = "elapsed submitted disk username group tags";

/** @type {Record<string, string>} */
const ORDER = {
  dataset: `name status id task classes entries refs extension backend ${LAST}`,
  model: `name status best id task dataset network framework sparkline extension ${LAST}`,
  evaluation: `name status best id dataset ${LAST}`,
  pretrained_model: `name status id task network framework classes from ${LAST}`,
};
const OUTPUT = /^(.*) \((train|val)\) (last|min|max)$/s;
const SETTING = "setting.";

/**
 * The columns of a kind's table in order, by key.
 * @param {string} kind "dataset", "model", "evaluation" or "pretrained_model"
 * @returns {Map<string, Column>}
 */
export const columnsOf = (kind) => new Map(ORDER[kind].split(" ").map((key) => [key, { key, ...COLUMNS[key] }]));

/**
 * The column behind a key that is none of the table's own: an output or a setting, whether any job has it (any more) or not;
 * null for what can be no column.
 * @param {string} key
 * @returns {Column | null}
 */
export function furtherColumn(key) {
  const [, name, phase, which] = OUTPUT.exec(key) ?? [];
  if (name) {
    const cell = (/** @type {Row} */ row) => number(row[key]);
    return { key, title: key, sort: `output:${name}:${phase}:${which}`, css: "num", cell, output: true };
  }
  if (!key.startsWith(SETTING)) return null;
  const cell = (/** @type {Row} */ row) => (typeof row[key] === "number" ? number(row[key]) : String(row[key] ?? ""));
  return { key, title: key.slice(SETTING.length), sort: key, css: "num", cell, output: true };
}

/** What a column is called in queries, by its key; the others cannot be filtered by. */
const QUERY_NAMES = {
  name: "name",
  id: "id",
  status: "status",
  task: "task",
  extension: "source",
  elapsed: "duration",
  submitted: "created",
  disk: "disk",
  username: "owner",
  group: "group",
  tags: "tag",
  dataset: "dataset",
  network: "network",
  framework: "framework",
};

/**
 * @param {Column} column
 * @param {string} metric what *best* ranks by
 */
export function queryName({ key }, metric) {
  const quoted = (/** @type {string} */ name) => (/^[^\s:<>="]+$/.test(name) ? name : `"${name.replace(/[\\"]/g, "\\$&")}"`);
  const [, name, phase, which] = OUTPUT.exec(key) ?? [];
  if (name) return quoted(`${which}.${phase}.${name}`);
  if (key.startsWith(SETTING)) return quoted(key);
  if (key === "best") return metric && quoted(metric);
  return /** @type {Record<string, string>} */ (QUERY_NAMES)[key] ?? "";
}
