// @ts-check
// The trash: deleting for good, one or all (restoring is on every page, see parts/undo.js).

import { confirmDialog, toast } from "../parts/dialogs.js";
import { perhaps } from "../parts/elements.js";
import { request } from "../parts/request.js";

/**
 * @param {string} question
 * @param {string} address
 */
async function purge(question, address) {
  if (!(await confirmDialog(question, "It cannot be restored then.", { action: "Delete", danger: true }))) return;
  try {
    await request(address, { method: "DELETE" });
    location.reload();
  } catch (error) {
    toast(/** @type {Error} */ (error).message, "error");
  }
}

document.addEventListener("click", ({ target }) => {
  const button = target instanceof Element && target.closest("[data-purge]");
  if (button instanceof HTMLElement) {
    purge(`Delete “${button.dataset.name}” for good?`, `/jobs/${button.dataset.purge}?purge=1`);
  }
});
perhaps("[data-empty-trash]")?.addEventListener("click", () => purge("Delete everything in the trash for good?", "/trash.json"));
