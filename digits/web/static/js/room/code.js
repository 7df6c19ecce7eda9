// @ts-check
// The question of the page as code, always that of what is chosen now.

import { copyText, toast } from "../parts/dialogs.js";
import { all, el, find } from "../parts/elements.js";
import { request } from "../parts/request.js";

const WAIT_MS = 150; // while somebody types

export class CodeOfQuestion {
  /**
   * @param {HTMLFormElement} form
   * @param {HTMLElement} one
   * @param {() => URLSearchParams} question
   */
  constructor(form, one, question) {
    this.address = `/models/${form.dataset.model}/code.json`;
    this.question = question;
    this.root = /** @type {HTMLDetailsElement} */ (find("[data-code]", one));
    this.language = "python";
    /** @type {Record<string, string>} */
    this.texts = {};
    this.timer = 0;
    this.root.addEventListener("toggle", () => this.changed());
    for (const button of all("[data-language]", this.root)) {
      button.addEventListener("click", () => {
        this.language = button.dataset.language ?? "python";
        for (const other of all("[data-language]", this.root)) {
          other.classList.toggle("active", other === button);
          other.setAttribute("aria-pressed", String(other === button));
        }
        this.draw();
      });
    }
    find("[data-copy-code]", this.root).addEventListener("click", () => copyText(this.texts[this.language], "Copied."));
    for (const type of ["input", "change"]) form.addEventListener(type, () => this.changed());
  }

  /** Something else is asked now. */
  changed() {
    if (!this.root.open) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), WAIT_MS);
  }

  async load() {
    try {
      this.texts = await request(`${this.address}?${this.question()}`);
    } catch (error) {
      return toast(/** @type {Error} */ (error).message, "error");
    }
    this.draw();
  }

  draw() {
    find("[data-code-text]", this.root).textContent = this.texts[this.language] ?? "";
    const notes = /** @type {any} */ (this.texts).notes ?? [];
    find("[data-code-notes]", this.root).replaceChildren(...notes.map((/** @type {string} */ text) => el("li", {}, text)));
  }
}
