// @ts-check
// The pictures of an evaluation with their outputs, page by page and worst first: chosen by their classes where they have one each;
// overlays and masks can be taken away. What is chosen stands in the address of the page.

import { CardBoard } from "../overlay/card_board.js";
import { isDrawn } from "../overlay/sample_cards.js";
import { fileName, savePicture } from "../parts/downloads.js";
import { toast } from "../parts/dialogs.js";
import { all, el, find, icon, perhaps } from "../parts/elements.js";
import { counted, isNumber, number, percent } from "../parts/format.js";
import { ALL, choiceOf, queryOf, usualChoice } from "../parts/picture_choice.js";
import { below, request } from "../parts/request.js";
import { sendPictures } from "./picture_sending.js";
import { Review } from "./review.js";

/** @typedef {import("../overlay/sample_cards.js").SampleSet & {total: number}} Page */
/** @typedef {import("../parts/picture_choice.js").Choice} Choice */

class Gallery {
  /** @param {HTMLElement} box */
  constructor(box) {
    this.box = box;
    this.asked = 0;
    this.total = 0; // pictures that are chosen
    this.sort = perhaps("[data-sort]", box, HTMLSelectElement);
    this.size = find("[data-size]", box, HTMLSelectElement);
    this.classes = all("[data-class]", box, HTMLSelectElement);
    this.which = all("[data-only]", box, HTMLButtonElement);
    this.previous = find("[data-previous]", box, HTMLButtonElement);
    this.next = find("[data-next]", box, HTMLButtonElement);
    this.board = new CardBoard(box);
    this.usual = usualChoice(this.sort?.value ?? "index asc", this.size.value);
    this.choice = choiceOf(location.search, this.usual);
    this.review = new Review(box, box.dataset.review ?? "", (step) => this.turn(step));
    this.listen();
    this.load().then(() => location.hash === "#pictures" && box.scrollIntoView());
  }

  listen() {
    this.sort?.addEventListener("change", () => this.change(sortOf(/** @type {HTMLSelectElement} */ (this.sort).value)));
    this.size.addEventListener("change", () => this.change({ size: this.size.value }));
    for (const select of this.classes) {
      select.addEventListener("change", () => this.change({ [select.dataset.class ?? ""]: select.value }));
    }
    for (const button of this.which) button.addEventListener("click", () => this.change({ only: button.value }));
    this.previous.addEventListener("click", () => this.turn(-1));
    this.next.addEventListener("click", () => this.turn(1));
    perhaps("[data-send-button]", this.box)?.addEventListener("click", () => this.send());
    perhaps("[data-dataset-button]", this.box)?.addEventListener("click", () => {
      sendPictures(this.box.dataset.dataset ?? "", this.chosen(), this.total);
    });
    document.addEventListener("picture", (event) => this.open(/** @type {CustomEvent} */ (event).detail));
    globalThis.addEventListener("popstate", () => this.restore());
    document.addEventListener("pictures", (event) => this.lead(/** @type {CustomEvent} */ (event).detail));
    for (const link of all("a[data-pictures]", document, HTMLAnchorElement)) {
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        this.lead(Object.fromEntries(new URLSearchParams(link.search)));
      });
    }
  }

  /**
   * Show the pictures of classes that were chosen elsewhere on the page.
   * @param {Partial<Choice>} classes
   */
  lead(classes) {
    this.change({ ...ALL, ...classes });
    this.box.scrollIntoView();
  }

  /** @param {Partial<Choice>} part what is chosen anew; the list then starts at its beginning */
  change(part) {
    this.choice = { ...this.choice, page: "0", ...part };
    history.pushState(null, "", this.address());
    return this.load();
  }

  /**
   * Another page, where there is one.
   * @param {number} step
   */
  async turn(step) {
    if (step < 0 ? !this.previous.disabled : !this.next.disabled) {
      await this.change({ page: String(Number(this.choice.page) + step) });
    }
  }

  /**
   * Show the page of the list with one picture, and that picture.
   * @param {number} row
   */
  async open(row) {
    const page = String(Math.floor(row / Number(this.choice.size)));
    await this.change({ ...ALL, sort: "index", order: "asc", page });
    const card = perhaps(`[data-row="${row}"]`, this.box);
    card?.scrollIntoView({ block: "center" });
    card?.focus();
  }

  /** A new data set of the pictures that are chosen: its form, with a list of them. */
  async send() {
    try {
      const found = await request(`${below(this.box.dataset.send ?? "")}?${this.chosen()}`, { method: "POST" });
      location.assign(found.form);
    } catch (error) {
      toast(/** @type {Error} */ (error).message, "error");
    }
  }

  /** The query of all pictures that are chosen, whatever the page. */
  chosen() {
    return queryOf({ ...this.choice, page: "0" }, { ...this.usual, size: this.choice.size });
  }

  /** The address of the page with these pictures. */
  address() {
    const query = queryOf(this.choice, this.usual);
    return `${this.box.dataset.page}${query && "?"}${query}#pictures`;
  }

  /** Back and forth in the browser's history. */
  restore() {
    const choice = choiceOf(location.search, this.usual);
    if (queryOf(choice, this.usual) === queryOf(this.choice, this.usual)) return;
    this.choice = choice;
    this.load();
  }

  /** @returns {Promise<void>} when the pictures are drawn */
  async load() {
    const asked = ++this.asked;
    const query = new URLSearchParams(Object.entries(this.choice).filter(([, value]) => value));
    try {
      const found = await request(`${below(this.box.dataset.samples ?? "")}?${query}`);
      if (asked !== this.asked) return; // something else was chosen meanwhile
      const last = Math.max(0, Math.ceil(found.total / Number(this.choice.size)) - 1);
      if (Number(this.choice.page) > last) {
        this.choice.page = String(last);
        return this.load();
      }
      await this.draw(found, last);
    } catch (error) {
      toast(/** @type {Error} */ (error).message, "error");
    }
  }

  /**
   * @param {Page} found
   * @param {number} last number of the last page
   */
  async draw(found, last) {
    const { board } = this, page = Number(this.choice.page);
    this.total = found.total;
    this.mirror(found.class_labels);
    board.build(found);
    this.review.clear();
    board.cards.forEach((card, i) => {
      card.root.append(this.actions(card, found.samples[i]));
      this.review.add(card.root, found.samples[i].row);
    });
    find("[data-list-link]", this.box, HTMLAnchorElement).href = `${this.box.dataset.list}?${this.chosen()}`;
    await board.show(found.samples);
    board.cards.forEach((card, i) => {
      const dice = found.samples[i].metrics.mean_dice; // as it is sorted by: over all classes
      if (isNumber(dice)) find("[data-value]", card.root).textContent = `mean Dice ${percent(dice)}`;
    });
    find("[data-samples-note]", this.box).replaceChildren(...(found.total ? [] : this.nothing()));
    find("[data-place]", this.box).textContent = `Page ${page + 1} of ${number(last + 1)}, ${counted(found.total, "picture")}`;
    this.previous.disabled = page === 0;
    this.next.disabled = page >= last;
    this.box.dataset.drawn = String(page);
  }

  /**
   * Let the controls show what is chosen.
   * @param {string[]} labels of the classes
   */
  mirror(labels) {
    const { choice } = this;
    if (this.sort) select(this.sort, `${choice.sort} ${choice.order}`);
    select(this.size, choice.size);
    for (const button of this.which) {
      button.classList.toggle("active", button.value === choice.only);
      button.setAttribute("aria-pressed", String(button.value === choice.only));
    }
    for (const each of this.classes) {
      if (each.options.length === 1) each.append(...labels.map((label, i) => el("option", { value: i }, label)));
      const wanted = choice[/** @type {"label" | "predicted" | "review"} */ (each.dataset.class)];
      select(each, wanted);
      each.classList.toggle("is-chosen", wanted !== "");
    }
  }

  /** What is said where no picture is as it was chosen. */
  nothing() {
    const all = el("button", { type: "button", class: "btn btn-link btn-sm p-0", onclick: () => this.change(ALL) }, "Show all");
    return ["No picture matches. ", all];
  }

  /**
   * @param {import("../overlay/sample_cards.js").Card} card
   * @param {import("../overlay/sample_cards.js").Sample} sample
   */
  actions(card, sample) {
    /** @type {HTMLElement[]} */
    const links = [];
    if (isDrawn(card)) {
      const save = async () => savePicture(await card.whole(this.board.choice()), fileName(sample.key, "overlay.png"));
      const title = "Download the picture with the overlay";
      links.push(
        el("button", { type: "button", class: "btn btn-link btn-sm p-0", title, onclick: save }, icon("image"), " overlay"),
      );
    }
    if (this.box.dataset.mask) {
      const title = "Class of each pixel as PNG";
      const href = `${this.box.dataset.mask}${sample.row}.png`;
      links.push(el("a", { href, download: true, title }, icon("download"), " mask"));
    }
    if (sample.picture) {
      const title = "Open the picture";
      links.push(el("a", { href: sample.picture, target: "_blank", title }, icon("box-arrow-up-right"), " picture"));
    }
    return el("div", { class: "sample-actions" }, ...links);
  }
}

/** @param {string} value `sort order` */
function sortOf(value) {
  const [sort, order] = value.split(" ");
  return { sort, order };
}

/**
 * Choose an option, also one that an address names and the list does not have.
 * @param {HTMLSelectElement} list
 * @param {string} value
 */
function select(list, value) {
  list.value = value;
  if (list.value !== value) list.append(el("option", { value, selected: true }, value));
}

for (const box of all("[data-gallery]")) new Gallery(box);
