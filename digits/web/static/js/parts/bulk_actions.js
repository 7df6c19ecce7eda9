// @ts-check
// What is done with several jobs at once: each asks first and then is one request, or one for each job.

import { confirmDialog, promptDialog } from "./dialogs.js";
import { counted } from "./format.js";

/** @typedef {import("./columns.js").Row} Row */
/**
 * One request, with `more` of the same method after it, and what is said when all are done.
 * @typedef {{path: string, method: string, data: Record<string, any>, done: string,
 *   more?: {path: string, data: Record<string, any>}[]}} Call
 */

/** @param {Row[]} rows */
const ids = (rows) => ({ "job_ids[]": rows.map((row) => row.id) });

/**
 * @param {Row[]} rows
 * @returns {Promise<Call | null | false>}
 */
async function askDelete(rows) {
  const what = rows.length === 1 ? `“${rows[0].name}”` : counted(rows.length, "job");
  const sure = await confirmDialog(`Delete ${what}?`, "Everything they made goes with them.", {
    action: "Delete",
    danger: true,
  });
  return sure && { path: "/jobs", method: "DELETE", data: ids(rows), done: `Deleted ${what}.` };
}

/**
 * @param {Row[]} rows
 * @returns {Promise<Call | null | false>}
 */
async function askAbort(rows) {
  const running = rows.filter((row) => row.running);
  const title = `Abort ${counted(running.length, "job")}?`;
  const sure = await confirmDialog(title, "The work stops; what was saved so far stays.", { action: "Abort", danger: true });
  return sure && { path: "/abort_jobs", method: "POST", data: ids(running), done: "The jobs are being stopped." };
}

/**
 * @param {Row[]} rows
 * @param {Row[]} shown rows whose groups are suggested
 * @returns {Promise<Call | null | false>}
 */
async function askGroup(rows, shown) {
  const suggestions = [...new Set(shown.map((row) => row.group).filter(Boolean))];
  const label = "Name of the group (empty: none)";
  const name = await promptDialog("Group jobs", rows[0].group, { label, action: "Group", suggestions });
  if (name === null) return null;
  return { path: "/group", method: "POST", data: { ...ids(rows), group_name: name.trim() }, done: "Jobs regrouped." };
}

/**
 * Tags are set job by job: each keeps those it has.
 * @param {Row[]} rows
 * @param {Row[]} shown rows whose tags are suggested
 * @returns {Promise<Call | null | false>}
 */
async function askTags(rows, shown) {
  const suggestions = [...new Set(shown.flatMap((row) => row.tags))];
  const label = "Tags to add, with commas between them; -tag takes one away";
  const text = await promptDialog("Tag jobs", "", { label, action: "Tag", suggestions });
  const words = (text ?? "").split(",").map((word) => word.trim()).filter(Boolean);
  if (!words.length) return null;
  const gone = words.filter((word) => word.startsWith("-")).map((word) => word.slice(1).trim());
  const added = words.filter((word) => !word.startsWith("-"));
  const tags = (/** @type {Row} */ row) => [...row.tags, ...added].filter((tag) => !gone.includes(tag)).join(",");
  const more = rows.slice(1).map((row) => ({ path: `/jobs/${row.id}`, data: { tags: tags(row) } }));
  return { path: `/jobs/${rows[0].id}`, method: "PUT", data: { tags: tags(rows[0]) }, done: "Jobs tagged.", more };
}

/** @type {Record<string, (rows: Row[], shown: Row[]) => Promise<Call | null | false>>} */
export const BULK_ACTIONS = { delete: askDelete, abort: askAbort, group: askGroup, tag: askTags };
