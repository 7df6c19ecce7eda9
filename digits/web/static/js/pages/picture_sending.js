// @ts-check
// The pictures that are chosen in the gallery of an evaluation become a new data set, with what is true of them.

import { addButtons, openDialog, toast } from "../parts/dialogs.js";
import { el, find } from "../parts/elements.js";
import { below, request } from "../parts/request.js";

/**
 * Ask for a name and how many, make the data set and go to its page.
 * @param {string} address of `to_dataset.json`, as the template wrote it
 * @param {string} chosen query of the pictures
 * @param {number} total of them
 */
export function sendPictures(address, chosen, total) {
  const count = String(Math.max(1, total));
  const field = (/** @type {string} */ id, /** @type {string} */ label, /** @type {Record<string, any>} */ more) => [
    el("label", { class: "form-label mt-2", for: id }, label),
    el("input", { class: "form-control", id, autocomplete: "off", ...more }),
  ];
  const form = el(
    "form",
    {},
    el(
      "p",
      { class: "muted mb-0" },
      "The pictures that are chosen, with their true labels. Those whose label the review calls wrong, or that it calls bad, are " +
        "left out unless they are what is chosen.",
    ),
    ...field("send-name", "Name", { name: "name", maxlength: 255, placeholder: "named after the evaluation" }),
    ...field("send-most", "At most, the first in this order", { name: "most", type: "number", min: 1, max: count, value: count }),
    ...field("send-val", "For validation (%)", { name: "percent_val", type: "number", min: 0, max: 99, value: "0" }),
  );
  const dialog = openDialog("New data set of these pictures", form);
  const make = el("button", { class: "btn btn-primary", type: "button", onclick: () => form.requestSubmit() }, "Make it");
  form.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    make.disabled = true;
    try {
      const made = await request(`${below(address)}?${chosen}`, { method: "POST", body: new FormData(form) });
      location.assign(below(`/jobs/${made.id}`));
    } catch (error) {
      toast(/** @type {Error} */ (error).message, "error");
      make.disabled = false;
    }
  });
  addButtons(dialog, "Cancel", make);
  find("#send-name", dialog, HTMLInputElement).focus();
}
