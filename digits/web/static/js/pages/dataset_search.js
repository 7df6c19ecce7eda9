// @ts-check
// The data sets that a new model may learn from, where there are more than the form lists.

import { el, find } from "../parts/elements.js";
import { below, request } from "../parts/request.js";
import { debounced } from "../parts/timing.js";

/** @typedef {import("../parts/model_summary.js").Dataset} Dataset */

/**
 * Lets the search field above the list find others; the chosen one stays in the list.
 * @param {HTMLElement} form
 * @param {(datasets: Dataset[]) => void} onFound
 */
export function attachDatasetSearch(form, onFound) {
  const field = /** @type {HTMLInputElement | null} */ (form.querySelector("#dataset-search"));
  if (!field) return;
  const select = find("#dataset", form, HTMLSelectElement);
  const count = find("[data-dataset-count]", form);
  // The form has a field "dataset", which hides the property of that name.
  const [address, extension, area] = ["datasets", "extension", "area"].map((name) => form.getAttribute(`data-${name}`) ?? "");
  const look = debounced(async () => {
    const wanted = field.value.trim();
    const query = new URLSearchParams({ q: wanted, area, extension, also: select.value });
    try {
      const { datasets, more } = await request(`${below(address)}?${query}`);
      if (wanted !== field.value.trim()) return;
      const chosen = select.value;
      select.replaceChildren(
        ...datasets.map((/** @type {Dataset} */ { id, label }) => el("option", { value: id, selected: id === chosen }, label)),
      );
      if (!chosen) select.selectedIndex = -1;
      count.textContent = told(datasets.length, more, wanted);
      onFound(datasets);
    } catch (error) {
      count.textContent = /** @type {Error} */ (error).message;
    }
  }, 200);
  field.addEventListener("input", look);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault(); // it would send the form
  });
}

/**
 * @param {number} length
 * @param {boolean} more
 * @param {string} wanted
 */
function told(length, more, wanted) {
  if (more) return `The newest ${length} are listed; type more to narrow them down.`;
  if (!wanted) return "";
  return length ? `${length} found.` : "No data set has these words in its name, tags, notes or id.";
}
