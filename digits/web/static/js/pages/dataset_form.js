// The form of a new image classification data set: tabs, what is in the chosen folder, and how a picture is resized.

import { toast } from "../parts/ui.js";
import { dropZone, progressBar, sendAll } from "../parts/uploads.js";

const form = document.getElementById("dataset-form");
const control = (name) => form.elements.namedItem(name);
const box = (selector) => form.querySelector(selector);
const RESIZE = { resize_width: "width", resize_height: "height", resize_channels: "channels", resize_mode: "resize_mode", encoding: "encoding", backend: "backend" };
const number = new Intl.NumberFormat("en");
const CLASSES_SHOWN = 12;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** `work(name)` after a pause; each name waits for itself. */
function debounced(work, wait) {
  const timers = new Map();
  return (name) => {
    clearTimeout(timers.get(name));
    timers.set(name, setTimeout(() => work(name), wait));
  };
}

// -- tabs and fields that depend on others ------------------------------------------------------------------------

function showTab(asked) {
  const name = box(`[data-tab="${CSS.escape(asked)}"]`) ? asked : "folder";
  for (const tab of form.querySelectorAll("[data-tab]")) {
    const chosen = tab.dataset.tab === name;
    tab.classList.toggle("active", chosen);
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    document.getElementById(`pane-${tab.dataset.tab}`).hidden = !chosen;
  }
  control("method").value = name === "textfile" ? "textfile" : "folder";
}

function tabKeys(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const tabs = [...form.querySelectorAll("[data-tab]")];
  const next = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
  showTab(next.dataset.tab);
  next.focus();
}

function showDependents() {
  for (const part of form.querySelectorAll("[data-show-when]")) part.hidden = !control(part.dataset.showWhen).checked;
  for (const part of form.querySelectorAll("[data-hide-when]")) part.hidden = control(part.dataset.hideWhen).checked;
  for (const name of ["resize_width", "resize_height", "resize_mode"]) control(name).disabled = control("keep_size").checked;
  showSplit();
}

function showSplit() {
  const share = (stage) => (control(`has_${stage}_folder`).checked ? 0 : Number(control(`folder_pct_${stage}`).value) || 0);
  const [val, test] = [share("val"), share("test")];
  const shares = { train: Math.max(0, 100 - val - test), val, test };
  for (const [stage, percent] of Object.entries(shares)) {
    const part = box(`.split-${stage}`);
    part.style.width = `${Math.min(100, percent)}%`;
    part.textContent = percent >= 12 ? `${{ train: "training", val: "validation", test: "test" }[stage]} ${percent} %` : "";
  }
  box("[data-split-bar]").classList.toggle("too-much", val + test >= 100);
}

// -- what is in the folder ----------------------------------------------------------------------------------------

async function answer(address) {
  const response = await fetch(address, { headers: { Accept: "application/json" } });
  const value = await response.json();
  if (response.ok) return value;
  const messages = value.errors ? Object.values(value.errors).flat() : [value.error.message];
  throw new Error(messages.join(" "));
}

async function checkFolder(name) {
  const [path, note] = [control(name).value.trim(), box(`[data-check="${name}"]`)];
  note.hidden = !path;
  if (!path || /^https?:/i.test(path)) return;
  note.className = "folder-check";
  note.textContent = "Looking …";
  try {
    const found = await answer(`${form.dataset.checkFolder}?path=${encodeURIComponent(path)}`);
    if (path !== control(name).value.trim()) return;
    showFound(note, found);
    if (name === "folder_train") showClasses(found);
  } catch (error) {
    note.classList.add("bad");
    note.textContent = error.message;
  }
}

function showFound(note, found) {
  const enough = found.class_count >= 2 && (found.total > 0 || !found.complete);
  note.classList.add(enough ? "good" : "bad");
  const more = found.complete ? "" : " or more (still counting when time was up)";
  note.textContent = enough
    ? `${number.format(found.class_count)} classes, ${number.format(found.total)}${more} pictures`
    : `${found.class_count} sub-folders with ${found.total} pictures; at least two classes are needed.`;
}

function showClasses(found) {
  const target = box("[data-classes]");
  const most = Math.max(1, ...found.classes.map((row) => row.count || 0));
  const rows = found.classes.slice(0, CLASSES_SHOWN).map((row) => {
    const bar = element("span", { className: "class-bar" });
    bar.style.width = `${(100 * (row.count || 0)) / most}%`;
    const count = row.count === null ? "?" : number.format(row.count);
    return element("li", {}, element("span", { className: "class-name", textContent: row.label, title: row.label }), element("span", { className: "class-track" }, bar), element("span", { className: "class-count", textContent: count }));
  });
  const rest = found.class_count - rows.length;
  target.replaceChildren(element("ul", { className: "class-list" }, ...rows));
  if (rest > 0) target.append(element("p", { className: "muted", textContent: `and ${number.format(rest)} more classes` }));
  if (found.loose) target.append(element("p", { className: "muted", textContent: `${found.loose} pictures beside the sub-folders are not used.` }));
}

async function checkList(name) {
  const [path, note] = [control(name).value.trim(), box(`[data-check-list="${name}"]`)];
  note.hidden = !path || name.endsWith("labels_file");
  if (note.hidden) return;
  note.className = "folder-check";
  try {
    const found = await answer(`${form.dataset.checkList}?path=${encodeURIComponent(path)}`);
    note.classList.add(found.valid ? "good" : "bad");
    const other = found.other ? `, ${number.format(found.other)} lines cannot be used` : "";
    note.textContent = `${number.format(found.valid)} pictures of ${Object.keys(found.classes).length} classes${other}`;
  } catch (error) {
    note.classList.add("bad");
    note.textContent = error.message;
  }
}

function suggestName(path) {
  const name = control("dataset_name");
  if (name.value && name.value !== name.dataset.suggested) return;
  const last = path.split("/").filter(Boolean).pop() || "";
  name.value = name.dataset.suggested = last.replace(/[_-]+/g, " ");
}

// -- upload: becomes a folder of the server, which the folder tab then names ---------------------------------------

function offerUpload() {
  const zone = dropZone();
  const status = box("[data-upload-status]");
  zone.onFiles = async (files) => {
    zone.element.hidden = true;
    status.hidden = false;
    try {
      const upload = await sendAll(files, progressBar(status));
      showTab("folder");
      control("folder_train").value = upload.path;
      control("folder_train").dispatchEvent(new Event("change", { bubbles: true }));
      toast(`${number.format(upload.files)} files are on the server now.`, "success");
    } catch (error) {
      toast(error.message, "error");
    }
    zone.element.hidden = false;
    status.hidden = true;
  };
  box("[data-drop]").append(zone.element);
}

// -- how a picture is resized -------------------------------------------------------------------------------------

async function showExample() {
  const target = box("[data-example]");
  const values = new URLSearchParams();
  for (const [name, sent] of Object.entries(RESIZE)) values.set(sent, control(name).value);
  const headers = { "X-CSRF-Token": document.querySelector('meta[name="csrf-token"]').content };
  const response = await fetch(form.dataset.resize, { method: "POST", body: values, headers });
  const text = await response.text();
  if (response.ok && response.headers.get("Content-Type").startsWith("text/html")) target.innerHTML = text;
  else target.replaceChildren(element("p", { className: "muted", textContent: text }));
}

// -- start --------------------------------------------------------------------------------------------------------

function start() {
  const checkFolderSoon = debounced(checkFolder, 350);
  const checkListSoon = debounced(checkList, 350);
  const showExampleSoon = debounced(showExample, 250);
  for (const tab of form.querySelectorAll("[data-tab]")) {
    tab.addEventListener("click", () => showTab(tab.dataset.tab));
    tab.addEventListener("keydown", tabKeys);
  }
  const changed = (event) => {
    const name = event.target.name || "";
    if (box(`[data-check="${name}"]`)) {
      checkFolderSoon(name);
      if (name === "folder_train") suggestName(event.target.value);
    }
    if (box(`[data-check-list="${name}"]`)) checkListSoon(name);
    if (name in RESIZE) showExampleSoon();
    showDependents();
  };
  form.addEventListener("input", changed);
  form.addEventListener("change", changed);
  control("group_name").setAttribute("list", "groups");
  showTab(control("method").value);
  offerUpload();
  showDependents();
  for (const name of ["folder_train", "folder_val", "folder_test"]) if (control(name).value && !control(name).matches(".is-invalid")) checkFolder(name);
  showExample();
}

start();
