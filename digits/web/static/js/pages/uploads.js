// @ts-check
// The page of uploads: a field to drop files on, and removing what is not needed any more.

import { confirmDialog, toast } from "../parts/dialogs.js";
import { find } from "../parts/elements.js";
import { request } from "../parts/request.js";
import { uploadField } from "../parts/uploads.js";

uploadField(find("[data-drop]"), undefined, () => location.reload());

document.addEventListener("click", ({ target }) => {
  const button = target instanceof Element && target.closest("[data-delete-upload]");
  if (button instanceof HTMLElement) remove(button.dataset.deleteUpload ?? "");
});

/** @param {string} name */
async function remove(name) {
  const text = "Data sets made from it stay; they hold their own copies.";
  if (!(await confirmDialog(`Delete “${name}”?`, text, { action: "Delete", danger: true }))) return;
  try {
    await request(`/uploads/${encodeURIComponent(name)}`, { method: "DELETE" });
    location.reload();
  } catch (error) {
    toast(/** @type {Error} */ (error).message, "error");
  }
}
