// A board of cards with one choice for all: what is drawn, how strongly, from which score on, which classes.

import { CARDS } from "./film_cards.js";
import { Stage } from "./stage.js";
import { el, openDialog } from "../parts/ui.js";

const MOST_CLASSES = 40;

export class CardBoard {
  /** `root` holds the cards, the legend and the inputs `[data-film-option]`. */
  constructor(root) {
    this.root = root;
    this.cards = [];
    this.stage = new Stage(() => this.choice());
    root.addEventListener("input", ({ target }) => {
      if (!target.matches("[data-film-option], [data-film-class]")) return;
      const output = target.parentElement.querySelector("output");
      if (output) output.textContent = target.value;
      this.stage.redraw();
    });
  }

  /** Put cards for the samples on the board; `found` has `kind`, `class_labels`, `colours` and `samples`. */
  build(found) {
    this.found = found;
    this.close?.();
    for (const card of this.drawn()) this.stage.remove(card);
    this.cards = found.samples.map((sample) => new CARDS[found.kind](sample, found));
    const place = this.root.querySelector("[data-film-cards]");
    place.dataset.kind = found.kind;
    place.replaceChildren(...this.cards.map((card) => card.root));
    for (const part of this.root.querySelectorAll("[data-film-for]")) part.hidden = !part.dataset.filmFor.split(" ").includes(found.kind);
    const truth = this.root.querySelector("[data-film-option=truth]");
    if (truth) truth.parentElement.hidden = !found.samples.some((sample) => sample.truth);
    this.legend(found);
    this.drawn().forEach((card) => {
      card.canvas.title = "Enlarge";
      card.canvas.tabIndex = 0;
      card.canvas.addEventListener("click", () => this.enlarge(card));
      card.canvas.addEventListener("keydown", ({ key }) => key === "Enter" && this.enlarge(card));
    });
    this.known = Promise.all(this.drawn().map((card) => this.stage.add(card)));
  }

  /** Show what was made of the samples; resolves when it can be seen. */
  async show(samples) {
    this.samples = samples;
    await Promise.all(this.cards.map((card, i) => card.show(samples[i])));
    if (this.large) await this.large.card.show(samples[this.large.at]);
    await this.known;
    await this.stage.redraw();
  }

  /** Have the pictures of other samples at hand. */
  ahead(samples) {
    const { large } = this;
    return Promise.all([...this.cards.map((card, i) => card.ahead?.(samples[i])), large?.card.ahead?.(samples[large.at])]);
  }

  choice() {
    const found = { hidden: new Set() };
    for (const input of this.root.querySelectorAll("[data-film-option]")) found[input.dataset.filmOption] = input.type === "checkbox" ? input.checked : Number(input.value);
    for (const input of this.root.querySelectorAll("[data-film-class]")) if (!input.checked) found.hidden.add(Number(input.dataset.filmClass));
    return found;
  }

  drawn() {
    return this.cards.filter((card) => card.canvas);
  }

  /** The same classes keep their ticks from one page of pictures to the next. */
  legend({ kind, class_labels: labels, colours }) {
    const { hidden } = this.choice();
    const wanted = kind === "map" || kind === "boxes" ? labels.slice(0, MOST_CLASSES) : [];
    this.root.querySelector("[data-film-legend]").replaceChildren(...wanted.flatMap((name, i) => (isDrawn(colours[i]) ? [entry(name, colours[i], i, !hidden.has(i))] : [])));
  }

  enlarge(card) {
    const at = this.cards.indexOf(card);
    const large = new CARDS[this.found.kind](this.found.samples[at], this.found);
    const dialog = openDialog(card.sample.key, large.root, el("div", { class: "buttons" }, el("button", { type: "button", class: "btn btn-outline-secondary", onclick: () => dialog.close() }, "Close")));
    dialog.classList.add("film-large");
    dialog.style.setProperty("--shape", large.natural[0] / large.natural[1]);
    dialog.addEventListener("close", () => { this.stage.remove(large); this.large = this.close = null; });
    [this.large, this.close] = [{ card: large, at }, () => dialog.close()];
    if (this.samples) large.show(this.samples[at]);
    this.stage.add(large);
  }
}

const isDrawn = (colour) => colour && colour.some((value) => value > 0); // black stands for the background

const entry = (name, colour, number, checked) =>
  el("label", { class: "film-class" }, el("input", { type: "checkbox", checked, "data-film-class": number }), el("span", { class: "swatch", style: `background: rgb(${colour.join(",")})` }), name);
