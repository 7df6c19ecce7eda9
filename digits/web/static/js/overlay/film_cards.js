// What a model made of one sample, as a card: of the film strip, of an evaluation's pictures, of the augmentation's preview.
// Cards with a canvas are items of a stage (see stage.js).

import { drawBoxes } from "./overlay_boxes.js";
import { ColourLayer, compose, decoded, grey, scaled, table } from "./overlay_maps.js";
import { el, number } from "../parts/ui.js";

const KEPT_PIXELS = 8e6; // of a card's earlier predictions
const share = (value) => (value === null || value === undefined ? "–" : `${number(Math.round(value * 1000) / 10)} %`);

function picture(address, label) {
  const image = el("img", { src: address || null, alt: label, loading: "lazy" });
  image.addEventListener("load", () => image.classList.toggle("pixelated", image.naturalWidth < 160));
  return image;
}

const caption = (sample) => el("figcaption", {}, el("span", { class: "film-key", title: sample.path ?? sample.key }, sample.key), el("span", { "data-value": true }));

class ClassesCard {
  constructor(sample) {
    this.sample = sample;
    this.list = el("ol", { class: "film-scores" });
    this.root = el("figure", { class: "film-card", title: sample.key }, sample.input && picture(sample.input, `Picture ${sample.key}`), sample.truth && el("div", { class: "film-truth" }, "true: ", el("strong", {}, sample.truth)), this.list);
  }

  show({ top, correct }) {
    this.root.classList.toggle("is-wrong", !correct);
    this.list.replaceChildren(...top.map(([label, percent]) => el("li", { class: label === this.sample.truth ? "is-true" : "", style: `--share: ${percent ?? 0}%` }, el("span", {}, label), el("span", { class: "num" }, percent === null ? "nan" : `${percent.toFixed(1)} %`))));
  }
}

class PicturesCard {
  constructor(sample) {
    this.output = picture("", `Output for ${sample.key}`);
    const part = (label, image) => el("div", {}, image, el("span", { class: "film-key" }, label));
    this.value = el("span", { "data-value": true });
    this.root = el("figure", { class: "film-card film-triple" }, part("input", picture(sample.input, `Input ${sample.key}`)), part("output", this.output), sample.truth && part("target", picture(sample.truth, `Target ${sample.key}`)),
      el("figcaption", {}, el("span", { class: "film-key" }, sample.key), this.value));
  }

  show(sample) {
    this.output.src = sample.picture;
    this.value.textContent = sample.psnr === null ? "" : `${sample.psnr.toFixed(1)} dB`;
  }
}

class NumbersCard {
  constructor(sample) {
    this.truth = sample.truth;
    this.body = el("tbody");
    const head = el("thead", {}, el("tr", {}, el("th", {}, ""), el("th", { class: "num" }, "predicted"), this.truth && el("th", { class: "num" }, "true")));
    this.root = el("figure", { class: "film-card" }, sample.input && picture(sample.input, `Picture ${sample.key}`), el("table", { class: "film-numbers" }, head, this.body), caption(sample));
  }

  show({ values }) {
    const text = (value) => (value === null || value === undefined ? "nan" : Number(value.toPrecision(4)).toString());
    this.body.replaceChildren(...values.map((value, i) => el("tr", {}, el("th", { scope: "row" }, values.length > 1 ? String(i + 1) : "value"), el("td", { class: "num" }, text(value)), this.truth && el("td", { class: "num" }, text(this.truth[i])))));
  }
}

/** What cards with a canvas share: `sample.size` is the size of the picture in pixels. */
class DrawnCard {
  constructor(sample, film, label) {
    this.sample = sample;
    this.film = film;
    this.canvas = el("canvas", { role: "img", "aria-label": label });
    this.setNatural(sample.size);
    this.root = el("figure", { class: "film-card" }, this.canvas, caption(sample));
    this.value = this.root.querySelector("[data-value]");
  }

  setNatural(size) {
    this.natural = size;
    this.canvas.style.aspectRatio = size.join(" / ");
    this.canvas.classList.toggle("pixelated", !this.sharp && size[0] < 160);
  }

  setSize(width, height) {
    this.canvas.width = width;
    this.canvas.height = height;
  }
}

/** Prediction filled, ground truth outlined. */
class MapCard extends DrawnCard {
  constructor(sample, film) {
    super(sample, film, `Prediction of ${sample.key} over the picture`);
  }

  async load() {
    const { input, truth } = this.sample;
    [this.picture, this.truth] = await Promise.all([input && decoded(input), truth && decoded(truth)]);
    if (this.truth) this.setNatural([this.truth.naturalWidth, this.truth.naturalHeight]);
  }

  async fit(width, height) {
    this.setSize(width, height);
    this.made = this.prepare(width, height);
    this.kept = new Map(); // predictions by address, newest last
    await this.use(this.shown);
  }

  prepare(width, height) {
    const truth = this.truth && grey(this.truth, width, height);
    const layers = { prediction: new ColourLayer(width, height), truth: truth && new ColourLayer(width, height) };
    return { width, height, truth, layers, picture: this.picture && scaled(this.picture, width, height) };
  }

  show(sample) {
    this.shown = sample;
    this.value.textContent = sample.dice === null || sample.dice === undefined ? "" : `Dice ${share(sample.dice)}`;
    return this.made && this.use(sample);
  }

  /** Have the prediction of a sample at hand. */
  async ahead({ map }) {
    const { made, kept } = this;
    if (!made || kept.has(map)) return;
    const codes = grey(await decoded(map), made.width, made.height);
    kept.set(map, codes);
    if (kept.size > 2 && kept.size * codes.length > KEPT_PIXELS) kept.delete(kept.keys().next().value);
  }

  async use(sample) {
    if (!sample) return;
    const { made, kept } = this;
    await this.ahead(sample);
    if (made === this.made && sample === this.shown) [made.codes, made.key] = [kept.get(sample.map), null];
  }

  draw(choice) {
    this.paint(this.canvas, this.made, choice);
  }

  paint(canvas, made, choice, fine = 1) {
    const key = [...choice.hidden].join();
    if (key !== made.key) this.colour(made, choice.hidden, fine);
    made.key = key;
    const { prediction, truth } = made.layers;
    const layers = [made.codes && choice.prediction && [prediction.canvas, choice.opacity], truth && choice.truth && [truth.canvas, 1]];
    compose(canvas, made.picture, layers.filter(Boolean));
  }

  colour(made, hidden, fine) {
    const colours = table(this.film.colours, hidden);
    if (made.codes) made.layers.prediction.fill(made.codes, colours);
    const thick = fine * Math.max(1, Math.round(Math.max(this.canvas.width, this.canvas.height) / 256));
    if (made.truth) made.layers.truth.outline(made.truth, colours, thick);
  }

  /** The overlay in the picture's own size. */
  async whole(choice) {
    const [width, height] = this.natural;
    const canvas = el("canvas", { width, height });
    const made = this.prepare(width, height);
    if (this.shown) made.codes = grey(await decoded(this.shown.map), width, height);
    this.paint(canvas, made, choice, width / this.canvas.width);
    return canvas;
  }
}

/** Boxes with scores, the true ones dashed. */
class BoxesCard extends DrawnCard {
  constructor(sample, film) {
    super(sample, film, `Boxes found in ${sample.key}`);
    this.sharp = true;
    this.canvas.classList.remove("pixelated");
    this.scene = { boxes: [], truth: sample.truth, names: film.class_labels, colours: film.colours, natural: sample.size };
  }

  async load() {
    this.image = this.sample.input ? await decoded(this.sample.input) : null;
  }

  fit(width, height) {
    this.setSize(width, height);
    this.picture = this.image && scaled(this.image, width, height);
  }

  show({ boxes }) {
    this.scene = { ...this.scene, boxes };
  }

  draw(choice) {
    const shown = drawBoxes(this.canvas, this.picture, this.scene, this.faint(choice));
    this.value.textContent = `${shown.length} found${this.sample.truth ? `, ${this.sample.truth.length} true` : ""}`;
  }

  faint(choice) {
    return { ...choice, opacity: (1 + choice.opacity) / 2, width: 2 }; // lines are thin: never fainter than half
  }

  async whole(choice) {
    const [width, height] = this.natural;
    const canvas = el("canvas", { width, height });
    drawBoxes(canvas, this.image, this.scene, { ...this.faint(choice), fine: 1 });
    return canvas;
  }
}

export const CARDS = { classes: ClassesCard, map: MapCard, pictures: PicturesCard, numbers: NumbersCard, boxes: BoxesCard };
