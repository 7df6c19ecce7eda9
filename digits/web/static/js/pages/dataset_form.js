// The form of a new data set, whatever its source: tabs, the split, what is in a folder, an upload, how a picture is resized.
// Fields are known by their names: a form that has no such field has no such help.

import { toast } from "../parts/dialogs.js";
import { el } from "../parts/elements.js";
import { number } from "../parts/format.js";
import { below, request, tokenHeader } from "../parts/request.js";
import { showTab, wireTabs } from "../parts/tabs.js";
import { debounced } from "../parts/timing.js";
import { dropZone, progressBar, sendAll } from "../parts/uploads.js";
import { bars } from "./dataset_preview.js";

const form = document.getElementById("dataset-form");
const control = (name) => form.elements.namedItem(name);
const box = (selector) => form.querySelector(selector);
const text = (...names) => names.map((name) => control(name)?.value.trim()).find((value) => value !== undefined) ?? "";
const ticked = (name) => Boolean(control(name)?.checked);
const WAIT = 350;
const CLASSES_SHOWN = 12;
const STAGES = { train: "training", val: "validation", test: "test" };
// What `resize-example` is asked: its name, the fields that say it, and what a source calls the same.
const WIDTHS = ["resize_width", "resize_image_width"];
const RESIZE = {
  width: WIDTHS,
  height: ["resize_height", "resize_image_height"],
  channels: ["resize_channels", "channel_conversion"],
  resize_mode: ["resize_mode"],
  encoding: ["encoding", "dsopts_feature_encoding"],
  backend: ["backend"],
};
const CHANNELS = { RGB: "3", L: "1", none: "0" };

// -- tabs and fields that depend on others ------------------------------------------------------------------------

function choose(asked) {
  const name = box(`[data-tab="${CSS.escape(asked)}"]`) ? asked : "folder";
  showTab(form, name);
  control("method").value = name === "textfile" ? "textfile" : "folder";
}

function showDependents() {
  for (const part of form.querySelectorAll("[data-show-when]")) part.hidden = !ticked(part.dataset.showWhen);
  for (const part of form.querySelectorAll("[data-hide-when]")) part.hidden = ticked(part.dataset.hideWhen);
  if (control("keep_size")) for (const name of ["resize_width", "resize_height", "resize_mode"]) control(name).disabled = ticked("keep_size");
  showSplit();
}

/** Where the shares of the split are asked for, a bar shows them. */
function splitBar() {
  const share = control("folder_pct_test") ?? control("folder_pct_val");
  if (!share) return null;
  const known = box("[data-split-bar]");
  if (known) return known;
  const parts = Object.keys(STAGES).map((stage) => el("span", { class: `split-${stage}` }));
  const made = el("div", { class: "split-bar", "data-split-bar": true, "aria-hidden": "true" }, ...parts);
  (share.closest(".field-row, .form-group, .field") ?? share).after(made);
  return made;
}

function showSplit() {
  const bar = splitBar();
  if (!bar) return;
  const share = (stage) => (ticked(`has_${stage}_folder`) ? 0 : Number(text(`folder_pct_${stage}`)) || 0);
  const [val, test] = [share("val"), share("test")];
  for (const [stage, percent] of Object.entries({ train: Math.max(0, 100 - val - test), val, test })) {
    const part = bar.querySelector(`.split-${stage}`);
    part.style.width = `${Math.min(100, percent)}%`;
    part.textContent = percent >= 12 ? `${STAGES[stage]} ${percent} %` : "";
  }
  bar.classList.toggle("too-much", val + test >= 100);
}

// -- what is in the folder ----------------------------------------------------------------------------------------

async function check(note, name, address, show) {
  const path = text(name);
  note.className = "folder-check";
  note.textContent = "Looking …";
  try {
    const found = await request(`${below(address)}?path=${encodeURIComponent(path)}`);
    if (path === text(name)) show(found);
  } catch (error) {
    note.classList.add("bad");
    note.textContent = error.message;
  }
}

function checkFolder(name) {
  const note = box(`[data-check="${name}"]`);
  note.hidden = !text(name);
  if (note.hidden || /^https?:/i.test(text(name))) return;
  check(note, name, form.dataset.checkFolder, (found) => {
    showFound(note, found);
    if (name === "folder_train") showClasses(found);
  });
}

function showFound(note, found) {
  const enough = found.class_count >= 2 && (found.total > 0 || !found.complete);
  note.classList.add(enough ? "good" : "bad");
  const more = found.complete ? "" : " or more (still counting when time was up)";
  note.textContent = enough
    ? `${number(found.class_count)} classes, ${number(found.total)}${more} pictures`
    : `${found.class_count} sub-folders with ${found.total} pictures; at least two classes are needed.`;
}

function showClasses(found) {
  const rows = found.classes.slice(0, CLASSES_SHOWN);
  const rest = found.class_count - rows.length;
  box("[data-classes]").replaceChildren(
    bars(rows.map((row) => [row.label, row.count])),
    rest > 0 ? el("p", { class: "muted" }, `and ${number(rest)} more classes`) : "",
    found.loose ? el("p", { class: "muted" }, `${found.loose} pictures beside the sub-folders are not used.`) : "",
  );
}

function checkList(name) {
  const note = box(`[data-check-list="${name}"]`);
  note.hidden = !text(name) || name.endsWith("labels_file");
  if (note.hidden) return;
  check(note, name, form.dataset.checkList, (found) => {
    note.classList.add(found.valid ? "good" : "bad");
    const other = found.other ? `, ${number(found.other)} lines cannot be used` : "";
    note.textContent = `${number(found.valid)} pictures of ${Object.keys(found.classes).length} classes${other}`;
  });
}

/** The first folder of the form names the data set until the user does. */
function suggestName(path) {
  const name = control("dataset_name");
  if (name.value && name.value !== name.dataset.suggested) return;
  const last = path.split("/").filter(Boolean).pop() || "";
  name.value = name.dataset.suggested = last.replace(/[_-]+/g, " ");
}

const firstPath = () => form.querySelector("[data-path-field] input, input.autocomplete_path");

// -- upload: becomes a folder of the server, which the first path field then names ----------------------------------

function offerUpload() {
  const place = box("[data-drop]");
  if (!place || !firstPath()) return;
  const zone = dropZone();
  const status = box("[data-upload-status]");
  zone.onFiles = async (files) => {
    zone.element.hidden = true;
    status.hidden = false;
    try {
      const upload = await sendAll(files, progressBar(status));
      if (box("[data-tab]")) choose("folder");
      const field = firstPath();
      field.value = upload.path;
      field.dispatchEvent(new Event("change", { bubbles: true }));
      toast(`${number(upload.files)} files are on the server now.`, "success");
    } catch (error) {
      toast(error.message, "error");
    }
    zone.element.hidden = false;
    status.hidden = true;
  };
  place.append(zone.element);
}

// -- how a picture is resized -------------------------------------------------------------------------------------

async function showExample() {
  const target = box("[data-example]");
  const values = new URLSearchParams();
  for (const [sent, names] of Object.entries(RESIZE)) if (text(...names)) values.set(sent, CHANNELS[text(...names)] ?? text(...names));
  if (!values.has("width") || !values.has("height")) {
    target.replaceChildren(el("p", { class: "muted" }, "Pictures keep their size."));
    return;
  }
  const response = await fetch(form.dataset.resize, { method: "POST", body: values, headers: tokenHeader() });
  const answer = await response.text();
  if (response.ok && response.headers.get("Content-Type").startsWith("text/html")) target.innerHTML = answer;
  else target.replaceChildren(el("p", { class: "muted" }, answer));
}

// -- start --------------------------------------------------------------------------------------------------------

/** `work(name)` after a pause; each name waits for itself. */
function debouncedByName(work, wait) {
  const waiting = new Map();
  return (name) => {
    if (!waiting.has(name)) waiting.set(name, debounced(() => work(name), wait));
    waiting.get(name)();
  };
}

function start() {
  const checkFolderSoon = debouncedByName(checkFolder, WAIT);
  const checkListSoon = debouncedByName(checkList, WAIT);
  const showExampleSoon = debounced(showExample, WAIT);
  const resized = Boolean(control(WIDTHS[0]) ?? control(WIDTHS[1]));
  const changed = ({ target }) => {
    const name = target.name || "";
    if (name && box(`[data-check="${CSS.escape(name)}"]`)) checkFolderSoon(name);
    if (name && box(`[data-check-list="${CSS.escape(name)}"]`)) checkListSoon(name);
    if (target === firstPath()) suggestName(target.value);
    if (resized && Object.values(RESIZE).flat().includes(name)) showExampleSoon();
    showDependents();
  };
  form.addEventListener("input", changed);
  form.addEventListener("change", changed);
  control("group_name").setAttribute("list", "groups");
  if (box("[data-tab]")) {
    wireTabs(form, choose);
    choose(control("method").value);
  }
  offerUpload();
  showDependents();
  for (const note of form.querySelectorAll("[data-check]")) {
    const name = note.dataset.check;
    if (text(name) && !control(name).matches(".is-invalid")) checkFolder(name);
  }
  box("[data-example-card]").hidden = !resized;
  if (resized) showExample();
}

start();
