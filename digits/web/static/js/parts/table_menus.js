// @ts-check
// The menus of a table: which columns it shows, by family and with a search; saved views; what can be done with one column.

import { promptDialog, toast } from "./dialogs.js";
import { el, icon } from "./elements.js";
import { request } from "./request.js";
import { debounced } from "./timing.js";

const SEARCH_MS = 150;

/** @typedef {import("./columns.js").Column} Column */
/** @typedef {{title: string, columns: {key: string, title: string}[]}} Family */

/** @param {unknown} error */
const complain = (error) => toast(/** @type {Error} */ (error).message, "error");

/**
 * The chooser of columns, filled when it is opened.
 * @param {{kind: string, menu: HTMLElement, button: HTMLElement, own: () => Column[], shown: () => Column[],
 *   choose: (keys: string[] | null) => void}} options
 */
export function columnChooser({ kind, menu, button, own, shown, choose }) {
  const search = el("input", {
    class: "form-control form-control-sm",
    type: "search",
    placeholder: "Search columns",
    "aria-label": "Search columns",
  });
  const list = el("div", {});
  const reset = el("button", { class: "dropdown-item", type: "button", onclick: () => choose(null) }, "The usual columns");
  menu.replaceChildren(el("div", { class: "px-2 pb-2" }, search), list, el("div", { class: "dropdown-divider" }), reset);
  const keys = () => shown().map((column) => column.key);
  const item = (/** @type {{key: string, title: string}} */ { key, title }) => {
    const change = (/** @type {any} */ event) =>
      choose(event.target.checked ? [...keys(), key] : keys().filter((other) => other !== key));
    const box = el("input", {
      type: "checkbox",
      class: "form-check-input me-2",
      checked: keys().includes(key),
      onchange: change,
    });
    return el("label", { class: "dropdown-item" }, box, title);
  };
  const draw = async () => {
    const text = search.value.trim();
    const found = await request(`/jobs/columns.json?${new URLSearchParams({ kind, search: text })}`).catch(complain);
    if (!found || search.value.trim() !== text) return;
    const words = text.toLowerCase().split(/\s+/);
    const mine = own().filter(({ fixed, title }) => !fixed && words.every((word) => title.toLowerCase().includes(word)));
    const offered = new Set(
      [...own(), ...found.families.flatMap((/** @type {Family} */ family) => family.columns)].map((c) => c.key),
    );
    const others = text ? [] : shown().filter(({ key }) => !offered.has(key));
    /** @type {Family[]} */
    const families = [{ title: "Job", columns: mine }, { title: "Shown", columns: others }, ...found.families];
    const parts = families.filter(({ columns }) => columns.length).map(({ title, columns }) =>
      el(
        "div",
        { role: "group", "aria-label": title },
        el("div", { class: "dropdown-header" }, title),
        ...columns.map(item),
      )
    );
    const more = found.left_out && el("div", { class: "dropdown-header" }, `${found.left_out} more: search for them.`);
    list.replaceChildren(...parts, ...(more ? [more] : []));
  };
  search.addEventListener("input", debounced(draw, SEARCH_MS));
  button.addEventListener("click", draw);
  return { draw };
}

/**
 * The menu of saved views.
 * @param {{kind: string, menu: HTMLElement, button: HTMLElement, current: () => string, open: (view: string) => void}} options
 */
export function viewsMenu({ kind, menu, button, current, open }) {
  const draw = (/** @type {{views: {kind: string, name: string, view: string}[]}} */ { views }) => {
    const items = views.filter((view) => view.kind === kind).map(({ name, view }) => {
      const remove = () => request("/views.json", { method: "DELETE", data: { kind, name } }).then(draw, complain);
      return el(
        "div",
        { class: "saved-view" },
        el("button", { class: "dropdown-item", type: "button", onclick: () => open(view) }, name),
        el("button", { class: "btn btn-sm", type: "button", "aria-label": `Delete view ${name}`, onclick: remove }, icon("x-lg")),
      );
    });
    const save = el("button", { class: "dropdown-item", type: "button", onclick: ask }, icon("plus-lg"), " Save this view…");
    menu.replaceChildren(...items, ...(items.length ? [el("div", { class: "dropdown-divider" })] : []), save);
  };
  const ask = async () => {
    const name = await promptDialog("Save this view", "", { label: "Query, order, columns and page are kept under this name." });
    if (!name?.trim()) return;
    const data = { kind, name: name.trim(), view: current() };
    await request("/views.json", { method: "PUT", data }).then((found) => {
      draw(found);
      toast(`Saved the view “${data.name}”.`, "success");
    }, complain);
  };
  button.addEventListener("click", () => request("/views.json").then(draw, complain));
  draw({ views: [] });
}

/**
 * Ask what a column is filtered by; resolves to a term of a query, or null.
 * @param {string} title
 * @param {string} name as queries have it
 * @param {boolean} isNumber
 */
export async function askFilter(title, name, isNumber) {
  const label = isNumber
    ? "A comparison, e.g. >0.9 or <=10 or =3; * for those that have any"
    : "Part of the text; * for those that have any";
  const text = (await promptDialog(`Filter by ${title}`, "", { label, action: "Filter" }))?.trim();
  if (!text) return null;
  if (/^[<>=]/.test(text)) return name + text.replace(/\s+/g, "");
  if (isNumber && text !== "*" && !text.startsWith(":")) return `${name}=${text}`;
  const value = text.replace(/^:/, "");
  return `${name}:${/^[^\s":<>=,]+$/.test(value) ? value : `"${value.replace(/[\\"]/g, "\\$&")}"`}`;
}
