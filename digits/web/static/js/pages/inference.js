// Trying a model on its page, whatever its task: a picture that is dropped, pasted, chosen or clicked is answered at once.

import { CardBoard } from "../overlay/card_board.js";
import { el } from "../parts/elements.js";
import { below, request } from "../parts/request.js";

const ASKED = ["snapshot_epoch", "image_file", "image_path", "record", "dont_resize"];

const form = document.getElementById("testing");
const one = form.querySelector("[data-try-one]");
const parts = {
  zone: one.querySelector("[data-dropzone]"),
  file: one.querySelector("#image_file"),
  path: one.querySelector("#image_path"),
  record: one.querySelector("[data-record-field]"),
  whole: one.querySelector("#dont_resize"),
  snapshot: form.querySelector("[data-snapshot]"),
  preview: one.querySelector("[data-preview]"),
  hint: one.querySelector("[data-drop-hint]"),
  result: one.querySelector("[data-result]"),
  text: one.querySelector("[data-result-text]"),
  board: one.querySelector("[data-result-board]"),
  time: one.querySelector("[data-result-time]"),
};
let board = null;
let running = null;

/** The board with its options, made when the first answer wants it. */
function boardOf() {
  if (!board) {
    parts.board.append(one.querySelector("[data-result-parts]").content.cloneNode(true));
    board = new CardBoard(parts.board);
  }
  return board;
}

function start() {
  const ask = () => run();
  parts.file.addEventListener("change", () => parts.file.files.length && chooseFile(parts, ask));
  parts.path.addEventListener("change", () => parts.path.value.trim() && choosePath(parts, ask));
  for (const field of [parts.snapshot, parts.whole]) field.addEventListener("change", () => chosen(parts) && ask());
  for (const button of one.querySelectorAll("[data-record]")) {
    button.addEventListener("click", () => chooseRecord(form, parts, button, ask));
  }
  dropping(parts, ask);
  document.addEventListener("paste", (event) => pasted(event, one, parts, ask));
  document.addEventListener("digits:content", () => {
    form.hidden = false; // the first snapshot is there
  });
}

function chosen(parts) {
  return parts.file.files.length || parts.path.value.trim() || parts.record?.value;
}

function clear(parts, kept) {
  if (kept !== "file") parts.file.value = "";
  if (kept !== "path") parts.path.value = "";
  if (parts.record && kept !== "record") parts.record.value = "";
  for (const button of document.querySelectorAll("[data-record][aria-pressed='true']")) button.setAttribute("aria-pressed", "false");
}

function show(parts, address) {
  parts.preview.onload = () => parts.preview.classList.toggle("small", Math.max(parts.preview.naturalWidth, parts.preview.naturalHeight) < 96);
  parts.preview.onerror = () => { parts.preview.hidden = true; parts.hint.hidden = false; };
  parts.preview.hidden = !address;
  parts.hint.hidden = Boolean(address);
  if (address) parts.preview.src = address;
}

function chooseFile(parts, classify) {
  clear(parts, "file");
  show(parts, URL.createObjectURL(parts.file.files[0]));
  classify();
}

function choosePath(parts, classify) {
  clear(parts, "path");
  show(parts, "");
  classify();
}

function chooseRecord(form, parts, button, classify) {
  clear(parts, "record");
  button.setAttribute("aria-pressed", "true");
  parts.record.value = button.dataset.record;
  const [split, index] = button.dataset.record.split(":");
  show(parts, `${form.dataset.samples}?db=${split}&index=${index}&size=full`);
  classify();
}

function dropping(parts, classify) {
  for (const type of ["dragenter", "dragover"]) {
    parts.zone.addEventListener(type, (event) => { event.preventDefault(); parts.zone.classList.add("over"); });
  }
  for (const type of ["dragleave", "drop"]) {
    parts.zone.addEventListener(type, () => parts.zone.classList.remove("over"));
  }
  parts.zone.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer, parts, classify);
  });
}

function pasted(event, form, parts, classify) {
  if (!form.offsetParent || event.target.matches?.("input[type=text], textarea")) return;
  take(event.clipboardData, parts, classify);
}

function take(transfer, parts, classify) {
  const file = [...transfer.files].find((item) => item.type.startsWith("image/") || /\.(tiff?|npy)$/i.test(item.name));
  if (!file) return;
  const list = new DataTransfer();
  list.items.add(file);
  parts.file.files = list.files;
  chooseFile(parts, classify);
}

async function run() {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  parts.result.classList.add("busy");
  const sent = new FormData(form);
  const body = new FormData();
  for (const name of ASKED) if (sent.get(name)) body.set(name, sent.get(name));
  const started = performance.now();
  try {
    await showAnswer(await request(below(form.dataset.answer), { method: "POST", body, signal }), performance.now() - started);
  } catch (error) {
    if (error.name === "AbortError") return;
    parts.board.hidden = true;
    parts.time.textContent = "";
    parts.text.replaceChildren(el("span", { class: "alert alert-danger d-block mb-0", role: "alert" }, error.message));
  }
  parts.result.classList.remove("busy");
  parts.result.scrollIntoView({ block: "nearest", behavior: "smooth" });
}

async function showAnswer(answer, milliseconds) {
  const listed = answer.predictions.length > 0;
  parts.board.hidden = listed;
  parts.text.replaceChildren(...(listed ? [scores(answer.predictions)] : []));
  if (!listed) {
    boardOf().build(answer);
    await boardOf().show(answer.samples);
  }
  const { prepare, forward } = answer.seconds;
  const device = answer.device === "cpu" ? "CPU" : "GPU";
  parts.time.textContent = `Epoch ${answer.snapshot_epoch}: read ${(prepare * 1000).toFixed(0)} ms, predicted ${(forward * 1000).toFixed(0)} ms on the ${device}, answered after ${milliseconds.toFixed(0)} ms.`;
}

function scores(predictions) {
  const list = el("ul", { class: "list-group predictions" });
  predictions.forEach(([label, percent], place) => {
    const badge = el("span", { class: `badge ${place ? "text-bg-secondary" : "text-bg-primary"}` }, `${percent.toFixed(2)}%`);
    const item = el("li", { class: "list-group-item" }, badge, el("strong", {}, label));
    item.style.setProperty("--share", `${percent}%`);
    list.append(item);
  });
  return list;
}

start();
