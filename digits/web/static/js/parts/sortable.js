// @ts-check
// Tables whose rows are sorted by a click on a heading: the first column by names, the others by numbers. Of a cell counts what
// comes first; what stands under it does not.

import { all, el } from "./elements.js";

/**
 * @param {HTMLTableElement} table with one row of headings
 */
export function makeSortable(table) {
  const heads = [...(table.tHead?.rows[0].cells ?? [])];
  for (const [column, head] of heads.entries()) {
    const button = el("button", { type: "button", onclick: () => sort(table, heads, column) });
    button.append(...head.childNodes);
    head.append(button);
  }
}

/**
 * @param {HTMLTableElement} table
 * @param {HTMLTableCellElement[]} heads
 * @param {number} column
 */
function sort(table, heads, column) {
  const up = heads[column].getAttribute("aria-sort") !== "ascending";
  for (const head of heads) head.removeAttribute("aria-sort");
  heads[column].setAttribute("aria-sort", up ? "ascending" : "descending");
  const compare = column ? byNumber : byName;
  const text = (/** @type {HTMLElement} */ row) =>
    /** @type {HTMLTableRowElement} */ (row).cells[column].firstChild?.textContent?.trim() ?? "";
  const rows = all("tr", table.tBodies[0]).sort((a, b) => (up ? 1 : -1) * compare(text(a), text(b)));
  table.tBodies[0].append(...rows);
}

/**
 * "9" before "10".
 * @param {string} a
 * @param {string} b
 */
export const byName = (a, b) => a.localeCompare(b, undefined, { numeric: true });

/**
 * "1,200" and "98.5 %" are numbers; what is missing comes first.
 * @param {string} a
 * @param {string} b
 */
export const byNumber = (a, b) => valueOf(a) - valueOf(b);

/** @param {string} text */
const valueOf = (text) => (text === "–" ? -Number.MAX_VALUE : Number(text.replace(/[,%\s]/g, "")));
