// @ts-check
// What a table of jobs requests from the server, and how a click on a heading changes it.

/** @typedef {import("./columns.js").Column} Column */
/**
 * What the browser remembers of a table.
 * @typedef {object} TableState
 * @property {[string, boolean][]} sort columns in the order in which they count, and whether downwards
 * @property {number} size rows of a page
 * @property {boolean} grouped
 * @property {string[] | null} shown keys of the columns; null: the usual ones
 */

/**
 * The query of one page of a table.
 * @param {TableState} state
 * @param {Map<string, Column>} columns
 * @param {{kind: string, offset: number, text?: string, letters?: string}} wanted `letters` are those of the statuses
 */
export function tableQuery({ sort, size, grouped }, columns, { kind, offset, text, letters }) {
  const query = new URLSearchParams({ kind, offset: String(offset), limit: String(size) });
  if (text) query.set("text", text);
  if (letters) query.set("status", letters);
  if (grouped) query.append("sort", "group");
  for (const [key, descending] of sort) {
    const name = columns.get(key)?.sort;
    if (name) query.append("sort", (descending ? "-" : "") + name);
  }
  return query.toString();
}

/**
 * How the table is sorted after a click on a heading: the other way round where it was sorted by it already.
 * @param {[string, boolean][]} sort
 * @param {string} key
 * @param {boolean} further whether the other columns go on to count
 * @returns {[string, boolean][]}
 */
export function sortedBy(sort, key, further) {
  const known = sort.find(([other]) => other === key);
  const rest = further ? sort.filter(([other]) => other !== key) : [];
  return [...rest, [key, known ? !known[1] : key !== "name"]];
}
