// The page of uploads: a field to drop files on, and removing what is not needed any more.

import { confirmDialog, request, toast } from "../parts/ui.js";
import { dropZone, progressBar, sendAll } from "../parts/uploads.js";

const zone = dropZone();
const status = document.querySelector("[data-progress]");
document.querySelector("[data-drop]").append(zone.element);

zone.onFiles = async (files) => {
  zone.element.hidden = true;
  status.hidden = false;
  try {
    await sendAll(files, progressBar(status));
    location.reload();
  } catch (error) {
    toast(error.message, "error");
    zone.element.hidden = false;
    status.hidden = true;
  }
};

document.addEventListener("click", async (event) => {
  const name = event.target.closest("[data-delete-upload]")?.dataset.deleteUpload;
  if (!name) return;
  const sure = await confirmDialog(`Delete “${name}”?`, "Data sets made from it stay; they hold their own copies.", { action: "Delete", danger: true });
  if (!sure) return;
  try {
    await request(`/uploads/${encodeURIComponent(name)}`, { method: "DELETE" });
    location.reload();
  } catch (error) {
    toast(error.message, "error");
  }
});
