// @ts-check
// Other runs whose curves lie over those of a training: chosen by name, or dropped as links to their pages. The address names
// them (`?with=ID,ID`), so that a reload or a link shows the same.

import { el, find, icon } from "./elements.js";
import { request } from "./request.js";
import { TrainingState } from "./training_state.js";

/** @typedef {{id: string, name: string, state: TrainingState, number: number}} OtherRun */

const MOST = 5;
const OFFERED = 20;
const WAIT_MS = 250;
const ID = /\b\d{8}-\d{6}-[0-9a-f]{4,}\b/;
const PARAMETER = "with";

export class OtherRuns {
  /**
   * @param {HTMLElement} root with a field, its list and a place for what is chosen
   * @param {HTMLElement} target where links may be dropped
   * @param {string} own the run of the page
   * @param {() => void} changed
   */
  constructor(root, target, own, changed) {
    this.root = root;
    this.own = own;
    this.changed = changed;
    /** @type {OtherRun[]} */
    this.runs = [];
    this.field = find("input", root, HTMLInputElement);
    this.timer = 0;
    this.field.addEventListener("input", () => this.typed());
    this.field.addEventListener("keydown", (event) => event.key === "Enter" && this.take(this.field.value));
    target.addEventListener("dragover", (event) => {
      if (!event.dataTransfer?.types.includes("text/uri-list")) return;
      event.preventDefault();
      target.classList.add("over");
    });
    target.addEventListener("dragleave", () => target.classList.remove("over"));
    target.addEventListener("drop", (event) => {
      target.classList.remove("over");
      const link = event.dataTransfer?.getData("text/uri-list") ?? "";
      if (!link.includes("/models/")) return;
      event.preventDefault();
      this.take(link);
    });
    for (const id of (new URLSearchParams(location.search).get(PARAMETER) ?? "").split(",")) if (id) this.take(id);
  }

  typed() {
    if (ID.test(this.field.value)) return this.take(this.field.value);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.offer(), WAIT_MS);
  }

  async offer() {
    const text = this.field.value.replaceAll('"', " ").trim();
    const query = encodeURIComponent(text ? `"${text}"` : "");
    const found = await request(`/jobs.json?kind=model&limit=${OFFERED}&query=${query}`).catch(() => ({ rows: [] }));
    const rows = found.rows.filter((/** @type {any} */ { id }) => id !== this.own);
    const options = rows.map((/** @type {any} */ { id, name, rank }) =>
      el("option", { value: `${name} ${id}` }, [rank?.title, rank?.text].filter(Boolean).join(" "))
    );
    find("datalist", this.root).replaceChildren(...options);
  }

  /**
   * Add the run that a text names by its id, as an address does.
   * @param {string} text
   */
  async take(text) {
    const id = ID.exec(text)?.[0] ?? "";
    if (!id) return this.note(text.trim() ? "Choose a run from the list, or drop a link to its page." : "");
    this.field.value = "";
    if (id === this.own || this.runs.some((run) => run.id === id)) return this.note("");
    if (this.runs.length >= MOST) return this.note(`At most ${MOST} other runs; compare more on the page of comparisons.`);
    const free = [...Array(MOST).keys()].find((n) => this.runs.every(({ number }) => number !== n)) ?? 0;
    const run = { id, name: id, state: new TrainingState({}), number: free };
    this.runs.push(run);
    try {
      const data = await request(`/models/${id}/curves.json`);
      Object.assign(run, { name: data.name || id, state: new TrainingState(data) });
      this.note("");
    } catch (error) {
      this.runs = this.runs.filter((other) => other !== run);
      this.note(`${id}: ${/** @type {Error} */ (error).message}`);
    }
    this.show();
  }

  /** @param {OtherRun} run */
  remove(run) {
    this.runs = this.runs.filter((other) => other !== run);
    this.show();
    this.field.focus();
  }

  show() {
    const chips = this.runs.map((run) => {
      const remove = el(
        "button",
        { class: "btn btn-link btn-sm", type: "button", "aria-label": `Remove ${run.name}`, onclick: () => this.remove(run) },
        icon("x-lg"),
      );
      return el("span", { class: "tag other-run" }, run.name, remove);
    });
    find("[data-chosen-runs]", this.root).replaceChildren(...chips);
    const address = new URL(location.href);
    address.searchParams.delete(PARAMETER);
    const ids = this.runs.map(({ id }) => id).join(",");
    const search = ids ? `${address.search ? `${address.search}&` : "?"}${PARAMETER}=${ids}` : address.search;
    history.replaceState(history.state, "", `${address.pathname}${search}${address.hash}`);
    this.changed();
  }

  /** @param {string} text */
  note(text) {
    find("[data-other-note]", this.root).textContent = text;
  }
}
