// @ts-check
// On the page of a model: ending a training early with what it has, and letting one that is done go on.

import { confirmDialog, promptDialog, toast } from "../parts/dialogs.js";
import { find, perhaps } from "../parts/elements.js";
import { request } from "../parts/request.js";

const id = find("#job").dataset.jobId ?? "";
const finishButton = perhaps("[data-model-finish]");
const extendButton = perhaps("[data-model-extend]");

/**
 * @param {string} path
 * @param {Record<string, any>} [data]
 */
async function post(path, data) {
  try {
    toast((await request(path, { method: "POST", data })).message, "success");
    return true;
  } catch (error) {
    toast(/** @type {Error} */ (error).message, "error");
    return false;
  }
}

finishButton?.addEventListener("click", async () => {
  const text = "The training ends at its next step as done. The weights of that step and the best snapshot are kept.";
  if (await confirmDialog("Stop and keep the best?", text, { action: "Stop & keep best" })) post(`/models/${id}/finish.json`);
});

extendButton?.addEventListener("click", async () => {
  const label = "How many epochs more? The learning rate follows its policy over the new number of epochs.";
  const epochs = await promptDialog("Extend the training", "1", { label, action: "Extend" });
  if (epochs !== null && await post(`/models/${id}/extend.json`, { epochs })) setTimeout(() => location.reload(), 1000);
});

document.addEventListener("digits:status", (event) => {
  const row = /** @type {CustomEvent} */ (event).detail;
  if (finishButton) finishButton.hidden = row.letter !== "R";
  if (extendButton) extendButton.hidden = row.letter !== "D";
});
