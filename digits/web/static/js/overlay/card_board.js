// @ts-check
// A board of cards with one choice for all: what is drawn, how strongly, from which score on, which classes.

import { addButtons, openDialog } from "../parts/dialogs.js";
import { all, el, find, swatch } from "../parts/elements.js";
import { CARDS, isDrawn } from "./sample_cards.js";
import { Stage } from "./stage.js";

/** @typedef {import("./sample_cards.js").Card} Card */
/** @typedef {import("./sample_cards.js").SampleSet} SampleSet */
/** @typedef {import("./sample_cards.js").Sample} Sample */

const MOST_CLASSES = 40;

export class CardBoard {
  /** @param {HTMLElement} root holds the cards, the legend and the inputs `[data-sample-option]` */
  constructor(root) {
    this.root = root;
    /** @type {Card[]} */
    this.cards = [];
    /** @type {Sample[] | null} */
    this.samples = null;
    this.large = /** @type {{card: Card, at: number, close: () => void} | null} */ (null);
    this.known = /** @type {Promise<any>} */ (Promise.resolve());
    this.stage = new Stage(() => this.choice());
    root.addEventListener("input", ({ target }) => {
      if (!(target instanceof HTMLInputElement) || !target.matches("[data-sample-option], [data-sample-class]")) return;
      const output = target.parentElement?.querySelector("output");
      if (output) output.textContent = target.value;
      this.stage.redraw();
    });
  }

  /**
   * Put cards for the samples on the board.
   * @param {SampleSet} sampleSet
   */
  build(sampleSet) {
    this.sampleSet = sampleSet;
    this.large?.close();
    for (const card of this.drawn()) this.stage.remove(card);
    this.cards = sampleSet.samples.map((sample) => new CARDS[sampleSet.kind](sample, sampleSet));
    const place = find("[data-samples-cards]", this.root);
    place.dataset.kind = sampleSet.kind;
    place.replaceChildren(...this.cards.map((card) => card.root));
    for (const part of all("[data-samples-for]", this.root)) {
      part.hidden = !part.dataset.samplesFor?.split(" ").includes(sampleSet.kind);
    }
    const truth = this.root.querySelector("[data-sample-option=truth]")?.parentElement;
    if (truth) truth.hidden = !sampleSet.samples.some((sample) => sample.truth);
    this.drawLegend(sampleSet);
    for (const card of this.drawn()) {
      const { canvas } = card;
      Object.assign(canvas, { title: "Enlarge", tabIndex: 0 });
      canvas.setAttribute("role", "button");
      canvas.addEventListener("click", () => this.enlarge(card));
      canvas.addEventListener("keydown", ({ key }) => key === "Enter" && this.enlarge(card));
    }
    this.known = Promise.all(this.drawn().map((card) => this.stage.add(card)));
  }

  /**
   * Show what was made of the samples; resolves when it can be seen.
   * @param {Sample[]} samples
   */
  async show(samples) {
    this.samples = samples;
    await Promise.all(this.cards.map((card, i) => card.show(samples[i])));
    if (this.large) await this.large.card.show(samples[this.large.at]);
    await this.known;
    await this.stage.redraw();
  }

  /**
   * Have the pictures of other samples at hand.
   * @param {Sample[]} samples
   */
  ahead(samples) {
    const cards = [...this.cards.entries()].map(([at, card]) => ({ card, at }));
    if (this.large) cards.push(this.large);
    return Promise.all(cards.map(({ card, at }) => "ahead" in card && card.ahead(samples[at])));
  }

  /** What the inputs say, by their names; `hidden` are the numbers of the classes without a tick. */
  choice() {
    /** @type {any} */
    const found = { hidden: new Set() };
    for (const input of all("[data-sample-option]", this.root, HTMLInputElement)) {
      found[input.dataset.sampleOption ?? ""] = input.type === "checkbox" ? input.checked : Number(input.value);
    }
    for (const input of all("[data-sample-class]", this.root, HTMLInputElement)) {
      if (!input.checked) found.hidden.add(Number(input.dataset.sampleClass));
    }
    return found;
  }

  drawn() {
    return this.cards.filter(isDrawn);
  }

  /**
   * The same classes keep their ticks from one page of pictures to the next.
   * @param {SampleSet} sampleSet
   */
  drawLegend({ kind, class_labels: labels, colours }) {
    const { hidden } = this.choice();
    const wanted = kind === "map" || kind === "boxes" ? labels.slice(0, MOST_CLASSES) : [];
    const entries = wanted.flatMap((name, i) => (isColour(colours[i]) ? [entry(name, colours[i], i, !hidden.has(i))] : []));
    find("[data-samples-legend]", this.root).replaceChildren(...entries);
  }

  /** @param {Card & {canvas: HTMLCanvasElement, sample: Sample}} card */
  enlarge(card) {
    const sampleSet = /** @type {SampleSet} */ (this.sampleSet);
    const at = this.cards.indexOf(card);
    const large = new CARDS[sampleSet.kind](sampleSet.samples[at], sampleSet);
    if (!isDrawn(large)) return;
    const dialog = openDialog(card.sample.key, large.root);
    addButtons(dialog, "Close");
    dialog.classList.add("sample-large");
    dialog.style.setProperty("--shape", String(large.natural[0] / large.natural[1]));
    dialog.addEventListener("close", () => {
      this.stage.remove(large);
      this.large = null;
    });
    this.large = { card: large, at, close: () => dialog.close() };
    if (this.samples) large.show(this.samples[at]);
    this.stage.add(large);
  }
}

/** @param {number[] | undefined} colour */
const isColour = (colour) => colour?.some((value) => value > 0); // black stands for the background

/**
 * @param {string} name
 * @param {number[]} colour
 * @param {number} number
 * @param {boolean} checked
 */
const entry = (name, colour, number, checked) =>
  el(
    "label",
    { class: "sample-class" },
    el("input", { type: "checkbox", checked, "data-sample-class": number }),
    swatch(colour),
    name,
  );
