// Trying a model on its page: a picture that is dropped, pasted, chosen or clicked is classified at once.

import { el, request } from "../parts/ui.js";

const start = (root) => { for (const form of root.querySelectorAll("[data-classify-one]")) setUp(form); };
start(document);
document.addEventListener("digits:content", (event) => start(event.detail));

function setUp(form) {
  const parts = {
    zone: form.querySelector("[data-dropzone]"),
    file: form.querySelector("#image_file"),
    path: form.querySelector("#image_path"),
    record: form.querySelector("[data-record-field]"),
    preview: form.querySelector("[data-preview]"),
    hint: form.querySelector("[data-drop-hint]"),
    result: form.querySelector("[data-result]"),
  };
  const state = { running: null };
  const classify = () => run(form, parts, state);

  parts.file.addEventListener("change", () => parts.file.files.length && chooseFile(parts, classify));
  parts.path.addEventListener("change", () => parts.path.value.trim() && choosePath(parts, classify));
  form.querySelector("[data-snapshot]").addEventListener("change", () => chosen(parts) && classify());
  for (const button of form.querySelectorAll("[data-record]")) {
    button.addEventListener("click", () => chooseRecord(form, parts, button, classify));
  }
  dropping(parts, classify);
  document.addEventListener("paste", (event) => pasted(event, form, parts, classify));
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

async function run(form, parts, state) {
  state.running?.abort();
  state.running = new AbortController();
  const { signal } = state.running;
  parts.result.classList.add("busy");
  const body = new FormData(form);
  body.delete("show_visualizations");
  const started = performance.now();
  try {
    const answer = await request("/models/images/classification/classify_one.json", { method: "POST", body, signal });
    parts.result.replaceChildren(...result(answer, performance.now() - started));
  } catch (error) {
    if (error.name === "AbortError") return;
    parts.result.replaceChildren(el("div", { class: "alert alert-danger mb-0", role: "alert" }, error.message));
  }
  parts.result.classList.remove("busy");
  parts.result.scrollIntoView({ block: "nearest", behavior: "smooth" });
}

function result(answer, milliseconds) {
  const list = el("ul", { class: "list-group predictions" });
  answer.predictions.forEach(([label, percent], place) => {
    const badge = el("span", { class: `badge ${place ? "text-bg-secondary" : "text-bg-primary"}` }, `${percent.toFixed(2)}%`);
    const item = el("li", { class: "list-group-item" }, badge, el("strong", {}, label));
    item.style.setProperty("--share", `${percent}%`);
    list.append(item);
  });
  const { prepare, forward } = answer.seconds;
  const device = answer.device === "cpu" ? "CPU" : "GPU";
  const timing = `Epoch ${answer.snapshot_epoch}: read ${(prepare * 1000).toFixed(0)} ms, predicted ${(forward * 1000).toFixed(0)} ms on the ${device}, answered after ${milliseconds.toFixed(0)} ms.`;
  return [list, el("p", { class: "timing" }, timing)];
}
