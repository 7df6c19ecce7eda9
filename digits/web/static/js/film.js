// The film strip of a training: the same few validation samples at every validation, with a slider over the validations.

import { drawBoxes, MapLayers } from "./film_draw.js";
import { el, icon, number, request } from "./ui.js";

const PLAY_MS = 600;
const KEPT_FRAMES = 60;
const epochText = (epoch) => number(Math.round(epoch * 100) / 100);
const share = (value) => (value === null || value === undefined ? "–" : `${number(Math.round(value * 1000) / 10)} %`);

export class Film {
  /** `root` is the section, `frames` the validations known so far as {step, epoch}. */
  constructor(root, job, frames) {
    this.root = root;
    this.job = job;
    this.frames = [];
    this.loaded = new Map();
    this.at = -1;
    this.follow = true; // stay at the newest validation until the user moves the slider
    this.one = (name) => root.querySelector(`[data-film-${name}]`);
    this.slider = this.one("slider");
    this.slider.addEventListener("input", () => this.choose(Number(this.slider.value)));
    this.one("play").addEventListener("click", () => this.play());
    for (const input of root.querySelectorAll("[data-film-option]")) input.addEventListener("input", () => this.paintSoon());
    this.reset(frames);
  }

  /** Start over with what the server knows now. */
  reset(frames) {
    if (JSON.stringify(frames) === JSON.stringify(this.frames)) return;
    this.frames = frames.map(({ step, epoch }) => ({ step, epoch }));
    this.loaded.clear();
    this.samples = null;
    if (this.frames.length) this.update();
  }

  /** One more validation. */
  add({ step, epoch }) {
    this.frames = [...this.frames.filter((frame) => frame.step < step), { step, epoch }];
    this.loaded.delete(step);
    this.update();
  }

  update() {
    this.root.hidden = false;
    this.slider.max = this.frames.length - 1;
    this.slider.disabled = this.frames.length < 2;
    this.one("play").disabled = this.frames.length < 2;
    if (this.follow || this.at >= this.frames.length) this.show(this.frames.length - 1);
    else this.label();
  }

  choose(at) {
    this.follow = at === this.frames.length - 1;
    this.show(at);
  }

  label() {
    const epoch = this.frames[this.at]?.epoch;
    this.one("epoch").textContent = epoch === undefined ? "" : `epoch ${epochText(epoch)}`;
    this.slider.setAttribute("aria-valuetext", `epoch ${epochText(epoch ?? 0)}`);
  }

  async show(at) {
    this.at = at;
    this.slider.value = at;
    this.label();
    const { step } = this.frames[at];
    try {
      this.samples ??= request(`/models/${this.job}/samples.json`).then((found) => this.build(found));
      await this.samples;
      const frame = await this.frame(step);
      if (this.frames[this.at]?.step !== step) return;
      await Promise.all(frame.samples.map((sample, i) => this.cards[i]?.show(sample)));
      this.paint();
      this.root.dataset.shown = step;
      for (const next of [at - 1, at + 1]) if (this.frames[next]) this.frame(this.frames[next].step).catch(() => null);
    } catch (error) {
      this.samples = null;
      this.one("note").textContent = error.message;
    }
  }

  frame(step) {
    if (!this.loaded.has(step)) {
      if (this.loaded.size > KEPT_FRAMES) this.loaded.delete(this.loaded.keys().next().value);
      const loading = request(`/models/${this.job}/samples/${step}.json`);
      loading.catch(() => this.loaded.delete(step));
      this.loaded.set(step, loading);
    }
    return this.loaded.get(step);
  }

  build(film) {
    const Card = CARDS[film.kind];
    this.cards = film.samples.map((sample) => new Card(sample, film));
    this.one("cards").replaceChildren(...this.cards.map((card) => card.root));
    this.one("cards").dataset.kind = film.kind;
    this.one("note").textContent = "";
    for (const part of this.root.querySelectorAll("[data-film-for]")) part.hidden = !part.dataset.filmFor.split(" ").includes(film.kind);
    this.one("legend").replaceChildren(...(film.kind === "map" || film.kind === "boxes" ? legend(film) : []));
  }

  options() {
    const found = {};
    for (const input of this.root.querySelectorAll("[data-film-option]")) {
      found[input.dataset.filmOption] = input.type === "checkbox" ? input.checked : Number(input.value);
    }
    return found;
  }

  paintSoon() {
    this.asked ??= requestAnimationFrame(() => { this.asked = undefined; this.paint(); });
  }

  paint() {
    const options = this.options();
    for (const card of this.cards ?? []) card.paint?.(options);
  }

  play() {
    const stop = () => { clearInterval(this.timer); this.timer = 0; this.one("play").replaceChildren(icon("play-fill")); };
    if (this.timer) return stop();
    if (this.at >= this.frames.length - 1) this.choose(0);
    this.one("play").replaceChildren(icon("pause-fill"));
    this.timer = setInterval(() => {
      if (this.at >= this.frames.length - 1) return stop();
      this.choose(this.at + 1);
    }, PLAY_MS);
  }
}

export function legend({ class_labels: labels, colours }) {
  return labels.slice(0, 24).flatMap((name, i) => (isDrawn(colours[i]) ? [el("span", { class: "film-class" }, swatch(colours[i]), name)] : []));
}

const swatch = (colour) => el("span", { class: "swatch", style: `background: rgb(${colour.join(",")})` });
const isDrawn = (colour) => colour && colour.some((value) => value > 0); // black stands for the background

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

class MapCard {
  constructor(sample, film) {
    this.canvas = el("canvas", { role: "img", "aria-label": `Prediction of ${sample.key} over the picture` });
    this.layers = new MapLayers(this.canvas, film.colours);
    this.ready = this.layers.load(sample.input, sample.truth, sample.size);
    this.root = el("figure", { class: "film-card" }, this.canvas, caption(sample));
  }

  async show(sample) {
    await this.ready;
    await this.layers.setPrediction(sample.map);
    this.root.querySelector("[data-value]").textContent = sample.dice === null ? "" : `Dice ${share(sample.dice)}`;
  }

  paint(options) {
    this.layers.paint(options);
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

class BoxesCard {
  constructor(sample, film) {
    this.sample = sample;
    this.film = film;
    this.canvas = el("canvas", { role: "img", "aria-label": `Boxes found in ${sample.key}` });
    this.image = new Image();
    this.image.src = sample.input;
    this.ready = this.image.decode();
    this.boxes = [];
    this.root = el("figure", { class: "film-card" }, this.canvas, caption(sample));
  }

  async show({ boxes }) {
    await this.ready;
    this.boxes = boxes;
  }

  paint(options) {
    const shown = drawBoxes(this.canvas, this.image, this.sample, this.boxes, this.film, options);
    this.root.querySelector("[data-value]").textContent = `${shown} found${this.sample.truth ? `, ${this.sample.truth.length} true` : ""}`;
  }
}

export const CARDS = { classes: ClassesCard, map: MapCard, pictures: PicturesCard, numbers: NumbersCard, boxes: BoxesCard };
