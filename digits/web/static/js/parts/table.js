// @ts-check
// A table of jobs: sorted, filtered and paged by the server, kept live, with selection by mouse and keys.

import { BULK_ACTIONS } from "./bulk_actions.js";
import { columnsOf, pageOf } from "./columns.js";
import { toast } from "./dialogs.js";
import { all, el, find, icon } from "./elements.js";
import { number } from "./format.js";
import { request } from "./request.js";
import { Selection } from "./selection.js";
import { sortedBy, tableQuery } from "./table_query.js";
import { debounced } from "./timing.js";
import { sayDeleted } from "./undo.js";

/** @typedef {import("./columns.js").Row} Row */
/** @typedef {import("./columns.js").Column} Column */
/** @typedef {import("./table_query.js").TableState} TableState */

const SEARCH_MS = 200;
const RELOAD_MS = 400;
const MOVING = ["status", "best", "name", "group"]; // columns whose change may move a row
/** @type {TableState} */
const DEFAULTS = { sort: [["submitted", true]], size: 50, grouped: false, shown: null };

export class JobTable {
  /**
   * @param {HTMLElement} pane
   * @param {{outputs: [string, string][], onCount: (kind: string, total: number) => void}} options
   */
  constructor(pane, { outputs, onCount }) {
    this.pane = pane;
    this.kind = pane.dataset.table ?? "";
    this.columns = columnsOf(this.kind, outputs);
    this.onCount = onCount;
    this.state = { ...DEFAULTS, ...this.stored() };
    /** @type {Row[]} */
    this.rows = [];
    this.total = 0;
    this.offset = 0;
    this.text = "";
    this.letters = "";
    this.selection = new Selection();
    /** @type {Set<string>} */
    this.collapsed = new Set();
    this.table = find("table", pane, HTMLTableElement);
    this.head = /** @type {HTMLTableSectionElement} */ (this.table.tHead);
    this.reload = debounced(() => this.load(), RELOAD_MS);
    this.wire();
    this.drawColumnMenu();
  }

  // -- state ----------------------------------------------------------------------------------------------------------

  /** @returns {Partial<TableState>} */
  stored() {
    try {
      return JSON.parse(localStorage.getItem(`digits-table-${this.kind}`) ?? "{}") || {};
    } catch {
      return {};
    }
  }

  /** @param {Partial<TableState>} changes */
  remember(changes) {
    Object.assign(this.state, changes);
    localStorage.setItem(`digits-table-${this.kind}`, JSON.stringify(this.state));
  }

  visible() {
    const chosen = this.state.shown;
    return [...this.columns.values()].filter((column) => column.fixed || (chosen ? chosen.includes(column.key) : !column.hidden));
  }

  // -- data -----------------------------------------------------------------------------------------------------------

  async load() {
    const query = tableQuery(this.state, this.columns, this);
    this.loading = query;
    try {
      const page = await request(`/jobs.json?${query}`);
      if (this.loading !== query) return;
      this.rows = page.rows;
      this.total = page.total;
      if (!this.rows.length && this.total && this.offset) this.turn(-1);
      else this.draw();
    } catch (error) {
      toast(/** @type {Error} */ (error).message, "error");
    }
  }

  /**
   * A row changed somewhere: redraw it in place, or load the page again when it came or went.
   * @param {Row} row
   */
  onRow(row) {
    if (row.type !== this.kind) return;
    const at = this.rows.findIndex((known) => known.id === row.id);
    if (row.deleted) this.selection.ids.delete(row.id);
    if (row.deleted || at < 0) return this.reload();
    const old = this.rows[at];
    this.rows[at] = row;
    this.lineOf(row.id)?.replaceWith(this.drawRow(row));
    if (this.letters || this.state.sort.some(([key]) => MOVING.includes(key) && old[key] !== row[key])) this.reload();
  }

  // -- drawing --------------------------------------------------------------------------------------------------------

  draw() {
    const columns = this.visible();
    this.head.replaceChildren(el("tr", {}, this.allBox(), ...columns.map((column) => this.drawHead(column))));
    const body = document.createDocumentFragment();
    let group = null;
    for (const row of this.rows) {
      if (this.state.grouped && row.group !== group) {
        group = row.group;
        body.append(this.drawGroup(group, columns.length + 1));
      }
      if (!this.state.grouped || !this.collapsed.has(row.group)) body.append(this.drawRow(row, columns));
    }
    this.table.tBodies[0].replaceChildren(body);
    this.drawAround();
  }

  /** @param {Column} column */
  drawHead(column) {
    const found = this.state.sort.find(([key]) => key === column.key);
    const order = found ? (found[1] ? "descending" : "ascending") : "none";
    const arrow = found && icon(found[1] ? "arrow-down-short" : "arrow-up-short");
    const sort = (/** @type {MouseEvent} */ event) => this.sortBy(column.key, event.shiftKey);
    const hint = "Sort; with Shift as a further key";
    const label = column.sort ? el("button", { type: "button", title: hint, onclick: sort }, column.title, arrow) : column.title;
    return el("th", { class: column.css, scope: "col", "aria-sort": column.sort ? order : null }, label);
  }

  /**
   * @param {Row} row
   * @param {Column[]} [columns]
   */
  drawRow(row, columns = this.visible()) {
    const checked = this.selection.ids.has(row.id);
    const box = el("input", { type: "checkbox", class: "form-check-input", checked, "aria-label": `Select ${row.name}` });
    const cells = columns.map((column) => el("td", { class: column.css }, column.cell(row)));
    return el("tr", { "data-id": row.id, "aria-selected": String(checked) }, el("td", { class: "select" }, box), ...cells);
  }

  /**
   * @param {string} group
   * @param {number} width in columns
   */
  drawGroup(group, width) {
    const closed = this.collapsed.has(group);
    const toggle = () => {
      if (!this.collapsed.delete(group)) this.collapsed.add(group);
      this.draw();
    };
    const count = el("span", { class: "minor" }, String(this.rows.filter((row) => row.group === group).length));
    const arrow = icon(closed ? "chevron-right" : "chevron-down");
    const state = { type: "button", "aria-expanded": String(!closed), onclick: toggle };
    return el(
      "tr",
      { class: "group-row" },
      el("td", { colspan: width }, el("button", state, arrow, ` ${group || "Ungrouped"} `, count)),
    );
  }

  allBox() {
    const ids = this.shownIds();
    const checked = ids.length > 0 && ids.every((id) => this.selection.ids.has(id));
    const onchange = () => this.select(checked ? [] : ids);
    const box = el("input", { type: "checkbox", class: "form-check-input", checked, "aria-label": "Select all", onchange });
    return el("th", { class: "select", scope: "col" }, box);
  }

  drawAround() {
    const filtered = Boolean(this.text || this.letters);
    const none = !this.rows.length;
    this.part("[data-empty]").hidden = !none || filtered;
    this.part("[data-nothing]").hidden = !none || !filtered;
    this.table.hidden = none;
    this.part(".toolbar").hidden = none && !filtered;
    this.part(".table-foot").hidden = none;
    const last = this.offset + this.rows.length;
    this.part("[data-range]").textContent = none ? "" : `${this.offset + 1}–${last} of ${number(this.total)}`;
    this.part('[data-page="-1"]', HTMLButtonElement).disabled = !this.offset;
    this.part('[data-page="1"]', HTMLButtonElement).disabled = last >= this.total;
    this.onCount(this.kind, this.total);
    this.drawSelection();
  }

  drawSelection() {
    this.selection.keep(this.shownIds());
    const { ids } = this.selection;
    this.part("[data-selection]").hidden = !ids.size;
    this.part("[data-selected]").textContent = `${ids.size} selected`;
    this.part('[data-bulk="abort"]', HTMLButtonElement).disabled = !this.chosenRows().some((row) => row.running);
    for (const line of all("tbody tr[data-id]", this.table)) {
      const chosen = ids.has(line.dataset.id ?? "");
      line.setAttribute("aria-selected", String(chosen));
      find("input", line, HTMLInputElement).checked = chosen;
    }
  }

  drawColumnMenu() {
    const columns = [...this.columns.values()].filter((column) => !column.fixed);
    const items = columns.map((column) => this.drawColumnItem(column));
    const first = columns.findIndex(({ output }) => output);
    if (first >= 0) items.splice(first, 0, el("div", { class: "dropdown-header" }, "Outputs"));
    this.part("[data-columns]").replaceChildren(...items);
  }

  /**
   * @param {Column} column
   * @returns {HTMLElement}
   */
  drawColumnItem({ key, title }) {
    const keys = () => this.visible().map((shown) => shown.key);
    const change = (/** @type {any} */ event) => {
      this.remember({ shown: event.target.checked ? [...keys(), key] : keys().filter((other) => other !== key) });
      this.draw();
    };
    const box = el("input", {
      type: "checkbox",
      class: "form-check-input me-2",
      checked: keys().includes(key),
      onchange: change,
    });
    return el("label", { class: "dropdown-item" }, box, title);
  }

  // -- what the user does ---------------------------------------------------------------------------------------------

  /**
   * @template {Element} [Kind=HTMLElement]
   * @param {string} selector
   * @param {abstract new (...values: any[]) => Kind} [kind]
   */
  part(selector, kind) {
    return find(selector, this.pane, kind);
  }

  wire() {
    const search = this.part("[data-search]", HTMLInputElement);
    const size = this.part("[data-size]", HTMLSelectElement);
    const grouped = this.part("[data-grouped]", HTMLInputElement);
    size.value = String(this.state.size);
    grouped.checked = this.state.grouped;
    const searchSoon = debounced(() => this.show({ text: search.value.trim() }), SEARCH_MS);
    search.addEventListener("input", () => searchSoon());
    size.addEventListener("change", () => this.show({}, { size: Number(size.value) }));
    grouped.addEventListener("change", () => this.show({}, { grouped: grouped.checked }));
    this.part("[data-clear]").addEventListener("click", () => this.clear());
    for (const button of all("[data-page]", this.pane)) {
      button.addEventListener("click", () => this.turn(Number(button.dataset.page)));
    }
    for (const chip of all("[data-letters]", this.pane)) chip.addEventListener("click", () => this.filter(chip));
    for (const button of all("[data-bulk]", this.pane)) {
      button.addEventListener("click", () => this.bulk(button.dataset.bulk ?? ""));
    }
    const board = this.pane.querySelector("[data-board]");
    if (board instanceof HTMLElement) board.addEventListener("click", () => this.openBoard(board.dataset.board ?? ""));
    this.table.addEventListener("click", (event) => this.click(event));
    this.table.addEventListener("keydown", (event) => this.key(event));
  }

  /**
   * Load the first page of something else.
   * @param {{text?: string, letters?: string}} filters
   * @param {Partial<TableState>} [changes] remembered by the browser
   */
  show(filters, changes) {
    if (changes) this.remember(changes);
    Object.assign(this, filters, { offset: 0 });
    this.load();
  }

  /** @param {number} step 1 or -1 */
  turn(step) {
    this.offset = Math.max(0, this.offset + step * this.state.size);
    this.load();
  }

  /** @param {HTMLElement} chip */
  filter(chip) {
    chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
    const pressed = all('[data-letters][aria-pressed="true"]', this.pane);
    this.show({ letters: pressed.map((other) => other.dataset.letters).join("") });
  }

  clear() {
    this.part("[data-search]", HTMLInputElement).value = "";
    for (const chip of all("[data-letters]", this.pane)) chip.setAttribute("aria-pressed", "false");
    this.show({ text: "", letters: "" });
  }

  /**
   * @param {string} key
   * @param {boolean} further
   */
  sortBy(key, further) {
    this.show({}, { sort: sortedBy(this.state.sort, key, further) });
  }

  /** @param {string[]} ids */
  select(ids) {
    this.selection.set(ids);
    this.drawSelection();
  }

  /** @param {MouseEvent} event */
  click(event) {
    const target = /** @type {Element} */ (event.target);
    const line = target.closest("tr[data-id]");
    if (!(line instanceof HTMLElement) || target.closest("a, button")) return;
    const toggle = event.ctrlKey || event.metaKey || target.matches("input");
    this.selection.click(line.dataset.id ?? "", this.shownIds(), { extend: event.shiftKey, toggle });
    this.drawSelection();
    if (event.shiftKey) getSelection()?.removeAllRanges();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const ids = this.shownIds();
    /** @type {Record<string, () => void>} */
    const actions = {
      a: () => this.selection.set(ids),
      d: () => this.selection.set([]),
      i: () => this.selection.invert(ids),
    };
    if ((event.ctrlKey || event.metaKey) && actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
      this.drawSelection();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const next = this.selection.arrow(event.key === "ArrowDown" ? 1 : -1, ids, event.shiftKey);
      this.drawSelection();
      this.lineOf(next)?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" && this.selection.ids.size === 1 && event.target === this.table) {
      location.href = pageOf(this.chosenRows()[0]);
    } else if (event.key === "Delete" && this.selection.ids.size) {
      this.bulk("delete");
    }
  }

  shownIds() {
    return this.rows.map((row) => row.id);
  }

  /** @param {string} id */
  lineOf(id) {
    return this.table.tBodies[0].querySelector(`tr[data-id="${id}"]`);
  }

  chosenRows() {
    return this.rows.filter((row) => this.selection.ids.has(row.id));
  }

  /** @param {string} address */
  openBoard(address) {
    open(address + this.chosenRows().map((row) => row.id).join(","), "_blank", "noopener");
  }

  /** @param {string} action */
  async bulk(action) {
    const call = await BULK_ACTIONS[action](this.chosenRows(), this.rows);
    if (!call) return;
    try {
      const answer = await request(call.path, { method: call.method, data: call.data });
      sayDeleted(call.done, answer?.undo, () => this.load());
    } catch (error) {
      toast(/** @type {Error} */ (error).message, "error");
    }
    this.load();
  }
}
