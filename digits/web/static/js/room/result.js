// @ts-check
// What a model made of a picture, and beside it what a second one did: scores or a board of cards, with the time of each step.

import { CardBoard } from "../overlay/card_board.js";
import { all, el, find } from "../parts/elements.js";
import { fixed } from "../parts/format.js";

/** @typedef {[label: string, percent: number][]} Scores the best first */
/**
 * What a model answers: scores, or samples for a board of cards.
 * @typedef {object} Extra
 * @property {string} model_id
 * @property {string} model_name
 * @property {Scores} predictions
 * @property {{decode?: number, prepare: number, forward: number, post?: number}} seconds
 * @property {string} device
 * @property {string} note
 * @property {string} [answered] how, where it was in tiles or as a mean
 * @property {number} snapshot_epoch
 * @property {string} [error] of a second model that gave no answer
 * @property {Answer} [second]
 * @property {{words: string}} [difference]
 */
/** @typedef {import("../overlay/sample_cards.js").SampleSet & Extra} Answer */

/** @type {[step: "decode" | "resize" | "forward" | "post", words: string][]} */
const STEPS = [["decode", "decoded"], ["resize", "prepared"], ["forward", "predicted"], ["post", "afterwards"]];

const LOADING_MS = 1500; // a network that is there has answered by then

export class Result {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.place = find("[data-answers]", root);
    this.parts = find("[data-result-parts]", root, HTMLTemplateElement);
    /** @type {Column[]} */
    this.columns = [];
    this.loading = 0;
  }

  /** @param {boolean} yes */
  setBusy(yes) {
    this.root.classList.toggle("busy", yes);
    clearTimeout(this.loading);
    if (!yes) return;
    const words = "No answer yet: the first question to a network loads it.";
    this.loading = setTimeout(() => this.say(el("span", {}, words)), LOADING_MS);
  }

  /** @param {string} message */
  fail(message) {
    this.say(el("span", { class: "alert alert-danger d-block mb-0", role: "alert" }, message));
    this.place.hidden = true;
    this.difference("");
    this.time("");
  }

  /** @param {...HTMLElement} content */
  say(...content) {
    clearTimeout(this.loading); // what is said now is newer
    find("[data-result-text]", this.root).replaceChildren(...content);
  }

  /** @param {string} text */
  difference(text) {
    const place = find("[data-difference]", this.root);
    place.textContent = text;
    place.hidden = !text;
  }

  /** @param {string} text */
  time(text) {
    find("[data-result-time]", this.root).textContent = text;
  }

  /**
   * @param {Answer} answer
   * @param {number | null} milliseconds from the question to the answer; null of one that was kept
   */
  async show(answer, milliseconds) {
    const answers = answer.second ? [answer, answer.second] : [answer];
    while (this.columns.length < answers.length) this.columns.push(this.column());
    this.say();
    this.place.hidden = false;
    this.place.dataset.answers = String(answers.length);
    for (const [number, column] of this.columns.entries()) column.root.hidden = number >= answers.length;
    this.difference(answer.difference?.words ?? "");
    const named = answers.length > 1;
    await Promise.all(answers.map((one, number) => this.columns[number].show(one, named ? "AB"[number] : "")));
    this.time(
      milliseconds === null ? "An answer that was kept." : `The question was answered after ${fixed(milliseconds, 0)} ms.`,
    );
  }

  column() {
    const column = new Column(this.parts, this.columns.length);
    this.place.append(column.root);
    column.board.addEventListener("input", (event) => event.isTrusted && this.follow(column, event.target));
    return column;
  }

  /**
   * What is chosen for one answer is chosen for the other.
   * @param {Column} column
   * @param {EventTarget | null} target
   */
  follow(column, target) {
    if (!(target instanceof HTMLInputElement)) return;
    const { sampleOption: option, sampleClass: label } = target.dataset;
    const same = option === undefined ? `[data-sample-class="${label}"]` : `[data-sample-option="${option}"]`;
    for (const { board, root } of this.columns) {
      const input = board.querySelector(same);
      if (board === column.board || root.hidden || !(input instanceof HTMLInputElement)) continue;
      input.value = target.value;
      input.checked = target.checked;
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }
}

/** One answer with its head and its times. */
class Column {
  /**
   * @param {HTMLTemplateElement} parts of a board
   * @param {number} number
   */
  constructor(parts, number) {
    this.parts = parts;
    this.number = number;
    this.head = el("h3", { class: "answer-head" });
    this.text = el("div", {});
    this.board = el("div", { hidden: true, "data-result-board": true });
    this.times = el("div", { class: "answer-times" });
    this.root = el("section", { class: "answer" }, this.head, this.text, this.board, this.times);
    this.cards = /** @type {CardBoard | null} */ (null);
    this.touched = false; // sliders stay where somebody put them
    this.board.addEventListener("input", () => (this.touched = true));
  }

  /** The board with its options, made when the first answer wants it. */
  boardOfCards() {
    if (!this.cards) {
      const content = /** @type {DocumentFragment} */ (this.parts.content.cloneNode(true));
      for (const part of all("[id], [for]", content)) {
        for (const name of ["id", "for"]) {
          if (part.hasAttribute(name)) part.setAttribute(name, `${part.getAttribute(name)}-${this.number}`);
        }
      }
      this.board.append(content);
      this.cards = new CardBoard(this.board);
    }
    return this.cards;
  }

  /**
   * @param {Answer} answer
   * @param {string} letter
   */
  async show(answer, letter) {
    const { error, predictions, samples, model_name: name, snapshot_epoch: epoch } = answer;
    this.head.replaceChildren(
      letter && el("span", { class: "answer-letter" }, letter),
      el("span", { class: "answer-name", title: name ?? "" }, letter ? name : ""),
      error ? "" : el("span", { class: "muted" }, `Epoch ${epoch}`),
    );
    this.board.hidden = Boolean(error) || predictions.length > 0;
    this.times.replaceChildren(...(error ? [] : timesOf(answer)));
    if (error) return this.text.replaceChildren(el("span", { class: "alert alert-danger d-block mb-0", role: "alert" }, error));
    if (predictions.length) return this.text.replaceChildren(...truthOf(samples[0]), scores(predictions, samples[0].truth));
    this.text.replaceChildren();
    const board = this.boardOfCards();
    if (!this.touched) this.setSliders(samples[0]);
    board.build(answer);
    await board.show(samples);
  }

  /**
   * At first the sliders stand where the network itself, or its user, put the limits.
   * @param {import("../overlay/sample_cards.js").Sample} sample
   */
  setSliders({ score_threshold: score, candidates }) {
    const known = { score, overlap: candidates?.overlap ?? 1 };
    for (const [name, value] of Object.entries(known)) {
      const input = this.board.querySelector(`[data-sample-option=${name}]`);
      if (!(input instanceof HTMLInputElement) || typeof value !== "number") continue;
      input.value = String(value);
      const output = input.parentElement?.querySelector("output");
      if (output) output.textContent = input.value;
    }
  }
}

/**
 * A bar of the steps and their times in words.
 * @param {Answer} answer
 */
function timesOf({ seconds, device, note, answered }) {
  const decode = seconds.decode ?? 0;
  const spent = { decode, resize: Math.max(0, seconds.prepare - decode), forward: seconds.forward, post: seconds.post ?? 0 };
  const total = Object.values(spent).reduce((sum, value) => sum + value, 0) || 1;
  const part = (/** @type {number} */ value) => `flex-grow: ${(value / total).toFixed(4)}`;
  const steps = STEPS.filter(([step]) => spent[step] > 0);
  const bar = steps.map(([step, words]) =>
    el("span", { class: `step-${step}`, style: part(spent[step]), title: `${words} in ${milliseconds(spent[step])}` })
  );
  const items = steps.map(([step, words]) =>
    el("span", { class: "step" }, el("i", { class: `step-${step}` }), `${words} ${milliseconds(spent[step])}`)
  );
  const where = el("span", { class: "muted" }, device === "cpu" ? "on the CPU" : "on the GPU");
  return [
    el("div", { class: "step-bar", "aria-hidden": "true" }, ...bar),
    el("div", { class: "steps" }, ...items, where),
    note && el("p", { class: "answer-note" }, note),
    answered && el("p", { class: "answer-note" }, `Answered ${answered}.`),
  ].filter((child) => child instanceof HTMLElement);
}

/** @param {number} seconds */
const milliseconds = (seconds) => `${fixed(seconds * 1000, seconds < 0.01 ? 1 : 0)} ms`;

/** @param {import("../overlay/sample_cards.js").Sample} sample */
const truthOf = ({ truth }) =>
  typeof truth === "string" && truth ? [el("div", { class: "sample-truth" }, "true: ", el("strong", {}, truth))] : [];

/**
 * @param {Scores} predictions
 * @param {unknown} truth the name of the true class, where it is known
 */
function scores(predictions, truth) {
  const items = predictions.map(([label, percent], place) => {
    const badge = el("span", { class: `badge ${place ? "text-bg-secondary" : "text-bg-primary"}` }, `${fixed(percent, 2)}%`);
    const line = { class: `list-group-item${label === truth ? " is-true" : ""}`, style: `--share: ${percent}%` };
    return el("li", line, badge, el("strong", {}, label));
  });
  return el("ul", { class: "list-group predictions" }, ...items);
}
