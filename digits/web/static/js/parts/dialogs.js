// @ts-check
// What speaks to the user: messages in the corner and questions in a dialog.

import { el, icon } from "./elements.js";

const SHOWN_MS = 4000;
const WITH_ACTION_MS = 12000;

/**
 * A message in the corner, with something that can be done about it. Errors stay until they are closed.
 * @param {string} message
 * @param {"info" | "success" | "error"} [kind]
 * @param {{label: string, run: () => void}} [action]
 */
export function toast(message, kind = "info", action) {
  const note = el("div", { class: `note ${kind}` }, el("span", {}, message));
  if (action) {
    const run = () => (note.remove(), action.run());
    note.append(el("button", { type: "button", class: "note-action", onclick: run }, action.label));
  }
  note.append(el("button", { type: "button", "aria-label": "Close", onclick: () => note.remove() }, icon("x-lg")));
  document.getElementById("toasts")?.append(note);
  if (kind !== "error") setTimeout(() => note.remove(), action ? WITH_ACTION_MS : SHOWN_MS);
}

/**
 * Put a text into the clipboard and say so.
 * @param {string} text
 * @param {string} done what is said then
 */
export async function copyText(text, done) {
  try {
    await navigator.clipboard.writeText(text);
    toast(done, "success");
  } catch {
    toast("The browser does not allow copying here; select the text instead.", "error");
  }
}

/**
 * Asks in a dialog; resolves to true when the user agrees, else to null.
 * @param {string} title
 * @param {string} text
 * @param {{action?: string, danger?: boolean}} [options] what the button says, and whether it destroys something
 */
export function confirmDialog(title, text, { action = "OK", danger = false } = {}) {
  const dialog = openDialog(title, el("p", { class: "mb-0" }, text));
  const ok = el("button", { class: `btn ${danger ? "btn-danger" : "btn-primary"}`, type: "button" }, action);
  return answer(dialog, ok, () => true);
}

/**
 * Asks for one line (or, with `multiline`, several); resolves to the text, or null when the user cancels.
 * @param {string} title
 * @param {string} [value] what stands there at first
 * @param {{label?: string, action?: string, multiline?: boolean, suggestions?: string[]}} [options]
 */
export function promptDialog(title, value = "", { label = "", action = "Save", multiline = false, suggestions = [] } = {}) {
  const input = multiline
    ? el("textarea", { class: "form-control", rows: 7, id: "dialog-input" })
    : el("input", { class: "form-control", id: "dialog-input", list: "dialog-list", autocomplete: "off" });
  input.value = value;
  const list = el("datalist", { id: "dialog-list" }, ...suggestions.map((text) => el("option", { value: text })));
  const dialog = openDialog(title, el("label", { class: "form-label", for: "dialog-input" }, label), input, list);
  const ok = el("button", { class: "btn btn-primary", type: "submit" }, action);
  if (!multiline) {
    input.addEventListener(
      "keydown",
      (/** @type {any} */ event) => event.key === "Enter" && (event.preventDefault(), ok.click()),
    );
  }
  const result = answer(dialog, ok, () => input.value);
  input.focus();
  input.select();
  return result;
}

/**
 * A modal dialog with a title; the caller appends what it needs. Escape and the backdrop close it.
 * @param {string} title
 * @param {...Node} content
 */
export function openDialog(title, ...content) {
  const dialog = el("dialog", { class: "box", "aria-label": title }, el("h2", {}, title), ...content);
  dialog.addEventListener(
    "click",
    (event) => event.target === dialog && event.detail && outside(dialog, event) && dialog.close(),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * The last row of a dialog: a button that closes it, and others.
 * @param {HTMLDialogElement} dialog
 * @param {string} closing what the closing button says
 * @param {...Node} others
 */
export function addButtons(dialog, closing, ...others) {
  const close = el("button", { class: "btn btn-outline-secondary", type: "button", onclick: () => dialog.close() }, closing);
  dialog.append(el("div", { class: "buttons" }, close, ...others));
}

/**
 * @param {HTMLDialogElement} dialog
 * @param {MouseEvent} event
 */
function outside(dialog, event) {
  const box = dialog.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

/**
 * @template Value
 * @param {HTMLDialogElement} dialog
 * @param {HTMLButtonElement} ok
 * @param {() => Value} value
 * @returns {Promise<Value | null>}
 */
function answer(dialog, ok, value) {
  addButtons(dialog, "Cancel", ok);
  ok.focus();
  return new Promise((resolve) => {
    let result = /** @type {Value | null} */ (null);
    ok.addEventListener("click", () => {
      result = value();
      dialog.close();
    });
    dialog.addEventListener("close", () => resolve(result));
  });
}
