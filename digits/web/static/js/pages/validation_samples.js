// @ts-check
// The validation samples of a training: the same few at every validation, with a slider over the validations.

import { CardBoard } from "../overlay/card_board.js";
import { find, icon } from "../parts/elements.js";
import { epochText } from "../parts/format.js";
import { request } from "../parts/request.js";

/** @typedef {{step: number, epoch: number}} Frame a validation */

const PLAY_MS = 600;
const KEPT_FRAMES = 60;

export class ValidationSamples {
  /**
   * @param {HTMLElement} root the section
   * @param {string} job
   * @param {Frame[]} frames the validations known so far
   */
  constructor(root, job, frames) {
    this.root = root;
    this.job = job;
    /** @type {Frame[]} */
    this.frames = [];
    /** @type {Map<number, Promise<any>>} */
    this.loaded = new Map(); // by step
    this.samples = /** @type {Promise<void> | null} */ (null);
    this.at = -1;
    this.timer = 0;
    this.follow = true; // stay at the newest validation until the user moves the slider
    this.slider = find("[data-samples-slider]", root, HTMLInputElement);
    this.playButton = find("[data-samples-play]", root, HTMLButtonElement);
    this.slider.addEventListener("input", () => this.choose(Number(this.slider.value)));
    this.playButton.addEventListener("click", () => this.play());
    this.board = new CardBoard(root);
    this.reset(frames);
  }

  /**
   * Start over with what the server knows now.
   * @param {Frame[]} frames
   */
  reset(frames) {
    if (JSON.stringify(frames) === JSON.stringify(this.frames)) return;
    this.frames = frames.map(({ step, epoch }) => ({ step, epoch }));
    this.loaded.clear();
    this.samples = null;
    if (this.frames.length) this.update();
  }

  /**
   * One more validation.
   * @param {Frame} frame
   */
  add({ step, epoch }) {
    this.frames = [...this.frames.filter((frame) => frame.step < step), { step, epoch }];
    this.loaded.delete(step);
    this.update();
  }

  update() {
    const single = this.frames.length < 2;
    this.root.hidden = false;
    this.slider.max = String(this.frames.length - 1);
    this.slider.disabled = this.playButton.disabled = single;
    if (this.follow || this.at >= this.frames.length) this.show(this.frames.length - 1);
    else this.label();
  }

  /** @param {number} at */
  choose(at) {
    this.follow = at === this.frames.length - 1;
    this.show(at);
  }

  label() {
    const text = epochText(this.frames[this.at]?.epoch);
    find("[data-samples-epoch]", this.root).textContent = text && `epoch ${text}`;
    this.slider.setAttribute("aria-valuetext", `epoch ${text || 0}`);
  }

  /** @param {number} at */
  async show(at) {
    this.at = at;
    this.slider.value = String(at);
    this.label();
    const { step } = this.frames[at];
    const note = find("[data-samples-note]", this.root);
    try {
      this.samples ??= request(`/models/${this.job}/samples.json`).then((found) => this.board.build(found));
      await this.samples;
      const frame = await this.frame(step);
      if (this.frames[this.at]?.step !== step) return;
      await this.board.show(frame.samples);
      if (this.frames[this.at]?.step !== step) return;
      note.textContent = "";
      this.root.dataset.shown = String(step);
      await this.loadNeighbours(at);
    } catch (error) {
      this.samples = null;
      note.textContent = /** @type {Error} */ (error).message;
    }
  }

  /**
   * Neighbours are at hand when the slider moves on; whatever goes wrong is reported when they are shown.
   * @param {number} at
   */
  async loadNeighbours(at) {
    for (const next of [at + 1, at - 1, at + 2, at - 2]) {
      if (this.at !== at || !this.frames[next]) continue;
      const frame = await this.frame(this.frames[next].step).catch(() => null);
      if (frame) await this.board.ahead(frame.samples).catch(() => null);
    }
  }

  /**
   * @param {number} step
   * @returns {Promise<any>}
   */
  frame(step) {
    const known = this.loaded.get(step);
    if (known) return known;
    const oldest = this.loaded.keys().next().value;
    if (this.loaded.size > KEPT_FRAMES && oldest !== undefined) this.loaded.delete(oldest);
    const loading = request(`/models/${this.job}/samples/${step}.json`);
    loading.catch(() => this.loaded.delete(step));
    this.loaded.set(step, loading);
    return loading;
  }

  play() {
    const atEnd = () => this.at >= this.frames.length - 1;
    const stop = () => {
      clearInterval(this.timer);
      this.timer = 0;
      this.playButton.replaceChildren(icon("play-fill"));
    };
    if (this.timer) return stop();
    if (atEnd()) this.choose(0);
    this.playButton.replaceChildren(icon("pause-fill"));
    this.timer = setInterval(() => (atEnd() ? stop() : this.choose(this.at + 1)), PLAY_MS);
  }
}
