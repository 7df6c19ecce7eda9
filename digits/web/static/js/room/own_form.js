// @ts-check
// A plugin's own form in the room of a model: its answer stands beside it, with times, an address and the question as code.

import { all, find } from "../parts/elements.js";
import { below, request } from "../parts/request.js";
import { CodeOfQuestion } from "./code.js";
import { LastAnswers } from "./last.js";
import { Result } from "./result.js";

const FORM = "data_extension_id", OWN = "all-default";
const TEXTS = "input:not([type=file]):not([type=hidden]), textarea, select";

export class OwnForm {
  /**
   * @param {HTMLFormElement} form
   * @param {HTMLElement} root
   * @param {HTMLSelectElement} snapshot
   */
  constructor(form, root, snapshot) {
    this.form = form;
    this.snapshot = snapshot;
    this.fields = find("fieldset", root, HTMLFieldSetElement);
    this.result = new Result(find("[data-result]", root));
    this.last = new LastAnswers(form, root, (answer) => this.showKept(answer), true);
    this.code = new CodeOfQuestion(form, root, () => {
      const query = new URLSearchParams();
      for (const [name, value] of this.question()) if (!(value instanceof File)) query.append(name, value);
      return query;
    });
    this.running = /** @type {AbortController | null} */ (null);
    find("[data-ask-own]", root).addEventListener("click", () => this.ask());
  }

  /** The fields of this form alone, although others stand in the same one. */
  question() {
    const others = all("fieldset", this.form, HTMLFieldSetElement).filter((set) => set !== this.fields && !set.disabled);
    const mine = others.filter((set) => !this.fields.contains(set));
    for (const set of mine) set.disabled = true;
    const sent = new FormData(this.form);
    for (const set of mine) set.disabled = false;
    const names = new Set(all("[name]", this.fields).map((field) => field.getAttribute("name")));
    const body = new FormData();
    for (const [name, value] of sent) {
      if (names.has(name) && (value instanceof File ? value.size : true)) body.append(name, value);
    }
    if (!body.has(FORM)) body.set(FORM, OWN);
    if (this.snapshot.value) body.set("snapshot_epoch", this.snapshot.value);
    return body;
  }

  async ask() {
    this.running?.abort();
    this.running = new AbortController();
    this.result.setBusy(true);
    this.code.changed();
    const body = this.question();
    body.set("keep", "1");
    const started = performance.now();
    try {
      const { signal } = this.running;
      const answer = await request(below(this.form.dataset.answer ?? ""), { method: "POST", body, signal });
      await this.result.show(answer, performance.now() - started);
      this.last.came(answer);
    } catch (error) {
      const { name, message } = /** @type {Error} */ (error);
      if (name === "AbortError") return;
      this.result.fail(message);
      this.last.name(null);
      this.last.draw();
    }
    this.result.setBusy(false);
  }

  /**
   * Fill the form with what a kept answer was asked with, where it is the form of the same plugin, and show it.
   * @param {any} answer
   */
  async showKept(answer) {
    const { asked } = answer;
    this.running?.abort();
    const epochs = [asked.snapshot_epoch, String(answer.snapshot_epoch)];
    const known = [...this.snapshot.options].find(({ value }) => epochs.includes(value));
    if (known) this.snapshot.value = known.value;
    if (asked[FORM] === OWN) this.fill(asked);
    this.result.setBusy(false);
    await this.result.show(answer, null);
    this.code.changed();
  }

  /** @param {Record<string, string>} asked */
  fill(asked) {
    for (const field of all(TEXTS, this.fields)) {
      const { name, type } = /** @type {HTMLInputElement} */ (field);
      if (!name || name === FORM) continue;
      const input = /** @type {HTMLInputElement} */ (field);
      if (type === "checkbox") input.checked = name in asked && asked[name] !== "false";
      else if (type === "radio") input.checked = asked[name] === input.value;
      else input.value = asked[name] ?? "";
    }
  }
}
