// @ts-check
// A dialog in which the user walks through the folders of the server.

import { addButtons, openDialog, toast } from "./dialogs.js";
import { el, icon } from "./elements.js";
import { fileSize } from "./format.js";
import { request } from "./request.js";

/**
 * Lets the user choose a folder or file of the server; resolves to its path, or null.
 * @param {string} [start] where it opens
 * @returns {Promise<string | null>}
 */
export function browseDialog(start = "") {
  const where = el("div", { class: "crumb-path muted" });
  const list = el("ul", { class: "browser-list" });
  const choose = el("button", { class: "btn btn-primary", type: "button", disabled: true }, "Use this folder");
  const dialog = openDialog("Choose on the server", where, list);
  addButtons(dialog, "Cancel", choose);
  return new Promise((resolve) => {
    let result = /** @type {string | null} */ (null);
    let current = "";
    const take = (/** @type {string} */ path) => {
      result = path;
      dialog.close();
    };
    const show = async (/** @type {string} */ path) => {
      const folder = await load(path);
      if (!folder) return;
      current = folder.path;
      where.textContent = folder.path || "Where is it?";
      choose.disabled = !folder.path;
      list.replaceChildren(...rows(folder, show, take));
      list.querySelector("button")?.focus();
    };
    choose.addEventListener("click", () => take(current));
    dialog.addEventListener("close", () => resolve(result));
    show(start.replace(/\/+$/, ""));
  });
}

/**
 * What a folder holds, or all places where it cannot be read; null where not even these can.
 * @param {string} path
 * @returns {Promise<any>}
 */
async function load(path) {
  try {
    return await request(`/browse.json?path=${encodeURIComponent(path)}`);
  } catch (error) {
    if (path) return load("");
    toast(/** @type {Error} */ (error).message, "error");
    return null;
  }
}

/**
 * @param {any} folder
 * @param {(path: string) => void} show
 * @param {(path: string) => void} take
 */
function rows(folder, show, take) {
  const found = [];
  if (folder.path) found.push(row("arrow-90deg-up", folder.parent ?? "All places", () => show(folder.parent ?? "")));
  else for (const place of folder.roots) found.push(row("hdd", `${place.label} — ${place.path}`, () => show(place.path)));
  for (const entry of folder.entries) {
    if (entry.name.startsWith(".")) continue;
    if (entry.folder) found.push(row("folder", entry.name, () => show(entry.path)));
    else found.push(row("file-earmark", entry.name, () => take(entry.path), fileSize(entry.size)));
  }
  if (folder.truncated) {
    found.push(el("li", { class: "muted p-2" }, "This folder holds more than is shown; type the path instead."));
  }
  return found;
}

/**
 * @param {string} symbol
 * @param {string} text
 * @param {() => void} action
 * @param {string} [size]
 */
function row(symbol, text, action, size) {
  const note = size && el("span", { class: "size" }, size);
  return el("li", {}, el("button", { type: "button", onclick: action }, icon(symbol), el("span", {}, text), note));
}
