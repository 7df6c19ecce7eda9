// @ts-check
// The box of a query: completes names and values as they are typed, and shows where an error is.

import { el } from "./elements.js";
import { request, RequestError } from "./request.js";
import { debounced } from "./timing.js";

const SEARCH_MS = 250;
const OFFER_MS = 120;
const MOST_OFFERS = 12;

/** @typedef {{text: string, about: string}} Offer */

export class QueryBox {
  /**
   * @param {HTMLInputElement} input
   * @param {{kind: string, list: HTMLElement, error: HTMLElement, onQuery: (text: string, typing: boolean) => void}} options
   *   `typing`: more may follow at once
   */
  constructor(input, { kind, list, error, onQuery }) {
    this.input = input;
    this.kind = kind;
    this.list = list;
    this.error = error;
    /** @type {Offer[]} */
    this.offers = [];
    this.chosen = -1;
    this.range = [0, 0];
    this.pending = false; // typed, and not searched for yet: nothing else may change the text
    const search = (/** @type {string} */ text, /** @type {boolean} */ typing) => {
      this.pending = false;
      onQuery(text, typing);
    };
    const soon = debounced((/** @type {string} */ text) => text === this.input.value && search(text, true), SEARCH_MS);
    const offerSoon = debounced(() => this.offer(), OFFER_MS);
    input.addEventListener("input", () => {
      this.pending = true;
      soon(input.value);
      offerSoon();
    });
    input.addEventListener("change", () => search(input.value, false));
    input.addEventListener("keydown", (event) => this.key(event, () => search(input.value, false)));
    input.addEventListener("blur", () => this.close());
    list.addEventListener("mousedown", (event) => {
      event.preventDefault(); // the box keeps the focus
      const item = /** @type {Element} */ (event.target).closest("[data-at]");
      if (item instanceof HTMLElement) this.take(Number(item.dataset.at));
    });
  }

  /** @param {string} text */
  show(text) {
    if (!this.pending && this.input.value.trim() !== text) this.input.value = text;
  }

  /**
   * Mark the place of an error in the text, or nothing.
   * @param {unknown} error
   */
  mark(error) {
    const position = error instanceof RequestError ? error.value?.position : undefined;
    const wrong = Number.isInteger(position);
    this.error.hidden = !wrong;
    this.input.classList.toggle("is-invalid", wrong);
    this.input.setAttribute("aria-invalid", String(wrong));
    if (!wrong || !(error instanceof RequestError)) return false;
    const text = [...this.input.value]; // the server counts characters, not their halves
    const end = position + Math.max(1, error.value.length ?? 1);
    const marked = el("mark", {}, text.slice(position, end).join("") || "\u2002");
    const code = el("code", {}, text.slice(0, position).join(""), marked, text.slice(end).join(""));
    this.error.replaceChildren(code, el("span", {}, error.message));
    return true;
  }

  async offer() {
    const text = this.input.value, position = this.input.selectionStart ?? text.length;
    if (document.activeElement !== this.input || !text.trim()) return this.close();
    const before = [...text.slice(0, position)].length;
    const wanted = new URLSearchParams({ kind: this.kind, query: text, position: String(before) });
    const found = await request(`/jobs/complete.json?${wanted}`).catch(() => null);
    if (!found || this.input.value !== text || document.activeElement !== this.input) return;
    const typed = [...text].slice(found.from, found.to).join("");
    this.range = [found.from, found.to];
    this.offers = found.items.filter((/** @type {Offer} */ item) => item.text !== typed).slice(0, MOST_OFFERS);
    this.chosen = -1;
    this.draw();
  }

  draw() {
    const items = this.offers.map(({ text, about }, at) =>
      el(
        "li",
        { role: "option", id: `${this.list.id}-${at}`, "data-at": at, "aria-selected": String(at === this.chosen) },
        el("span", {}, text),
        about && el("span", { class: "muted" }, about),
      )
    );
    this.list.replaceChildren(...items);
    this.list.hidden = !items.length;
    this.input.setAttribute("aria-expanded", String(items.length > 0));
    if (this.chosen >= 0) this.input.setAttribute("aria-activedescendant", `${this.list.id}-${this.chosen}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  close() {
    this.offers = [];
    this.draw();
  }

  /** @param {number} at */
  take(at) {
    const text = [...this.input.value], [from, to] = this.range;
    const taken = this.offers[at].text;
    const head = text.slice(0, from).join("") + taken;
    this.input.value = head + text.slice(to).join("");
    this.input.setSelectionRange(head.length, head.length);
    this.close();
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  /**
   * @param {KeyboardEvent} event
   * @param {() => void} search
   */
  key(event, search) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.offers.length) {
      event.preventDefault();
      this.chosen = (this.chosen + step + this.offers.length) % this.offers.length;
      this.draw();
    } else if (event.key === "Escape" && this.offers.length) {
      event.preventDefault();
      this.close();
    } else if ((event.key === "Enter" || event.key === "Tab") && this.chosen >= 0) {
      event.preventDefault();
      this.take(this.chosen);
    } else if (event.key === "Enter") {
      this.close();
      search();
    }
  }
}
