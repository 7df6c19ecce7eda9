// @ts-check
// What a page made is handed over as a file.

import { el } from "./elements.js";

/**
 * A name without anything that a file system minds.
 * @param {string} key of the sample, perhaps a path
 * @param {string} ending
 */
export const fileName = (key, ending) => `${(key.split(/[\\/]/).pop() ?? "").replace(/[^\w.-]+/g, "_")}_${ending}`;

/**
 * Hand a canvas over as a PNG file.
 * @param {HTMLCanvasElement} canvas
 * @param {string} name
 * @returns {Promise<void>}
 */
export const savePicture = (canvas, name) =>
  new Promise((resolve) => canvas.toBlob((blob) => resolve(blob ? save(blob, name) : undefined)));

/**
 * Hand a value over as a JSON file.
 * @param {any} value
 * @param {string} name
 */
export const saveJson = (value, name) => save(new Blob([JSON.stringify(value, null, 1)], { type: "application/json" }), name);

/**
 * Hand a text over as a file.
 * @param {string} text
 * @param {string} name
 * @param {string} type
 */
export const saveText = (text, name, type) => save(new Blob([text], { type }), name);

/**
 * @param {Blob} blob
 * @param {string} name
 */
function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
