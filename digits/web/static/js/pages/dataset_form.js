// @ts-check
// The form of a new data set, whatever its source: tabs, the split, what is in a folder, an upload, how a picture is resized.
// Fields are known by their names: a form that has no such field has no such help.

import { toast } from "../parts/dialogs.js";
import { all, el, find, perhaps } from "../parts/elements.js";
import { counted, number } from "../parts/format.js";
import { control as controlOf, tellChange, textOf } from "../parts/forms.js";
import { below, request, send } from "../parts/request.js";
import { showTab, wireTabs } from "../parts/tabs.js";
import { debounced } from "../parts/timing.js";
import { uploadField } from "../parts/uploads.js";
import { bars } from "./dataset_preview.js";

const form = find("#dataset-form", document, HTMLFormElement);
const control = (/** @type {string} */ name) => controlOf(form, name);
const text = (/** @type {string[]} */ ...names) => textOf(form, ...names);
const box = (/** @type {string} */ selector) => find(selector, form);
const ticked = (/** @type {string | undefined} */ name) => Boolean(name && control(name)?.checked);
const WAIT = 350;
const CLASSES_SHOWN = 12;
const NAMED_FROM = 12; // percent of the bar; less has no room for its name
/** @type {Record<string, string>} */
const STAGES = { train: "training", val: "validation", test: "test" };
// What is sent to `resize-example`: its name, the fields that say it, and what a source calls the same.
const WIDTHS = ["resize_width", "resize_image_width"];
const RESIZE = {
  width: WIDTHS,
  height: ["resize_height", "resize_image_height"],
  channels: ["resize_channels", "channel_conversion"],
  resize_mode: ["resize_mode"],
  encoding: ["encoding", "dsopts_feature_encoding"],
  backend: ["backend"],
};
/** @type {Record<string, string>} */
const CHANNELS = { RGB: "3", L: "1", none: "0" };

// -- tabs and fields that depend on others ----------------------------------------------------------------------------

/** @param {string} asked */
function choose(asked) {
  const name = perhaps(`[data-tab="${CSS.escape(asked)}"]`, form) ? asked : "folder";
  showTab(form, name);
  control("method").value = name === "textfile" ? "textfile" : "folder";
}

function showDependents() {
  for (const part of all("[data-show-when]", form)) part.hidden = !ticked(part.dataset.showWhen);
  for (const part of all("[data-hide-when]", form)) part.hidden = ticked(part.dataset.hideWhen);
  if (control("keep_size")) {
    for (const name of ["resize_width", "resize_height", "resize_mode"]) control(name).disabled = ticked("keep_size");
  }
  showSplit();
}

/** Where the shares of the split are asked for, a bar shows them. */
function splitBar() {
  const share = control("folder_pct_test") ?? control("folder_pct_val");
  if (!share) return null;
  const known = perhaps("[data-split-bar]", form);
  if (known) return known;
  const parts = Object.keys(STAGES).map((stage) => el("span", { class: `split-${stage}` }));
  const made = el("div", { class: "split-bar", "data-split-bar": true, "aria-hidden": "true" }, ...parts);
  (share.closest(".field-row, .form-group, .field") ?? share).after(made);
  return made;
}

function showSplit() {
  const bar = splitBar();
  if (!bar) return;
  const share = (/** @type {string} */ stage) => (ticked(`has_${stage}_folder`) ? 0 : Number(text(`folder_pct_${stage}`)) || 0);
  const [val, test] = [share("val"), share("test")];
  for (const [stage, percent] of Object.entries({ train: Math.max(0, 100 - val - test), val, test })) {
    const part = find(`.split-${stage}`, bar);
    part.style.width = `${Math.min(100, percent)}%`;
    part.textContent = percent >= NAMED_FROM ? `${STAGES[stage]} ${percent} %` : "";
  }
  bar.classList.toggle("too-much", val + test >= 100);
}

// -- what is in the folder --------------------------------------------------------------------------------------------

/**
 * Check the path in a field on the server and show the answer, unless the field has changed meanwhile.
 * @param {HTMLElement} note
 * @param {string} name
 * @param {string} [address]
 * @param {(found: any) => void} [show]
 */
async function check(note, name, address = "", show = () => {}) {
  const path = text(name);
  note.className = "folder-check";
  note.textContent = "Looking …";
  try {
    const found = await request(`${below(address)}?path=${encodeURIComponent(path)}`);
    if (path === text(name)) show(found);
  } catch (error) {
    note.classList.add("bad");
    note.textContent = /** @type {Error} */ (error).message;
  }
}

/** @param {string} name */
function checkFolder(name) {
  const note = box(`[data-check="${name}"]`);
  note.hidden = !text(name);
  if (note.hidden || /^https?:/i.test(text(name))) return;
  check(note, name, form.dataset.checkFolder, (found) => {
    showFound(note, found);
    if (name === "folder_train") showClasses(found);
  });
}

/**
 * @param {HTMLElement} note
 * @param {any} found
 */
function showFound(note, found) {
  const enough = found.class_count >= 2 && (found.total > 0 || !found.complete);
  note.classList.add(enough ? "good" : "bad");
  const more = found.complete ? "" : " or more (still counting when time was up)";
  note.textContent = enough
    ? `${number(found.class_count)} classes, ${number(found.total)}${more} pictures`
    : `${found.class_count} sub-folders with ${found.total} pictures; at least two classes are needed.`;
}

/** @param {any} found */
function showClasses(found) {
  const rows = found.classes.slice(0, CLASSES_SHOWN);
  const rest = found.class_count - rows.length;
  /** @type {HTMLElement[]} */
  const lines = [bars(rows.map((/** @type {any} */ row) => [row.label, row.count]))];
  if (rest > 0) lines.push(el("p", { class: "muted" }, `and ${number(rest)} more classes`));
  if (found.loose) lines.push(el("p", { class: "muted" }, `${found.loose} pictures beside the sub-folders are not used.`));
  box("[data-classes]").replaceChildren(...lines);
}

/** @param {string} name */
function checkList(name) {
  const note = box(`[data-check-list="${name}"]`);
  note.hidden = !text(name) || name.endsWith("labels_file");
  if (note.hidden) return;
  check(note, name, form.dataset.checkList, (found) => {
    note.classList.add(found.valid ? "good" : "bad");
    const other = found.other ? `, ${number(found.other)} lines cannot be used` : "";
    note.textContent = found.table
      ? `A table of ${number(found.valid)} lines`
      : `${number(found.valid)} pictures of ${Object.keys(found.classes).length} classes${other}`;
  });
}

/**
 * The first folder of the form names the data set until the user does.
 * @param {string} path
 */
function suggestName(path) {
  const name = control("dataset_name");
  if (name.value && name.value !== name.dataset.suggested) return;
  const last = path.split("/").filter(Boolean).pop() || "";
  name.value = name.dataset.suggested = last.replace(/[_-]+/g, " ");
}

const firstPath = () => perhaps("[data-path-field] input, input.autocomplete_path", form, HTMLInputElement);

// -- upload: becomes a folder of the server, which the first path field then names --------------------------------------

function offerUpload() {
  const place = perhaps("[data-drop]", form);
  if (!place || !firstPath()) return;
  uploadField(place, undefined, (upload) => {
    if (perhaps("[data-tab]", form)) choose("folder");
    const field = /** @type {HTMLInputElement} */ (firstPath());
    field.value = upload.path;
    tellChange(field);
    toast(`${counted(upload.files, "file")} ${upload.files === 1 ? "is" : "are"} on the server now.`, "success");
  });
}

// -- how a picture is resized -----------------------------------------------------------------------------------------

async function showExample() {
  const target = box("[data-example]");
  const values = new URLSearchParams();
  for (const [sent, names] of Object.entries(RESIZE)) {
    const said = text(...names);
    if (said) values.set(sent, CHANNELS[said] ?? said);
  }
  if (!values.has("width") || !values.has("height")) {
    const choice = perhaps("[name=unequal_sizes]", form);
    const words = choice
      ? "Pictures keep their size; those of several sizes are brought together as chosen."
      : "Pictures keep their size.";
    target.replaceChildren(el("p", { class: "muted" }, words));
    return;
  }
  const response = await send(below(form.dataset.resize ?? ""), { method: "POST", body: values });
  const answer = await response.text();
  const isPicture = response.ok && response.headers.get("Content-Type")?.startsWith("text/html");
  if (isPicture) target.innerHTML = answer;
  else target.replaceChildren(el("p", { class: "muted" }, answer));
}

// -- start ------------------------------------------------------------------------------------------------------------

/**
 * `work(name)` after a pause; each name waits for itself.
 * @param {(name: string) => void} work
 */
function debouncedByName(work) {
  /** @type {Map<string, () => void>} */
  const waiting = new Map();
  return (/** @type {string} */ name) => {
    const soon = waiting.get(name) ?? debounced(() => work(name), WAIT);
    waiting.set(name, soon);
    soon();
  };
}

function start() {
  const checkFolderSoon = debouncedByName(checkFolder);
  const checkListSoon = debouncedByName(checkList);
  const showExampleSoon = debounced(showExample, WAIT);
  const resized = Boolean(control(WIDTHS[0]) ?? control(WIDTHS[1]));
  const changed = (/** @type {any} */ { target }) => {
    const name = target.name || "";
    if (name && perhaps(`[data-check="${CSS.escape(name)}"]`, form)) checkFolderSoon(name);
    if (name && perhaps(`[data-check-list="${CSS.escape(name)}"]`, form)) checkListSoon(name);
    if (target === firstPath()) suggestName(target.value);
    if (resized && Object.values(RESIZE).flat().includes(name)) showExampleSoon();
    showDependents();
  };
  form.addEventListener("input", changed);
  form.addEventListener("change", changed);
  control("group_name").setAttribute("list", "groups");
  if (perhaps("[data-tab]", form)) {
    wireTabs(form, choose);
    choose(control("method").value);
  }
  offerUpload();
  showDependents();
  for (const { dataset: { check: name = "" } } of all("[data-check]", form)) {
    if (text(name) && !control(name).matches(".is-invalid")) checkFolder(name);
  }
  for (const { dataset: { checkList: name = "" } } of all("[data-check-list]", form)) {
    if (text(name) && !control(name).matches(".is-invalid")) checkList(name);
  }
  box("[data-example-card]").hidden = !resized;
  if (resized) showExample();
}

start();
