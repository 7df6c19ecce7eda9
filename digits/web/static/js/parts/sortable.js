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
  const compare = column ? byNumber(up) : (/** @type {string} */ a, /** @type {string} */ b) => (up ? 1 : -1) * byName(a, b);
  const text = (/** @type {HTMLElement} */ row) =>
    /** @type {HTMLTableRowElement} */ (row).cells[column].firstChild?.textContent?.trim() ?? "";
  const rows = all("tr", table.tBodies[0]).sort((a, b) => compare(text(a), text(b)));
  table.tBodies[0].append(...rows);
}

/**
 * "9" before "10".
 * @param {string} a
 * @param {string} b
 */
export const byName = (a, b) => a.localeCompare(b, undefined, { numeric: true });

/**
 * Up or down: "1,200" and "98.5 %" are numbers; what is missing comes last either way.
 * @param {boolean} up
 * @returns {(a: string, b: string) => number}
 */
export const byNumber = (up) => (a, b) => {
  const [one, other] = [valueOf(a), valueOf(b)];
  if (Number.isNaN(one) || Number.isNaN(other)) return Number(Number.isNaN(one)) - Number(Number.isNaN(other));
  return (up ? 1 : -1) * (one - other);
};

/** @param {string} text */
const valueOf = (text) => Number(text.replace(/[,%\s]/g, "") || NaN);
