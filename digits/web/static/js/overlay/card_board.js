// @ts-check
// A board of cards with one choice for all: what is drawn, how strongly, from which score on, which classes.

import { addButtons, openDialog } from "../parts/dialogs.js";
import { all, el, find, swatch } from "../parts/elements.js";
import { CARDS, isDrawn } from "./film_cards.js";
import { Stage } from "./stage.js";

/** @typedef {import("./film_cards.js").Card} Card */
/** @typedef {import("./film_cards.js").Film} Film */
/** @typedef {import("./film_cards.js").Sample} Sample */

const MOST_CLASSES = 40;

export class CardBoard {
  /** @param {HTMLElement} root holds the cards, the legend and the inputs `[data-film-option]` */
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
      if (!(target instanceof HTMLInputElement) || !target.matches("[data-film-option], [data-film-class]")) return;
      const output = target.parentElement?.querySelector("output");
      if (output) output.textContent = target.value;
      this.stage.redraw();
    });
  }

  /**
   * Put cards for the samples on the board.
   * @param {Film} film
   */
  build(film) {
    this.film = film;
    this.large?.close();
    for (const card of this.drawn()) this.stage.remove(card);
    this.cards = film.samples.map((sample) => new CARDS[film.kind](sample, film));
    const place = find("[data-film-cards]", this.root);
    place.dataset.kind = film.kind;
    place.replaceChildren(...this.cards.map((card) => card.root));
    for (const part of all("[data-film-for]", this.root)) part.hidden = !part.dataset.filmFor?.split(" ").includes(film.kind);
    const truth = this.root.querySelector("[data-film-option=truth]")?.parentElement;
    if (truth) truth.hidden = !film.samples.some((sample) => sample.truth);
    this.drawLegend(film);
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
    for (const input of all("[data-film-option]", this.root, HTMLInputElement)) {
      found[input.dataset.filmOption ?? ""] = input.type === "checkbox" ? input.checked : Number(input.value);
    }
    for (const input of all("[data-film-class]", this.root, HTMLInputElement)) {
      if (!input.checked) found.hidden.add(Number(input.dataset.filmClass));
    }
    return found;
  }

  drawn() {
    return this.cards.filter(isDrawn);
  }

  /**
   * The same classes keep their ticks from one page of pictures to the next.
   * @param {Film} film
   */
  drawLegend({ kind, class_labels: labels, colours }) {
    const { hidden } = this.choice();
    const wanted = kind === "map" || kind === "boxes" ? labels.slice(0, MOST_CLASSES) : [];
    const entries = wanted.flatMap((name, i) => (isColour(colours[i]) ? [entry(name, colours[i], i, !hidden.has(i))] : []));
    find("[data-film-legend]", this.root).replaceChildren(...entries);
  }

  /** @param {Card & {canvas: HTMLCanvasElement, sample: Sample}} card */
  enlarge(card) {
    const film = /** @type {Film} */ (this.film);
    const at = this.cards.indexOf(card);
    const large = new CARDS[film.kind](film.samples[at], film);
    if (!isDrawn(large)) return;
    const dialog = openDialog(card.sample.key, large.root);
    addButtons(dialog, "Close");
    dialog.classList.add("film-large");
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
    { class: "film-class" },
    el("input", { type: "checkbox", checked, "data-film-class": number }),
    swatch(colour),
    name,
  );
