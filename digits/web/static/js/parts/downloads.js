// What a page made is handed over as a file.

import { el } from "./ui.js";

/** A name without anything that a file system minds. */
export const fileName = (key, ending) => `${key.split(/[\\/]/).pop().replace(/[^\w.-]+/g, "_")}_${ending}`;

/** Hand a canvas over as a PNG file. */
export const savePicture = (canvas, name) => new Promise((resolve) => canvas.toBlob((blob) => resolve(save(blob, name))));

/** Hand a value over as a JSON file. */
export const saveJson = (value, name) => save(new Blob([JSON.stringify(value, null, 1)], { type: "application/json" }), name);

function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
