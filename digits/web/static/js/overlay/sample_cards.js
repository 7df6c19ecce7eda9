// @ts-check
// What a model made of one sample, as a card: of the validation samples, of an evaluation's pictures, of the augmentation's preview.
// Cards with a canvas are items of a stage (see stage.js).

import { el, find, icon, table as tableOf } from "../parts/elements.js";
import { fixed, measured, percent } from "../parts/format.js";
import { drawBoxes } from "./overlay_boxes.js";
import { unpack } from "./suppression.js";
import { ColourLayer, compose, decoded, grey, scaled, table } from "./overlay_maps.js";

/** @typedef {Record<string, any> & {key: string}} Sample what is known of it before, or what was made of it */
/** @typedef {{kind: string, class_labels: string[], colours: import("./overlay_maps.js").Colour[], samples: Sample[]}} SampleSet */
/** @typedef {Record<string, any> & {hidden: Set<number>, opacity: number}} Choice */
/**
 * @typedef {object} Made everything that no slider changes, in one size
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array | null} truth
 * @property {ColourLayer} prediction
 * @property {ColourLayer | null} outline
 * @property {OffscreenCanvas | null} picture
 * @property {Uint8Array} [codes] predicted classes
 * @property {string} [key] of what the layers show
 */

const KEPT_PIXELS = 8e6; // of a card's earlier predictions
const SMALL = 160; // pixels of a width; smaller pictures are not smoothed

/**
 * @param {string} address
 * @param {string} label
 */
export function picture(address, label) {
  const image = el("img", { src: address || null, alt: label, loading: "lazy" });
  image.addEventListener("load", () => image.classList.toggle("pixelated", image.naturalWidth < SMALL));
  return image;
}

/** @param {Sample} sample */
const caption = (sample) =>
  el(
    "figcaption",
    {},
    el("span", { class: "sample-key", title: sample.path ?? sample.key }, sample.key),
    el("span", { "data-value": true }),
  );

class ClassesCard {
  /** @param {Sample} sample */
  constructor(sample) {
    this.sample = sample;
    this.list = el("ol", { class: "sample-scores" });
    this.wrong = el(
      "span",
      { class: "sample-wrong", hidden: true },
      icon("x-circle"),
      el("span", { class: "visually-hidden" }, "wrong"),
    );
    const note = sample.unknown && el("small", { class: "muted" }, "unknown to the model");
    const truth = sample.truth &&
      el("div", { class: "sample-truth" }, "true: ", el("strong", {}, sample.truth), " ", note, this.wrong);
    const image = sample.input && picture(sample.input, `Picture ${sample.key}`);
    this.root = el("figure", { class: "sample-card" }, image, truth, this.list, caption(sample));
  }

  /**
   * `thresholds` (in percent, in the order of `top`), `found` and `true` (labels) are there where each label is found by itself.
   * @param {Sample} made
   */
  show({ top, correct, thresholds, found, true: labels }) {
    const real = labels ?? [this.sample.truth];
    this.root.classList.toggle("is-wrong", correct === false);
    this.wrong.hidden = correct !== false;
    const lines = top.map((/** @type {[string, number | null]} */ [label, share], /** @type {number} */ i) => {
      const isFound = found?.includes(label);
      const line = { class: real.includes(label) ? "is-true" : "", style: `--share: ${share ?? 0}%` };
      const text = share === null ? "nan" : `${fixed(share, 2)} %`;
      const limit = thresholds && ` ${isFound ? "≥" : "<"} ${fixed(thresholds[i], 2)} %`;
      return el(
        "li",
        line,
        el(isFound ? "strong" : "span", { class: "sample-class-name", title: label }, label),
        el("span", { class: "num" }, text, limit),
      );
    });
    this.list.replaceChildren(...(lines.length ? lines : [el("li", {}, "The scores are no numbers.")]));
  }
}

class PicturesCard {
  /** @param {Sample} sample */
  constructor(sample) {
    const { key, input, truth } = sample;
    this.output = picture("", `Output for ${key}`);
    const part = (/** @type {string} */ label, /** @type {HTMLElement} */ image) =>
      el("div", {}, image, el("span", { class: "sample-key" }, label));
    this.root = el(
      "figure",
      { class: "sample-card sample-triple" },
      part("input", picture(input, `Input ${key}`)),
      part("output", this.output),
      truth && part("target", picture(truth, `Target ${key}`)),
      caption(sample),
    );
    this.value = find("[data-value]", this.root);
  }

  /** @param {Sample} made */
  show(made) {
    this.output.src = made.picture;
    this.value.textContent = made.psnr === null ? "" : `${fixed(made.psnr, 1)} dB`;
  }
}

class NumbersCard {
  /** @param {Sample} sample */
  constructor(sample) {
    this.truth = sample.truth;
    this.table = tableOf(
      ["", "predicted", this.truth && "true"].filter((head) => head !== undefined && head !== null),
      [],
      Boolean,
    );
    this.table.className = "sample-numbers";
    const image = sample.input && picture(sample.input, `Picture ${sample.key}`);
    this.root = el("figure", { class: "sample-card" }, image, this.table, caption(sample));
  }

  /** @param {Sample} made */
  show({ values, names = [] }) {
    const cell = (/** @type {number} */ value) => el("td", { class: "num" }, measured(value));
    const rows = values.map((/** @type {number} */ value, /** @type {number} */ i) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, names[i] ?? (values.length > 1 ? String(i + 1) : "value")),
        cell(value),
        this.truth && cell(this.truth[i]),
      )
    );
    this.table.tBodies[0].replaceChildren(...rows);
  }
}

/** What cards with a canvas share: `sample.size` is the size of the picture in pixels. */
class DrawnCard {
  /**
   * @param {Sample} sample
   * @param {SampleSet} sampleSet
   * @param {string} label
   * @param {boolean} [sharp]
   */
  constructor(sample, sampleSet, label, sharp = false) {
    this.sample = sample;
    this.sampleSet = sampleSet;
    this.sharp = sharp;
    this.canvas = el("canvas", { role: "img", "aria-label": label });
    /** @type {number[]} */
    this.natural = [];
    this.setNatural(sample.size);
    this.root = el("figure", { class: "sample-card" }, this.canvas, caption(sample));
    this.value = find("[data-value]", this.root);
  }

  /** @param {number[]} size */
  setNatural(size) {
    this.natural = size;
    this.canvas.style.aspectRatio = size.join(" / ");
    this.canvas.classList.toggle("pixelated", !this.sharp && size[0] < SMALL);
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

/** Prediction filled, ground truth outlined. */
class MapCard extends DrawnCard {
  /**
   * @param {Sample} sample
   * @param {SampleSet} sampleSet
   */
  constructor(sample, sampleSet) {
    super(sample, sampleSet, `Prediction of ${sample.key} over the picture`);
    this.picture = this.truth = /** @type {HTMLImageElement | null} */ (null);
    this.shown = /** @type {Sample | null} */ (null);
    this.made = /** @type {Made | null} */ (null);
    /** @type {Map<string, Uint8Array>} */
    this.kept = new Map(); // predictions by address, newest last
  }

  async load() {
    const { input, truth } = this.sample;
    [this.picture, this.truth] = await Promise.all([input ? decoded(input) : null, truth ? decoded(truth) : null]);
    if (this.truth) this.setNatural([this.truth.naturalWidth, this.truth.naturalHeight]);
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  async fit(width, height) {
    this.setSize(width, height);
    this.made = this.prepare(width, height);
    this.kept = new Map();
    if (this.shown) await this.use(this.shown);
  }

  /**
   * @param {number} width
   * @param {number} height
   * @returns {Made}
   */
  prepare(width, height) {
    return {
      width,
      height,
      truth: this.truth && grey(this.truth, width, height),
      prediction: new ColourLayer(width, height),
      outline: this.truth && new ColourLayer(width, height),
      picture: this.picture && scaled(this.picture, width, height),
    };
  }

  /** @param {Sample} sample */
  async show(sample) {
    this.shown = sample;
    this.value.textContent = sample.dice === null || sample.dice === undefined ? "" : `Dice ${percent(sample.dice)}`;
    if (this.made) await this.use(sample);
  }

  /**
   * Have the prediction of a sample at hand.
   * @param {Sample} sample
   */
  async ahead({ map }) {
    const { made, kept } = this;
    if (!made || kept.has(map)) return;
    const codes = grey(await decoded(map), made.width, made.height);
    kept.set(map, codes);
    const oldest = kept.keys().next().value;
    if (kept.size > 2 && kept.size * codes.length > KEPT_PIXELS && oldest !== undefined) kept.delete(oldest);
  }

  /** @param {Sample} sample */
  async use(sample) {
    const { made, kept } = this;
    await this.ahead(sample);
    if (made && made === this.made && sample === this.shown) Object.assign(made, { codes: kept.get(sample.map), key: undefined });
  }

  /** @param {Choice} choice */
  draw(choice) {
    if (this.made) this.paint(this.canvas, this.made, choice);
  }

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Made} made
   * @param {Choice} choice
   * @param {number} [fine] pixels of the canvas for one that is shown
   */
  paint(canvas, made, choice, fine = 1) {
    const key = [...choice.hidden].join();
    if (key !== made.key) this.colour(made, choice.hidden, fine);
    made.key = key;
    /** @type {[OffscreenCanvas, number][]} */
    const layers = [];
    if (made.codes && choice.prediction) layers.push([made.prediction.canvas, choice.opacity]);
    if (made.outline && choice.truth) layers.push([made.outline.canvas, 1]);
    compose(canvas, made.picture, layers);
  }

  /**
   * @param {Made} made
   * @param {Set<number>} hidden
   * @param {number} fine
   */
  colour(made, hidden, fine) {
    const colours = table(this.sampleSet.colours, hidden);
    if (made.codes) made.prediction.fill(made.codes, colours);
    const thick = fine * Math.max(1, Math.round(Math.max(this.canvas.width, this.canvas.height) / 256));
    if (made.truth) made.outline?.outline(made.truth, colours, thick);
  }

  /**
   * The overlay in the picture's own size.
   * @param {Choice} choice
   */
  async whole(choice) {
    const canvas = this.large();
    const made = this.prepare(canvas.width, canvas.height);
    if (this.shown) made.codes = grey(await decoded(this.shown.map), made.width, made.height);
    this.paint(canvas, made, choice, canvas.width / this.canvas.width);
    return canvas;
  }
}

/** Boxes with scores, the true ones dashed. */
class BoxesCard extends DrawnCard {
  /**
   * @param {Sample} sample
   * @param {SampleSet} sampleSet
   */
  constructor(sample, sampleSet) {
    super(sample, sampleSet, `Boxes found in ${sample.key}`, true);
    this.image = /** @type {HTMLImageElement | null} */ (null);
    this.picture = /** @type {OffscreenCanvas | null} */ (null);
    /** @type {import("./overlay_boxes.js").Scene} */
    this.scene = {
      boxes: [],
      truth: sample.truth,
      names: sampleSet.class_labels,
      colours: sampleSet.colours,
      natural: sample.size,
    };
  }

  async load() {
    this.image = this.sample.input ? await decoded(this.sample.input) : null;
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  fit(width, height) {
    this.setSize(width, height);
    this.picture = this.image && scaled(this.image, width, height);
  }

  /**
   * `candidates` are the boxes before the network suppressed some, where they are known, so that sliders can bring them back.
   * @param {Sample} made
   */
  show({ boxes, candidates }) {
    const known = candidates ? { boxes: unpack(candidates.boxes), most: candidates.most } : { boxes, most: 0 };
    this.scene = { ...this.scene, ...known };
  }

  /** @param {Choice} choice */
  draw(choice) {
    const shown = drawBoxes(this.canvas, this.picture, this.scene, faint(choice));
    this.value.textContent = `${shown.length} found${this.sample.truth ? `, ${this.sample.truth.length} true` : ""}`;
  }

  /** @param {Choice} choice */
  whole(choice) {
    const canvas = this.large();
    drawBoxes(canvas, this.image, this.scene, { ...faint(choice), fine: 1 });
    return canvas;
  }
}

/**
 * Lines are thin: never fainter than half.
 * @param {Choice} choice
 */
const faint = (choice) => ({ .../** @type {any} */ (choice), opacity: (1 + choice.opacity) / 2, width: 2 });

/** @typedef {ClassesCard | PicturesCard | NumbersCard | MapCard | BoxesCard} Card */

/** @type {Record<string, new (sample: Sample, sampleSet: SampleSet) => Card>} */
export const CARDS = { classes: ClassesCard, map: MapCard, pictures: PicturesCard, numbers: NumbersCard, boxes: BoxesCard };

/**
 * Whether a card is drawn on a canvas.
 * @param {Card} card
 * @returns {card is MapCard | BoxesCard}
 */
export const isDrawn = (card) => card instanceof DrawnCard;
