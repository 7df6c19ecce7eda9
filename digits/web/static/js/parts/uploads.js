// @ts-check
// Uploads with progress: files, folders and archives, chosen or dropped; many small files travel together. Where a proxy lets no
// more through or the connection breaks, pieces go on from what the server has.

import { addButtons, openDialog, toast } from "./dialogs.js";
import { el, find, icon, progressBar } from "./elements.js";
import { fileSize } from "./format.js";
import { request, RequestError, tokenHeader, url } from "./request.js";

/** @typedef {{file: File, path: string}} Chosen a file and its path below what was chosen */
/**
 * An upload as the server has it; `file` where it was a single one.
 * @typedef {{name: string, path: string, file?: string, files: number, bytes: number, skipped: any[]}} Upload
 */
/** @typedef {(sent: number, total: number, text?: string) => void} Show */

const BATCH_BYTES = 8 << 20;
const BATCH_FILES = 250;
const ALONE_FROM = 4 << 20;
/** How much travels in one request: as much as there is, then what fits below the 1 MB of most proxies, then less. */
const STEPS = [Infinity, 768 << 10, 192 << 10, 48 << 10];
const EACH_BYTES = 512; // of a file in a form, beside its content and its path
const TRIES = 8; // in a row, without a byte more on the server: two minutes

/**
 * Asks for files and uploads them; resolves to the upload, or null.
 * @returns {Promise<Upload | null>}
 */
export function chooseUpload() {
  const place = el("div");
  const dialog = openDialog("Upload to the server", place);
  addButtons(dialog, "Cancel");
  return new Promise((resolve) => {
    let result = /** @type {Upload | null} */ (null);
    const stop = new AbortController();
    uploadField(place, stop.signal, (upload) => {
      result = upload;
      dialog.close();
    });
    dialog.addEventListener("close", () => {
      stop.abort();
      resolve(result);
    });
  });
}

/**
 * A drop zone in `place` that gives way to a bar while it uploads; `done` gets what the server has then.
 * @param {HTMLElement} place
 * @param {AbortSignal | undefined} signal
 * @param {(upload: Upload) => void} done
 * @param {HTMLElement} [around] where one may drop as well
 */
export function uploadField(place, signal, done, around) {
  const zone = dropZone(around);
  const status = el("div", { class: "mt-3", role: "status", hidden: true });
  const busy = (/** @type {boolean} */ yes) => {
    zone.element.hidden = yes;
    status.hidden = !yes;
  };
  zone.onFiles = async (files) => {
    busy(true);
    try {
      done(await sendAll(files, uploadProgress(status), signal));
    } catch (error) {
      if (!signal?.aborted) toast(/** @type {Error} */ (error).message, "error");
    }
    busy(false);
  };
  place.append(zone.element, status);
}

/**
 * A field to drop files and folders on, with buttons for those who do not drag; `onFiles([{file, path}])` is called.
 * @param {HTMLElement} [around] that takes drops in its stead
 */
export function dropZone(around) {
  const files = el("input", { type: "file", multiple: true, hidden: true });
  const folder = el("input", { type: "file", webkitdirectory: true, hidden: true });
  const element = el(
    "div",
    { class: "dropzone" },
    icon("cloud-arrow-up"),
    el("p", { class: "mt-2 mb-2" }, "Drop files, a folder, or a zip or tar archive here"),
    el(
      "div",
      { class: "d-flex gap-2 justify-content-center" },
      pickButton(files, "Choose files", "file-earmark-plus"),
      pickButton(folder, "Choose a folder", "folder-plus"),
    ),
    files,
    folder,
  );
  const zone = { element, onFiles: (/** @type {Chosen[]} */ _files) => {} };
  for (const input of [files, folder]) {
    input.addEventListener("change", () => {
      const chosen = [...(input.files ?? [])].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
      input.value = "";
      if (chosen.length) zone.onFiles(chosen);
    });
  }
  takeDrops(around ?? element, async (transfer) => {
    const dropped = await droppedFiles(transfer);
    if (dropped.length) zone.onFiles(dropped);
  });
  return zone;
}

/**
 * @param {HTMLInputElement} input
 * @param {string} text
 * @param {string} symbol
 */
const pickButton = (input, text, symbol) =>
  el(
    "button",
    { class: "btn btn-outline-secondary btn-sm", type: "button", onclick: () => input.click() },
    icon(symbol),
    ` ${text}`,
  );

/**
 * Have an element take what is dropped on it; it has the class "over" while something hovers.
 * @param {HTMLElement} element
 * @param {(transfer: DataTransfer) => void} take
 */
export function takeDrops(element, take) {
  for (const type of ["dragenter", "dragover"]) {
    element.addEventListener(type, (event) => {
      event.preventDefault();
      element.classList.add("over");
    });
  }
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("over");
    if (event.dataTransfer) take(event.dataTransfer);
  });
}

/**
 * @param {DataTransfer} transfer
 * @returns {Promise<Chosen[]>}
 */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  /** @type {Chosen[]} */
  const found = [];
  for (const entry of entries) await walk(entry, "", found);
  return found;
}

/**
 * @param {any} entry a FileSystemEntry
 * @param {string} prefix
 * @param {Chosen[]} found
 */
async function walk(entry, prefix, found) {
  const path = prefix + entry.name;
  if (entry.isFile) {
    found.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), path });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!part.length) return;
    for (const child of part) await walk(child, `${path}/`, found);
  }
}

/** @param {Chosen[]} files */
const bytesOf = (files) => files.reduce((sum, { file }) => sum + file.size, 0);

/**
 * Upload the files; resolves to the finished upload. `show` is called as it goes on.
 * @param {Chosen[]} files
 * @param {Show} show
 * @param {AbortSignal} [signal]
 * @returns {Promise<Upload>}
 */
export async function sendAll(files, show, signal) {
  const total = bytesOf(files);
  const name = files.length > 1 && !files[0].path.includes("/") ? `${files.length} files` : files[0].path.split("/")[0];
  const { token } = await request("/uploads/begin", { method: "POST", data: { name } });
  const address = `/uploads/sending/${token}`;
  const road = { step: 0, failures: 0, signal };
  try {
    let sent = 0;
    let rest = files;
    while (rest.length) {
      const [batch] = batches(rest, STEPS[road.step]);
      const before = sent;
      const onProgress = (/** @type {number} */ bytes, /** @type {string} */ text = "") => show(before + bytes, total, text);
      if (batch.length === 1) await sendFile(address, batch[0], road, onProgress);
      else if (!(await taken(road, () => sendTogether(address, batch, onProgress, signal), (text) => onProgress(0, text)))) {
        continue;
      }
      road.failures = 0;
      sent += bytesOf(batch);
      rest = rest.slice(batch.length);
      show(sent, total);
    }
    show(total, total, "Unpacking and checking …");
    return await request(`${address}/finish`, { method: "POST", signal });
  } catch (error) {
    request(address, { method: "DELETE" }).catch(() => {});
    throw error;
  }
}

/**
 * What travels in one request of at most `most` bytes: a large file alone, small ones together.
 * @param {Chosen[]} files
 * @param {number} most
 */
export function* batches(files, most = Infinity) {
  /** @type {Chosen[]} */
  let batch = [];
  let size = 0;
  const limit = Math.min(BATCH_BYTES, most);
  for (const item of files) {
    const needs = item.file.size + EACH_BYTES + 3 * item.path.length;
    if (item.file.size >= ALONE_FROM || needs > limit) {
      if (batch.length) yield batch;
      yield [item];
      [batch, size] = [[], 0];
      continue;
    }
    if (batch.length === BATCH_FILES || size + needs > limit) {
      yield batch;
      [batch, size] = [[], 0];
    }
    batch.push(item);
    size += needs;
  }
  if (batch.length) yield batch;
}

/**
 * How much goes through: an index of STEPS, and how often it failed in a row.
 * @typedef {{step: number, failures: number, signal?: AbortSignal}} Road
 */

/**
 * One file, from where the server has it on, in as few requests as go through.
 * @param {string} address
 * @param {Chosen} chosen
 * @param {Road} road
 * @param {(bytes: number, text?: string) => void} onProgress
 */
async function sendFile(address, { file, path }, road, onProgress) {
  let offset = /** @type {number} */ (0);
  let known = true; // whether `offset` is the server's too; an empty piece asks
  let most = -1;
  for (;;) {
    const start = /** @type {number} */ (offset);
    /** @type {number} */
    const end = known ? Math.min(file.size, start + STEPS[road.step]) : start;
    const place = `${address}?${new URLSearchParams({ path, offset: `${start}`, size: `${file.size}` })}`;
    /** @type {{offset: number} | null} */
    const answer = await taken(
      road,
      () => put(place, file.slice(start, end), (bytes) => onProgress(start + Math.min(bytes, end - start)), road.signal),
      (text) => onProgress(start, text),
    );
    known = answer !== null;
    offset = answer?.offset ?? 0;
    if (!answer) continue;
    if (offset > most) [most, road.failures] = [offset, 0];
    onProgress(offset);
    if (offset >= file.size) return;
  }
}

/**
 * What `attempt` resolves to; null where it is to be tried again, after a pause or with less. Throws where that does not help.
 * @template T
 * @param {Road} road
 * @param {() => Promise<T>} attempt
 * @param {(text: string) => void} say
 * @returns {Promise<T | null>}
 */
async function taken(road, attempt, say) {
  try {
    return await attempt();
  } catch (error) {
    const refused = error instanceof RequestError ? error : null;
    const offset = refused?.value?.error?.offset;
    if (road.signal?.aborted) throw error;
    if (refused?.status === 413 && !refused.value?.error) { // of a proxy: ours says why
      if (road.step === STEPS.length - 1) throw error;
      road.step++;
      return null;
    }
    const again = !refused || offset !== undefined || [502, 503, 504].includes(refused.status);
    if (!again || ++road.failures >= TRIES) throw error;
    if (!refused && road.step === 0) road.step = 1; // a proxy may close the connection instead of saying 413
    if (!refused) say("The connection was lost; trying again …");
    await new Promise((resolve) => setTimeout(resolve, Math.min(30, 2 ** (road.failures - 1)) * 1000));
    return null;
  }
}

/**
 * @param {string} address
 * @param {Chosen[]} batch
 * @param {(bytes: number) => void} onProgress
 * @param {AbortSignal} [signal]
 */
const sendTogether = (address, batch, onProgress, signal) =>
  transfer("POST", `${address}?once=1`, formOf(batch), onProgress, signal);

/**
 * @param {string} address
 * @param {Blob} piece
 * @param {(bytes: number) => void} onProgress
 * @param {AbortSignal} [signal]
 */
const put = (address, piece, onProgress, signal) => transfer("PUT", address, piece, onProgress, signal);

/**
 * XMLHttpRequest, because fetch does not say how much has been sent.
 * @param {string} method
 * @param {string} address
 * @param {Blob | FormData} body
 * @param {(bytes: number) => void} onProgress
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
function transfer(method, address, body, onProgress, signal) {
  signal?.throwIfAborted();
  const http = new XMLHttpRequest();
  http.open(method, url(address));
  for (const [name, value] of Object.entries({ Accept: "application/json", ...tokenHeader() })) {
    http.setRequestHeader(name, value);
  }
  http.upload.onprogress = (event) => onProgress(event.loaded);
  return new Promise((resolve, reject) => {
    signal?.addEventListener("abort", () => http.abort());
    http.onabort = () => reject(new Error("The upload was cancelled."));
    http.onerror = () => reject(new Error("The connection to the server was lost; try again."));
    http.onload = () => http.status < 400 ? resolve(answerOf(http)) : reject(new RequestError(http.status, answerOf(http)));
    http.send(body);
  });
}

/** @param {Chosen[]} batch */
function formOf(batch) {
  const form = new FormData();
  for (const { file, path } of batch) form.append("files", file, path);
  return form;
}

/** @param {XMLHttpRequest} http */
function answerOf(http) {
  try {
    return JSON.parse(http.responseText);
  } catch {
    return null;
  }
}

/**
 * A bar with bytes and speed; returns the `show` of sendAll.
 * @param {HTMLElement} place
 * @returns {Show}
 */
export function uploadProgress(place) {
  const bar = progressBar("Upload", 0);
  const text = el("div", { class: "muted mt-1" });
  place.replaceChildren(bar, text);
  const begin = performance.now();
  return (sent, total, message) => {
    const percent = total ? (100 * sent) / total : 100;
    find(".progress-bar", bar).style.width = `${percent}%`;
    bar.setAttribute("aria-valuenow", String(Math.round(percent)));
    const seconds = Math.max((performance.now() - begin) / 1000, 0.1);
    text.textContent = message || `${fileSize(sent)} of ${fileSize(total)} · ${fileSize(sent / seconds)}/s`;
  };
}
