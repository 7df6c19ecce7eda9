// A table of jobs: sorted, filtered and paged by the server, kept live, with selection by mouse and keys.

import { columnsOf, pageOf } from "./columns.js";
import { confirmDialog, el, icon, promptDialog, request, toast } from "./ui.js";

const SEARCH_MS = 200;
const RELOAD_MS = 400;
const DEFAULTS = { sort: [["submitted", true]], size: 50, grouped: false, shown: null };

export class JobTable {
  constructor(pane, { outputs, onCount }) {
    this.pane = pane;
    this.kind = pane.dataset.table;
    this.columns = columnsOf(this.kind, outputs);
    this.onCount = onCount;
    this.state = { ...DEFAULTS, ...this.stored() };
    this.rows = [];
    this.total = 0;
    this.offset = 0;
    this.text = "";
    this.letters = "";
    this.selected = new Set();
    this.anchor = null;
    this.collapsed = new Set();
    this.table = pane.querySelector("table");
    this.wire();
    this.drawColumnMenu();
  }

  // -- state ------------------------------------------------------------------------------------------------------

  stored() {
    try {
      return JSON.parse(localStorage.getItem(`digits-table-${this.kind}`)) || {};
    } catch {
      return {};
    }
  }

  remember(changes) {
    Object.assign(this.state, changes);
    localStorage.setItem(`digits-table-${this.kind}`, JSON.stringify(this.state));
  }

  visible() {
    const chosen = this.state.shown;
    return [...this.columns.values()].filter((column) => column.fixed || (chosen ? chosen.includes(column.key) : !column.hidden));
  }

  // -- data -------------------------------------------------------------------------------------------------------

  query() {
    const query = new URLSearchParams({ kind: this.kind, offset: this.offset, limit: this.state.size });
    if (this.text) query.set("text", this.text);
    if (this.letters) query.set("status", this.letters);
    if (this.state.grouped) query.append("sort", "group");
    for (const [key, descending] of this.state.sort) {
      const sort = this.columns.get(key)?.sort;
      if (sort) query.append("sort", (descending ? "-" : "") + sort);
    }
    return query;
  }

  async load() {
    const query = this.query().toString();
    this.loading = query;
    try {
      const page = await request(`/jobs.json?${query}`);
      if (this.loading !== query) return;
      this.rows = page.rows;
      this.total = page.total;
      if (!this.rows.length && this.total && this.offset) return this.turn(-1);
      this.draw();
    } catch (error) {
      toast(error.message, "error");
    }
  }

  reload() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), RELOAD_MS);
  }

  /** A row changed somewhere: redraw it in place, or load the page again when it came or went. */
  onRow(row) {
    if (row.type !== this.kind) return;
    const at = this.rows.findIndex((known) => known.id === row.id);
    if (row.deleted) {
      this.selected.delete(row.id);
      return this.reload();
    }
    if (at < 0) return this.reload();
    const moved = this.state.sort.some(([key]) => ["status", "best", "name", "group"].includes(key) && this.rows[at][key] !== row[key]);
    this.rows[at] = row;
    const old = this.table.tBodies[0].querySelector(`tr[data-id="${row.id}"]`);
    old?.replaceWith(this.drawRow(row));
    if (moved || this.letters) this.reload();
  }

  // -- drawing ----------------------------------------------------------------------------------------------------

  draw() {
    const columns = this.visible();
    this.table.tHead.replaceChildren(el("tr", {}, this.allBox(), ...columns.map((column) => this.drawHead(column))));
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

  drawHead(column) {
    const place = this.state.sort.findIndex(([key]) => key === column.key);
    const descending = place >= 0 && this.state.sort[place][1];
    const order = place < 0 ? "none" : descending ? "descending" : "ascending";
    const arrow = place >= 0 && icon(descending ? "arrow-down-short" : "arrow-up-short");
    const label = column.sort
      ? el("button", { type: "button", title: "Sort; with Shift as a further key", onclick: (event) => this.sortBy(column.key, event.shiftKey) }, column.title, arrow)
      : column.title;
    return el("th", { class: column.css, scope: "col", "aria-sort": column.sort ? order : null }, label);
  }

  drawRow(row, columns = this.visible()) {
    const chosen = this.selected.has(row.id);
    const box = el("input", { type: "checkbox", class: "form-check-input", checked: chosen, "aria-label": `Select ${row.name}` });
    const line = el("tr", { "data-id": row.id, "aria-selected": String(chosen) }, el("td", { class: "select" }, box));
    for (const column of columns) line.append(el("td", { class: column.css }, column.cell(row)));
    return line;
  }

  drawGroup(group, width) {
    const closed = this.collapsed.has(group);
    const toggle = () => {
      if (!this.collapsed.delete(group)) this.collapsed.add(group);
      this.draw();
    };
    const count = this.rows.filter((row) => row.group === group).length;
    const button = el("button", { type: "button", "aria-expanded": String(!closed), onclick: toggle }, icon(closed ? "chevron-right" : "chevron-down"), ` ${group || "Ungrouped"} `, el("span", { class: "minor" }, `${count}`));
    return el("tr", { class: "group-row" }, el("td", { colspan: width }, button));
  }

  allBox() {
    const all = this.rows.length > 0 && this.rows.every((row) => this.selected.has(row.id));
    const box = el("input", { type: "checkbox", class: "form-check-input", checked: all, "aria-label": "Select all", onchange: () => this.select(all ? [] : this.rows.map((row) => row.id)) });
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
    this.part("[data-range]").textContent = none ? "" : `${this.offset + 1}–${this.offset + this.rows.length} of ${this.total.toLocaleString("en")}`;
    this.part('[data-page="-1"]').disabled = !this.offset;
    this.part('[data-page="1"]').disabled = this.offset + this.rows.length >= this.total;
    this.onCount(this.kind, this.total);
    this.drawSelection();
  }

  drawSelection() {
    const present = new Set(this.rows.map((row) => row.id));
    for (const id of this.selected) if (!present.has(id)) this.selected.delete(id);
    this.part("[data-selection]").hidden = !this.selected.size;
    this.part("[data-selected]").textContent = `${this.selected.size} selected`;
    this.part('[data-bulk="abort"]').disabled = !this.chosenRows().some((row) => row.running);
    for (const line of this.table.tBodies[0].querySelectorAll("tr[data-id]")) {
      const chosen = this.selected.has(line.dataset.id);
      line.setAttribute("aria-selected", String(chosen));
      line.querySelector("input").checked = chosen;
    }
  }

  drawColumnMenu() {
    const items = [...this.columns.values()].filter((column) => !column.fixed).map((column) => this.drawColumnItem(column));
    const first = items.findIndex(({ output }) => output);
    const menu = items.map(({ item }) => item);
    if (first >= 0) menu.splice(first, 0, el("li", { class: "dropdown-header" }, "Outputs"));
    this.part("[data-columns]").replaceChildren(...menu);
  }

  drawColumnItem(column) {
    const keys = () => this.visible().map((shown) => shown.key);
    const change = (event) => {
      this.remember({ shown: event.target.checked ? [...keys(), column.key] : keys().filter((key) => key !== column.key) });
      this.draw();
    };
    const box = el("input", { type: "checkbox", class: "form-check-input me-2", checked: keys().includes(column.key), onchange: change });
    return { output: column.output, item: el("label", { class: "dropdown-item" }, box, column.title) };
  }

  // -- what the user does -----------------------------------------------------------------------------------------

  part(selector) {
    return this.pane.querySelector(selector);
  }

  wire() {
    this.part("[data-size]").value = String(this.state.size);
    this.part("[data-grouped]").checked = this.state.grouped;
    this.part("[data-search]").addEventListener("input", (event) => this.search(event.target.value));
    this.part("[data-size]").addEventListener("change", (event) => { this.remember({ size: Number(event.target.value) }); this.first(); });
    this.part("[data-grouped]").addEventListener("change", (event) => { this.remember({ grouped: event.target.checked }); this.first(); });
    this.part("[data-clear]").addEventListener("click", () => this.clear());
    for (const button of this.pane.querySelectorAll("[data-page]")) button.addEventListener("click", () => this.turn(Number(button.dataset.page)));
    for (const chip of this.pane.querySelectorAll("[data-letters]")) chip.addEventListener("click", () => this.filter(chip));
    for (const button of this.pane.querySelectorAll("[data-bulk]")) button.addEventListener("click", () => this.bulk(button.dataset.bulk));
    this.part("[data-board]")?.addEventListener("click", (event) => this.openBoard(event.currentTarget.dataset.board));
    this.table.addEventListener("click", (event) => this.click(event));
    this.table.addEventListener("keydown", (event) => this.key(event));
  }

  first() {
    this.offset = 0;
    this.load();
  }

  turn(step) {
    this.offset = Math.max(0, this.offset + step * this.state.size);
    this.load();
  }

  search(text) {
    clearTimeout(this.searching);
    this.searching = setTimeout(() => { this.text = text.trim(); this.first(); }, SEARCH_MS);
  }

  filter(chip) {
    chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
    this.letters = [...this.pane.querySelectorAll('[data-letters][aria-pressed="true"]')].map((other) => other.dataset.letters).join("");
    this.first();
  }

  clear() {
    this.part("[data-search]").value = this.text = this.letters = "";
    for (const chip of this.pane.querySelectorAll("[data-letters]")) chip.setAttribute("aria-pressed", "false");
    this.first();
  }

  sortBy(key, further) {
    const known = this.state.sort.find(([other]) => other === key);
    const entry = [key, known ? !known[1] : key !== "name"];
    const rest = further ? this.state.sort.filter(([other]) => other !== key) : [];
    this.remember({ sort: [...rest, entry] });
    this.first();
  }

  select(ids) {
    this.selected = new Set(ids);
    this.drawSelection();
  }

  click(event) {
    const line = event.target.closest("tr[data-id]");
    if (!line || event.target.closest("a, button")) return;
    const id = line.dataset.id;
    const toggles = event.ctrlKey || event.metaKey || event.target.matches("input");
    if (event.shiftKey && this.anchor) this.select(this.between(this.anchor, id));
    else if (toggles) this.select(this.selected.has(id) ? [...this.selected].filter((other) => other !== id) : [...this.selected, id]);
    else this.select(this.selected.size === 1 && this.selected.has(id) ? [] : [id]);
    if (!event.shiftKey) this.anchor = id;
    if (event.shiftKey) getSelection().removeAllRanges();
  }

  between(first, last) {
    const ids = this.rows.map((row) => row.id);
    const [from, to] = [ids.indexOf(first), ids.indexOf(last)].sort((a, b) => a - b);
    return ids.slice(Math.max(0, from), to + 1);
  }

  key(event) {
    const ids = this.rows.map((row) => row.id);
    const control = event.ctrlKey || event.metaKey;
    const actions = { a: () => ids, d: () => [], i: () => ids.filter((id) => !this.selected.has(id)) };
    if (control && actions[event.key]) {
      event.preventDefault();
      this.select(actions[event.key]());
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      this.arrow(ids, event.key === "ArrowDown" ? 1 : -1, event.shiftKey);
    } else if (event.key === "Enter" && this.selected.size === 1 && event.target === this.table) {
      location.href = pageOf(this.chosenRows()[0]);
    } else if (event.key === "Delete" && this.selected.size) {
      this.bulk("delete");
    }
  }

  arrow(ids, step, extend) {
    const at = ids.indexOf(this.cursor ?? this.anchor);
    const next = ids[Math.min(ids.length - 1, Math.max(0, at + step))];
    if (!next) return;
    this.cursor = next;
    if (extend && this.anchor) this.select(this.between(this.anchor, next));
    else { this.anchor = next; this.select([next]); }
    this.table.querySelector(`tr[data-id="${next}"]`)?.scrollIntoView({ block: "nearest" });
  }

  chosenRows() {
    return this.rows.filter((row) => this.selected.has(row.id));
  }

  openBoard(address) {
    const ids = this.chosenRows().map((row) => row.id);
    window.open(address + ids.join(","), "_blank", "noopener");
  }

  async bulk(action) {
    const rows = this.chosenRows();
    const call = await { delete: () => this.askDelete(rows), abort: () => this.askAbort(rows), group: () => this.askGroup(rows) }[action]();
    if (!call) return;
    try {
      await request(call.path, { method: call.method, data: { "job_ids[]": call.ids, ...call.data } });
      toast(call.done, "success");
    } catch (error) {
      toast(error.message, "error");
    }
    this.load();
  }

  async askDelete(rows) {
    const what = rows.length === 1 ? `“${rows[0].name}”` : `${rows.length} jobs`;
    const sure = await confirmDialog(`Delete ${what}?`, "Everything they made will be removed.", { action: "Delete", danger: true });
    return sure && { path: "/jobs", method: "DELETE", ids: rows.map((row) => row.id), done: `Deleted ${what}.` };
  }

  async askAbort(rows) {
    const ids = rows.filter((row) => row.running).map((row) => row.id);
    const sure = await confirmDialog(`Abort ${ids.length} job${ids.length === 1 ? "" : "s"}?`, "The work stops; what was saved so far stays.", { action: "Abort", danger: true });
    return sure && { path: "/abort_jobs", method: "POST", ids, done: "The jobs are being stopped." };
  }

  async askGroup(rows) {
    const groups = [...new Set(this.rows.map((row) => row.group).filter(Boolean))];
    const name = await promptDialog("Group jobs", rows[0].group, { label: "Name of the group (empty: none)", action: "Group", suggestions: groups });
    return name !== null && { path: "/group", method: "POST", ids: rows.map((row) => row.id), data: { group_name: name.trim() }, done: "Jobs regrouped." };
  }
}
