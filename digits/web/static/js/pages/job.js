// @ts-check
// The parts every job page has: live status, progress, rename, notes, abort, resume, delete.

import { jobStream } from "../live/live.js";
import { confirmDialog, promptDialog, toast } from "../parts/dialogs.js";
import { ago, all, el, find, jobPill, perhaps, tagPill } from "../parts/elements.js";
import { duration, fileSize } from "../parts/format.js";
import { request, url } from "../parts/request.js";
import { sayDeletedNext } from "../parts/undo.js";

/** @typedef {import("../parts/columns.js").Row} Row */

const page = find("#job");
const id = page.dataset.jobId ?? "";
let letter = perhaps("[data-job-status] [data-status]")?.dataset.status;

/** @param {Row} row */
function showRow(row) {
  if (row.deleted) return gone();
  if (perhaps("[data-job-gone]")) location.reload(); // it was restored
  for (const name of all("[data-job-name]")) name.textContent = row.name;
  find("[data-job-status]").replaceChildren(jobPill(row));
  showProgress(row);
  showText("[data-job-message]", row.message);
  showError(row.error);
  toggle("[data-job-abort]", row.running);
  toggle("[data-job-resume]", row.resumable);
  showTags(row.tags);
  if (row.disk_bytes !== null) find("[data-disk]").textContent = fileSize(row.disk_bytes);
  if (row.letter !== letter) changed(row);
}

/** @param {string[]} tags */
function showTags(tags) {
  const none = el("span", { class: "muted" }, "None");
  perhaps("[data-tags]")?.replaceChildren(...(tags.length ? tags.map(tagPill) : [none]));
}

/** @param {Row} row */
function changed(row) {
  letter = row.letter;
  const dot = el("span", { class: `dot dot-${row.status.toLowerCase()}` });
  find("[data-job-timeline]").append(el("li", {}, dot, row.status, " ", ago(Date.now() / 1000)));
  document.dispatchEvent(new CustomEvent("digits:status", { detail: row }));
}

/** @param {Row} row */
function showProgress(row) {
  const box = find("[data-job-progress]");
  box.hidden = !row.running;
  if ("live" in box.dataset && row.running) return; // the events of the job say more, and sooner
  find(".progress", box).setAttribute("aria-valuenow", row.progress);
  find(".progress-bar", box).style.width = `${row.progress}%`;
  find("[data-progress-text]", box).textContent = `${row.progress} %`;
  find("[data-progress-eta]", box).textContent = row.eta === null ? "" : `${duration(row.eta)} left`;
}

/**
 * What the page was made with stays, with the advice in it; another error has its text alone until the page knows more.
 * @param {string} text
 */
function showError(text) {
  const box = find("[data-job-error]");
  box.hidden = !text;
  if (box.dataset.jobError === text) return;
  box.dataset.jobError = text;
  box.replaceChildren(text);
}

/**
 * @param {string} selector
 * @param {string} text
 */
function showText(selector, text) {
  const box = find(selector);
  box.textContent = text;
  box.hidden = !text;
}

/**
 * @param {string} selector
 * @param {boolean} shown
 */
function toggle(selector, shown) {
  const button = perhaps(selector);
  if (button) button.hidden = !shown;
}

/** Says so and stays: what is shown may be worth a look, and its owner may restore it from here. */
function gone() {
  if (perhaps("[data-job-gone]")) return;
  /** @type {(string | HTMLElement)[]} */
  const parts = ["This job was deleted. ", el("a", { href: url("/") }, "Back to Home")];
  if (perhaps("[data-job-delete]")) {
    parts.push(el("button", { type: "button", class: "btn btn-outline-primary btn-sm ms-3", "data-restore": id }, "Restore"));
  }
  page.prepend(el("div", { class: "alert alert-warning", role: "alert", "data-job-gone": true }, ...parts));
  find(".job-actions").hidden = true;
}

/**
 * Send a request; says what went wrong, or that it is done. Resolves to whether it went well.
 * @param {string} path
 * @param {string} method
 * @param {Record<string, any>} [data]
 * @param {string} [done]
 */
async function send(path, method, data, done) {
  try {
    await request(path, { method, data });
    if (done) toast(done, "success");
    return true;
  } catch (error) {
    toast(/** @type {Error} */ (error).message, "error");
    return false;
  }
}

async function rename() {
  const name = await promptDialog("Rename", find("[data-job-name]").textContent ?? "", { label: "Name" });
  if (name !== null && (await send(`/jobs/${id}`, "PUT", { job_name: name }))) {
    for (const place of all("[data-job-name]")) place.textContent = name.trim();
  }
}

async function editNotes() {
  const box = find("[data-notes]");
  const label = "What is worth remembering about this job";
  const text = await promptDialog("Notes", box.textContent ?? "", { label, multiline: true });
  if (text !== null && (await send(`/jobs/${id}`, "PUT", { job_notes: text }))) box.textContent = text.trim();
}

async function editTags() {
  const tags = all("[data-tags] .tag").map((tag) => tag.textContent);
  const text = await promptDialog("Tags", tags.join(", "), { label: "With commas between them" });
  if (text === null) return;
  try {
    showTags((await request(`/jobs/${id}`, { method: "PUT", data: { tags: text } })).tags);
  } catch (error) {
    toast(/** @type {Error} */ (error).message, "error");
  }
}

async function abort() {
  const text = "The work stops. What was saved so far stays.";
  const sure = await confirmDialog("Abort this job?", text, { action: "Abort", danger: true });
  if (sure) await send(`/jobs/${id}/abort`, "POST", undefined, "The job is being stopped.");
}

async function remove() {
  const name = find("[data-job-name]").textContent;
  const text = `“${name}” and everything it made will be removed.`;
  if (!(await confirmDialog("Delete this job?", text, { action: "Delete", danger: true }))) return;
  try {
    const answer = await request(`/jobs/${id}`, { method: "DELETE" });
    sayDeletedNext(`Deleted “${name}”.`, answer.undo);
    location.href = url(page.dataset.kind === "dataset" ? "/?tab=1" : "/?tab=2");
  } catch (error) {
    toast(/** @type {Error} */ (error).message, "error");
  }
}

async function removeRecords() {
  const text = "The records go for good. Models that were trained on them keep predicting.";
  const sure = await confirmDialog("Delete the records and keep the models?", text, { action: "Delete", danger: true });
  if (sure && (await send(`/jobs/${id}?keep_models=1`, "DELETE", undefined, "The records are deleted."))) {
    setTimeout(() => location.reload(), 800);
  }
}

/**
 * @param {string} selector
 * @param {() => void} action
 */
function on(selector, action) {
  const element = perhaps(selector);
  element?.addEventListener("click", action);
  if (element?.getAttribute("role") !== "button") return;
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    action();
  });
}

on("[data-rename]", rename);
on("[data-notes][data-editable]", editNotes);
on("[data-edit-tags]", editTags);
on("[data-job-abort]", abort);
on("[data-job-resume]", () => send(`/jobs/${id}/resume`, "POST", undefined, "The job goes on as soon as there is room."));
on("[data-job-delete]", remove);
on("[data-delete-records]", removeRecords);

jobStream(id, {
  offset: Number(page.dataset.offset),
  sequence: Number(page.dataset.sequence),
  onJob: showRow,
  onReset: async () => showRow((await request(`/jobs/${id}/table_data.json`)).job),
});
