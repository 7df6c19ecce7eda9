// @ts-check
// The page of uploads: a field to drop files on, and removing what is not needed any more.

import { confirmDialog, toast } from "../parts/dialogs.js";
import { find } from "../parts/elements.js";
import { request } from "../parts/request.js";
import { uploadField } from "../parts/uploads.js";

uploadField(find("[data-drop]"), undefined, () => location.reload());

document.addEventListener("click", ({ target }) => {
  const button = target instanceof Element && target.closest("[data-delete-upload]");
  if (button instanceof HTMLElement) {
    const name = button.dataset.deleteUpload ?? "";
    const text = "Data sets made from it stay; they hold their own copies.";
    remove(`Delete “${name}”?`, text, `/uploads/${encodeURIComponent(name)}`);
  }
  const cancel = target instanceof Element && target.closest("[data-cancel-upload]");
  if (cancel instanceof HTMLElement) {
    const text = "What was sent so far is removed. If it is being sent at this moment, that ends.";
    remove(`Cancel “${cancel.dataset.name}”?`, text, `/uploads/sending/${cancel.dataset.cancelUpload}`);
  }
});

/**
 * @param {string} question
 * @param {string} text
 * @param {string} address
 */
async function remove(question, text, address) {
  if (!(await confirmDialog(question, text, { action: "Delete", danger: true }))) return;
  try {
    await request(address, { method: "DELETE" });
    location.reload();
  } catch (error) {
    toast(/** @type {Error} */ (error).message, "error");
  }
}
