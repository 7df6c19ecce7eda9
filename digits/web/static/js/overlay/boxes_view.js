// @ts-check
// The view of bounding boxes on one sample.

import { fileName, saveJson, savePicture } from "../parts/downloads.js";
import { all, find } from "../parts/elements.js";
import { drawBoxes } from "./overlay_boxes.js";
import { decoded, scaled } from "./overlay_maps.js";
import { chosen, unpack } from "./suppression.js";
import { ViewSample } from "./view_sample.js";

/**
 * Where the sample lies in its picture: a point at x lies at (x - offset) * scale of it; y alike.
 * @typedef {{pixels_of: string, scale: [number, number], offset: [number, number]}} Origin
 */

/**
 * The slider of the score is "threshold" here.
 * @typedef {import("./overlay_boxes.js").Choice & {threshold: number, hidden: Set<number>}} Choice
 */

/**
 * @param {Choice} choice
 * @returns {Choice}
 */
const scored = (choice) => ({ ...choice, score: choice.threshold });

export class BoxesView extends ViewSample {
  /**
   * @param {HTMLElement} root
   * @param {{colours: import("./overlay_maps.js").Colour[], names: string[]}} legend
   */
  constructor(root, { colours, names }) {
    super(root);
    this.sharp = true;
    const { width, height, boxes = "", most, truth = "[]", origin = "null" } = root.dataset;
    this.setNatural(Number(width), Number(height));
    const found = { boxes: unpack(boxes), most: Number(most), truth: JSON.parse(truth) };
    this.scene = { ...found, names, colours, natural: this.natural };
    /** @type {Origin | null} */
    this.origin = JSON.parse(origin);
    this.image = this.picture = /** @type {CanvasImageSource | null} */ (null);
    this.canvas.classList.add("sharp");
  }

  async load() {
    this.image = await decoded(this.root.dataset.input ?? "");
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  fit(width, height) {
    this.setSize(width, height);
    this.picture = this.image && scaled(this.image, width, height);
  }

  /** @param {Choice} choice */
  draw(choice) {
    const shown = drawBoxes(this.canvas, this.picture, this.scene, scored(choice));
    find("[data-count]", this.root).textContent = String(shown.length);
    this.root.dataset.drawn = "yes";
  }

  /** @param {Choice} choice */
  whole(choice) {
    const canvas = this.large();
    drawBoxes(canvas, this.image, this.scene, { ...scored(choice), fine: 1 });
    return canvas;
  }

  /**
   * COCO's results of what is shown, in the pixels that `pixels_of` names: those of the given picture, of its record, or of what
   * the network saw. A picture's number is its place on the page.
   * @param {Choice} choice
   */
  results(choice) {
    const { boxes, most, names } = this.scene;
    const shown = chosen(boxes, scored(choice), most).filter((box) => !choice.hidden.has(box.class));
    const { pixels_of = "network", scale = [1, 1], offset = [0, 0] } = this.origin ?? {};
    const image = { image_id: all('[data-view="boxes"]').indexOf(this.root), file_name: this.key, pixels_of };
    return shown.map(({ box: [x0, y0, x1, y1], score, class: label }) => ({
      ...image,
      category_id: label,
      category_name: names[label],
      bbox: [(x0 - offset[0]) * scale[0], (y0 - offset[1]) * scale[1], (x1 - x0) * scale[0], (y1 - y0) * scale[1]],
      score,
    }));
  }

  /**
   * @param {() => Choice} choice
   * @returns {[string, () => any][]}
   */
  downloads(choice) {
    return [
      ["Picture", () => savePicture(this.whole(choice()), fileName(this.key, "overlay.png"))],
      ["Boxes", () => saveJson(this.results(choice()), fileName(this.key, "coco.json"))],
    ];
  }
}
