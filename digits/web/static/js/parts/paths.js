// Path fields: completion while typing, a dialog to browse the server, and uploads that become a folder of the server.

import { el, fileSize, icon, openDialog, request, toast } from "./ui.js";
import { chooseUpload } from "./uploads.js";

const DEBOUNCE_MS = 120;

/** Give every path field below `root` its completion and its buttons. */
export function attachAll(root) {
  for (const field of root.querySelectorAll("[data-path-field]:not([data-attached])")) attach(field);
}

function attach(field) {
  field.dataset.attached = "";
  const input = field.querySelector("input");
  new Completion(field, input);
  const put = (path) => {
    input.value = path;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.dispatchEvent(new Event("change", { bubbles: true }));
    input.focus();
  };
  field.querySelector("[data-browse]")?.addEventListener("click", async () => {
    const path = await browseDialog(input.value);
    if (path !== null) put(path);
  });
  field.querySelector("[data-upload]")?.addEventListener("click", async () => {
    const upload = await chooseUpload();
    if (upload) put(upload.file || upload.path);
  });
}

class Completion {
  constructor(field, input) {
    this.field = field;
    this.input = input;
    this.list = el("ul", { class: "suggestions", role: "listbox", id: `list-${input.id}`, hidden: true });
    field.append(this.list);
    input.setAttribute("aria-controls", this.list.id);
    input.addEventListener("input", (event) => event.isTrusted && this.later());
    input.addEventListener("keydown", (event) => this.key(event));
    input.addEventListener("blur", () => setTimeout(() => this.hide(), 150));
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), DEBOUNCE_MS);
  }

  async ask() {
    const query = this.input.value;
    if (!query) return this.hide();
    this.pending?.abort();
    this.pending = new AbortController();
    try {
      const found = await request(`/autocomplete/path?query=${encodeURIComponent(query)}`, { signal: this.pending.signal });
      if (this.input.value === query && document.activeElement === this.input) this.show(found.suggestions, new Set(found.folders));
    } catch (error) {
      if (error.name !== "AbortError") this.hide();
    }
  }

  show(paths, folders) {
    this.active = -1;
    if (paths.length === 1 && paths[0] === this.input.value) return this.hide(); // typed in full: nothing to add, nothing in the way
    this.list.replaceChildren(...paths.slice(0, 50).map((path, i) => {
      const text = folders.has(path) ? `${path}/` : path;
      return el("li", { role: "option", id: `${this.list.id}-${i}`, "data-value": text, onmousedown: (event) => { event.preventDefault(); this.take(text); } }, text);
    }));
    this.list.hidden = !paths.length;
    this.input.setAttribute("aria-expanded", String(paths.length > 0));
  }

  hide() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
  }

  take(text) {
    this.input.value = text;
    this.input.dispatchEvent(new Event("change", { bubbles: true }));
    if (text.endsWith("/")) this.ask();
    else this.hide();
  }

  key(event) {
    const items = [...this.list.children];
    if (event.key === "ArrowDown" && this.list.hidden) return this.ask();
    if (this.list.hidden || !items.length) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      this.move(items, event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter" && this.active >= 0) {
      event.preventDefault();
      this.take(items[this.active].dataset.value);
    } else if (event.key === "Tab" && items.length === 1 && items[0].dataset.value !== this.input.value) {
      event.preventDefault();
      this.take(items[0].dataset.value);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      this.hide();
    }
  }

  move(items, step) {
    items[this.active]?.removeAttribute("aria-selected");
    this.active = (this.active + step + items.length) % items.length;
    items[this.active].setAttribute("aria-selected", "true");
    items[this.active].scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", items[this.active].id);
  }
}

/** Lets the user choose a folder or file of the server; resolves to its path, or null. */
export function browseDialog(start = "") {
  const where = el("div", { class: "crumb-path muted" });
  const list = el("ul", { class: "browser-list" });
  const choose = el("button", { class: "btn btn-primary", type: "button", disabled: true }, "Use this folder");
  const dialog = openDialog("Choose on the server", where, list);
  const cancel = el("button", { class: "btn btn-outline-secondary", type: "button", onclick: () => dialog.close() }, "Cancel");
  dialog.append(el("div", { class: "buttons" }, cancel, choose));
  return new Promise((resolve) => {
    let result = null;
    let current = "";
    const done = (path) => { result = path; dialog.close(); };
    const row = (symbol, text, action, size) => el("li", {}, el("button", { type: "button", onclick: action }, icon(symbol), el("span", {}, text), size && el("span", { class: "size" }, size)));
    const show = async (path) => {
      let folder;
      try {
        folder = await request(`/browse.json?path=${encodeURIComponent(path)}`);
      } catch (error) {
        if (path) return show("");
        return toast(error.message, "error");
      }
      current = folder.path;
      where.textContent = folder.path || "Where is it?";
      choose.disabled = !folder.path;
      const up = folder.path && row("arrow-90deg-up", folder.parent ?? "All places", () => show(folder.parent ?? ""));
      const roots = folder.path ? [] : folder.roots.map((place) => row("hdd", `${place.label} — ${place.path}`, () => show(place.path)));
      const entries = folder.entries.filter((entry) => !entry.name.startsWith(".")).map((entry) => entry.folder
        ? row("folder", entry.name, () => show(entry.path))
        : row("file-earmark", entry.name, () => done(entry.path), fileSize(entry.size)));
      list.replaceChildren(...[up, ...roots, ...entries].filter(Boolean));
      if (folder.truncated) list.append(el("li", { class: "muted p-2" }, "This folder holds more than is shown; type the path instead."));
      list.querySelector("button")?.focus();
    };
    choose.addEventListener("click", () => done(current));
    dialog.addEventListener("close", () => resolve(result));
    show(start.replace(/\/+$/, ""));
  });
}
