// @ts-check
// Path fields: completion while typing, a dialog to browse the server, and uploads that become a folder of the server.

import { all, el, find } from "./elements.js";
import { browseDialog } from "./browse_dialog.js";
import { request } from "./request.js";
import { debounced } from "./timing.js";
import { chooseUpload } from "./uploads.js";

const DEBOUNCE_MS = 120;
const MOST_SUGGESTIONS = 50;
const CLOSE = "close-list";

/**
 * Give every path field below `scope` its completion and its buttons.
 * @param {ParentNode} scope
 */
export function attachAll(scope) {
  for (const field of all("[data-path-field]:not([data-attached])", scope)) attach(field);
}

/**
 * Close the lists of path fields below `scope`, and those that are still being asked for, until their users type on.
 * @param {ParentNode} scope
 */
export function closeLists(scope) {
  for (const input of all("[data-path-field] input", scope)) input.dispatchEvent(new Event(CLOSE));
}

/** @param {HTMLElement} field */
function attach(field) {
  field.dataset.attached = "";
  const input = find("input", field, HTMLInputElement);
  new Completion(field, input);
  const put = (/** @type {string} */ path) => {
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
  /**
   * @param {HTMLElement} field
   * @param {HTMLInputElement} input
   */
  constructor(field, input) {
    this.input = input;
    this.active = -1;
    this.pending = /** @type {AbortController | null} */ (null);
    const name = "Paths on the server";
    this.list = el("ul", { class: "suggestions", role: "listbox", id: `list-${input.id}`, "aria-label": name, hidden: true });
    field.append(this.list);
    input.setAttribute("aria-controls", this.list.id);
    this.waiting = false; // whether a list was asked for that is not open yet
    const askSoon = debounced(() => this.waiting && this.ask(), DEBOUNCE_MS);
    input.addEventListener("input", (event) => {
      if (!event.isTrusted) return;
      this.waiting = true;
      askSoon();
    });
    input.addEventListener(CLOSE, () => this.close());
    input.addEventListener("keydown", (event) => this.key(event));
    input.addEventListener("blur", () => setTimeout(() => this.hide(), 150));
  }

  async ask() {
    const query = this.input.value;
    if (!query) return this.hide();
    this.pending?.abort();
    this.pending = new AbortController();
    try {
      const found = await request(`/autocomplete/path?query=${encodeURIComponent(query)}`, { signal: this.pending.signal });
      const current = this.input.value === query && document.activeElement === this.input;
      if (current) this.show(found.suggestions, new Set(found.folders));
    } catch (error) {
      if (/** @type {Error} */ (error).name !== "AbortError") this.hide();
    }
  }

  /**
   * @param {string[]} paths
   * @param {Set<string>} folders
   */
  show(paths, folders) {
    this.active = -1;
    if (paths.length === 1 && paths[0] === this.input.value) return this.hide(); // typed in full already
    const items = paths.slice(0, MOST_SUGGESTIONS).map((path) => (folders.has(path) ? `${path}/` : path));
    this.list.replaceChildren(...items.map((text, i) => this.item(text, i)));
    this.list.hidden = !items.length;
    this.input.setAttribute("aria-expanded", String(items.length > 0));
  }

  /**
   * @param {string} text
   * @param {number} i
   */
  item(text, i) {
    const take = (/** @type {MouseEvent} */ event) => {
      event.preventDefault();
      this.take(text);
    };
    return el("li", { role: "option", id: `${this.list.id}-${i}`, "data-value": text, onmousedown: take }, text);
  }

  close() {
    this.waiting = false;
    this.pending?.abort();
    this.hide();
  }

  hide() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
  }

  /** @param {string} text */
  take(text) {
    this.input.value = text;
    this.input.dispatchEvent(new Event("change", { bubbles: true }));
    if (text.endsWith("/")) this.ask();
    else this.hide();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const items = all("li", this.list);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "ArrowDown" && this.list.hidden) return this.ask();
    if (this.list.hidden || !items.length) return;
    const first = items[0].dataset.value ?? "";
    if (step) {
      event.preventDefault();
      this.move(items, step);
    } else if (event.key === "Enter" && this.active >= 0) {
      event.preventDefault();
      this.take(items[this.active].dataset.value ?? "");
    } else if (event.key === "Tab" && items.length === 1 && first !== this.input.value) {
      event.preventDefault();
      this.take(first);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      this.hide();
    }
  }

  /**
   * @param {HTMLElement[]} items
   * @param {number} step
   */
  move(items, step) {
    items[this.active]?.removeAttribute("aria-selected");
    this.active = (this.active + step + items.length) % items.length;
    items[this.active].setAttribute("aria-selected", "true");
    items[this.active].scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", items[this.active].id);
  }
}
