// The film strip of a training: the same few validation samples at every validation, with a slider over the validations.

import { CardBoard } from "../overlay/card_board.js";
import { icon, number, request } from "../parts/ui.js";

const PLAY_MS = 600;
const KEPT_FRAMES = 60;
const epochText = (epoch) => number(Math.round(epoch * 100) / 100);

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
    this.board = new CardBoard(root);
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
      this.samples ??= request(`/models/${this.job}/samples.json`).then((found) => this.board.build(found));
      await this.samples;
      const frame = await this.frame(step);
      if (this.frames[this.at]?.step !== step) return;
      await this.board.show(frame.samples);
      if (this.frames[this.at]?.step !== step) return;
      this.one("note").textContent = "";
      this.root.dataset.shown = step;
      for (const next of [at + 1, at - 1, at + 2, at - 2]) if (this.at === at && this.frames[next]) await this.ahead(this.frames[next].step);
    } catch (error) {
      this.samples = null;
      this.one("note").textContent = error.message;
    }
  }

  /** Neighbours are at hand when the slider moves on; whatever goes wrong is told when they are shown. */
  async ahead(step) {
    const frame = await this.frame(step).catch(() => null);
    if (frame) await this.board.ahead(frame.samples).catch(() => null);
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
