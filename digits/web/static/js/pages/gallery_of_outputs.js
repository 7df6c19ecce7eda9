// The pictures of an evaluation with their outputs, page by page and worst first; overlays and masks can be taken away.

import { CardBoard } from "../overlay/card_board.js";
import { fileName, savePicture } from "../parts/downloads.js";
import { el, icon, number, request, root, toast } from "../parts/ui.js";

const SIZE = 24;

class Gallery {
  constructor(box) {
    this.box = box;
    this.page = 0;
    this.sort = box.querySelector("[data-sort]");
    this.sort?.addEventListener("change", () => this.go(0));
    box.querySelector("[data-previous]").addEventListener("click", () => this.go(this.page - 1));
    box.querySelector("[data-next]").addEventListener("click", () => this.go(this.page + 1));
    this.board = new CardBoard(box);
    this.go(0);
  }

  async go(page) {
    const [sort, order] = this.sort ? this.sort.value.split(" ") : ["", "asc"];
    const query = new URLSearchParams({ page, size: SIZE, sort, order });
    try {
      const found = await request(`${this.box.dataset.samples.slice(root.length)}?${query}`);
      this.page = page;
      await this.draw(found);
    } catch (error) {
      toast(error.message, "error");
    }
  }

  async draw(found) {
    const { board } = this;
    board.build(found);
    board.cards.forEach((card, i) => card.root.append(this.actions(card, found.samples[i])));
    await board.show(found.samples);
    board.cards.forEach((card, i) => {
      const dice = found.samples[i].metrics.mean_dice; // as it is sorted by: over all classes
      if (dice !== null && dice !== undefined) card.root.querySelector("[data-value]").textContent = `mean Dice ${number(Math.round(dice * 1000) / 10)} %`;
    });
    const pages = Math.max(1, Math.ceil(found.total / SIZE));
    this.box.querySelector("[data-place]").textContent = `Page ${this.page + 1} of ${number(pages)}, ${number(found.total)} pictures`;
    this.box.querySelector("[data-previous]").disabled = this.page === 0;
    this.box.querySelector("[data-next]").disabled = this.page + 1 >= pages;
    this.box.dataset.drawn = this.page;
  }

  actions(card, sample) {
    const links = [];
    if (card.canvas) links.push(el("button", { type: "button", class: "btn btn-link btn-sm p-0", title: "Download the picture with the overlay", onclick: async () => savePicture(await card.whole(this.board.choice()), fileName(sample.key, "overlay.png")) }, icon("image"), " overlay"));
    if (this.box.dataset.mask) links.push(el("a", { href: `${this.box.dataset.mask}${sample.row}.png`, download: true, title: "Class of each pixel as PNG" }, icon("download"), " mask"));
    return el("div", { class: "film-actions" }, ...links);
  }
}

for (const box of document.querySelectorAll("[data-gallery]")) new Gallery(box);
