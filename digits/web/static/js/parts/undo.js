// @ts-check
// Deleting with a way back: the notice with "Undo", also on the page that comes next, and restoring from the trash.

import { toast } from "./dialogs.js";
import { request } from "./request.js";

const KEPT = "digits-notice";

/**
 * Take jobs out of the trash and say so; resolves to whether that went well.
 * @param {string[]} ids
 */
export async function restore(ids) {
  try {
    const answer = await request("/trash/restore.json", { method: "POST", data: { "job_ids[]": ids } });
    toast(answer.message, "success");
    return true;
  } catch (error) {
    toast(/** @type {Error} */ (error).message, "error");
    return false;
  }
}

/**
 * Say that jobs were deleted.
 * @param {string} message
 * @param {string[]} [ids] those that can be restored
 * @param {() => void} [onRestored]
 */
export function sayDeleted(message, ids = [], onRestored = () => {}) {
  const undo = async () => await restore(ids) && onRestored();
  toast(message, "success", ids.length ? { label: "Undo", run: undo } : undefined);
}

/**
 * As `sayDeleted`, on the page to which the browser goes now.
 * @param {string} message
 * @param {string[]} [ids]
 */
export function sayDeletedNext(message, ids = []) {
  sessionStorage.setItem(KEPT, JSON.stringify({ message, ids }));
}

/** Show what the page before left to be said. */
export function showKept() {
  const kept = sessionStorage.getItem(KEPT);
  if (!kept) return;
  sessionStorage.removeItem(KEPT);
  const { message, ids } = JSON.parse(kept);
  sayDeleted(message, ids);
}

/** Buttons of pages of errors: restore what they say lies in the trash. */
export function restoreButtons() {
  document.addEventListener("click", async ({ target }) => {
    const button = target instanceof Element && target.closest("[data-restore]");
    if (button instanceof HTMLElement && await restore([button.dataset.restore ?? ""])) location.reload();
  });
}
