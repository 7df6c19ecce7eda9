// @ts-check
// What a table shows, as the address of its page: query, order, columns, page and selection; and what is requested for it.

/**
 * @typedef {object} View
 * @property {string} query
 * @property {[string, boolean][]} sort keys in the order in which they count, and whether downwards
 * @property {string} metric what *best* ranks by; "": what decides
 * @property {string} by what the lines are grouped by; "": nothing
 * @property {boolean} fold one line for runs that differ by their seed alone
 * @property {string[] | null} columns their keys in order; null: the usual ones
 * @property {number} page from 0
 * @property {number} size rows of a page
 * @property {string[]} selected ids; of a row of lines that are selected one below the other also FIRST..COUNT..LAST
 */

export const SIZES = [25, 50, 100, 1000];
const GROUPS = ["group", "dataset", "network", "sweep"];
const NAMES = ["query", "sort", "metric", "by", "fold", "columns", "page", "size", "selected"];
export const MOST_SELECTED = 200; // ids, or runs of them, that an address holds
const RUN = /^(\S+?)\.\.(\d+)\.\.(\S+)$/;
const SHORTEST_RUN = 4; // shorter ones are written as ids

/** @returns {View} */
export const usual = () => ({
  query: "",
  sort: [["submitted", true]],
  metric: "",
  by: "",
  fold: false,
  columns: null,
  page: 0,
  size: 50,
  selected: [],
});

/**
 * The view of an address; what cannot be read is as usual.
 * @param {URLSearchParams} address
 * @returns {View}
 */
export function viewOf(address) {
  const view = usual();
  const page = Number(address.get("page") ?? 1), size = Number(address.get("size"));
  const sort = keysOf(address.get("sort") ?? "");
  view.query = address.get("query") ?? "";
  if (sort.length) view.sort = sort.map((key) => (key.startsWith("-") ? [key.slice(1), true] : [key, false]));
  view.metric = address.get("metric") ?? "";
  view.by = GROUPS.includes(address.get("by") ?? "") ? address.get("by") ?? "" : "";
  view.fold = address.get("fold") === "1";
  view.columns = address.has("columns") ? keysOf(address.get("columns") ?? "") : null;
  view.page = Number.isInteger(page) && page > 0 ? page - 1 : 0;
  view.size = SIZES.includes(size) ? size : view.size;
  view.selected = keysOf(address.get("selected") ?? "");
  return view;
}

/**
 * The address of a view: `old` with the view's own names set anew, the usual ones left out.
 * @param {View} view
 * @param {URLSearchParams} [old]
 */
export function addressOf(view, old = new URLSearchParams()) {
  const address = new URLSearchParams(old);
  for (const name of NAMES) address.delete(name);
  const plain = usual();
  const set = (/** @type {string} */ name, /** @type {string} */ value) => value && address.set(name, value);
  set("query", view.query);
  if (sortText(view.sort) !== sortText(plain.sort)) set("sort", sortText(view.sort));
  set("metric", view.metric);
  set("by", view.by);
  set("fold", view.fold ? "1" : "");
  if (view.columns) address.set("columns", textOf(view.columns));
  set("page", view.page ? String(view.page + 1) : "");
  set("size", view.size === plain.size ? "" : String(view.size));
  set("selected", textOf(view.selected.slice(0, MOST_SELECTED)));
  return address;
}

/**
 * What the server is asked for.
 * @param {View} view
 * @param {string} kind
 * @param {string[]} columns keys of those that are shown
 * @param {(key: string) => string} sortKey what the server sorts by for a column
 */
export function requestOf(view, kind, columns, sortKey) {
  const wanted = new URLSearchParams({ kind, offset: String(view.page * view.size), limit: String(view.size) });
  if (view.query) wanted.set("query", view.query);
  wanted.set("sort", sortText(view.sort.map(([key, down]) => [sortKey(key), down])));
  if (view.metric) wanted.set("metric", view.metric);
  if (view.by) wanted.set("by", view.by);
  if (view.fold) wanted.set("fold", "1");
  wanted.set("columns", textOf(columns));
  return wanted;
}

/** @param {[string, boolean][]} sort */
const sortText = (sort) => sort.map(([key, down]) => (down ? "-" : "") + textOf([key])).join(",");

/**
 * How the table is sorted after a click on a heading: the other way round where it was sorted by it already. Names go upwards
 * first, all else downwards.
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

/**
 * Keys as one text with commas; those that hold commas or quotes stand in quotes.
 * @param {string[]} keys
 */
export const textOf = (keys) => keys.map((key) => (/[",\\]/.test(key) ? `"${key.replace(/[\\"]/g, "\\$&")}"` : key)).join(",");

/**
 * The opposite of `textOf`; a `-` may stand before the quotes.
 * @param {string} text
 */
export function keysOf(text) {
  const found = text.match(/-?"(?:[^"\\]|\\.)*"|[^,]+/g) ?? [];
  return found.map((key) => key.replace(/^(-?)"(.*)"$/s, (_, minus, name) => minus + name.replace(/\\(.)/gs, "$1"))).filter(
    Boolean,
  );
}

/**
 * A selection as an address holds it: ids, where there are many also runs of lines that stand one below the other.
 * @param {Set<string>} ids
 * @param {string[]} shown ids of the lines, in order
 */
export function packed(ids, shown) {
  if (ids.size <= MOST_SELECTED) return [...ids];
  /** @type {string[][]} */
  const runs = [[]];
  for (const id of shown) {
    if (ids.has(id)) runs[runs.length - 1].push(id);
    else if (runs[runs.length - 1].length) runs.push([]);
  }
  return runs.flatMap((run) => run.length < SHORTEST_RUN ? run : [`${run[0]}..${run.length}..${run[run.length - 1]}`]);
}

/**
 * The ids of a packed selection; `lost` are runs between whose ends other lines stand by now, or that have lost their ends.
 * @param {string[]} selected
 * @param {string[]} shown
 */
export function unpacked(selected, shown) {
  /** @type {string[]} */
  const ids = [], lost = [];
  for (const part of selected) {
    const [, first, count, last] = RUN.exec(part) ?? [];
    if (!first) {
      ids.push(part);
      continue;
    }
    const from = shown.indexOf(first), to = shown.indexOf(last);
    if (from >= 0 && to - from + 1 === Number(count)) ids.push(...shown.slice(from, to + 1));
    else lost.push(part);
  }
  return { ids, lost };
}

const STATUS = /(^|\s)status:([a-z,]*)(?=\s|$)/i;

/**
 * The words for statuses that a query asks for.
 * @param {string} query
 */
export const statusesOf = (query) => (STATUS.exec(query)?.[2] ?? "").toLowerCase().split(",").filter(Boolean);

/**
 * The query with one status more, or less.
 * @param {string} query
 * @param {string} word
 */
export function withStatus(query, word) {
  const words = statusesOf(query);
  const wanted = words.includes(word) ? words.filter((other) => other !== word) : [...words, word];
  const term = wanted.length ? `status:${wanted.join(",")}` : "";
  const others = query.replace(STATUS, "$1").replace(/\s+/g, " ").trim();
  return [others, term].filter(Boolean).join(" ");
}

/** How many characters of a name the table shows (the widths of `td.name` in digits.css). */
export const roomForNames = () =>
  matchMedia("(max-width: 40rem)").matches ? 11 : matchMedia("(max-width: 86rem)").matches ? 15 : 26;

/**
 * Where names are cut that begin alike: for each, from which character on its end is kept whole; 0 for those that need no cut.
 * @param {string[]} names
 * @param {number} [room] characters that fit
 * @returns {Map<string, number>}
 */
export function cuts(names, room = 30) {
  const sorted = [...new Set(names)].sort();
  const shared = (/** @type {string} */ a, /** @type {string} */ b) => {
    let at = 0;
    while (at < a.length && at < b.length && a[at] === b[at]) at += 1;
    return at;
  };
  return new Map(sorted.map((name, place) => {
    if (name.length <= room) return [name, 0];
    const longest = Math.max(room - 8, 6); // of an end: some of the beginning stays before it
    const alike = Math.max(shared(name, sorted[place - 1] ?? ""), shared(name, sorted[place + 1] ?? ""));
    const from = Math.max(alike - 6, name.length - longest); // a few letters of what is shared, and no more than fits
    return [name, alike > 8 ? Math.min(from, name.length - 4) : 0];
  }));
}
