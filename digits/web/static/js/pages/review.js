// @ts-check
// Reviewing pictures in the gallery of an evaluation: what is wrong with each is said by a button or a key, kept at once, and shown
// to every other page that looks at the same evaluation.

import { el } from "../parts/elements.js";
import { toast } from "../parts/dialogs.js";
import { number } from "../parts/format.js";
import { below, request } from "../parts/request.js";

/** @typedef {{counts: Record<string, number>, rows: Record<string, {verdict: string, user: string}>}} Said */

const ASK_MS = 2000;
export const VERDICTS = /** @type {const} */ ([
  ["label_wrong", "1", "Label"],
  ["picture_bad", "2", "Picture"],
  ["model_wrong", "3", "Model"],
]);
const TITLES = /** @type {Record<string, string>} */ ({
  label_wrong: "The label is wrong",
  picture_bad: "The picture is bad",
  model_wrong: "The model is wrong",
});

export class Review {
  /**
   * @param {HTMLElement} box the gallery
   * @param {string} address of `review.json`, as the template wrote it
   * @param {(step: number) => Promise<void>} turn to the next or the previous page
   */
  constructor(box, address, turn) {
    this.box = box;
    this.address = below(address);
    this.turn = turn;
    /** @type {Map<number, HTMLElement>} */
    this.cards = new Map();
    this.said = /** @type {Said} */ ({ counts: {}, rows: {} });
    this.writing = 0;
    box.addEventListener("keydown", (event) => this.key(event));
    setInterval(() => this.ask(), ASK_MS);
    document.addEventListener("visibilitychange", () => this.ask());
    this.ask();
  }

  /**
   * Make a card reviewable; the card keeps its row.
   * @param {HTMLElement} card
   * @param {number} row
   */
  add(card, row) {
    card.tabIndex = 0;
    card.dataset.row = String(row);
    this.cards.set(row, card);
    const buttons = VERDICTS.map(([verdict, key, word]) =>
      el("button", {
        type: "button",
        class: "btn btn-outline-secondary btn-sm",
        title: `${TITLES[verdict]} (${key})`,
        "aria-pressed": "false",
        "data-verdict": verdict,
        onclick: () => this.say(row, verdict),
      }, word)
    );
    card.append(el("div", { class: "sample-review", role: "group", "aria-label": "What is wrong" }, ...buttons));
    this.mark(row);
  }

  /** The cards of another page are there. */
  clear() {
    this.cards.clear();
  }

  /** @param {number} row */
  mark(row) {
    const card = this.cards.get(row), verdict = this.said.rows[row]?.verdict ?? "";
    if (!card) return;
    card.dataset.said = verdict;
    for (const button of card.querySelectorAll("[data-verdict]")) {
      const is = /** @type {HTMLElement} */ (button).dataset.verdict === verdict;
      button.classList.toggle("active", is);
      button.setAttribute("aria-pressed", String(is));
    }
  }

  /**
   * Say what is wrong with a picture; the same again takes it back.
   * @param {number} row
   * @param {string} verdict
   */
  async say(row, verdict) {
    const data = { row, verdict: this.said.rows[row]?.verdict === verdict ? "" : verdict };
    this.writing++;
    try {
      this.take(await request(this.address, { method: "POST", data }));
    } catch (error) {
      toast(/** @type {Error} */ (error).message, "error");
    } finally {
      this.writing--;
    }
  }

  /** What others said meanwhile. */
  async ask() {
    if (document.hidden || this.writing) return;
    const found = await request(this.address).catch(() => null); // the server may be away; the request is repeated
    if (found && !this.writing) this.take(found);
  }

  /** @param {Said} said */
  take(said) {
    this.said = said;
    for (const row of this.cards.keys()) this.mark(row);
    const parts = VERDICTS.filter(([verdict]) => said.counts[verdict]).map(([verdict]) =>
      `${number(said.counts[verdict])} × ${TITLES[verdict].toLowerCase()}`
    );
    const place = this.box.querySelector("[data-review-counts]");
    if (place) place.textContent = parts.length ? `Reviewed: ${parts.join(", ")}.` : "";
    for (const link of this.box.querySelectorAll("[data-review-link]")) {
      /** @type {HTMLElement} */ (link).hidden = !parts.length;
    }
  }

  /** @param {KeyboardEvent} event */
  async key(event) {
    const card = event.target instanceof Element && event.target.closest("[data-row]");
    if (!(card instanceof HTMLElement) || event.ctrlKey || event.metaKey || event.altKey) return;
    const row = Number(card.dataset.row);
    const found = VERDICTS.find(([, key]) => key === event.key);
    if (found) {
      event.preventDefault();
      await this.say(row, found[0]);
    } else if (event.key === "0" || event.key === "Backspace") {
      event.preventDefault();
      await this.say(row, "");
    } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      event.preventDefault();
      await this.step(card, event.key === "ArrowRight" ? 1 : -1);
    }
  }

  /**
   * The focus goes to the next card, or to the first of the next page.
   * @param {HTMLElement} card
   * @param {number} step
   */
  async step(card, step) {
    const cards = [...this.cards.values()];
    const next = cards[cards.indexOf(card) + step];
    if (next) return next.focus();
    await this.turn(step);
    const now = [...this.cards.values()];
    (step > 0 ? now[0] : now.at(-1))?.focus();
  }
}
