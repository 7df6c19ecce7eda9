// @ts-check
// What a folder may be as a data set: asked of the server, shown as links to forms that are filled in.

import { el } from "./elements.js";
import { counted } from "./format.js";
import { below, request } from "./request.js";

/** @typedef {{address: string, title: string, reason: string, records?: number, complete?: boolean, likely?: boolean}} Proposal */
/** @typedef {{proposals: Proposal[], remarks: string[]}} Recognised remarks: what else lies in a folder and is not proposed */

/**
 * @param {string} address of the question
 * @param {string} folder
 * @returns {Promise<Recognised>}
 */
export const recognise = (address, folder) => request(`${below(address)}?folder=${encodeURIComponent(folder)}`);

/** @param {unknown} error */
export const refusal = (error) => el("div", { class: "alert alert-danger", role: "alert" }, /** @type {Error} */ (error).message);

/** @param {Recognised} found the likeliest proposal first; one may say about how many records it would give */
export function proposals({ proposals: list, remarks }) {
  const said = remarks.map((text) => el("li", { class: "muted" }, text));
  if (!list.length) {
    const none = el("p", {}, "No known form of data set was recognised in this folder.");
    return el("div", {}, none, el("ul", { class: "remarks" }, ...said));
  }
  const items = list.map(({ address, title, reason, records, complete }, i) =>
    el(
      "li",
      { class: !i && "likeliest" },
      el("a", { href: address, class: `btn btn-sm ${i ? "btn-outline-secondary" : "btn-primary"}` }, title),
      el("span", {}, records ? el("strong", {}, counted(records, "record", complete)) : "", records ? " · " : "", reason),
    )
  );
  return el("div", {}, el("ul", { class: "proposals" }, ...items), el("ul", { class: "remarks" }, ...said));
}
