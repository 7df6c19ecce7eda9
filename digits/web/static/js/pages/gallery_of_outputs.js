// @ts-check
// The pictures of an evaluation with their outputs, page by page and worst first; overlays and masks can be taken away.

import { CardBoard } from "../overlay/card_board.js";
import { isDrawn } from "../overlay/film_cards.js";
import { fileName, savePicture } from "../parts/downloads.js";
import { toast } from "../parts/dialogs.js";
import { all, el, find, icon, perhaps } from "../parts/elements.js";
import { isNumber, number, percent } from "../parts/format.js";
import { below, request } from "../parts/request.js";

const SIZE = 24;

class Gallery {
  /** @param {HTMLElement} box */
  constructor(box) {
    this.box = box;
    this.page = 0;
    this.sort = perhaps("[data-sort]", box, HTMLSelectElement);
    this.previous = find("[data-previous]", box, HTMLButtonElement);
    this.next = find("[data-next]", box, HTMLButtonElement);
    this.sort?.addEventListener("change", () => this.go(0));
    this.previous.addEventListener("click", () => this.go(this.page - 1));
    this.next.addEventListener("click", () => this.go(this.page + 1));
    this.board = new CardBoard(box);
    this.go(0);
  }

  /** @param {number} page */
  async go(page) {
    const [sort, order] = this.sort ? this.sort.value.split(" ") : ["", "asc"];
    const query = new URLSearchParams({ page: String(page), size: String(SIZE), sort, order });
    try {
      const found = await request(`${below(this.box.dataset.samples ?? "")}?${query}`);
      this.page = page;
      await this.draw(found);
    } catch (error) {
      toast(/** @type {Error} */ (error).message, "error");
    }
  }

  /** @param {import("../overlay/film_cards.js").Film & {total: number}} found */
  async draw(found) {
    const { board } = this;
    board.build(found);
    board.cards.forEach((card, i) => card.root.append(this.actions(card, found.samples[i])));
    await board.show(found.samples);
    board.cards.forEach((card, i) => {
      const dice = found.samples[i].metrics.mean_dice; // as it is sorted by: over all classes
      if (isNumber(dice)) find("[data-value]", card.root).textContent = `mean Dice ${percent(dice)}`;
    });
    const pages = Math.max(1, Math.ceil(found.total / SIZE));
    find("[data-place]", this.box).textContent = `Page ${this.page + 1} of ${number(pages)}, ${number(found.total)} pictures`;
    this.previous.disabled = this.page === 0;
    this.next.disabled = this.page + 1 >= pages;
    this.box.dataset.drawn = String(this.page);
  }

  /**
   * @param {import("../overlay/film_cards.js").Card} card
   * @param {import("../overlay/film_cards.js").Sample} sample
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
    return el("div", { class: "film-actions" }, ...links);
  }
}

for (const box of all("[data-gallery]")) new Gallery(box);
