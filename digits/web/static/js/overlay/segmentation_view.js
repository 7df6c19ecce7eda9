// @ts-check
// The view of classes of pixels on one sample: prediction, truth or their difference, filled, outlined or as a mask.

import { fileName, savePicture } from "../parts/downloads.js";
import { el } from "../parts/elements.js";
import { ColourLayer, compose, decoded, grey, NOTHING, pixel, scaled, table } from "./overlay_maps.js";
import { ViewSample } from "./view_sample.js";

const MISSED = 256; // in a difference: something true that was taken for class 0
const CODES = 1 << 16; // true class × 256 + predicted class, or the foreground's probability
const WHITE = [255, 255, 255];

/**
 * What the user has chosen.
 * @typedef {object} Choice
 * @property {"fill" | "line" | "mask" | "none"} layer
 * @property {"classes" | "truth" | "difference"} source
 * @property {number} [threshold] of the foreground, 0 to 1
 * @property {number} opacity
 * @property {number} width of lines
 * @property {Set<number>} hidden classes
 */
/**
 * Everything in one size that no slider changes, and what was made of it last.
 * @typedef {object} Made
 * @property {Uint16Array} codes of the pixels
 * @property {number[]} used codes
 * @property {OffscreenCanvas} picture
 * @property {ColourLayer} layer
 * @property {Uint32Array} table by code
 * @property {Uint16Array} classes of the pixels, for outlines
 * @property {string} [key] of what the layer shows
 * @property {string} [outlined] of what `classes` holds
 */

export class SegmentationView extends ViewSample {
  /**
   * @param {HTMLElement} root
   * @param {{colours: import("./overlay_maps.js").Colour[]}} legend
   */
  constructor(root, { colours }) {
    super(root);
    this.colours = colours;
    /** @type {Record<string, HTMLImageElement>} */
    this.pictures = {};
    this.comparable = false;
    this.made = /** @type {Made | null} */ (null);
  }

  async load() {
    const names = ["input", "classes", "foreground", "truth"].filter((name) => this.root.dataset[name]);
    const loaded = await Promise.all(names.map(async (name) => [name, await decoded(this.root.dataset[name] ?? "")]));
    this.pictures = Object.fromEntries(loaded);
    const { input, classes: made, truth: real } = this.pictures;
    this.comparable = real?.naturalWidth === made.naturalWidth && real.naturalHeight === made.naturalHeight;
    this.setNatural(Math.max(made.naturalWidth, input.naturalWidth), Math.max(made.naturalHeight, input.naturalHeight));
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  fit(width, height) {
    this.setSize(width, height);
    this.made = this.prepare(width, height);
  }

  /**
   * @param {number} width
   * @param {number} height
   * @returns {Made}
   */
  prepare(width, height) {
    const { input, classes, foreground, truth } = this.pictures;
    const values = grey(foreground || classes, width, height);
    const real = this.comparable ? grey(truth, width, height) : new Uint8Array(values.length);
    const codes = new Uint16Array(values.length), occurs = new Uint8Array(CODES);
    for (let i = 0; i < codes.length; i += 1) {
      codes[i] = (real[i] << 8) | values[i];
      occurs[codes[i]] = 1;
    }
    return {
      codes,
      used: [...occurs.keys()].filter((code) => occurs[code]),
      picture: scaled(input, width, height),
      layer: new ColourLayer(width, height),
      table: new Uint32Array(CODES),
      classes: new Uint16Array(codes.length),
    };
  }

  /**
   * What each code is shown as: a class, MISSED or NOTHING.
   * @param {Pick<Choice, "source" | "threshold">} choice
   * @returns {(code: number) => number}
   */
  classOf({ source, threshold }) {
    const least = threshold === undefined ? 127.5 : threshold * 255;
    const predicted = this.pictures.foreground
      ? (/** @type {number} */ value) => (value > least ? 1 : 0)
      : (/** @type {number} */ value) => value;
    if (source !== "truth" && source !== "difference") return (code) => predicted(code & 255);
    if (!this.comparable) return () => NOTHING;
    if (source === "truth") return (code) => code >> 8;
    return (code) => {
      const real = code >> 8, made = predicted(code & 255);
      return real === NOTHING || made === real ? NOTHING : made || MISSED;
    };
  }

  /** @param {Choice} choice */
  draw(choice) {
    if (this.made) this.paint(this.canvas, this.made, choice);
    this.root.dataset.drawn = "yes";
  }

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Made} made
   * @param {Choice} choice
   * @param {number} [fine] pixels of the canvas for one that is shown
   */
  paint(canvas, made, choice, fine = 1) {
    const { layer, opacity } = choice;
    if (layer !== "none") this.colour(made, choice, fine);
    const picture = layer === "mask" ? null : made.picture;
    compose(canvas, picture, layer === "none" ? [] : [[made.layer.canvas, layer === "fill" ? opacity : 1]]);
  }

  /**
   * The layer is made anew only when something else than the opacity has changed.
   * @param {Made} made
   * @param {Choice} choice
   * @param {number} fine
   */
  colour(made, choice, fine) {
    const { layer, source, threshold, width, hidden } = choice;
    const key = JSON.stringify([layer, source, threshold, layer === "line" && width, [...hidden]]);
    if (key === made.key) return;
    made.key = key;
    const shown = this.classOf(choice);
    const colours = new Uint32Array(MISSED + 1);
    colours.set(table(this.colours, hidden, layer === "mask"));
    if (!hidden.has(0)) colours[MISSED] = pixel(WHITE);
    if (layer === "line") return this.outline(made, shown, colours, choice, fine);
    for (const code of made.used) made.table[code] = colours[shown(code)];
    made.layer.fill(made.codes, made.table);
  }

  /**
   * @param {Made} made
   * @param {(code: number) => number} shown
   * @param {Uint32Array} colours
   * @param {Choice} choice
   * @param {number} fine
   */
  outline(made, shown, colours, { source, threshold, width }, fine) {
    const key = `${source} ${threshold}`;
    if (made.outlined !== key) {
      const { codes, classes, table: found } = made;
      for (const code of made.used) found[code] = shown(code);
      for (let i = 0; i < codes.length; i += 1) classes[i] = found[codes[i]];
      made.outlined = key;
    }
    made.layer.outline(made.classes, colours, width * fine);
  }

  /**
   * The overlay in the picture's own size.
   * @param {Choice} choice
   */
  whole(choice) {
    const canvas = this.large();
    this.paint(canvas, this.prepare(canvas.width, canvas.height), choice, canvas.width / this.canvas.width);
    return canvas;
  }

  /**
   * A grey picture whose values are the classes, in the size of the prediction.
   * @param {Choice} choice
   */
  mask(choice) {
    const { classes, foreground } = this.pictures;
    const { naturalWidth: width, naturalHeight: height } = classes;
    const canvas = el("canvas", { width, height });
    const shown = this.classOf({ ...choice, source: "classes" });
    const layer = new ColourLayer(width, height);
    const greys = Uint32Array.from({ length: 256 }, (_, value) => pixel([shown(value), shown(value), shown(value)]));
    layer.fill(grey(foreground || classes, width, height), greys);
    compose(canvas, null, [[layer.canvas, 1]]);
    return canvas;
  }

  /**
   * @param {() => Choice} choice
   * @returns {[string, () => any][]}
   */
  downloads(choice) {
    return [
      ["Picture", () => savePicture(this.whole(choice()), fileName(this.key, "overlay.png"))],
      ["Mask", () => savePicture(this.mask(choice()), fileName(this.key, "mask.png"))],
    ];
  }
}
