// @ts-check
// A table of jobs: found, sorted, grouped and paged by the server, kept live; its view is the page's address. Selection by mouse
// and keys.

import { BULK_ACTIONS } from "./bulk_actions.js";
import { columnsOf, furtherColumn, nameLink, pageOf, queryName } from "./columns.js";
import { confirmDialog, toast } from "./dialogs.js";
import { all, el, find, icon } from "./elements.js";
import { number } from "./format.js";
import { QueryBox } from "./query_box.js";
import { request, url } from "./request.js";
import { Selection } from "./selection.js";
import { askFilter, columnChooser, viewsMenu } from "./table_menus.js";
import {
  addressOf,
  cuts,
  MOST_SELECTED,
  packed,
  requestOf,
  roomForNames,
  sortedBy,
  statusesOf,
  unpacked,
  usual,
  viewOf,
  withStatus,
} from "./table_view.js";
import { debounced } from "./timing.js";
import { sayDeleted } from "./undo.js";

/** @typedef {import("./columns.js").Row} Row */
/** @typedef {import("./columns.js").Column} Column */
/** @typedef {import("./table_view.js").View} View */
/** @typedef {{key: string, title: string, count: number}} Group */

const RELOAD_MS = 400;
const TYPING_MS = 1500; // as long as that counts as one change of the query
const BEGUN = "RDAE"; // letters of every status but the two of jobs that wait
const MOVING = ["status", "name", "group", "best_value"]; // whose change may move a row

export class JobTable {
  /**
   * @param {HTMLElement} pane
   * @param {{onCount: (kind: string, total: number) => void, isShown: () => boolean, waiting?: () => number}} options `isShown`:
   *   whether the address is that of this table; `waiting`: how many jobs wait that are shown elsewhere and are no rows then,
   *   unless the query says of which status rows are
   */
  constructor(pane, { onCount, isShown, waiting }) {
    this.pane = pane;
    this.kind = pane.dataset.table ?? "";
    this.columns = columnsOf(this.kind);
    this.onCount = onCount;
    this.isShown = isShown;
    this.waiting = waiting;
    /** @type {View} */
    this.view = isShown() ? viewOf(new URLSearchParams(location.search)) : usual();
    /** @type {Row[]} */
    this.rows = [];
    /** @type {Group[]} */
    this.groups = [];
    this.total = 0;
    this.metric = "";
    this.selection = new Selection();
    /** @type {string[] | null} */
    this.restoring = this.view.selected; // what the address says is selected, until its rows are there
    /** @type {Set<string>} */
    this.collapsed = new Set();
    /** @type {Map<string, Row[]>} */
    this.unfolded = new Map(); // runs of folded lines, by the line's id
    this.editing = "";
    this.typed = 0;
    this.table = find("table", pane, HTMLTableElement);
    this.head = /** @type {HTMLTableSectionElement} */ (this.table.tHead);
    this.reload = debounced(() => this.load(), RELOAD_MS);
    this.box = new QueryBox(this.part("[data-search]", HTMLInputElement), {
      kind: this.kind,
      list: this.part(".offers"),
      error: this.part("[data-query-error]"),
      onQuery: (text, typing) => this.search(text, typing),
    });
    this.wire();
  }

  // -- the view -------------------------------------------------------------------------------------------------------

  /** The columns that are shown, in order. */
  visible() {
    const { columns } = this.view;
    const own = [...this.columns.values()];
    if (!columns) return own.filter((column) => !column.hidden);
    const further = this.further().map(furtherColumn);
    const chosen = own.filter((column) => column.fixed || columns.includes(column.key));
    return [...chosen, .../** @type {Column[]} */ (further.filter(Boolean))];
  }

  /** The keys of columns that are none of the table's own. */
  further() {
    return (this.view.columns ?? []).filter((key) => !this.columns.has(key));
  }

  /** Say which columns of the address there are none of. */
  sayUnknown() {
    const unknown = this.further().filter((key) => !furtherColumn(key));
    const box = this.part("[data-columns-error]");
    box.hidden = !unknown.length;
    const leave = () => this.show({ columns: (this.view.columns ?? []).filter((key) => !unknown.includes(key)) });
    const words = `The address asks for ${unknown.length === 1 ? "a column" : "columns"} that this table has not: `;
    if (!unknown.length) return box.replaceChildren();
    box.replaceChildren(
      el("span", {}, words, el("code", {}, unknown.join(", "))),
      el("button", { class: "btn btn-link btn-sm p-0", type: "button", onclick: leave }, "Leave out"),
    );
  }

  /**
   * Show something else: the address says so, and *Back* leads to what was.
   * @param {Partial<View>} changes
   * @param {{replace?: boolean}} [options] `replace`: the address of now is forgotten
   * @returns {Promise<void>}
   */
  show(changes, { replace = false } = {}) {
    this.view = { ...this.view, page: 0, ...changes };
    this.writeAddress(replace);
    return this.load();
  }

  /** @param {boolean} replace */
  writeAddress(replace) {
    if (!this.isShown()) return;
    this.view.selected = this.restoring ?? packed(this.selection.ids, this.shownIds());
    const text = addressOf(this.view, new URLSearchParams(location.search)).toString();
    const address = text ? `?${text}` : location.pathname;
    if (address !== (location.search || location.pathname)) history[replace ? "replaceState" : "pushState"](null, "", address);
  }

  /** Show what the address says, as after *Back*. */
  readAddress() {
    this.view = viewOf(new URLSearchParams(location.search));
    this.restoring = this.view.selected;
    return this.load();
  }

  /**
   * @param {string} text
   * @param {boolean} typing
   */
  search(text, typing) {
    if (text.trim() === this.view.query.trim()) return;
    const goesOn = typing && performance.now() - this.typed < TYPING_MS;
    this.typed = typing ? performance.now() : 0;
    this.show({ query: text.trim() }, { replace: goesOn });
  }

  // -- data -----------------------------------------------------------------------------------------------------------

  wanted() {
    const keys = this.visible().map((column) => column.key);
    const wanted = requestOf(this.view, this.kind, keys, (key) => this.columns.get(key)?.sort ?? furtherColumn(key)?.sort ?? key);
    if (this.hidesWaiting()) wanted.set("status", BEGUN);
    return wanted;
  }

  hidesWaiting() {
    return Boolean(this.waiting) && !/\bstatus[:=]/i.test(this.view.query);
  }

  /** @returns {Promise<void>} */
  async load() {
    const wanted = this.wanted().toString();
    this.loading = wanted;
    this.drawControls();
    try {
      const page = await request(`/jobs.json?${wanted}`);
      if (this.loading !== wanted) return;
      Object.assign(this, { rows: page.rows, total: page.total, groups: page.groups ?? [], metric: page.metric });
      this.box.mark(null);
      const last = Math.max(0, Math.ceil(this.total / this.view.size) - 1);
      if (this.view.page > last) return this.show({ page: last }, { replace: true });
      this.restoreSelection();
      this.draw();
    } catch (error) {
      if (this.loading !== wanted) return;
      const order = usual().sort;
      const { value } = /** @type {import("./request.js").RequestError} */ (error);
      const isUsual = String(this.view.sort) === String(order) && !this.view.metric;
      if (value?.error?.type === "UnknownOrder" && !isUsual) { // e.g. of an old link, the rest of which holds
        toast(`${value.error.message} They are in the usual order.`);
        return this.show({ sort: order, metric: "" }, { replace: true });
      }
      if (!this.box.mark(error)) toast(/** @type {Error} */ (error).message, "error");
    }
  }

  /**
   * A row changed somewhere: redraw it in place, or load the page again when it came or went.
   * @param {Row} row
   */
  onRow(row) {
    if (row.type !== this.kind) return;
    const at = this.rows.findIndex((known) => known.id === row.id);
    if (at < 0 && this.hidesWaiting() && row.running && row.letter !== "R") return;
    if (at >= 0 && this.hidesWaiting() && row.running && row.letter !== "R") return this.reload();
    if (row.deleted) this.selection.ids.delete(row.id);
    if (row.deleted || at < 0) return this.reload();
    const old = this.rows[at];
    const kept = { seeds: old.seeds, group_key: old.group_key, rank: this.view.metric ? old.rank : row.rank };
    this.rows[at] = { ...old, ...row, ...kept };
    if (this.editing !== row.id) this.lineOf(row.id)?.replaceWith(this.drawRow(this.rows[at]));
    const moved = MOVING.some((key) => old[key] !== row[key]);
    if (moved && (this.view.query || this.view.by || this.view.fold || this.view.metric)) this.reload();
    else if (moved && this.view.sort.some(([key]) => key !== "submitted")) this.reload();
  }

  // -- drawing --------------------------------------------------------------------------------------------------------

  draw() {
    const columns = this.visible();
    this.cuts = cuts(this.rows.map((row) => row.name), roomForNames());
    const before = all("button, input", this.head), focused = before.findIndex((element) => element === document.activeElement);
    this.head.replaceChildren(el("tr", {}, this.allBox(), ...columns.map((column) => this.drawHead(column))));
    const after = all("button, input", this.head);
    if (focused >= 0 && after.length === before.length) after[focused].focus(); // who sorts by keyboard goes on there
    const body = document.createDocumentFragment();
    /** @type {string | null} */
    let group = null;
    for (const row of this.rows) {
      if (this.view.by && row.group_key !== group) {
        group = row.group_key;
        body.append(this.drawGroup(row.group_key, columns.length + 1));
      }
      if (this.view.by && this.collapsed.has(row.group_key)) continue;
      body.append(this.drawRow(row, columns));
      for (const other of this.unfolded.get(row.id) ?? []) body.append(this.drawRow(other, columns, true));
    }
    this.table.tBodies[0].replaceChildren(body);
    this.drawAround();
  }

  /** @param {Column} column */
  drawHead(column) {
    const at = this.view.sort.findIndex(([key]) => key === column.key);
    const found = this.view.sort[at];
    const order = found ? (found[1] ? "descending" : "ascending") : "none";
    const arrow = found && icon(found[1] ? "arrow-down-short" : "arrow-up-short");
    const place = found && this.view.sort.length > 1 && el("sup", {}, String(at + 1));
    const sort = (/** @type {MouseEvent} */ event) => this.show({ sort: sortedBy(this.view.sort, column.key, event.shiftKey) });
    const hint = "Sort; with Shift as a further key";
    const label = column.sort
      ? el("button", { type: "button", title: hint, onclick: sort }, column.title, arrow, place)
      : column.title;
    const filter = this.filterButton(column);
    return el("th", { class: column.css, scope: "col", "aria-sort": column.sort ? order : null }, label, filter);
  }

  /** @param {Column} column */
  filterButton(column) {
    const metric = this.view.metric || this.metric || this.rows.find((row) => row.rank?.name)?.rank.name;
    const name = queryName(column, metric ?? "");
    if (!name) return null;
    const filter = async () => {
      const isNumber = Boolean(column.css?.includes("num"));
      const term = await askFilter(column.title, name, isNumber);
      if (term) this.show({ query: `${this.view.query} ${term}`.trim() });
    };
    const label = `Filter by ${column.title}`;
    return el("button", { class: "filter", type: "button", title: label, "aria-label": label, onclick: filter }, icon("funnel"));
  }

  /**
   * @param {Row} row
   * @param {Column[]} [columns]
   * @param {boolean} [inner] whether it is one run of a folded line
   */
  drawRow(row, columns = this.visible(), inner = false) {
    const checked = this.selection.ids.has(row.id);
    const box = el("input", { type: "checkbox", class: "form-check-input", checked, "aria-label": `Select ${row.name}` });
    const cells = columns.map((column) =>
      el("td", { class: column.css }, column.key === "name" ? this.nameCell(row) : column.cell(row))
    );
    const line = { "data-id": row.id, "aria-selected": String(checked), class: inner ? "inner" : null };
    return el("tr", line, el("td", { class: "select" }, box), ...cells);
  }

  /** @param {Row} row */
  nameCell(row) {
    const rename = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.rename(row);
    };
    const edit = { class: "rename", type: "button", title: "Rename", "aria-label": `Rename ${row.name}`, onclick: rename };
    const others = row.seeds && el(
      "button",
      {
        class: "seeds",
        type: "button",
        "aria-expanded": String(this.unfolded.has(row.id)),
        title: "Runs that differ by their seed alone",
        onclick: () => this.unfold(row),
      },
      icon(this.unfolded.has(row.id) ? "chevron-down" : "chevron-right"),
      ` ×${row.seeds.ids.length}`,
      el("span", { class: "visually-hidden" }, " seeds"),
    );
    const name = row.seeds ? row.name.replace(/ seed:\d+$/, "") : row.name; // of the line, not of its first run
    return el(
      "span",
      { class: "name-cell" },
      nameLink({ ...row, name }, name === row.name ? this.cuts?.get(name) : 0),
      others,
      el("button", edit, icon("pencil")),
    );
  }

  /**
   * @param {string} key
   * @param {number} width in columns
   */
  drawGroup(key, width) {
    const group = this.groups.find((known) => known.key === key);
    const closed = this.collapsed.has(key);
    const toggle = () => {
      if (!this.collapsed.delete(key)) this.collapsed.add(key);
      this.draw();
    };
    const count = el("span", { class: "minor" }, number(group?.count ?? 0));
    const arrow = icon(closed ? "chevron-right" : "chevron-down");
    const state = { type: "button", "aria-expanded": String(!closed), onclick: toggle };
    const title = group?.title || { dataset: "No data set", network: "No network", sweep: "No settings" }[this.view.by] ||
      "Ungrouped";
    return el(
      "tr",
      { class: "group-row" },
      el("td", { colspan: width }, el("button", state, arrow, ` ${title} `, count)),
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
    const filtered = Boolean(this.view.query);
    const none = !this.rows.length;
    const waiting = none && !filtered && this.hidesWaiting() ? this.waiting?.() ?? 0 : 0;
    this.part("[data-all-wait]").hidden = !waiting;
    this.part("[data-empty]").hidden = !none || filtered || waiting > 0;
    this.part("[data-nothing]").hidden = !none || !filtered;
    this.table.hidden = none;
    this.part(".toolbar").hidden = none && !filtered;
    this.part(".table-foot").hidden = none;
    const first = this.view.page * this.view.size, last = first + this.rows.length;
    this.part("[data-range]").textContent = none ? "" : `${first + 1}–${last} of ${number(this.total)}`;
    this.part('[data-page="-1"]', HTMLButtonElement).disabled = !this.view.page;
    this.part('[data-page="1"]', HTMLButtonElement).disabled = last >= this.total;
    this.onCount(this.kind, this.total);
    this.drawSelection();
  }

  /** What the controls say: the query, the order, what is pressed. */
  drawControls() {
    this.box.show(this.view.query);
    this.sayUnknown();
    const statuses = statusesOf(this.view.query);
    for (const chip of all("[data-status]", this.pane)) {
      chip.setAttribute("aria-pressed", String(statuses.includes(chip.dataset.status ?? "")));
    }
    this.part("[data-size]", HTMLSelectElement).value = String(this.view.size);
    this.part("[data-by]", HTMLSelectElement).value = this.view.by;
    const fold = this.pane.querySelector("[data-fold]");
    if (fold instanceof HTMLInputElement) fold.checked = this.view.fold;
    const metric = this.pane.querySelector("[data-metric]");
    if (metric instanceof HTMLSelectElement) {
      if (![...metric.options].some((option) => option.value === this.view.metric)) {
        metric.append(el("option", { value: this.view.metric }, this.view.metric));
      }
      metric.value = this.view.metric;
    }
    for (const link of all("[data-file]", this.pane)) {
      const wanted = this.wanted();
      wanted.delete("offset");
      wanted.delete("limit");
      link.setAttribute("href", url(`/jobs.${link.dataset.file}?${wanted}`));
    }
  }

  /** Select what the address says, once its rows are there. */
  restoreSelection() {
    if (!this.restoring) return;
    const { ids, lost } = unpacked(this.restoring, this.shownIds());
    this.restoring = null;
    this.selection.set(ids);
    if (lost.length) toast("Rows came or went since this address was made: its selection is not shown in full.");
  }

  drawSelection() {
    this.selection.keep(this.shownIds());
    const { ids } = this.selection;
    this.part("[data-selection]").hidden = !ids.size;
    const more = packed(ids, this.shownIds()).length > MOST_SELECTED && ", more than the address can hold";
    this.part("[data-selected]").textContent = `${number(ids.size)} selected${more || ""}`;
    this.part('[data-bulk="abort"]', HTMLButtonElement).disabled = !this.chosenRows().some((row) => row.running);
    const compare = this.pane.querySelector("[data-compare]");
    if (compare instanceof HTMLButtonElement) compare.disabled = ids.size < 2;
    for (const line of all("tbody tr[data-id]", this.table)) {
      const chosen = ids.has(line.dataset.id ?? "");
      line.setAttribute("aria-selected", String(chosen));
      find("input", line, HTMLInputElement).checked = chosen;
    }
    if (this.rows.length) this.writeAddress(true);
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
    const size = this.part("[data-size]", HTMLSelectElement);
    const by = this.part("[data-by]", HTMLSelectElement);
    size.addEventListener("change", () => this.show({ size: Number(size.value) }));
    by.addEventListener("change", () => this.show({ by: by.value }));
    const fold = this.pane.querySelector("[data-fold]");
    if (fold instanceof HTMLInputElement) fold.addEventListener("change", () => this.show({ fold: fold.checked }));
    this.wireMetric();
    this.part("[data-clear]").addEventListener("click", () => this.show({ query: "" }));
    for (const button of all("[data-page]", this.pane)) {
      button.addEventListener("click", () => this.show({ page: this.view.page + Number(button.dataset.page) }));
    }
    for (const chip of all("[data-status]", this.pane)) {
      chip.addEventListener("click", () => this.show({ query: withStatus(this.view.query, chip.dataset.status ?? "") }));
    }
    for (const button of all("[data-bulk]", this.pane)) {
      button.addEventListener("click", () => this.bulk(button.dataset.bulk ?? ""));
    }
    const board = this.pane.querySelector("[data-board]");
    if (board instanceof HTMLElement) board.addEventListener("click", () => this.openBoard(board.dataset.board ?? ""));
    const compare = this.pane.querySelector("[data-compare]");
    compare?.addEventListener("click", () => {
      location.href = url(`/compare?ids=${this.chosenRows().map((row) => row.id).join(",")}`);
    });
    columnChooser({
      kind: this.kind,
      menu: this.part("[data-columns]"),
      button: this.part("[data-columns-button]"),
      own: () => [...this.columns.values()],
      shown: () => this.visible(),
      choose: (columns) => this.show({ columns, page: this.view.page }),
    });
    viewsMenu({
      kind: this.kind,
      menu: this.part("[data-views]"),
      button: this.part("[data-views-button]"),
      current: () => addressOf({ ...this.view, selected: [] }).toString(),
      open: (view) => this.show(viewOf(new URLSearchParams(view))),
    });
    this.table.addEventListener("click", (event) => this.click(event));
    this.table.addEventListener("keydown", (event) => this.key(event));
  }

  wireMetric() {
    const metric = this.pane.querySelector("[data-metric]");
    if (!(metric instanceof HTMLSelectElement)) return;
    metric.addEventListener("change", () => this.show({ metric: metric.value, ...(metric.value && { sort: [["best", true]] }) }));
    const fill = async () => {
      const found = await request(`/jobs/columns.json?${new URLSearchParams({ kind: this.kind, search: "\u0000" })}`).catch(() =>
        null
      );
      const known = new Set([...metric.options].map((option) => option.value));
      for (const { name, title } of found?.metrics ?? []) {
        if (!known.has(name)) metric.append(el("option", { value: name, title }, name));
      }
    };
    metric.addEventListener("focus", fill, { once: true });
    metric.addEventListener("pointerdown", fill, { once: true });
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
    if (!(line instanceof HTMLElement) || target.closest("a, button, .renaming")) return;
    const toggle = event.ctrlKey || event.metaKey || target.matches("input");
    this.selection.click(line.dataset.id ?? "", this.shownIds(), { extend: event.shiftKey, toggle });
    this.drawSelection();
    if (event.shiftKey) getSelection()?.removeAllRanges();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.target instanceof HTMLInputElement && event.target.type !== "checkbox") return;
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
    } else if (event.target !== this.table) {
      return;
    } else if (event.key === " ") {
      event.preventDefault();
      this.selection.space();
      this.drawSelection();
    } else if (event.key === "Enter" && this.selection.ids.size === 1) {
      location.href = pageOf(this.chosenRows()[0]);
    } else if (event.key === "F2" && this.selection.ids.size === 1) {
      this.rename(this.chosenRows()[0]);
    } else if (event.key === "Delete" && this.selection.ids.size) {
      this.bulk("delete");
    }
  }

  /**
   * Rename in place: Enter and leaving the field save, Escape does not.
   * @param {Row} row
   */
  rename(row) {
    const cell = this.lineOf(row.id)?.querySelector("td.name");
    if (!(cell instanceof HTMLElement) || this.editing) return;
    this.editing = row.id;
    const input = el("input", { class: "form-control form-control-sm renaming", "aria-label": `New name of ${row.name}` });
    input.value = row.name;
    cell.replaceChildren(input);
    input.focus();
    input.select();
    let done = false;
    const end = async (/** @type {boolean} */ save) => {
      if (done) return;
      done = true;
      const name = input.value.trim();
      if (save && name && name !== row.name) await this.saveName(row, name);
      this.editing = "";
      this.draw();
      this.table.focus();
    };
    input.addEventListener("blur", () => end(true));
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") end(event.key === "Enter");
      event.stopPropagation();
    });
  }

  /**
   * @param {Row} row as it was when the renaming began
   * @param {string} name
   */
  async saveName(row, name) {
    try {
      const now = await request(`/jobs/${row.id}/table_data.json`);
      const meanwhile = now.job.name !== row.name && now.job.name !== name;
      const text = `It is called “${now.job.name}” since a moment ago, by somebody else or in another tab.`;
      if (meanwhile && !(await confirmDialog(`Rename to “${name}”?`, text, { action: "Rename" }))) return this.reload();
      await request(`/jobs/${row.id}`, { method: "PUT", data: { job_name: name } });
      const known = this.rows.find((other) => other.id === row.id);
      if (known) known.name = name;
    } catch (error) {
      toast(/** @type {Error} */ (error).message, "error");
    }
  }

  /** @param {Row} row of a folded line */
  async unfold(row) {
    if (!this.unfolded.delete(row.id)) {
      const others = row.seeds.ids.filter((/** @type {string} */ id) => id !== row.id);
      const wanted = requestOf(
        { ...usual(), metric: this.view.metric, size: 1000 },
        this.kind,
        this.visible().map(({ key }) => key),
        String,
      );
      wanted.set("query", `id:${others.join(",")}`);
      const found = await request(`/jobs.json?${wanted}`).catch(() => ({ rows: [] }));
      this.unfolded.set(row.id, found.rows);
    }
    this.draw();
  }

  shownIds() {
    return this.shownRows().map((row) => row.id);
  }

  /** The rows of the page, with the runs of folded lines that are open. */
  shownRows() {
    return this.rows.flatMap((row) => [row, ...(this.unfolded.get(row.id) ?? [])]);
  }

  /** @param {string} id */
  lineOf(id) {
    return this.table.tBodies[0].querySelector(`tr[data-id="${id}"]`);
  }

  chosenRows() {
    return this.shownRows().filter((row) => this.selection.ids.has(row.id));
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
      for (const { path, data } of call.more ?? []) await request(path, { method: call.method, data });
      sayDeleted(call.done, answer?.undo, () => this.load());
    } catch (error) {
      const { message, value } = /** @type {import("./request.js").RequestError} */ (error);
      if (value?.undo?.length) sayDeleted(message, value.undo, () => this.load()); // the others were deleted
      else toast(message, "error");
    }
    this.load();
  }
}
