// @ts-check
// Which pictures of an evaluation are shown, in which order and on which page, as the address of its page has it.

/** @typedef {"only" | "review" | "label" | "predicted" | "sort" | "order" | "size" | "page"} Name */
/**
 * @typedef {Record<Name, string>} Choice `only` is wrong, right or empty, `review` what was said; `label` and `predicted` are
 *   numbers of classes or empty
 */

export const ALL = { only: "", review: "", label: "", predicted: "" };

/**
 * What is chosen where nothing is.
 * @param {string} order `sort order`
 * @param {string} size pictures on a page
 * @returns {Choice}
 */
export function usualChoice(order, size) {
  const [sort, direction] = order.split(" ");
  return { ...ALL, sort, order: direction, size, page: "0" };
}

/**
 * @param {string} search the query of the page's address
 * @param {Choice} usual
 * @returns {Choice}
 */
export function choiceOf(search, usual) {
  const sent = new URLSearchParams(search);
  const found = { ...usual };
  for (const name of /** @type {Name[]} */ (Object.keys(usual))) found[name] = sent.get(name) || usual[name];
  if (found.sort !== usual.sort && !sent.get("order")) found.order = "asc";
  return found;
}

/**
 * The opposite: a query that holds what is not usual.
 * @param {Choice} choice
 * @param {Choice} usual
 */
export function queryOf(choice, usual) {
  const sorted = choice.sort !== usual.sort || choice.order !== usual.order;
  const isSaid = (/** @type {Name} */ name) =>
    name === "sort" || name === "order" ? sorted : choice[name] !== "" && choice[name] !== usual[name];
  const names = /** @type {Name[]} */ (Object.keys(choice)).filter(isSaid);
  return new URLSearchParams(names.map((name) => [name, choice[name]])).toString();
}
