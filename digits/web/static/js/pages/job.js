// The parts every job page has: live status, progress, rename, notes, abort, resume, delete.

import { jobStream } from "../live/live.js";
import { ago, confirmDialog, duration, fileSize, pill, promptDialog, request, toast, url } from "../parts/ui.js";

const page = document.getElementById("job");
const id = page.dataset.jobId;
const all = (selector) => page.ownerDocument.querySelectorAll(selector);
const one = (selector) => document.querySelector(selector);
let letter = one("[data-job-status] [data-status]")?.dataset.status;

function showRow(row) {
  if (row.deleted) return gone();
  for (const name of all("[data-job-name]")) name.textContent = row.name;
  one("[data-job-status]").replaceChildren(pill(row.status));
  showProgress(row);
  showText("[data-job-message]", row.message);
  showText("[data-job-error]", row.error);
  toggle("[data-job-abort]", row.running);
  toggle("[data-job-resume]", row.letter === "A" || row.letter === "E");
  if (row.disk_bytes !== null) one("[data-disk]").textContent = fileSize(row.disk_bytes);
  if (row.letter !== letter) changed(row);
}

function changed(row) {
  letter = row.letter;
  const entry = document.createElement("li");
  const dot = document.createElement("span");
  dot.className = `dot dot-${row.status.toLowerCase()}`;
  entry.append(dot, row.status, " ", ago(Date.now() / 1000));
  one("[data-job-timeline]").append(entry);
  document.dispatchEvent(new CustomEvent("digits:status", { detail: row }));
}

function showProgress(row) {
  const box = one("[data-job-progress]");
  box.hidden = !row.running;
  box.querySelector(".progress").setAttribute("aria-valuenow", row.progress);
  box.querySelector(".progress-bar").style.width = `${row.progress}%`;
  box.querySelector("[data-progress-text]").textContent = `${row.progress} %`;
  box.querySelector("[data-progress-eta]").textContent = row.eta === null ? "" : `${duration(row.eta)} left`;
}

function showText(selector, text) {
  const box = one(selector);
  box.textContent = text;
  box.hidden = !text;
}

function toggle(selector, shown) {
  const button = one(selector);
  if (button) button.hidden = !shown;
}

function gone() {
  toast("This job was deleted.");
  setTimeout(() => { location.href = url("/"); }, 800);
}

async function send(path, method, data, done) {
  try {
    await request(path, { method, data });
    if (done) toast(done, "success");
    return true;
  } catch (error) {
    toast(error.message, "error");
    return false;
  }
}

async function rename() {
  const name = await promptDialog("Rename", one("[data-job-name]").textContent, { label: "Name" });
  if (name !== null && (await send(`/jobs/${id}`, "PUT", { job_name: name }))) {
    for (const place of all("[data-job-name]")) place.textContent = name.trim();
  }
}

async function editNotes() {
  const box = one("[data-notes]");
  const text = await promptDialog("Notes", box.textContent, { label: "What is worth remembering about this job", multiline: true });
  if (text !== null && (await send(`/jobs/${id}`, "PUT", { job_notes: text }))) box.textContent = text.trim();
}

async function abort() {
  const sure = await confirmDialog("Abort this job?", "The work stops. What was saved so far stays.", { action: "Abort", danger: true });
  if (sure) await send(`/jobs/${id}/abort`, "POST", undefined, "The job is being stopped.");
}

async function remove() {
  const text = `“${one("[data-job-name]").textContent}” and everything it made will be removed.`;
  const sure = await confirmDialog("Delete this job?", text, { action: "Delete", danger: true });
  if (sure && (await send(`/jobs/${id}`, "DELETE"))) location.href = url(page.dataset.kind === "dataset" ? "/?tab=1" : "/?tab=2");
}

function on(selector, action) {
  const element = one(selector);
  element?.addEventListener("click", action);
  if (element?.getAttribute("role") === "button") {
    element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); action(); }
    });
  }
}

on("[data-rename]", rename);
on("[data-notes][data-editable]", editNotes);
on("[data-job-abort]", abort);
on("[data-job-resume]", () => send(`/jobs/${id}/resume`, "POST", undefined, "The job goes on as soon as there is room."));
on("[data-job-delete]", remove);

jobStream(id, {
  offset: Number(page.dataset.offset),
  sequence: Number(page.dataset.sequence),
  onJob: showRow,
  onReset: async () => showRow((await request(`/jobs/${id}/table_data.json`)).job),
});
