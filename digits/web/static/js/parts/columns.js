// The columns of the tables on the home page: title, sort key, and how a cell is drawn.

import { ago, duration, el, fileSize, number, pill, sparkline, url } from "./ui.js";

const PAGES = { dataset: "/datasets/", model: "/models/", evaluation: "/evaluations/" };
const SWEEP = /^(.*?)((?: (?:learning_rate|batch_size):\S+)+)$/; // names of a sweep: the varied values are the minor part

/** Path of a job's page. */
export const pageOf = (row) => url(`${PAGES[row.type]}${row.id}`);

function nameCell(row) {
  const [, major, minor] = SWEEP.exec(row.name) || [null, row.name, ""];
  return el("a", { href: pageOf(row), title: row.name }, major, minor && el("span", { class: "minor" }, minor));
}

function statusCell(row) {
  const word = row.stopping && row.running ? "Stopping" : row.status;
  const cell = el("span", { title: row.error || row.message || "" }, pill(row.status));
  if (word !== row.status) cell.append(" …");
  if (row.letter === "R") cell.append(el("span", { class: "minor ms-1" }, `${row.progress} %`));
  return cell;
}

function bestCell(row) {
  if (row.best_value === null) return "";
  const lower = /loss|error|mae|mse/i.test(row.best_name);
  const epoch = row.best_epoch === null ? "" : ` @ ${number(row.best_epoch)}`;
  return el("span", { title: `${row.best_name}${epoch && `, epoch ${number(row.best_epoch)}`}` },
    `${lower ? "↓" : "↑"} ${number(row.best_value)}`, el("span", { class: "minor" }, epoch));
}

function linked(row) {
  return row.dataset_id ? el("a", { href: url(`/datasets/${row.dataset_id}`) }, row.dataset_name || row.dataset_id) : "";
}

const summary = (name) => (row) => (row.summary?.[name] ?? null) === null ? "" : number(row.summary[name]);

const COMMON = {
  name: { title: "Name", sort: "name", css: "name", cell: nameCell, fixed: true },
  id: { title: "Id", sort: "id", cell: (row) => el("code", {}, row.id), hidden: true },
  status: { title: "Status", sort: "status", cell: statusCell },
  task: { title: "Task", sort: "task", cell: (row) => row.task, hidden: true },
  extension: { title: "Source", sort: "extension", cell: (row) => row.extension, hidden: true },
  elapsed: { title: "Duration", sort: "elapsed", css: "num", cell: (row) => (row.started ? duration(row.elapsed) : "") },
  submitted: { title: "Created", sort: "created", css: "num", cell: (row) => ago(row.submitted) },
  disk: { title: "Disk", sort: "disk_bytes", css: "num", cell: (row) => fileSize(row.disk_bytes), hidden: true },
  username: { title: "Owner", sort: "owner", cell: (row) => row.username },
  group: { title: "Group", sort: "group", cell: (row) => row.group, hidden: true },
};

const DATASET = ["name", "id", "status", "task", "classes", "entries", "refs", "extension", "backend", "elapsed", "submitted", "disk", "username", "group"];
const MODEL = ["name", "id", "status", "task", "dataset", "network", "framework", "best", "sparkline", "extension", "elapsed", "submitted", "disk", "username", "group"];
const EVALUATION = ["name", "id", "status", "dataset", "best", "elapsed", "submitted", "disk", "username", "group"];

const OWN = {
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

/** Columns of one table in order, by key; outputs are `[name, phase]` pairs and hidden until they are chosen. */
export function columnsOf(kind, outputs) {
  const columns = new Map();
  for (const key of { dataset: DATASET, model: MODEL, evaluation: EVALUATION }[kind]) columns.set(key, { key, ...(OWN[key] || COMMON[key]) });
  if (kind === "model") {
    for (const [name, phase] of outputs) for (const which of ["last", "min", "max"]) addOutput(columns, name, phase, which);
  }
  return columns;
}

function addOutput(columns, name, phase, which) {
  const key = `${name} (${phase}) ${which}`;
  columns.set(key, { key, title: key, sort: `output:${name}:${phase}:${which}`, css: "num", cell: (row) => number(row[key]), hidden: true, output: true });
}
