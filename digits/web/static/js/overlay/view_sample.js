// @ts-check
// What the views on canvases share: a sample's place on the page, and its canvas.

import { el, find } from "../parts/elements.js";

export class ViewSample {
  /** @param {HTMLElement} root of the sample */
  constructor(root) {
    this.root = root;
    this.canvas = find("canvas", root, HTMLCanvasElement);
    /** @type {number[]} */
    this.natural = [];
  }

  /** The sample's name for files. */
  get key() {
    return /** @type {HTMLElement | null} */ (this.root.closest("[data-sample]"))?.dataset.sample ?? "sample";
  }

  /**
   * As wide as there is room for, but no higher than the window.
   * @param {number} width
   * @param {number} height
   */
  setNatural(width, height) {
    this.natural = [width, height];
    this.canvas.style.setProperty("--natural", `${width}px`);
    this.canvas.style.setProperty("--shape", String(width / height));
    this.canvas.style.aspectRatio = `${width} / ${height}`;
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  setSize(width, height) {
    this.canvas.width = width;
    this.canvas.height = height;
  }

  /** A canvas in the picture's own size. */
  large() {
    const [width, height] = this.natural;
    return el("canvas", { width, height });
  }
}
