// @ts-check
// The gallery: a click opens a picture large; arrow keys and buttons step, Escape closes.

import { el, find, pageData, perhaps } from "../parts/elements.js";
import { counted } from "../parts/format.js";

/** @typedef {Record<string, any> & {key: string, picture: string, shape?: number[], original_size?: number[]}} Record_ */

/** @type {Record_[]} */
const records = pageData("gallery-records");
const viewer = find("#viewer", document, HTMLDialogElement);
const picture = find("[data-viewer-picture]", viewer, HTMLImageElement);
const SMALL = 96;
let current = 0;

/** @param {Record_} record */
function facts(record) {
  const [channels, height, width] = record.shape || [];
  const [originalWidth, originalHeight] = record.original_size || [0, 0];
  return [
    ["Label", record.label === null ? "" : `${record.label_name} (${record.label})`],
    ["Source", record.source],
    ["Key", record.key],
    ["Record", String(record.index)],
    ["Stored size", width ? `${width}×${height}, ${counted(channels, "channel")}` : ""],
    ["Original size", originalWidth ? `${originalWidth}×${originalHeight}` : ""],
    ["Group", record.group],
  ].filter(([, value]) => value);
}

/** @param {number} at */
function show(at) {
  current = (at + records.length) % records.length;
  const record = records[current];
  const [, height, width] = record.shape || [0, SMALL, SMALL];
  picture.src = record.picture;
  picture.alt = record.label_name || record.key;
  picture.classList.toggle("small", width < SMALL && height < SMALL);
  const rows = facts(record).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
  find("[data-viewer-facts]", viewer).replaceChildren(...rows);
  new Image().src = records[(current + 1) % records.length].picture; // the next one is at hand
}

/** @param {KeyboardEvent} event */
function keys(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  show(current + step);
}

/**
 * The element with an attribute that was clicked, or one around it.
 * @param {Event} event
 * @param {string} selector
 */
const clicked = (
  { target },
  selector,
) => /** @type {HTMLElement | null} */ (target instanceof Element ? target.closest(selector) : null);

const goto = perhaps("select[data-goto]", document, HTMLSelectElement);
goto?.addEventListener("change", () => location.assign(goto.value));
perhaps("#gallery")?.addEventListener("click", (event) => {
  const button = clicked(event, "[data-at]");
  if (!button) return;
  show(Number(button.dataset.at));
  viewer.showModal();
});
viewer.addEventListener("keydown", keys);
viewer.addEventListener("click", (event) => {
  const step = clicked(event, "[data-step]");
  if (step) show(current + Number(step.dataset.step));
  else if (event.target === viewer || clicked(event, "[data-close]")) viewer.close();
});
viewer.addEventListener("close", () => perhaps(`[data-at="${current}"]`)?.focus());
