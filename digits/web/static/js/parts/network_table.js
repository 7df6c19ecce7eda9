// @ts-check
// The networks of a library that have the words of a search in their names.

import { el, table } from "./elements.js";
import { compact } from "./format.js";

/** @typedef {Record<string, any> & {name: string, title?: string, parameters?: number, input_size?: number}} Network */

/** @param {string} text */
const unseen = (text) => el("span", { class: "visually-hidden" }, text);

/** @param {...import("./elements.js").Child} content */
const figure = (...content) => el("td", { class: "num" }, ...content);

/**
 * @param {Network[]} networks
 * @param {string | undefined} chosen name of the network that has the dot
 */
export function networkTable(networks, chosen) {
  if (!networks.length) {
    return el(
      "p",
      { class: "muted p-3" },
      "No network has all these words in its name.",
    );
  }
  const rows = networks.map((network, i) => networkRow(network, `lib-${i}`, network.name === chosen));
  return table(
    [
      unseen("Chosen"),
      "Network",
      "Parameters",
      "Input",
      unseen("Change its text"),
    ],
    rows,
    (i) => i === 2 || i === 3,
  );
}

/**
 * @param {Network} network
 * @param {string} id
 * @param {boolean} checked
 */
function networkRow({ name, parameters, input_size: size }, id, checked) {
  return el(
    "tr",
    {},
    el(
      "td",
      {},
      el("input", {
        class: "form-check-input",
        type: "radio",
        name: "standard_networks",
        id,
        value: name,
        checked,
      }),
    ),
    el("td", { class: "name" }, el("label", { for: id }, name)),
    figure(parameters ? compact(parameters) : ""),
    figure(size ? `${size}×${size}` : "any"),
    el(
      "td",
      {},
      el("button", {
        class: "btn btn-link btn-sm",
        type: "button",
        "data-customize": name,
      }, "Customize"),
    ),
  );
}
