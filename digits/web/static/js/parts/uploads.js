// Uploads with progress: files, folders and archives, chosen or dropped; many small files travel together.

import { el, fileSize, icon, openDialog, request, toast, url } from "./ui.js";

const BATCH_BYTES = 8 << 20;
const BATCH_FILES = 250;
const ALONE_FROM = 4 << 20;

/** Asks for files and uploads them; resolves to {name, path, files, bytes, skipped} or null. */
export function chooseUpload() {
  const zone = dropZone();
  const status = el("div", { class: "mt-3", hidden: true });
  const dialog = openDialog("Upload to the server", zone.element, status);
  const cancel = el("button", { class: "btn btn-outline-secondary", type: "button", onclick: () => dialog.close() }, "Cancel");
  dialog.append(el("div", { class: "buttons" }, cancel));
  return new Promise((resolve) => {
    let result = null;
    const stop = new AbortController();
    zone.onFiles = async (files) => {
      zone.element.hidden = true;
      status.hidden = false;
      try {
        result = await sendAll(files, progressBar(status), stop.signal);
        dialog.close();
      } catch (error) {
        if (!stop.signal.aborted) toast(error.message, "error");
        zone.element.hidden = false;
        status.hidden = true;
      }
    };
    dialog.addEventListener("close", () => { stop.abort(); resolve(result); });
  });
}

/** A field to drop files and folders on, with buttons for those who do not drag; `onFiles([{file, path}])` is called. */
export function dropZone() {
  const files = el("input", { type: "file", multiple: true, hidden: true });
  const folder = el("input", { type: "file", webkitdirectory: true, hidden: true });
  const pick = (input, text, symbol) => el("button", { class: "btn btn-outline-secondary btn-sm", type: "button", onclick: () => input.click() }, icon(symbol), ` ${text}`);
  const element = el("div", { class: "dropzone" }, icon("cloud-arrow-up"),
    el("p", { class: "mt-2 mb-2" }, "Drop files, a folder, or a zip or tar archive here"),
    el("div", { class: "d-flex gap-2 justify-content-center" }, pick(files, "Choose files", "file-earmark-plus"), pick(folder, "Choose a folder", "folder-plus")), files, folder);
  const zone = { element, onFiles: () => {} };
  for (const input of [files, folder]) {
    input.addEventListener("change", () => {
      const chosen = [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
      input.value = "";
      if (chosen.length) zone.onFiles(chosen);
    });
  }
  element.addEventListener("dragover", (event) => { event.preventDefault(); element.classList.add("over"); });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", async (event) => {
    event.preventDefault();
    element.classList.remove("over");
    const dropped = await droppedFiles(event.dataTransfer);
    if (dropped.length) zone.onFiles(dropped);
  });
  return zone;
}

async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  const found = [];
  for (const entry of entries) await walk(entry, "", found);
  return found;
}

async function walk(entry, prefix, found) {
  const path = prefix + entry.name;
  if (entry.isFile) {
    found.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), path });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!part.length) return;
    for (const child of part) await walk(child, `${path}/`, found);
  }
}

/** Upload the files; resolves to the finished upload. `show(sentBytes, allBytes, text)` is called as it goes on. */
export async function sendAll(files, show, signal) {
  const total = files.reduce((sum, { file }) => sum + file.size, 0);
  const name = files.length > 1 && !files[0].path.includes("/") ? `${files.length} files` : files[0].path.split("/")[0];
  const { token } = await request("/uploads/begin", { method: "POST", data: { name } });
  const address = `/uploads/sending/${token}`;
  try {
    let sent = 0;
    for (const batch of batches(files)) {
      await sendBatch(address, batch, (bytes) => show(sent + bytes, total), signal);
      sent += batch.reduce((sum, { file }) => sum + file.size, 0);
      show(sent, total);
    }
    show(total, total, "Unpacking and checking …");
    return await request(`${address}/finish`, { method: "POST", signal });
  } catch (error) {
    request(address, { method: "DELETE" }).catch(() => {});
    throw error;
  }
}

function* batches(files) {
  let batch = [];
  let size = 0;
  for (const item of files) {
    if (item.file.size >= ALONE_FROM) {
      yield [item];
      continue;
    }
    if (batch.length === BATCH_FILES || size + item.file.size > BATCH_BYTES) {
      yield batch;
      [batch, size] = [[], 0];
    }
    batch.push(item);
    size += item.file.size;
  }
  if (batch.length) yield batch;
}

function sendBatch(address, batch, onProgress, signal) {
  const alone = batch.length === 1;
  const http = new XMLHttpRequest();
  http.open(alone ? "PUT" : "POST", url(alone ? `${address}?path=${encodeURIComponent(batch[0].path)}` : address));
  http.setRequestHeader("Accept", "application/json");
  http.setRequestHeader("X-CSRF-Token", document.querySelector('meta[name="csrf-token"]').content);
  http.upload.onprogress = (event) => onProgress(event.loaded);
  return new Promise((resolve, reject) => {
    signal?.addEventListener("abort", () => http.abort());
    http.onabort = () => reject(new Error("The upload was cancelled."));
    http.onerror = () => reject(new Error("The connection to the server was lost; try again."));
    http.onload = () => (http.status < 400 ? resolve() : reject(new Error(answerText(http))));
    http.send(alone ? batch[0].file : formOf(batch));
  });
}

function formOf(batch) {
  const form = new FormData();
  for (const { file, path } of batch) form.append("files", file, path);
  return form;
}

function answerText(http) {
  try {
    const { message, description = "" } = JSON.parse(http.responseText).error;
    return `${message} ${description}`;
  } catch {
    return `The server answered ${http.status}.`;
  }
}

/** A bar with bytes and speed; returns the `show` of sendAll. */
export function progressBar(place) {
  const bar = el("div", { class: "progress-bar", style: "width: 0" });
  const text = el("div", { class: "muted mt-1" });
  place.replaceChildren(el("div", { class: "progress", role: "progressbar", "aria-label": "Upload" }, bar), text);
  const begin = performance.now();
  return (sent, total, message) => {
    bar.style.width = `${total ? (100 * sent) / total : 100}%`;
    const seconds = (performance.now() - begin) / 1000;
    text.textContent = message || `${fileSize(sent)} of ${fileSize(total)} · ${fileSize(sent / Math.max(seconds, 0.1))}/s`;
  };
}
